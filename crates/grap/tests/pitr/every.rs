//! Every transaction and several instants, across rotations, from segments and from merged ones.

use grap::archive::RunNumber;
use grap::ops;
use grap_task::Collected;

use crate::world::{Logged, Start, World, forged, put_all, segments};

/// A base that ends early, the whole log in segments of `each` transactions.
pub(crate) fn archived(version: &str, base: u64, each: usize) -> (World, Vec<Logged>) {
    let world = World::new(version);
    let (log, system) = (world.log("neo4j"), world.log("system"));
    let archive = world.archive();
    let at_ms = log[0].transaction.commit_time.0 - 1000;
    Start::new(1, at_ms).root("neo4j", 2, None).root("system", 2, None).put(&world);
    world.install(base, system[system.len() / 2].transaction.id.0);
    world.backup();
    put_all(&archive, 1, "neo4j", &segments(&log, each));
    put_all(&archive, 1, "system", &segments(&system, each));
    (world, log)
}

fn every_transaction(version: &str, each: usize, step: usize) {
    let (world, log) = archived(version, 70, each);
    let system = world.log("system");
    let behind = log.iter().filter(|logged| logged.transaction.id.0 >= 70);
    let mut inside = 0;
    for logged in behind.step_by(step) {
        let id = logged.transaction.id.0;
        let report = match world.restore(&format!("tx={id}")) {
            // A constraint is half made there: refused with the whole points, which restore.
            Err(grap::Error::TargetInSchemaChange { ways, .. }) => {
                inside += 1;
                assert!(ways.iter().all(|way| world.plan(way).is_ok()), "{ways:?}");
                continue;
            }
            report => report.unwrap(),
        };
        assert_eq!(report.databases[0].end.tx_id, id);
        assert_eq!(report.databases[0].log_transactions, id - 70);
        world.assert_log("neo4j", id);
        // system: to the same instant, never before its own end.
        let later =
            system.iter().position(|other| other.transaction.commit_time > logged.transaction.commit_time);
        let before = later.map_or(system.len(), |later| later) - 1;
        let expected = system[before].transaction.id.0.max(system[system.len() / 2].transaction.id.0);
        assert_eq!(report.databases[1].end.tx_id, expected, "{:?}", report.databases[1].short);
        world.assert_log("system", expected);
    }
    assert!(inside <= 8, "{inside} targets inside of schema changes");
    let last = log.last().unwrap().transaction.id.0;
    assert_eq!(world.restore("latest").unwrap().databases[0].end.tx_id, last);
    world.assert_log("neo4j", last);
    world.assert_log("system", world.log("system").last().unwrap().transaction.id.0);
    let plan = world.plan("tx=100").unwrap();
    let decided = plan.plan.unwrap();
    assert_eq!((decided.transactions, decided.loss.transactions), (30, last - 100));
    assert_eq!((plan.databases[0].base.tx_id, plan.databases[0].end.tx_id), (70, 100));
    let before = world.restore(&format!("before-tx=neo4j:{last}")).unwrap();
    assert_eq!(before.databases[0].end.tx_id, last - 1);
    assert_eq!(world.verify(), Vec::<String>::new());
}

#[test]
fn each_transaction_of_5_26() {
    every_transaction("5.26.30", 7, 1);
}

#[test]
fn transactions_of_5_13_and_2026() {
    every_transaction("5.13.0", 1, 9);
    every_transaction("2026.08.1", 1000, 9);
}

/// Merged objects beside the parts, and without some of them.
#[test]
fn merged_segments_are_the_same_log() {
    let (world, log) = archived("5.26.30", 70, 3);
    let archive = world.archive();
    for parts in segments(&log, 3).chunks(5) {
        archive.put_merged(RunNumber(1), "neo4j", parts).unwrap();
    }
    let singles = world.path("repository/grap/log/neo4j/0000000001/neo4j");
    for (number, entry) in std::fs::read_dir(&singles).unwrap().enumerate() {
        let path = entry.unwrap().path();
        if number % 2 == 0 && !path.to_string_lossy().contains('-') {
            std::fs::remove_file(path).unwrap();
        }
    }
    for id in [70, 71, 100, 125, 146] {
        world.restore(&format!("tx={id}")).unwrap();
        world.assert_log("neo4j", id);
    }
}

/// An instant is the last transaction, in log order, before the first that was committed later.
#[test]
fn instants() {
    let (world, log) = archived("5.26.30", 70, 7);
    for index in [80, 100, 125, 130] {
        let (this, next) = (&log[index].transaction, &log[index + 1].transaction);
        let time = jiff::Timestamp::from_millisecond(this.commit_time.0).unwrap();
        let expected = log.iter().position(|logged| logged.transaction.commit_time > this.commit_time);
        let expected = log[expected.unwrap() - 1].transaction.id.0;
        let report = world.restore(&format!("time={time}")).unwrap();
        assert_eq!(report.databases[0].end.tx_id, expected, "{next:?}");
        world.assert_log("neo4j", expected);
    }
    let last = log.last().unwrap().transaction.commit_time.0;
    let time = jiff::Timestamp::from_millisecond(last).unwrap();
    let (code, said) = world.refused(&format!("time={time}"));
    assert!(code == "TARGET_OUTSIDE_WINDOW" && said.contains("transaction 70 "), "{code}: {said}");
    assert_eq!(world.refused("time=2099-01-01T00:00:00Z").0, "TARGET_OUTSIDE_WINDOW");
}

