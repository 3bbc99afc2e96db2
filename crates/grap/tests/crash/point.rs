//! A restore to a point in time, struck at every local call: what is in place is the log up to the target and
//! nothing else, or nothing is.

#[expect(dead_code, reason = "the tests of points in time use the rest of it")]
#[path = "../pitr/world.rs"]
pub(crate) mod world;

use std::path::Path;

use grap_disk::faults::Mode;

use self::world::{Logged, Start, World, put_all, segments};
use crate::stride;
use crate::world::{EIO, calls, struck, turn};

const TARGET: u64 = 140;

/// A backup at 70, the log archived; the target stands two files further.
fn archived() -> World {
    let world = World::new("5.26.30");
    let log: Vec<Logged> = world.log("neo4j");
    Start::new(1, log[0].transaction.commit_time.0 - 1000).root("neo4j", 2, None).put(&world);
    world.install(70, 5);
    world.backup();
    put_all(&world.archive(), 1, "neo4j", &segments(&log, 9));
    world
}

fn enumerate(mode: Mode, offset: usize) {
    let _turn = turn();
    let world = archived();
    let options = world.options(&format!("tx={TARGET}"));
    let restore = || grap::ops::restore(&options, world.access(), &world.state(), &world.session());
    let count = calls(|| drop(restore().unwrap())).len();
    assert!(count > 300, "a restore makes {count} calls");
    for at in (1 + offset..=count).step_by(stride(29)) {
        clear(&options.to);
        let (result, hit) = struck(at, mode, restore);
        assert!(hit, "call {at} of {count} was not reached");
        if result.is_ok() || options.to.join("transactions").exists() {
            world.assert_log("neo4j", TARGET);
            clear(&options.to);
        }
        restore().unwrap_or_else(|error| panic!("call {at} of {count}: the next restore: {error}"));
        world.assert_log("neo4j", TARGET);
    }
}

fn clear(target: &Path) {
    let _ = std::fs::remove_dir_all(target);
}

#[test]
fn every_call_fails() {
    enumerate(Mode::Fail(EIO), 1);
}

#[test]
fn every_call_is_torn() {
    enumerate(Mode::Tear, 11);
}

#[test]
fn every_call_is_the_last() {
    enumerate(Mode::Kill, 21);
}
