//! Objects that are missing, cut, swapped, flipped, or hold something else: refused before anything is written,
//! named by `verify`; what does not need them still restores.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grap::archive::{DatabaseWindow, RunNumber};
use grap::ops::{self, Protection, StatusOptions};
use grap_repository::object::recording::Recording;
use grap_repository::{LocalStore, ObjectCall};
use grap_task::Collected;

use crate::every::archived;
use crate::world::{Logged, Start, World, refusal, segments};

const EACH: usize = 7;

/// The segment object that holds a transaction, and the one behind it.
fn objects(world: &World, log: &[Logged], id: u64) -> [PathBuf; 2] {
    let found = segments(log, EACH);
    let index = found.iter().position(|segment| segment.header.last.0.0 >= id).unwrap();
    [index, index + 1].map(|index| {
        let name = format!("{:020}", found[index].header.first.0.0);
        world.path("repository/grap/log/neo4j/0000000001/neo4j").join(name)
    })
}

/// After `change` to the object that holds transaction 100.
fn refused_after(change: impl FnOnce(&World, &[Logged], [PathBuf; 2])) {
    let (world, log) = archived("5.26.30", 70, EACH);
    let [object, next] = objects(&world, &log, 100);
    change(&world, &log, [object.clone(), next]);
    for target in ["tx=125", "tx=146"] {
        let (code, said) = world.refused(target);
        assert_eq!(code, "ARCHIVE_DAMAGED", "{said}");
    }
    // Nowhere to be found, or behind a hole.
    assert!(["TARGET_OUTSIDE_WINDOW", "ARCHIVE_DAMAGED"].contains(&world.refused("tx=100").0));
    assert_eq!(world.refused("latest").0, "TARGET_AMBIGUOUS");
    assert!(world.plan("tx=125").is_err());
    let name: u64 = object.file_name().unwrap().to_str().unwrap().parse().unwrap();
    world.restore(&format!("tx={}", name - 1)).unwrap();
    world.assert_log("neo4j", name - 1);
    let problems = world.verify();
    assert!(problems.iter().any(|problem| problem.contains(&name.to_string())), "{problems:?}");
}

#[test]
fn a_segment_that_is_missing() {
    refused_after(|_, _, [object, _]| std::fs::remove_file(object).unwrap());
}

