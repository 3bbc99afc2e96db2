//! A restore, struck at every local call.

use grap_disk::faults::Mode;

use crate::stride;
use crate::world::{EIO, ENOSPC, World, calls, same_stores, struck};

fn enumerate(mode: Mode, offset: usize) {
    let world = World::new();
    world.backup().unwrap();
    let count = calls(|| drop(world.restore("target").unwrap())).len();
    assert!(count > 300, "a restore makes {count} calls");
    let target = world.path("target");
    for at in (1 + offset..=count).step_by(stride(29)) {
        let _ = std::fs::remove_dir_all(&target);
        let (result, hit) = struck(at, mode, || world.restore("target"));
        assert!(hit, "call {at} of {count} was not reached");
        let placed = target.join("transactions").exists();
        if result.is_ok() || placed {
            // The log directory comes last: where it is, everything is.
            same_stores(&world.path("data"), &target);
            let _ = std::fs::remove_dir_all(&target);
        }
        world
            .restore("target")
            .unwrap_or_else(|error| panic!("call {at} of {count}: the next restore: {error}"));
        same_stores(&world.path("data"), &target);
    }
}

#[test]
fn every_call_fails() {
    enumerate(Mode::Fail(EIO), 0);
}

#[test]
fn every_call_finds_the_disk_full() {
    enumerate(Mode::Fail(ENOSPC), 2);
}

#[test]
fn every_call_is_torn() {
    enumerate(Mode::Tear, 4);
}

#[test]
fn every_call_is_the_last() {
    enumerate(Mode::Kill, 6);
}
