//! What is gone on with, by whom, and what is refused while something is owed. The live server cannot be found here: only
//! what needs none is done.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use grap::ops::{
    Ends, SwitchAccess, SwitchOptions, SwitchPlan, cancel_recovery, plan_rollback, promote, resume_promotion,
    rollback,
};
use grap::recovery::{LiveServer, Swap, Swapped, retired_stores};
use grap::{Code, Error};
use grap_core::recovery::{Cause, Order, Phase, State, Status, SwitchLimits, What, apply, atlas, order};
use grap_neo4j::{TransactionEnd, TxId};
use grap_task::Stop;

use crate::world::{How, When, World};

fn not_found() -> grap::Result<LiveServer> {
    Err(Error::NoRepository { location: "no server".to_owned() })
}

fn options(live_is_lost: bool) -> SwitchOptions {
    SwitchOptions { retired: None, live_is_lost, with_system: false, limits: SwitchLimits::default() }
}

fn validated() -> World {
    validated_in(World::new())
}

fn validated_in(world: World) -> World {
    drop(world.run(world.begin().unwrap(), &mut world.fake([], None)).unwrap());
    world
}

/// A validated candidate; asked for, and killed at this order.
fn killed_at(wish: &What, owed: Order, when: When) -> World {
    killed_in(World::new(), wish, owed, when)
}

fn killed_in(world: World, wish: &What, owed: Order, when: When) -> World {
    let world = validated_in(world);
    let mut state = apply(atlas::validated(), &atlas::event(wish.clone()))
        .unwrap_or_else(|_| apply(State::Idle, &atlas::event(wish.clone())).unwrap());
    if matches!(wish, What::RollbackBegun { .. }) {
        world.reset();
    }
    let mut script = Vec::new();
    while order(&state) != Some(owed) {
        let done = atlas::done(&state).unwrap();
        state = apply(state, &done).unwrap();
        script.push(done.what);
    }
    let mut fake = world.fake(script, Some((How::CrashAlone, when)));
    let killed = catch_unwind(AssertUnwindSafe(|| world.run(world.ask(wish).unwrap(), &mut fake)));
    assert!(killed.is_err() && fake.struck());
    drop(fake);
    world
}

fn promotion(lost: bool) -> What {
    What::PromoteAsked { switch: Box::new(atlas::switch(lost)) }
}

fn resume(world: &World) -> grap::Result<Option<grap::ops::SwitchReport>> {
    let open = || -> grap::Result<_> { panic!("the repository is not needed") };
    let (state, stop) = (&world.directory, Stop::new());
    let session = &world.session(&stop);
    resume_promotion(&SwitchAccess { find: &not_found, open: &open, state, session })
}

fn state(world: &World) -> State {
    world.open().unwrap().state().clone()
}

#[test]
fn nothing_is_promoted_that_nobody_asked_for() {
    let world = validated();
    assert!(resume(&world).unwrap().is_none());
    assert_eq!(state(&world).status(), Status::Success);
    assert!(state(&world).recovery().unwrap().switch.is_none());
    // What was asked for, and interrupted before anything was done, is called off.
    for owed in [Order::LookAgain, Order::Stage] {
        let world = killed_at(&promotion(false), owed, When::Before);
        let report = resume(&world).unwrap().unwrap();
        assert_eq!(report.failure().unwrap().0, Code::PromotionCalledOff);
        let state = state(&world);
        assert_eq!((order(&state), state.status()), (None, Status::Success));
        assert_eq!(state.recovery().unwrap().called_off, Some(Cause::Cancelled));
        assert!(resume(&world).unwrap().is_none());
    }
    // The server is down because of us, and nothing is exchanged: back, to the old one.
    for owed in [Order::AwaitArchive, Order::Guard, Order::TakeLog] {
        let world = killed_at(&promotion(false), owed, When::Before);
        assert!(resume(&world).is_err());
        let state = state(&world);
        assert_eq!(order(&state), Some(Order::StartOld), "{owed}");
        assert_eq!(state.recovery().unwrap().called_off, Some(Cause::Cancelled));
    }
}

/// And it stays owed where the server cannot be found.
#[test]
fn what_is_exchanged_is_gone_on_with() {
    let owed =
        [(Order::TakeLog, When::After), (Order::SwapStores, When::Before), (Order::PutLog, When::After)];
    for (owed, when) in owed {
        let world = killed_at(&promotion(false), owed, when);
        assert!(resume(&world).is_err());
        let state = state(&world);
        let recovery = state.recovery().unwrap();
        assert!(recovery.called_off.is_none() && recovery.cause.is_none(), "{owed}: {recovery:?}");
        assert!(matches!(recovery.phase, Phase::LogTaken | Phase::LogPut), "{:?}", recovery.phase);
    }
}

