//! A whole recovery, from its beginning through its end to the reset, struck at every local call of its loop: the lock,
//! the journal, the wish to cancel. What it acts on is a world of fakes.
//!
//! Whoever goes on finds a recovery that was begun or was not, comes to an end with it, and leaves nothing behind.

#[expect(dead_code, reason = "the tests of the loop use the rest of it")]
#[path = "../recovery/world.rs"]
mod fakes;
#[expect(dead_code, reason = "the tests of the loop use the rest of it")]
#[path = "../recovery/live.rs"]
mod live;

use std::path::Path;

use grap::recovery::Swap;
use grap_core::recovery::{Guard, State, Status, Switch, What, atlas};
use grap_disk::faults::{Mode, Step};
use grap_disk::{self as disk, Call};

use self::fakes as world;
use self::fakes::{World, assert_settled};
use crate::stride;
use crate::world::{calls, struck, turn};

/// Ends well, or with what a tier found, or is cancelled.
fn lives() -> [Vec<What>; 3] {
    let mut state = grap_core::recovery::apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
    let mut way = Vec::new();
    while state.status() != Status::Success {
        let done = atlas::done(&state).unwrap();
        state = grap_core::recovery::apply(state, &done).unwrap();
        way.push(done.what);
    }
    let mut judged = way[..6].to_vec();
    if let Some(What::Judged { judgement, .. }) = judged.last_mut() {
        judgement.verdict = atlas::failed();
    }
    let cancelled = way[..5].iter().cloned().chain([What::CancelAsked]).collect();
    [way, judged, cancelled]
}

fn life(world: &World, script: &[What]) -> grap::Result<()> {
    let machine = world.run(world.begin()?, &mut world.fake(script.to_vec(), None))?;
    let machine = machine.reset(&world.clock)?;
    world.run(machine, &mut world.fake([], None))?;
    Ok(())
}

fn enumerate(mode: Mode) {
    let _turn = turn();
    for script in lives() {
        let world = World::new();
        let count = calls(|| life(&world, &script).unwrap()).len();
        assert!(count > 80, "a recovery makes {count} calls");
        for at in (1..=count).step_by(stride(1)) {
            let world = World::new();
            let (result, hit) = struck(at, mode, || life(&world, &script));
            assert!(hit, "call {at} of {count} was not reached");
            let told = format!("call {at} of {count}, {mode:?}, {result:?}");
            let state = world.go_on();
            assert_settled(&world.things.borrow(), &state, &told);
            if state == State::Idle {
                world.things.borrow_mut().restores = 0;
                drop(world.begin().unwrap_or_else(|error| panic!("{told}: {error}")));
                assert_eq!(world.go_on().status(), Status::Success, "{told}");
            }
            assert_eq!(world.reset(), State::Idle, "{told}");
            assert_settled(&world.things.borrow(), &State::Idle, &told);
        }
    }
}

/// A candidate becomes live, and that is undone.
fn promotion_and_rollback(world: &World) -> grap::Result<()> {
    let wishes = [
        atlas::begun(),
        What::PromoteAsked { switch: Box::new(atlas::switch(false)) },
        atlas::rollback_begun(false),
    ];
    for wish in wishes {
        world.run(world.ask(&wish)?, &mut world.fake([], None))?;
    }
    Ok(())
}

/// Whatever was struck, somebody starts the server by hand before the next process goes on: one whole database is served
/// at the end, and nothing of the other is lost.
fn enumerate_switches(mode: Mode) {
    enumerate_switches_of(false, mode);
}

fn enumerate_switches_with_system(mode: Mode) {
    enumerate_switches_of(true, mode);
}

fn enumerate_switches_of(with_system: bool, mode: Mode) {
    let _turn = turn();
    let world = World::of(with_system);
    let count = calls(|| promotion_and_rollback(&world).unwrap()).len();
    assert!(count > 200, "it makes {count} calls");
    // Between two exchanges there are more calls than that.
    for at in (1..=count).step_by(stride(if with_system { 3 } else { 1 })) {
        let world = World::of(with_system);
        let (result, hit) = struck(at, mode, || promotion_and_rollback(&world));
        assert!(hit, "call {at} of {count} was not reached");
        let told = format!("call {at} of {count}, {mode:?}, {result:?}");
        world.things.borrow_mut().live.start();
        let state = world.go_on();
        assert_settled(&world.things.borrow(), &state, &told);
        assert_eq!(world.reset(), State::Idle, "{told}");
        assert_settled(&world.things.borrow(), &State::Idle, &told);
    }
}

/// The places of a swap that a process has left between its second exchange back and the sync.
#[test]
fn an_undo_that_is_taken_up_again_is_durable_as_a_whole() {
    let _turn = turn();
    let (_world, switch, swap, guard) = swapped();
    swap.take_log(&guard).unwrap();
    swap.swap_stores(&guard).unwrap();
    let [live, side, retired] = [&switch.user.live, &switch.user.side, &switch.user.retired];
    disk::exchange(Path::new(&live.store), Path::new(&side.store)).unwrap();
    let calls = calls(|| swap.undo_exchanges(&guard).unwrap());
    let renamed = calls.iter().position(|step| step.call == Call::Rename).unwrap();
    for place in [&live.store, &side.store, &live.log, &side.log, &retired.log] {
        let parent = Path::new(place).parent().unwrap();
        let synced = |step: &Step| step.call == Call::SyncDirectory && step.path == parent;
        assert!(calls[..renamed].iter().any(synced), "{place} is not durable before the next exchange");
    }
}

/// A loss of power between the two syncs leaves the old store its new name, or its old one.
#[test]
fn what_is_retired_has_a_name_at_any_time() {
    let _turn = turn();
    let (_world, switch, swap, guard) = swapped();
    swap.take_log(&guard).unwrap();
    swap.swap_stores(&guard).unwrap();
    swap.put_log(&guard).unwrap();
    let calls = calls(|| assert!(swap.retire(&guard).unwrap().is_empty()));
    let synced = |place: &str| {
        let parent = Path::new(place).parent().unwrap();
        calls.iter().position(|step| step.call == Call::SyncDirectory && step.path == parent).unwrap()
    };
    assert!(synced(&switch.user.retired.store) < synced(&switch.user.side.store));
    // Taken away, it keeps nobody from the end; and what lies in its place is nothing that Grap knows.
    std::fs::remove_dir_all(&switch.user.retired.store).unwrap();
    assert_eq!(swap.retire(&guard).unwrap().len(), 1);
    std::fs::create_dir_all(&switch.user.side.store).unwrap();
    assert!(swap.retire(&guard).is_err());
}

fn swapped() -> (World, Switch, Swap, Guard) {
    let world = World::new();
    let machine = world.run(world.begin().unwrap(), &mut world.fake([], None)).unwrap();
    let recovery = machine.state().recovery().unwrap().clone();
    let switch = world.things.borrow_mut().live.promotion(&recovery, false);
    let swap = Swap::of(&switch);
    let guard = swap.guard(&recovery, atlas::guard().end, None).unwrap();
    (world, switch, swap, guard)
}

struck_by_every_fault!(enumerate);

mod switches {
    use super::{Mode, enumerate_switches};

    struck_by_every_fault!(enumerate_switches);
}

mod switches_with_system {
    use super::{Mode, enumerate_switches_with_system};

    struck_by_every_fault!(enumerate_switches_with_system);
}
