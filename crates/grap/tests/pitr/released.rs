//! A retired database goes when all of it can be restored, and by name; never what a switch that is owed needs.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use grap::Result;
use grap::ops::{self, Held, StoreReleaseOptions, StoreReleaseReport, Which};
use grap::recovery::{Lane, Machine, RetiredStore, retired_stores};
use grap_core::recovery::{RecoveryId, What, atlas};
use grap_disk::FileLock;
use grap_testkit::tree;

use crate::world::{Start, World, put_all, segments};

const ID: &str = "recovery-20261126-020000";

fn id() -> RecoveryId {
    ID.parse().unwrap()
}

/// The archive of run 1 goes from the first transaction to this one; but for the segments that are left out.
fn archived(last: u64, without: Option<u64>) -> World {
    let world = World::new("5.26.30");
    let log = world.log("neo4j");
    Start::new(1, log[0].transaction.commit_time.0 - 1000).root("neo4j", 2, None).put(&world);
    let stored: Vec<_> = log.iter().filter(|logged| logged.transaction.id.0 <= last).cloned().collect();
    let mut segments = segments(&stored, 6);
    segments.retain(|segment| {
        without.is_none_or(|id| segment.header.last.0.0 < id || segment.header.first.0.0 > id)
    });
    put_all(&world.archive(), 1, "neo4j", &segments);
    world
}

/// What is live was retired when this was its last transaction.
fn retire(world: &World, last: u64) {
    world.install(last, 5);
    let place = world.path("data/.grap/retired").join(ID);
    let half = |side: &str| {
        let half = place.join(side).join("neo4j");
        std::fs::create_dir_all(half.parent().unwrap()).unwrap();
        tree::copy(&world.path("data").join(side).join("neo4j"), &half).unwrap();
        half.display().to_string()
    };
    let halves = serde_json::json!({ "store": half("databases"), "log": half("transactions") });
    let mark = serde_json::json!({
        "version": 1, "recovery": ID, "at": "2026-11-26T02:00:00Z", "database": "neo4j", "halves": halves,
        "live": halves, "plan": atlas::plan("/data/.grap/candidate"),
    });
    std::fs::write(place.join("retired.json"), mark.to_string()).unwrap();
}

fn options(world: &World, which: Which) -> StoreReleaseOptions {
    StoreReleaseOptions { installation: world.installation(), which }
}

fn release(world: &World, which: Which) -> Result<StoreReleaseReport> {
    ops::release_store(&options(world, which), &|| Ok(world.access()), &world.state(), &world.session())
}

fn refused(world: &World, which: Which) -> (&'static str, String) {
    let error = release(world, which).unwrap_err();
    assert_eq!(stores(world).len(), 1, "{error}");
    assert!(
        retired(world).join("databases/neo4j/neostore").exists()
            && retired(world).join("transactions/neo4j").exists()
    );
    (error.code().name(), error.to_string())
}

fn stores(world: &World) -> Vec<RetiredStore> {
    retired_stores(&world.path("data")).unwrap().stores
}

fn retired(world: &World) -> PathBuf {
    world.path("data/.grap/retired").join(ID)
}

#[test]
fn it_goes_when_a_backup_and_the_archive_reach_its_end() {
    let world = archived(130, None);
    world.install(70, 5);
    let backup = world.backup();
    retire(&world, 120);
    let open = || Ok(world.access());
    let plan =
        ops::plan_store_release(&options(&world, Which::Oldest), &open, &world.state(), &world.session());
    let plan = plan.unwrap();
    assert_eq!(plan.held, Some(Held { backup: backup.parse().unwrap(), timeline: Some(1) }));
    assert_eq!((plan.end.unwrap().id.0, stores(&world).len()), (120, 1));
    let released = release(&world, Which::Of(id())).unwrap();
    assert_eq!(released.released.unwrap().held, plan.held);
    assert!(stores(&world).is_empty() && !retired(&world).exists());
    assert_eq!(release(&world, Which::Oldest).unwrap_err().code().name(), "RETIRED_NOT_FOUND");
}

#[test]
fn it_stays_while_its_end_is_nowhere_and_goes_when_a_backup_ends_there() {
    let world = archived(110, None);
    world.install(70, 5);
    world.backup();
    retire(&world, 120);
    let (code, said) = refused(&world, Which::Oldest);
    assert!(code == "RETIRED_NOT_BACKED_UP" && said.contains("120"), "{said}");
    world.install(120, 5);
    let backup = world.backup().parse().unwrap();
    let released = release(&world, Which::Oldest).unwrap().released.unwrap();
    assert_eq!(released.held, Some(Held { backup, timeline: None }));
}

