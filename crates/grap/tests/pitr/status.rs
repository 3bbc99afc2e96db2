//! Protected or not, and the lag as it is seen from outside.

use std::sync::Arc;
use std::time::Duration;

use grap::archive::{Archive, History, LagProbe, Proofs, Standing};
use grap::catalog::Catalog;
use grap::live::Installation;
use grap::ops::{self, Protection, StatusOptions, StatusReport};
use grap_repository::object::recording::Recording;
use grap_repository::{LocalStore, ObjectCall, Repository};
use grap_task::{Silent, Stop};
use secrecy::SecretString;

use crate::world::{Logged, Start, World, put_all, segments};

/// Everything up to `last` (both databases) archived, a backup at 70.
fn archived_to(last: u64) -> (World, Vec<Logged>) {
    let world = World::new("5.26.30");
    let (log, system) = (world.log("neo4j"), world.log("system"));
    Start::new(1, log[0].transaction.commit_time.0 - 1000)
        .root("neo4j", 2, None)
        .root("system", 2, None)
        .put(&world);
    let stored: Vec<Logged> = log.iter().filter(|logged| logged.transaction.id.0 <= last).cloned().collect();
    put_all(&world.archive(), 1, "neo4j", &segments(&stored, 6));
    put_all(&world.archive(), 1, "system", &segments(&system, 6));
    let end = system.last().unwrap().transaction.id.0;
    world.install(70, end);
    world.backup();
    world.install(146, end);
    (world, log)
}

fn status(world: &World, looked: bool) -> StatusReport {
    let installation = looked.then(|| world.installation());
    let options = StatusOptions { installation, source: None, lag_max: Duration::from_mins(1) };
    ops::status(&options, world.access(), &world.session()).unwrap()
}

fn measured(world: &World) -> grap::archive::DatabaseLag {
    let installation = Installation::find(&world.installation()).unwrap();
    let (archive, stop) = (world.archive(), Stop::new());
    LagProbe::new(&installation, &archive, &stop).measure(world.now()).unwrap().remove(0)
}

#[test]
fn a_whole_archive_that_is_not_behind_is_protection() {
    let (world, _) = archived_to(146);
    let report = status(&world, true);
    assert_eq!((report.protection, &report.reasons), (Protection::Protected, &Vec::new()));
    let neo4j = &report.databases[0];
    assert_eq!((neo4j.restorable.unwrap().id.0, neo4j.lag.as_ref().unwrap().transactions), (146, 0));
    assert_eq!(status(&world, false).protection, Protection::Unknown);
}

#[test]
fn a_lag_is_counted_and_is_no_protection() {
    let (world, log) = archived_to(100);
    let found = measured(&world);
    assert_eq!((found.standing, found.live.0, found.transactions), (Standing::Follows, 146, 46));
    let oldest = log.iter().find(|logged| logged.transaction.id.0 == 101).unwrap().transaction.commit_time.0;
    assert_eq!(found.milliseconds, world.now().as_millisecond() - oldest);
    let report = status(&world, true);
    assert_eq!(report.protection, Protection::Unprotected);
    assert!(report.reasons[0].contains("46 transactions behind"), "{:?}", report.reasons);
}

#[test]
fn a_log_that_does_not_go_on_is_told_apart() {
    let (world, _) = archived_to(146);
    world.install(90, 5);
    assert_eq!(measured(&world).standing, Standing::Fork);
    assert_eq!(status(&world, true).protection, Protection::Unprotected);
    world.install(144, 5);
    assert_eq!(measured(&world).standing, Standing::Fork, "a tail was lost within the file");
    let (world, _) = archived_to(60);
    std::fs::remove_file(world.path("data/transactions/neo4j/neostore.transaction.db.0")).unwrap();
    let found = measured(&world);
    assert_eq!((found.standing, found.transactions), (Standing::Gap, 86));
}

