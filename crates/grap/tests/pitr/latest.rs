//! What `latest` is where the archive and the newest backup do not end together.

use std::sync::Arc;

use grap::archive::RunNumber;
use grap::ops::{Access, plan_restore};
use grap_repository::LocalStore;
use grap_repository::object::faulty::{Faulty, Mode};

use crate::world::{Logged, Start, World, put_all, refusal, segments};

/// The archive of run 1 ends with this transaction.
fn archived_to(last: u64) -> (World, Vec<Logged>) {
    let world = World::new("5.26.30");
    let log = world.log("neo4j");
    Start::new(1, log[0].transaction.commit_time.0 - 1000).root("neo4j", 2, None).put(&world);
    let stored: Vec<Logged> = log.iter().filter(|logged| logged.transaction.id.0 <= last).cloned().collect();
    put_all(&world.archive(), 1, "neo4j", &segments(&stored, 6));
    (world, log)
}

fn backup_at(world: &World, id: u64) -> String {
    world.install(id, 5);
    world.backup()
}

#[test]
fn it_is_the_end_of_the_path() {
    let (world, _) = archived_to(130);
    backup_at(&world, 70);
    assert_eq!(world.restore("latest").unwrap().databases[0].end.tx_id, 130);
    world.assert_log("neo4j", 130);
    let id = backup_at(&world, 110);
    assert_eq!(world.restore("latest").unwrap().databases[0].end.tx_id, 130);
    assert_eq!(world.restore(&id).unwrap().databases[0].end.tx_id, 110, "an id means its own end");
    world.assert_log("neo4j", 110);
}

/// The archiver is dead; a backup whose log goes on from the archive's end is newer.
#[test]
fn it_is_a_later_backup_whose_log_holds_the_end_of_the_path() {
    let (world, _) = archived_to(100);
    let id = backup_at(&world, 120);
    let report = world.restore("latest").unwrap();
    assert_eq!((report.id.to_string(), report.databases[0].end.tx_id), (id, 120));
    world.assert_log("neo4j", 120);
}

/// The log between was pruned: whether the backup goes on from the archive nobody can say.
#[test]
fn both_are_offered_where_the_log_does_not_show_it() {
    let (world, log) = archived_to(75);
    backup_at(&world, 70);
    assert_eq!(log.iter().find(|logged| logged.transaction.id.0 == 75).unwrap().transaction.end.version.0, 0);
    let id = backup_at(&world, 146);
    let (code, said) = world.refused("latest");
    assert!(code == "TARGET_AMBIGUOUS" && said.contains(&id) && said.contains("tx=neo4j:75"), "{said}");
    world.restore("tx=75").unwrap();
    world.restore(&id).unwrap();
}

/// A new root that no backup has reached yet: the current path cannot be restored.
#[test]
fn a_path_without_a_backup_is_not_the_latest() {
    let (world, log) = archived_to(100);
    let id = backup_at(&world, 90);
    let at_ms = log.last().unwrap().transaction.commit_time.0;
    Start::new(2, at_ms).root("neo4j", 120, Some("the log between was gone")).put(&world);
    let behind: Vec<Logged> = log.iter().filter(|logged| logged.transaction.id.0 >= 120).cloned().collect();
    put_all(&world.archive(), 2, "neo4j", &segments(&behind, 6));
    let (code, said) = world.refused("latest");
    assert!(code == "TARGET_AMBIGUOUS" && said.contains(&id), "{code}: {said}");
    let (code, said) = world.refused("tx=130");
    assert!(code == "TARGET_OUTSIDE_WINDOW" && said.contains("up to transaction 146 ("), "{said}");
    let other = grap::ops::RestoreOptions { timeline: Some(1), ..world.options("latest") };
    assert_eq!(world.restore_with(&other).unwrap().databases[0].end.tx_id, 100);
    assert_eq!(world.archive().newest().unwrap(), Some(RunNumber(2)));
}

/// The archiver was dead, a backup was taken, the archiver was started again: the same timeline, whose end the
/// backup is newer than.
#[test]
fn it_is_the_later_backup_after_a_restart_of_the_archiver() {
    let (world, log) = archived_to(100);
    backup_at(&world, 70);
    let id = backup_at(&world, 120);
    let end = log.iter().find(|logged| logged.transaction.id.0 == 100).unwrap().transaction.end_point();
    Start::new(2, world.now().as_millisecond()).behind("neo4j", (1, end), None).put(&world);
    let report = world.restore("latest").unwrap();
    assert_eq!((report.id.to_string(), report.databases[0].end.tx_id), (id, 120));
    world.assert_log("neo4j", 120);
}

/// After a break the backup is of what was left.
#[test]
fn it_is_the_end_of_the_new_timeline_after_a_break() {
    let (world, log) = archived_to(100);
    backup_at(&world, 70);
    backup_at(&world, 120);
    let end = log.iter().find(|logged| logged.transaction.id.0 == 100).unwrap().transaction.end_point();
    let broken = Some("an older state was put back");
    Start::new(2, world.now().as_millisecond()).behind("neo4j", (1, end), broken).put(&world);
    assert_eq!(world.restore("latest").unwrap().databases[0].end.tx_id, 100);
}

/// The archive began while the backup ran, and was not heard of again.
#[test]
fn it_is_a_later_backup_that_began_before_the_archive() {
    let world = World::new("5.26.30");
    backup_at(&world, 70);
    let id = backup_at(&world, 120);
    let log = world.log("neo4j");
    Start::new(1, log[0].transaction.commit_time.0 - 1000).root("neo4j", 2, None).put(&world);
    let stored: Vec<Logged> = log.iter().filter(|logged| logged.transaction.id.0 <= 100).cloned().collect();
    put_all(&world.archive(), 1, "neo4j", &segments(&stored, 6));
    assert_eq!(world.restore("latest").unwrap().id.to_string(), id);
    world.assert_log("neo4j", 120);
}

/// Whatever call the storage does not answer: it is said as that, and changes no decision.
#[test]
fn a_storage_that_fails_is_no_ambiguity() {
    let (world, _) = archived_to(100);
    backup_at(&world, 120);
    let store = Arc::new(Faulty::new(LocalStore::open(world.path("repository"))));
    for call in 1.. {
        store.inject(call, Mode::Fail);
        let access = Access { store: Box::new(store.clone()), ..world.access() };
        let planned = plan_restore(&world.options("latest"), access, &world.session());
        match planned {
            // Not every answer is needed: a second key opens the repository, too.
            Ok(plan) => assert_eq!(plan.databases[0].end.tx_id, 120, "call {call}"),
            planned => {
                let (code, said) = refusal(planned);
                assert_eq!(code, "STORAGE_FAILED", "call {call}: {said}");
            }
        }
        if !store.struck() {
            assert!(call > 10, "it was nothing but {call} calls");
            return;
        }
    }
}

#[test]
fn without_an_archive_everything_is_as_it_was() {
    let world = World::new("5.26.30");
    backup_at(&world, 70);
    let id = backup_at(&world, 110);
    let report = world.restore("latest").unwrap();
    assert_eq!((report.id.to_string(), report.timeline), (id, None));
    world.assert_log("neo4j", 110);
    assert_eq!(world.restore("tx=70").unwrap().databases[0].end.tx_id, 70, "a backup is a point");
    assert_eq!(world.refused("tx=71").0, "TARGET_OUTSIDE_WINDOW");
    assert_eq!(world.refused("time=2026-11-24T07:25:30Z").0, "TARGET_OUTSIDE_WINDOW");
}
