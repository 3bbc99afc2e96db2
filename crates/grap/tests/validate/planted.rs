//! One fault at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grap::validate::Expectation;
use grap_core::recovery::{Tier, TierVerdict};
use grap_testkit::Distribution;
use grap_testkit::records::{RecordFile, u32_at};

use crate::world::{Failed, World};

const NONE: u32 = u32::MAX;

#[test]
fn a_whole_candidate_passes_and_planted_faults_are_found_by_their_tier() {
    for version in Distribution::matrix() {
        let world = World::make(&version);
        a_whole_one_passes_and_then_its_stopped_store_is_spoiled(&world);
        a_log_that_is_one_transaction_short(&world);
        a_schema_that_lost_what_it_had(&world);
    }
}

/// `make soak` runs it.
#[test]
#[ignore = "four more starts of a server"]
fn more_planted_faults_are_found_by_their_tier() {
    for version in Distribution::matrix() {
        let world = World::make(&version);
        an_index_that_cannot_be_made(&world);
        a_relationship_without_its_node(&world);
        a_node_that_is_counted_and_not_there(&world);
        a_store_file_that_is_missing(&world);
    }
}

/// An index whose files cannot be read is no fault: the server makes new ones at its start.
fn a_whole_one_passes_and_then_its_stopped_store_is_spoiled(world: &World) {
    let candidate = world.whole();
    spoil(&index_file(&candidate.store(), world.ids.city_index));
    let (judged, candidate) = world.judged(candidate, &world.expectation());
    let answer = judged.unwrap();
    let measured = answer.measured.unwrap();
    assert_eq!((measured.nodes, measured.relationships), (52, 49), "{:?}", answer.findings);

    // Two indexes that hold each other's entries; the chain of a node's properties leads to a record that is not in use.
    let candidate = candidate.unwrap();
    let late = world.stopped_within(Duration::ZERO, &candidate, &world.expectation()).unwrap_err();
    let TierVerdict::Failed { code, message } = late.verdict else { panic!("{:?}", late.verdict) };
    assert_eq!(code, "CHECK_TOO_LONG", "{message}");
    let store = candidate.store();
    let [age, city] = [world.ids.age_index, world.ids.city_index].map(|id| index_file(&store, id));
    swap(&age, &city);
    let properties = RecordFile::properties(&store).unwrap();
    let first = first_property(&store, world.ids.person);
    let next = u64::from(u32_at(&properties.read(first).unwrap(), 5));
    assert_ne!(next, u64::from(NONE));
    properties.change(next, |record| record[9..].fill(0)).unwrap();
    let expectation = Expectation { system: None, ..world.expectation() };
    let failed = (Tier::Store, world.stopped(&candidate, &expectation).unwrap_err());
    let chain =
        format!("property record {next}: it is not in use, but in the chain of node {}", world.ids.person);
    found(&failed, Tier::Store, &[&chain, "name='person_age'", "name='person_city'"]);
    // Both see the chain, and only the server's own checker the indexes.
    let (by_admin, natively): (Vec<&String>, Vec<&String>) =
        failed.1.findings.iter().partition(|finding| finding.starts_with("neo4j-admin"));
    assert!(by_admin.iter().any(|finding| finding.contains(&format!("Property[{next},"))));
    assert!(natively.iter().all(|finding| finding.starts_with("property record")), "{natively:?}");
}

fn a_log_that_is_one_transaction_short(world: &World) {
    let expectation = world.expectation();
    let failed = world.judged(world.short(), &expectation).0.unwrap_err();
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
    let failed = world.judged(candidate, &world.expectation()).0.unwrap_err();
    found(&failed, Tier::Schema, &["missing: `person_city`", "`person_id`", "schema record"]);
}

/// Where an index should have its directory there is something else: the server does not open the database.
fn an_index_that_cannot_be_made(world: &World) {
    let candidate = world.whole();
    let file = index_file(&candidate.store(), world.ids.age_index);
    let directory = file.parent().unwrap();
    fs::remove_dir_all(directory).unwrap();
    fs::write(directory, "no directory").unwrap();
    let failed = world.judged(candidate, &world.expectation()).0.unwrap_err();
    found(&failed, Tier::Connectivity, &["`neo4j`", &directory.display().to_string()]);
}

fn a_relationship_without_its_node(world: &World) {
    let candidate = world.whole();
    take_node(&candidate.store(), world.ids.person);
    let failed = world.judged(candidate, &world.expectation()).0.unwrap_err();
    let node = format!("node {}, which is not there", world.ids.person);
    found(&failed, Tier::Orphans, &["relationship", "KNOWS", &node]);
}

fn a_node_that_is_counted_and_not_there(world: &World) {
    let candidate = world.whole();
    take_node(&candidate.store(), world.ids.lonely);
    let failed = world.judged(candidate, &world.expectation()).0.unwrap_err();
    found(&failed, Tier::Counts, &["nodes: the counts store says 52, a scan finds 51"]);
}

fn a_store_file_that_is_missing(world: &World) {
    let candidate = world.whole();
    fs::remove_file(candidate.store().join("neostore.nodestore.db")).unwrap();
    let failed = world.judged(candidate, &world.expectation()).0.unwrap_err();
    found(&failed, Tier::Connectivity, &["`neo4j`"]);
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

fn spoil(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    fs::write(file, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
}

fn swap(one: &Path, other: &Path) {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(&aside, other).unwrap();
}