/// The server deletes what the archiver has not stored and holds: that is behind, not missing.
#[test]
fn log_that_only_pins_hold_is_behind_and_not_missing() {
    use std::os::unix::fs::MetadataExt;

    let (world, log) = archived_to(60);
    let file =
        |version: u32| world.path(&format!("data/transactions/neo4j/neostore.transaction.db.{version}"));
    let pins = world.path("data/.grap/pins/archive-3");
    std::fs::create_dir_all(&pins).unwrap();
    let pin = |version: u32| {
        let inode = std::fs::metadata(file(version)).unwrap().ino();
        let link = pins.join(format!("neo4j.neostore.transaction.db.{version}.{inode}"));
        std::fs::hard_link(file(version), &link).unwrap();
        link
    };
    let (first, next) = (pin(0), pin(1));
    std::fs::remove_file(file(0)).unwrap();
    let found = measured(&world);
    assert_eq!((found.standing, found.live.0, found.transactions), (Standing::Follows, 146, 86));
    let oldest = log.iter().find(|logged| logged.transaction.id.0 == 61).unwrap().transaction.commit_time.0;
    assert_eq!(found.milliseconds, world.now().as_millisecond() - oldest);
    // Of another run of the server nobody knows whether the live log goes on from it.
    let other = pins.with_file_name("archive-2");
    std::fs::create_dir(&other).unwrap();
    let moved = other.join(first.file_name().unwrap());
    std::fs::rename(&first, &moved).unwrap();
    assert_eq!(measured(&world).standing, Standing::Gap);
    // It does, where a file lies in both.
    std::fs::hard_link(&next, other.join(next.file_name().unwrap())).unwrap();
    assert_eq!((measured(&world).standing, measured(&world).transactions), (Standing::Follows, 86));
    std::fs::remove_file(moved).unwrap();
    assert_eq!(measured(&world).standing, Standing::Gap);
}

/// No backup joins, or a hole behind the one that does.
#[test]
fn a_path_that_no_backup_reaches_is_no_protection() {
    let (world, log) = archived_to(146);
    let first = segments(&log, 6).into_iter().find(|segment| segment.header.first.0.0 > 100).unwrap();
    let name = format!("{:020}", first.header.first.0.0);
    std::fs::remove_file(world.path("repository/grap/log/neo4j/0000000001/neo4j").join(name)).unwrap();
    let report = status(&world, true);
    assert_eq!(report.protection, Protection::Unprotected);
    assert!(report.reasons.iter().any(|reason| reason.contains("hole")), "{:?}", report.reasons);
    assert!(report.databases[0].restorable.unwrap().id < first.header.first.0);
    assert_eq!(status(&world, false).protection, Protection::Unprotected, "known without looking");

    let end = log.last().unwrap().transaction.end_point();
    let start = Start::new(2, end.commit_time.0).root("neo4j", 147, Some("a gap"));
    start.root("system", 99, Some("a gap")).put(&world);
    let report = status(&world, true);
    assert!(
        report.reasons.iter().any(|reason| reason.contains("nothing of its log")),
        "{:?}",
        report.reasons
    );
}