#[test]
fn outside_of_the_window_is_refused_with_the_window() {
    let (world, _) = archived("5.26.30", 70, 7);
    for target in ["tx=69", "tx=147", "tx=2", "tx=nosuch:5"] {
        let (code, said) = world.refused(target);
        assert_eq!(code, "TARGET_OUTSIDE_WINDOW", "{said}");
        let window = said.contains("transaction 70 (") && said.contains("to transaction 146 (");
        assert!(window || target.contains("nosuch"), "{said}");
    }
}

/// `system` committed in between: it goes to the instant of the target, not to its end.
#[test]
fn the_other_database_goes_to_the_same_instant() {
    let world = World::new("2026.08.1");
    let (log, system) = (world.log("neo4j"), world.log("system"));
    let time =
        |id: u64| log.iter().find(|logged| logged.transaction.id.0 == id).unwrap().transaction.commit_time.0;
    // Transaction 20 + k of `system` is committed a moment after 71 + 2k of `neo4j`.
    let spread: Vec<Logged> = system
        .iter()
        .flat_map(|logged| {
            let (id, committed) = (logged.transaction.id.0, logged.transaction.commit_time.0);
            let later = if id < 20 { 0 } else { time(71 + 2 * (id - 20)) + 1 - committed };
            forged(std::slice::from_ref(logged), later)
        })
        .collect();
    let at_ms = log[0].transaction.commit_time.0 - 1000;
    Start::new(1, at_ms).root("neo4j", 2, None).root("system", 2, None).put(&world);
    world.install(70, 5);
    world.backup();
    put_all(&world.archive(), 1, "neo4j", &segments(&log, 5));
    put_all(&world.archive(), 1, "system", &segments(&spread, 5));
    for target in [70, 72, 80, 101] {
        let report = world.restore(&format!("tx={target}")).unwrap();
        let instant = time(target);
        let later = spread.iter().position(|logged| logged.transaction.commit_time.0 > instant).unwrap();
        let found = &report.databases[1];
        assert_eq!((found.end.tx_id, &found.short), (spread[later - 1].transaction.id.0, &None), "{target}");
    }
    // The other way round: `neo4j` goes to the instant of a transaction of `system`.
    let report = world.restore("tx=system:25").unwrap();
    let neo4j = &report.databases[0];
    assert_eq!(report.databases[1].end.tx_id, 25);
    assert!(time(neo4j.end.tx_id) <= time(81) + 1 && time(neo4j.end.tx_id + 1) > time(81) + 1);
    let report = world.restore("tx=system:12").unwrap();
    assert_eq!(report.databases[0].end.tx_id, 70, "never before its own end");
    assert!(report.databases[0].short.as_deref().unwrap().contains("later already"));
    let last = world.restore("tx=150").unwrap();
    assert!(last.databases[1].short.as_deref().unwrap().contains("is not known"), "its archive ends before");
}

#[test]
fn a_database_that_is_named_twice_is_written_once() {
    let (world, _) = archived("5.26.30", 70, 7);
    let databases = ["neo4j", "system", "neo4j"].map(str::to_owned).to_vec();
    let report = world.restore_with(&ops::RestoreOptions { databases, ..world.options("tx=100") }).unwrap();
    let names: Vec<&str> = report.databases.iter().map(|database| database.name.as_str()).collect();
    assert_eq!(names, ["neo4j", "system"]);
    world.assert_log("neo4j", 100);
}

/// The target lies in `system`; the user database lands where a constraint is half made, which nobody asked for.
#[test]
fn a_constraint_that_is_half_made_where_the_other_database_lands_is_said() {
    let world = World::new("2026.08.1");
    let (log, system) = (world.log("neo4j"), world.log("system"));
    let at_ms = log[0].transaction.commit_time.0 - 1000;
    let inside = |id: u64| log.iter().find(|logged| logged.transaction.id.0 == id).unwrap().transaction;
    Start::new(1, at_ms).root("neo4j", 2, None).root("system", 2, None).put(&world);
    world.install(70, 5);
    world.backup();
    put_all(&world.archive(), 1, "neo4j", &segments(&log, 5));
    let refused = (71..log.last().unwrap().transaction.id.0).find(|id| {
        let within = matches!(world.plan(&format!("tx={id}")), Err(grap::Error::TargetInSchemaChange { .. }));
        within && inside(*id).commit_time < inside(id + 1).commit_time
    });
    let refused = refused.unwrap();
    let instant = inside(refused).commit_time.0;
    let moved: Vec<Logged> = system
        .iter()
        .flat_map(|logged| {
            let later =
                if logged.transaction.id.0 < 20 { 0 } else { instant - logged.transaction.commit_time.0 };
            forged(std::slice::from_ref(logged), later)
        })
        .collect();
    put_all(&world.archive(), 1, "system", &segments(&moved, 5));
    let said = Collected::default();
    let session = ops::Session { monitor: &said, ..world.session() };
    let plan = ops::plan_restore(&world.options("tx=system:25"), world.access(), &session).unwrap();
    assert_eq!(plan.databases[0].end.tx_id, refused);
    let said = said.findings();
    let half = |text: &str| text.contains(&format!("at transaction {refused} constraint `"));
    assert!(said.iter().any(|finding| half(&finding.text)), "{said:?}");
}