#[test]
fn something_else_that_is_owed_stands_in_the_way_by_name() {
    let open = || -> grap::Result<_> { panic!("the repository is not needed") };
    let told = |world: &World, is_rollback: bool, options: &SwitchOptions| {
        let (before, session_stop) = (state(world), Stop::new());
        let (directory, session) = (&world.directory, &world.session(&session_stop));
        let access = SwitchAccess { find: &not_found, open: &open, state: directory, session };
        let asked = if is_rollback { rollback(options, &access) } else { promote(options, &access) };
        let error = asked.unwrap_err();
        assert_eq!(state(world), before, "something was done");
        assert_eq!(error.code(), Code::RecoveryState, "{error}");
        error.to_string()
    };
    let world = killed_at(&promotion(false), Order::Drain, When::Before);
    let said = told(&world, true, &options(false));
    assert!(said.contains("step of a promotion") && said.contains("`grap recover promote`"), "{said}");
    let said = told(&world, false, &options(true));
    assert!(said.contains("without --live-is-lost"), "{said}");
    let world = killed_at(&promotion(true), Order::Drain, When::Before);
    let said = told(&world, false, &options(false));
    assert!(said.contains("with --live-is-lost"), "{said}");
    let with_system = SwitchOptions { with_system: true, ..options(false) };
    let world = killed_at(&promotion(false), Order::Drain, When::Before);
    let said = told(&world, false, &with_system);
    assert!(said.contains("without --with-system"), "{said}");
    let world = killed_in(World::of(true), &promotion(false), Order::Drain, When::Before);
    let said = told(&world, false, &options(false));
    assert!(said.contains("begun with --with-system"), "{said}");
    assert!(said.contains("`grap recover promote --with-system`"), "{said}");
    let world = killed_in(World::of(true), &promotion(true), Order::Drain, When::Before);
    let said = told(&world, true, &options(false));
    assert!(said.contains("`grap recover promote --with-system --live-is-lost`"), "{said}");
    let world = killed_at(&atlas::rollback_begun(false), Order::Drain, When::Before);
    let said = told(&world, false, &options(false));
    assert!(said.contains("step of a rollback") && said.contains("`grap recover rollback`"), "{said}");
    let other = Some("recovery-20250101-000000".parse().unwrap());
    let said = told(&world, true, &SwitchOptions { retired: other, ..options(false) });
    assert!(said.contains("another recovery"), "{said}");
}

/// Somebody has put another store in the live place while nothing was exchanged: there is nothing to be taken back.
#[test]
fn a_live_database_that_somebody_has_changed_is_no_dead_end() {
    let world = killed_at(&promotion(false), Order::TakeLog, When::Before);
    let found = state(&world);
    let recovery = found.recovery().unwrap();
    let (switch, guard) = (recovery.switch.as_deref().unwrap(), recovery.guard.as_ref().unwrap());
    let live = Path::new(&switch.user.live.store);
    fs::rename(live, live.with_file_name("away")).unwrap();
    fs::create_dir(live).unwrap();
    fs::write(live.join("whose"), "first").unwrap();
    let swap = Swap::of(switch);
    assert!(swap.look(guard).is_err());
    assert_eq!(swap.look_back(guard).unwrap(), Swapped::Nothing);
    let machine = world.open().unwrap().cancel(&world.clock).unwrap();
    let machine = world.run(machine, &mut world.fake([], None)).unwrap();
    assert_eq!((order(machine.state()), machine.state().status()), (None, Status::Success));
    // A barrier in the live place is another matter.
    let world = killed_at(&promotion(false), Order::SwapStores, When::Before);
    let found = state(&world);
    let recovery = found.recovery().unwrap();
    let (switch, guard) = (recovery.switch.as_deref().unwrap(), recovery.guard.as_ref().unwrap());
    let live = Path::new(&switch.user.live.store);
    fs::rename(live, live.with_file_name("away")).unwrap();
    fs::create_dir(live).unwrap();
    assert!(Swap::of(switch).look_back(guard).is_err());
}

/// A kernel, or a file system, that tells no time of birth any more.
#[test]
fn a_time_of_birth_that_is_not_told_is_no_other_directory() {
    let world = killed_at(&promotion(false), Order::SwapStores, When::Before);
    let found = state(&world);
    let recovery = found.recovery().unwrap();
    let swap = Swap::of(recovery.switch.as_deref().unwrap());
    let mut guard = recovery.guard.clone().unwrap();
    guard.side_store.born = None;
    assert_eq!(swap.look(&guard).unwrap(), Swapped::LogTaken);
    guard.side_log.born = Some(1);
    assert!(guard.side_log.born.is_none() || swap.look(&guard).is_err());
}

