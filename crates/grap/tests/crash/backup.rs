//! A backup, struck at every local call.

use grap_disk::Call;
use grap_disk::faults::Mode;

use crate::stride;
use crate::world::{EIO, ENOSPC, World, calls, same_stores, struck};

/// Strike call after call of a second backup (the first is there, and must stay whole).
fn enumerate(mode: Mode, offset: usize) {
    let world = World::new();
    world.backup().unwrap();
    world.tick();
    let saved = world.save();
    let count = calls(|| drop(world.backup().unwrap())).len();
    assert!(count > 500, "a backup makes {count} calls");
    for at in (1 + offset..=count).step_by(stride(97)) {
        world.bring_back(&saved);
        let (result, hit) = struck(at, mode, || world.backup());
        assert!(hit, "call {at} of {count} was not reached");
        let backups = world.backups();
        match &result {
            Ok(report) => {
                assert!(backups.contains(&report.manifest.id.to_string()), "call {at}: false success");
            }
            // A fault behind the publication may leave a whole backup; what is there is verified below.
            Err(error) if backups.len() > 1 => {
                assert_eq!(world.verify(), Vec::<String>::new(), "call {at} of {count}: {error}");
            }
            Err(_) => {}
        }
        world.tick();
        let next =
            world.backup().unwrap_or_else(|error| panic!("call {at} of {count}: the next run: {error}"));
        assert_eq!(world.verify(), Vec::<String>::new(), "call {at} of {count}");
        assert_eq!(world.pins(), Vec::<String>::new(), "call {at} of {count}");
        assert!(world.backups().contains(&next.manifest.id.to_string()));
    }
    world.restore("restored").unwrap();
    same_stores(&world.path("data"), &world.path("restored"));
}

#[test]
fn every_call_fails() {
    enumerate(Mode::Fail(EIO), 0);
}

#[test]
fn every_call_finds_the_disk_full() {
    enumerate(Mode::Fail(ENOSPC), 5);
}

#[test]
fn every_call_is_torn() {
    enumerate(Mode::Tear, 9);
}

#[test]
fn every_call_is_the_last() {
    enumerate(Mode::Kill, 13);
}

/// Nothing is published before what it needs is durable: every file is synced before its rename, every
/// directory with new names before the snapshot's own rename.
#[test]
fn the_snapshot_comes_after_every_sync() {
    let world = World::new();
    let steps = calls(|| drop(world.backup().unwrap()));
    let is_snapshot =
        |path: &std::path::Path| path.parent().is_some_and(|parent| parent.ends_with("snapshots"));
    let published =
        steps.iter().rposition(|step| step.call == Call::Rename && is_snapshot(&step.path)).unwrap();
    let mut unsynced = Vec::new();
    for step in &steps[..published] {
        match step.call {
            Call::Write if step.path.starts_with(world.path("repository")) => {
                unsynced.push(step.path.clone());
            }
            Call::Sync => unsynced.retain(|path| *path != step.path),
            Call::Rename if step.path.starts_with(world.path("repository")) => {
                unsynced.push(step.path.parent().unwrap().to_owned());
            }
            Call::SyncDirectory => unsynced.retain(|path| *path != step.path),
            _ => {}
        }
    }
    assert_eq!(unsynced, Vec::<std::path::PathBuf>::new());
    let data = steps
        .iter()
        .filter(|step| step.call == Call::Rename && step.path.to_string_lossy().contains("/data/"));
    assert!(data.count() >= 2, "the test has seen the packs");
}
