//! One fault at a time.

use std::fs;
use std::path::{Path, PathBuf};

use grap_core::recovery::{Tier, TierVerdict};
use grap_testkit::records::{RecordFile, u32_at};

use crate::world::{Failed, World};

const NONE: u32 = u32::MAX;

#[test]
fn each_planted_fault_is_found_by_its_tier_with_the_object_named() {
    let world = World::make();
    a_whole_one_passes_and_then_its_stopped_store_is_spoiled(&world);
    a_log_that_is_one_transaction_short(&world);
    a_schema_that_lost_what_it_had(&world);
    an_index_that_cannot_be_read(&world);
    a_relationship_without_its_node(&world);
    a_node_that_is_counted_and_not_there(&world);
    one_that_does_not_start(&world);
}

fn a_whole_one_passes_and_then_its_stopped_store_is_spoiled(world: &World) {
    let expectation = world.expectation();
    let (judged, candidate) = world.judged(world.whole(), &expectation, |_| {});
    let candidate = candidate.unwrap();
    let answer = judged.unwrap();
    let measured = answer.measured.unwrap();
    assert_eq!((measured.nodes, measured.relationships), (52, 49), "{:?}", answer.findings);

    // What only the server's own checker sees: two indexes that hold each other's entries.
    let store = candidate.store();
    let [age, city] = [world.ids.age_index, world.ids.city_index].map(|id| index_file(&store, id));
    swap(&age, &city);
    let failed = (Tier::Store, world.stopped(&candidate, &expectation).unwrap_err());
    found(&failed, Tier::Store, &["neo4j-admin", "person_age"]);
    swap(&age, &city);

    // What both see, and ours names: the chain of a node's properties leads to a record that is not in use.
    let properties = RecordFile::properties(&store).unwrap();
    let first = first_property(&store, world.ids.person);
    let next = u64::from(u32_at(&properties.read(first).unwrap(), 5));
    assert_ne!(next, u64::from(NONE));
    properties.change(next, |record| record[9..].fill(0)).unwrap();
    let failed = (Tier::Store, world.stopped(&candidate, &expectation).unwrap_err());
    let node = format!("node {}", world.ids.person);
    found(&failed, Tier::Store, &[&format!("property record {next}"), &node]);
}

fn a_log_that_is_one_transaction_short(world: &World) {
    let expectation = world.expectation();
    let failed = world.judged(world.short(), &expectation, |_| {}).0.unwrap_err();
    let end = expectation.end.0;
    found(&failed, Tier::Connectivity, &["`neo4j`", &end.to_string(), &(end - 1).to_string()]);
}

/// The record of an index is gone, and that of a constraint, whose index is left behind.
fn a_schema_that_lost_what_it_had(world: &World) {
    let candidate = world.whole();
    let schema = RecordFile::open(&candidate.store(), "schemastore.db", 8).unwrap();
    for id in [world.ids.city_index, world.ids.constraint] {
        schema.change(id, |record| record[0] &= !1).unwrap();
    }
    let failed = world.judged(candidate, &world.expectation(), |_| {}).0.unwrap_err();
    found(&failed, Tier::Schema, &["missing: `person_city`", "`person_id`", "schema record"]);
}

fn an_index_that_cannot_be_read(world: &World) {
    let candidate = world.whole();
    let file = index_file(&candidate.store(), world.ids.age_index);
    let length = fs::metadata(&file).unwrap().len();
    fs::write(&file, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    let failed = world.judged(candidate, &world.expectation(), |_| {}).0.unwrap_err();
    found(&failed, Tier::Schema, &["not online: `person_age`"]);
}

fn a_relationship_without_its_node(world: &World) {
    let candidate = world.whole();
    take_node(&candidate.store(), world.ids.person);
    let failed = world.judged(candidate, &world.expectation(), |_| {}).0.unwrap_err();
    let node = format!("node {}, which is not there", world.ids.person);
    found(&failed, Tier::Orphans, &["relationship", "KNOWS", &node]);
}

fn a_node_that_is_counted_and_not_there(world: &World) {
    let candidate = world.whole();
    take_node(&candidate.store(), world.ids.lonely);
    let failed = world.judged(candidate, &world.expectation(), |_| {}).0.unwrap_err();
    found(&failed, Tier::Counts, &["nodes: the counts store says 52, a scan finds 51"]);
}

fn one_that_does_not_start(world: &World) {
    let candidate = world.whole();
    fs::remove_file(candidate.store().join("neostore.nodestore.db")).unwrap();
    let failed = world.judged(candidate, &world.expectation(), |_| {}).0.unwrap_err();
    found(&failed, Tier::Connectivity, &["neo4j"]);
}

#[track_caller]
fn found((tier, answer): &Failed, expected: Tier, named: &[&str]) {
    assert_eq!(*tier, expected, "{answer:?}");
    let TierVerdict::Failed { message, .. } = &answer.verdict else { panic!("{answer:?}") };
    let all = format!("{message}\n{}", answer.findings.join("\n"));
    for name in named {
        assert!(all.contains(name), "{name} is not in\n{all}");
    }
    #[expect(clippy::print_stderr, reason = "shown by --nocapture")]
    {
        eprintln!("{tier}: {all}\n");
    }
}

fn take_node(store: &Path, id: u64) {
    RecordFile::nodes(store).unwrap().change(id, |record| record[0] &= !1).unwrap();
}

fn first_property(store: &Path, node: u64) -> u64 {
    u64::from(u32_at(&RecordFile::nodes(store).unwrap().read(node).unwrap(), 5))
}

/// The tree of an index: `schema/index/<provider>/<id>/index-<id>`.
fn index_file(store: &Path, id: u64) -> PathBuf {
    let providers = fs::read_dir(store.join("schema/index")).unwrap();
    let file = |provider: fs::DirEntry| provider.path().join(id.to_string()).join(format!("index-{id}"));
    providers.map(|provider| file(provider.unwrap())).find(|file| file.is_file()).unwrap()
}

fn swap(one: &Path, other: &Path) {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(&aside, other).unwrap();
}