/// Giving it up is a promotion, and leaving it is a reset.
#[test]
fn an_old_database_that_does_not_come_up_is_no_dead_end() {
    for lost in [false, true] {
        let world = killed_at(&promotion(false), Order::TakeLog, When::Before);
        let machine = world.open().unwrap().cancel(&world.clock).unwrap();
        let mut fake = world.fake([What::Undone], Some((How::Fail, When::Before)));
        assert!(world.run(machine, &mut fake).is_err());
        drop(fake);
        assert_eq!(order(&state(&world)), Some(Order::StartOld));
        if lost {
            let machine = world.ask(&promotion(true)).unwrap();
            let machine = world.run(machine, &mut world.fake([], None)).unwrap();
            assert_eq!(machine.state().status(), Status::Promoted);
        } else {
            let machine = world.open().unwrap().reset(&world.clock).unwrap();
            let machine = world.run(machine, &mut world.fake([], None)).unwrap();
            assert_eq!(machine.state(), &State::Idle);
        }
    }
}

/// A stray file, a mark that cannot be read, one of another version: each is told, and hides nothing.
#[test]
fn what_is_retired_and_cannot_be_read_hides_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(".grap/retired");
    let plan = serde_json::to_value(atlas::plan("/data/.grap/candidate/recovery-20261126-020000")).unwrap();
    let halves = serde_json::json!({ "store": "/nowhere/store", "log": "/nowhere/log" });
    let mark = |version: u32| {
        serde_json::json!({
            "version": version, "recovery": "recovery-20261126-020000", "at": "2026-11-26T02:00:00Z",
            "database": "neo4j", "halves": halves, "live": halves, "plan": plan,
        })
    };
    for (name, text) in
        [("good", mark(1).to_string()), ("newer", mark(3).to_string()), ("torn", "{".to_owned())]
    {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::write(root.join(name).join("retired.json"), text).unwrap();
    }
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("stray"), "").unwrap();
    let found = retired_stores(folder.path()).unwrap();
    assert_eq!(found.stores.len(), 1);
    assert!(found.stores[0].missing.is_some());
    assert_eq!(found.unreadable.len(), 2, "{:?}", found.unreadable);
}

/// What a rollback takes away begins where the promotion that it undoes had ended, whatever the old database has come to.
#[test]
fn what_a_rollback_leaves_behind_begins_at_the_fork() {
    let end = |id| TransactionEnd { id: TxId(id), ..atlas::guard().end };
    let plan = SwitchPlan {
        undoes: Some("recovery-20261126-020000".parse().unwrap()),
        target: "what it replaced".to_owned(),
        switch: atlas::switch(false),
        ends: Ends { new: Some(end(200)), live: Some(end(150)) },
        ends_of_system: None,
        fork: Some(TxId(140)),
        retired_bytes: 0,
        losses: Vec::new(),
    };
    let lost = |plan: &SwitchPlan| plan.lost().map(|(first, last, ..)| (first, last));
    assert_eq!(lost(&plan), Some((141, 150)));
    let none_behind = Ends { live: Some(end(140)), ..plan.ends };
    assert_eq!(lost(&SwitchPlan { ends: none_behind, ..plan.clone() }), None);
    let promoted = Ends { new: Some(end(145)), ..plan.ends };
    assert_eq!(lost(&SwitchPlan { undoes: None, ends: promoted, ..plan }), Some((146, 150)));
}

/// What is said where it is too late for a cancellation, and too early for a rollback; its plan says the same.
#[test]
fn what_cannot_be_asked_for_now_is_refused_with_what_can() {
    let (stop, open) = (Stop::new(), || -> grap::Result<_> { panic!("the repository is not needed") });
    for (owed, stands) in
        [(Order::StartLive, "the new database is in place"), (Order::Undo, "the old database comes back")]
    {
        let world = if owed == Order::Undo {
            killed_at(&promotion(false), Order::TakeLog, When::Before)
        } else {
            killed_at(&promotion(false), owed, When::Before)
        };
        let session = &world.session(&stop);
        let cancelled = || cancel_recovery(&not_found, &world.directory, session);
        if owed == Order::Undo {
            // Asked for once, and not done: nobody can say where the server is.
            assert!(cancelled().is_err());
        }
        let told = cancelled().unwrap_err();
        assert_eq!(told.code(), Code::RecoveryState, "{told}");
        let told = told.to_string();
        assert!(told.contains(stands) && told.contains("`grap recover promote` goes on"), "{told}");
    }
    let world = validated();
    let session = &world.session(&stop);
    let access = SwitchAccess { find: &not_found, open: &open, state: &world.directory, session };
    let told = plan_rollback(&options(false), &access).unwrap_err();
    assert_eq!(told.code(), Code::RecoveryState, "{told}");
}