#[test]
fn a_hole_in_the_archive_or_another_store_holds_nothing() {
    let world = archived(130, Some(95));
    world.install(70, 5);
    world.backup();
    retire(&world, 120);
    assert_eq!(refused(&world, Which::Oldest).0, "RETIRED_NOT_BACKED_UP");
    // A backup behind the hole does.
    world.install(110, 5);
    world.backup();
    // Unless it is of another store.
    let own = std::fs::read(retired(&world).join("databases/neo4j/neostore")).unwrap();
    let other = World::new("5.13.0");
    let foreign = other.path("whole/databases/neo4j/neostore");
    std::fs::copy(foreign, retired(&world).join("databases/neo4j/neostore")).unwrap();
    assert_eq!(refused(&world, Which::Oldest).0, "RETIRED_NOT_BACKED_UP");
    std::fs::write(retired(&world).join("databases/neo4j/neostore"), own).unwrap();
    release(&world, Which::Oldest).unwrap();
}

/// Neither the repository nor its own log has to be there.
#[test]
fn what_is_given_up_by_name_goes_all_the_same() {
    let world = archived(110, None);
    retire(&world, 120);
    std::fs::rename(world.path("repository"), world.path("away")).unwrap();
    std::fs::remove_dir_all(retired(&world).join("transactions")).unwrap();
    assert_eq!(release(&world, Which::Oldest).unwrap_err().code().name(), "RETIRED_NOT_BACKED_UP");
    let released = release(&world, Which::GivenUp(id())).unwrap().released.unwrap();
    assert!(released.held.is_none() && released.end.is_none() && stores(&world).is_empty());
}

#[test]
fn what_a_switch_needs_that_is_owed_stays_even_when_it_is_given_up() {
    let world = archived(130, None);
    world.install(120, 5);
    world.backup();
    retire(&world, 120);
    // By the lock, by the journal, and where that is lost by the barrier.
    let session = world.session();
    let machine = Machine::open(&world.state(), Lane::Recovery, session.clock).unwrap();
    assert_eq!(refused(&world, Which::GivenUp(id())).0, "JOB_RUNNING");
    let What::RollbackBegun { id: of, plan, switch } = atlas::rollback_begun(false) else { panic!() };
    drop(machine.begin_rollback(of, plan, *switch, session.clock).unwrap());
    assert_eq!(refused(&world, Which::GivenUp(id())).0, "RECOVERY_STATE");
    assert_eq!(refused(&world, Which::Oldest).0, "RECOVERY_STATE");
    std::fs::remove_file(world.path("state/recovery.journal")).unwrap();
    let log = world.path("data/transactions/neo4j");
    std::fs::rename(&log, world.path("log")).unwrap();
    std::fs::write(&log, "a barrier").unwrap();
    assert_eq!(refused(&world, Which::GivenUp(id())).0, "SWAP_UNFINISHED");
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(world.path("log"), &log).unwrap();
    // Of another state directory: while it runs, and where it has died behind its last exchange.
    let claim = FileLock::try_exclusive(&world.path("data/.grap/retired/switch.lock")).unwrap().unwrap();
    assert_eq!(refused(&world, Which::Of(id())).0, "RECOVERY_STATE");
    drop(claim);
    let other = world.path("data/.grap/retired/recovery-20261127-020000");
    for is_put in [true, false] {
        note_of_a_switch(&world, &other, is_put);
        assert_eq!(refused(&world, Which::GivenUp(id())).0, "SWAP_UNFINISHED", "{is_put}");
    }
    std::fs::remove_dir_all(&other).unwrap();
    release(&world, Which::Of(id())).unwrap();
}

/// That puts this store back. What is live is what it has put there, or nothing is exchanged yet.
fn note_of_a_switch(world: &World, place: &Path, is_put: bool) {
    let frozen = include_str!("../../../../testdata/promotion-v1/in-progress.json");
    let mut noted: serde_json::Value = serde_json::from_str(frozen).unwrap();
    for (half, side) in [("store", "databases"), ("log", "transactions")] {
        let live = world.path("data").join(side).join("neo4j");
        let inode = if is_put { std::fs::metadata(&live).unwrap().ino() } else { 1 };
        noted["guard"][format!("side_{half}")]["inode"] = inode.into();
        noted["switch"]["found"][half] = retired(world).join(side).join("neo4j").display().to_string().into();
        noted["switch"]["live"][half] = live.display().to_string().into();
    }
    std::fs::create_dir_all(place).unwrap();
    std::fs::write(place.join("in-progress.json"), noted.to_string()).unwrap();
}

/// Killed behind the rename: it counts as gone, and who asks for it again is told that it is.
#[test]
fn a_release_that_was_struck_is_finished_by_the_next_one() {
    let world = archived(130, None);
    retire(&world, 120);
    std::fs::rename(retired(&world), retired(&world).with_file_name(format!("released-{ID}"))).unwrap();
    assert!(stores(&world).is_empty());
    let report = release(&world, Which::Of(id())).unwrap();
    assert!(report.released.is_none());
    assert_eq!(report.finished, [id()]);
    assert_eq!(
        grap_disk::list(&world.path("data/.grap/retired")).unwrap(),
        Some(vec!["switch.lock".to_owned()])
    );
}