/// The lag is measured every few seconds: while nothing new is stored that costs a question a database and one
/// for the next run, whatever was archived before and whichever database is quiet.
#[test]
fn a_lag_is_measured_again_without_a_listing() {
    let (world, log) = archived_to(100);
    let end = log.iter().find(|logged| logged.transaction.id.0 == 100).unwrap().transaction.end_point();
    let system = world.log("system").last().unwrap().transaction.end_point();
    let next = Start::new(2, end.commit_time.0).behind("neo4j", (1, end), None);
    next.behind("system", (1, system), None).put(&world);
    let store = Arc::new(Recording::new(LocalStore::open(world.path("repository"))));
    let repository = Repository::open(Box::new(store.clone()), &SecretString::from("secret")).unwrap();
    let archive = Archive::new(repository, "neo4j".parse().unwrap());
    let installation = Installation::find(&world.installation()).unwrap();
    let stop = Stop::new();
    let mut probe = LagProbe::new(&installation, &archive, &stop);
    let mut measure = || probe.measure(world.now()).unwrap()[0].transactions;
    assert_eq!(measure(), 46);
    store.take();
    assert_eq!(measure(), 46);
    let calls: Vec<ObjectCall> = store.take().into_iter().map(|(call, _)| call).collect();
    assert_eq!(calls, [ObjectCall::Size, ObjectCall::Get, ObjectCall::Get]);

    let stored: Vec<Logged> =
        log.iter().filter(|logged| (101..=120).contains(&logged.transaction.id.0)).cloned().collect();
    put_all(&archive, 2, "neo4j", &segments(&stored, 6));
    store.take();
    assert_eq!(measure(), 26);
    assert!(store.take().iter().all(|(call, _)| *call != ObjectCall::List));
    let end = stored.last().unwrap().transaction.end_point();
    let third = Start::new(3, end.commit_time.0).behind("neo4j", (2, end), None);
    third.behind("system", (1, system), None).put(&world);
    let rest: Vec<Logged> = log.iter().filter(|logged| logged.transaction.id.0 > 120).cloned().collect();
    put_all(&archive, 3, "neo4j", &segments(&rest, 6));
    assert_eq!(measure(), 0, "a new run is found");
}

/// Who asks again reads what was stored since, and nothing that he went over already.
#[test]
fn what_was_proved_is_not_read_again() {
    let (world, log) = archived_to(100);
    let mut proofs = Proofs::default();
    let reach = |proofs: &mut Proofs| {
        let store = Box::new(LocalStore::open(world.path("repository")));
        let repository = Repository::open(store, &SecretString::from("secret")).unwrap();
        let catalog = Catalog::load(&repository).unwrap();
        let reader = repository.reader(&Silent).unwrap();
        let (source, stop) = ("neo4j".parse().unwrap(), Stop::new());
        let history = History::load(&repository, &reader, &catalog, &source, (&Silent, &stop)).unwrap();
        let path = history.path("neo4j", None).unwrap().unwrap();
        proofs.reach(&history, &path).unwrap().unwrap()
    };
    let reached = reach(&mut proofs);
    assert_eq!((reached.last.id.0, reached.hole), (100, None));

    // Were it read again, this would be a hole.
    let proved = segments(&log, 6).into_iter().find(|segment| segment.header.first.0.0 > 75).unwrap();
    let name = format!("{:020}", proved.header.first.0.0);
    std::fs::remove_file(world.path("repository/grap/log/neo4j/0000000001/neo4j").join(name)).unwrap();
    let archive = world.archive();
    let put = |run: u64, first: u64, last: u64| {
        let within = |logged: &&Logged| (first..=last).contains(&logged.transaction.id.0);
        let stored: Vec<Logged> = log.iter().filter(within).cloned().collect();
        put_all(&archive, run, "neo4j", &segments(&stored, 6));
        stored.last().unwrap().transaction.end_point()
    };
    let end = put(1, 101, 120);
    let reached = reach(&mut proofs);
    assert_eq!((reached.last.id.0, reached.hole), (120, None));
    Start::new(2, end.commit_time.0).behind("neo4j", (1, end), None).put(&world);
    put(2, 121, 130);
    put(2, 140, 146);
    let reached = reach(&mut proofs);
    assert!(reached.last.id.0 == 130 && reached.hole.is_some(), "{reached:?}");
    let reached = reach(&mut Proofs::default());
    assert!(reached.last.id < proved.header.first.0 && reached.hole.is_some(), "{reached:?}");
    // Another history behind an earlier point: what was proved of this one says nothing.
    let parent = log.iter().find(|logged| logged.transaction.id.0 == 72).unwrap().transaction.end_point();
    Start::new(3, end.commit_time.0).behind("neo4j", (1, parent), Some("put back")).put(&world);
    assert_eq!(reach(&mut proofs).last.id.0, 72);
}
