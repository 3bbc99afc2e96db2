//! Protected or not, and the lag as it is seen from outside.

use std::time::Duration;

use grap::archive::{Standing, lag};
use grap::live::Installation;
use grap::ops::{self, Protection, StatusOptions, StatusReport};

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
    lag(&installation, &world.archive(), world.now()).unwrap().remove(0)
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