#[test]
fn a_segment_that_is_cut() {
    refused_after(|_, _, [object, _]| {
        let bytes = std::fs::read(&object).unwrap();
        make_writable(&object);
        std::fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn a_segment_with_a_flipped_bit() {
    refused_after(|_, _, [object, _]| {
        let mut bytes = std::fs::read(&object).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        make_writable(&object);
        std::fs::write(&object, bytes).unwrap();
    });
}

#[test]
fn segments_that_are_swapped() {
    refused_after(|_, _, [object, next]| {
        let (one, other) = (std::fs::read(&object).unwrap(), std::fs::read(&next).unwrap());
        for (path, bytes) in [(object, other), (next, one)] {
            make_writable(&path);
            std::fs::write(path, bytes).unwrap();
        }
    });
}

/// Sealed as it should be, its hash fits, and one transaction inside was left out.
#[test]
fn a_segment_with_a_transaction_left_out() {
    refused_after(|world, log, [object, _]| {
        std::fs::remove_file(&object).unwrap();
        let all = segments(log, EACH);
        let mut segment = all.into_iter().find(|segment| segment.header.last.0.0 >= 100).unwrap();
        let first = log.iter().find(|logged| logged.transaction.id == segment.header.first.0).unwrap();
        let second =
            &log[log.iter().position(|logged| logged.transaction.id == first.transaction.id).unwrap() + 1];
        let cut = first.bytes.len()..first.bytes.len() + second.bytes.len();
        segment.content.drain(cut);
        world.archive().put_segment(RunNumber(1), "neo4j", &segment).unwrap();
    });
}

/// Of another store, whole, under the right name.
#[test]
fn a_segment_of_another_database() {
    refused_after(|world, log, [object, _]| {
        std::fs::remove_file(&object).unwrap();
        let all = segments(log, EACH);
        let mut segment = all.into_iter().find(|segment| segment.header.last.0.0 >= 100).unwrap();
        // Bytes of the store id's random part (format 9: the id begins at 24).
        segment.header.file_header[24 + 9] ^= 1;
        world.archive().put_segment(RunNumber(1), "neo4j", &segment).unwrap();
    });
}

/// A whole merged object makes up for what is damaged in the single ones.
#[test]
fn a_merged_object_stands_in() {
    let (world, log) = archived("5.26.30", 70, EACH);
    for parts in segments(&log, EACH).chunks(4) {
        world.archive().put_merged(RunNumber(1), "neo4j", parts).unwrap();
    }
    let [object, _] = objects(&world, &log, 100);
    std::fs::remove_file(object).unwrap();
    world.restore("tx=146").unwrap();
    world.assert_log("neo4j", 146);
}

/// The newest one: nobody knows the end, and what lies before it is reached all the same.
#[test]
fn the_newest_segment() {
    let (world, log) = archived("5.26.30", 70, EACH);
    let [object, _] = objects(&world, &log, 100);
    let newest = segments(&log, EACH).last().unwrap().header.first.0;
    let path = object.with_file_name(format!("{:020}", newest.0));
    make_writable(&path);
    std::fs::write(&path, b"spoilt").unwrap();
    world.restore(&format!("tx={}", newest.0 - 1)).unwrap();
    world.assert_log("neo4j", newest.0 - 1);
    assert_eq!(world.refused("latest").0, "ARCHIVE_DAMAGED");
}

/// What a history began with: nothing before it shows that it is gone.
#[test]
fn the_first_segment() {
    let (world, log) = archived("5.26.30", 70, EACH);
    let first = segments(&log, EACH).first().unwrap().header.first.0;
    let [object, _] = objects(&world, &log, 100);
    std::fs::remove_file(object.with_file_name(format!("{:020}", first.0))).unwrap();
    let problems = world.verify();
    assert!(problems.iter().any(|problem| problem.contains("is gone")), "{problems:?}");
}

/// Without its start a run belongs to nothing.
#[test]
fn a_start_that_is_missing() {
    let (world, _) = archived("5.26.30", 70, EACH);
    std::fs::remove_file(world.path("repository/grap/log/neo4j/0000000001/start")).unwrap();
    assert_eq!(world.refused("tx=100").0, "ARCHIVE_DAMAGED");
    let problems = world.verify();
    assert!(problems.iter().any(|problem| problem.contains("0000000001/start")), "{problems:?}");
}

/// The newest start: the path before it is not taken for the current one; by its number it can be had.
#[test]
fn the_newest_start() {
    let (world, log) = archived("5.26.30", 70, EACH);
    let end = log.iter().find(|logged| logged.transaction.id.0 == 120).unwrap().transaction.end_point();
    let at_ms = log.last().unwrap().transaction.commit_time.0;
    let next = Start::new(2, at_ms).behind("neo4j", (1, end), Some("an older state was put back"));
    next.root("system", 2, Some("an older state was put back")).put(&world);
    let path = world.path("repository/grap/log/neo4j/0000000002/start");
    make_writable(&path);
    std::fs::write(path, b"spoilt").unwrap();
    let time = jiff::Timestamp::from_millisecond(end.commit_time.0).unwrap();
    for target in ["latest", "tx=100", &format!("time={time}")] {
        let (code, said) = world.refused(target);
        let ways = said.contains("run 2") && said.contains("--timeline 1, neo4j-2");
        assert!(code == "ARCHIVE_DAMAGED" && ways, "{target}: {code}: {said}");
    }
    let named = ops::RestoreOptions { timeline: Some(1), ..world.options("tx=125") };
    assert_eq!(world.restore_with(&named).unwrap().databases[0].end.tx_id, 125);
    let report = ops::window(world.access(), None, &world.session()).unwrap();
    let told = |database: &DatabaseWindow| database.unreadable.as_ref().map(|(run, _)| *run);
    assert!(report.sources[0].databases.iter().all(|database| told(database) == Some(RunNumber(2))));
    let options = StatusOptions { installation: None, source: None, lag_max: Duration::from_mins(1) };
    let status = ops::status(&options, world.access(), &world.session()).unwrap();
    assert_eq!(status.protection, Protection::Unprotected);
    assert!(status.reasons.iter().any(|reason| reason.contains("start of run 2")), "{:?}", status.reasons);
}

/// A backup's end is a point, whatever is missing behind it; nothing is said that is not known to be wrong.
#[test]
fn a_hole_right_behind_a_backup() {
    let (world, log) = archived("5.26.30", 70, 1);
    let name =
        format!("{:020}", log.iter().find(|logged| logged.transaction.id.0 == 71).unwrap().transaction.id.0);
    std::fs::remove_file(world.path("repository/grap/log/neo4j/0000000001/neo4j").join(name)).unwrap();
    let said = Collected::default();
    let session = ops::Session { monitor: &said, ..world.session() };
    let plan = ops::plan_restore(&world.options("tx=70"), world.access(), &session).unwrap();
    assert_eq!((plan.databases[0].end.tx_id, plan.databases[0].log_transactions), (70, 0));
    let said = said.findings();
    assert!(said.iter().all(|finding| !finding.text.contains("judged")), "{said:?}");
}

/// A target that does not exist is refused without going over the log.
#[test]
fn a_mistyped_target_reads_next_to_nothing() {
    let (world, _) = archived("5.26.30", 70, 1);
    let store = Arc::new(Recording::new(LocalStore::open(world.path("repository"))));
    let access = ops::Access { store: Box::new(store.clone()), ..world.access() };
    assert_eq!(
        refusal(ops::plan_restore(&world.options("tx=4711"), access, &world.session())).0,
        "TARGET_OUTSIDE_WINDOW"
    );
    let reads = store
        .take()
        .into_iter()
        .filter(|(call, name)| *call == ObjectCall::Get && name.contains("/neo4j/0000000001/neo4j/"));
    assert!(reads.count() < 10);
}

fn make_writable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Whatever pack of the nearest backup is damaged: an older backup reaches the point as well.
#[test]
fn an_older_backup_stands_in_for_a_damaged_one() {
    let (world, _) = archived("5.26.30", 70, EACH);
    let packs = || {
        let entries = grap_disk::walk(&world.path("repository/data")).unwrap();
        let files = entries.into_iter().filter(|entry| entry.stat.kind == grap_disk::Kind::File);
        files.map(|entry| entry.path).collect::<std::collections::BTreeSet<_>>()
    };
    let before = packs();
    world.install(110, 5);
    let newer = world.backup();
    assert_eq!(world.restore("tx=125").unwrap().id.to_string(), newer);
    let mut others = 0;
    for pack in packs().difference(&before) {
        let whole = std::fs::read(pack).unwrap();
        make_writable(pack);
        for part in 0..16 {
            let mut spoilt = whole.clone();
            let at = spoilt.len() * part / 16;
            spoilt[at] ^= 1;
            std::fs::write(pack, spoilt).unwrap();
            let report = world.restore("tx=125").unwrap();
            assert_eq!(report.databases[0].end.tx_id, 125);
            world.assert_log("neo4j", 125);
            others += usize::from(report.id.to_string() != newer);
        }
        std::fs::write(pack, whole).unwrap();
    }
    assert!(others > 0, "the test has spoilt what the newer backup needs");
}

/// What the window shows is exactly what is granted, holes and all.
#[test]
fn the_window_is_what_a_restore_is_granted_for() {
    let (world, log) = archived("5.26.30", 70, EACH);
    world.install(130, 5);
    world.backup();
    let [object, _] = objects(&world, &log, 100);
    std::fs::remove_file(object).unwrap();
    let report = ops::window(world.access(), None, &world.session()).unwrap();
    let database = report.sources[0].databases.iter().find(|database| database.database == "neo4j").unwrap();
    let [timeline] = database.timelines.as_slice() else { panic!("one timeline: {database:?}") };
    let spans: Vec<_> = timeline.spans.iter().map(|span| (span.first.id.0, span.last.id.0)).collect();
    let missing = segments(&log, EACH).into_iter().find(|segment| segment.header.last.0.0 >= 100).unwrap();
    let (first, last) = (missing.header.first.0.0, missing.header.last.0.0);
    assert_eq!(spans, [(70, first - 1), (130, 146)]);
    let gaps: Vec<_> = timeline.gaps().into_iter().map(|gap| (gap.from.0, gap.to.0)).collect();
    assert_eq!(gaps, [(2, 69), (first, last), (last + 1, 129)]);
    for id in 1..=150 {
        let shown = spans.iter().any(|(first, last)| (*first..=*last).contains(&id));
        match world.plan(&format!("tx={id}")) {
            Ok(_) => assert!(shown, "{id} is granted and not shown"),
            Err(grap::Error::TargetInSchemaChange { .. }) => {}
            Err(error) => assert!(!shown, "{id} is shown and not granted: {error}"),
        }
    }
}
