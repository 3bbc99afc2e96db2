//! Every order in every state, struck.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use grap_core::recovery::{
    Order, Phase, Recovery, STARTS_MAX, STOPS_MAX, State, Status, TierVerdict, What, apply, atlas, order,
};

use crate::world::{Crash, How, When, World, assert_settled};

/// The shortest way to every state in which something is owed, as what happened. A tier that was skipped is to the loop
/// what one is that was passed; of a promotion, states that differ only in why it turned back are one.
fn ways() -> Vec<(State, Vec<What>)> {
    let mut next: HashMap<State, Vec<(What, State)>> = HashMap::new();
    for edge in atlas::edges() {
        next.entry(edge.from).or_default().push((edge.event.what, edge.to));
    }
    let mut ways: HashMap<State, Vec<What>> = HashMap::from([(State::Idle, Vec::new())]);
    let mut open = VecDeque::from([State::Idle]);
    let mut met = HashSet::new();
    let mut kept = Vec::new();
    while let Some(from) = open.pop_front() {
        let way = ways[&from].clone();
        if order(&from).is_some() && !way.iter().any(is_skipped) && met.insert(kind(&from)) {
            kept.push((from.clone(), way.clone()));
        }
        for (what, to) in next.get(&from).into_iter().flatten() {
            // Nobody can have written to what is not in place.
            let in_place = way.iter().any(|what| matches!(what, What::LogPut));
            if matches!(what, What::Written) && !in_place {
                continue;
            }
            if !ways.contains_key(to) {
                ways.insert(to.clone(), way.iter().cloned().chain([what.clone()]).collect());
                open.push_back(to.clone());
            }
        }
    }
    kept
}

fn is_skipped(what: &What) -> bool {
    let What::Judged { judgement, .. } = what else { return false };
    matches!(judgement.verdict, TierVerdict::Skipped { .. })
}

/// What the loop tells from others.
fn kind(state: &State) -> String {
    let recovery = state.recovery().expect("something is owed");
    let Some(switch) = &recovery.switch else { return format!("{state:?}") };
    let turned = recovery.cause.is_some() || recovery.called_off.is_some();
    let is_down = recovery.stops > 0 && matches!(recovery.phase, Phase::Asked | Phase::LookedAgain);
    let stops = (recovery.stops == STOPS_MAX, is_down);
    format!(
        "{:?}",
        (
            (recovery.phase, recovery.is_rollback(), switch.live_is_lost, stops, turned && !recovery.ran),
            (
                turned,
                recovery.guard.is_some(),
                recovery.unconfirmed.is_some(),
                recovery.judgements.is_empty()
            ),
        )
    )
}

fn is_wish(what: &What) -> bool {
    atlas::is_wish(&atlas::event(what.clone()))
}

/// Go the way, and be struck at its end; or why the process did not end as it should have. Each wish is a process.
fn go(world: &World, way: &[What], owed: Order, strike: (How, When)) -> Result<(), String> {
    let begins: Vec<usize> = (0..way.len()).filter(|at| is_wish(&way[*at])).collect();
    let mut state = State::Idle;
    for (number, begin) in begins.iter().enumerate() {
        let end = begins.get(number + 1).copied().unwrap_or(way.len());
        let is_last = end == way.len();
        for what in &way[*begin..end] {
            state = apply(state, &atlas::event(what.clone())).unwrap();
        }
        // Who asks for something else while something is owed finds that nobody is at it.
        let killed = order(&state).map(|_| (How::Crash, When::Before));
        let mut fake = world.fake(way[begin + 1..end].to_vec(), if is_last { Some(strike) } else { killed });
        let result = catch_unwind(AssertUnwindSafe(|| {
            let machine = world.ask(&way[*begin]).unwrap();
            world.run(machine, &mut fake)
        }));
        if !is_last && killed.is_some() {
            assert!(result.is_err(), "{result:?}");
        } else if !is_last {
            assert!(matches!(result, Ok(Ok(_))), "{result:?}");
        } else if !fake.struck() {
            return Err(format!("it was not struck: {result:?}"));
        } else {
            return ended(&result, owed, strike.0);
        }
    }
    Err("nothing was asked for".to_owned())
}

fn ended<T>(result: &std::thread::Result<grap::Result<T>>, owed: Order, how: How) -> Result<(), String> {
    let turns = matches!(owed, Order::StopLive | Order::AwaitArchive);
    match (how, result) {
        // A signal while the live server stops, or is stopped, calls it off.
        (How::Stop, Ok(Ok(_))) if turns => Ok(()),
        (How::Crash | How::CrashAlone, Err(why)) if why.is::<Crash>() => Ok(()),
        (How::Stop, Ok(Err(grap::Error::Stopped(_)))) | (How::Fail, Ok(_)) | (How::Blind, Ok(Err(_))) => {
            Ok(())
        }
        (_, Err(_)) => Err("a check of the world failed".to_owned()),
        (how, Ok(_)) => Err(format!("{how:?} was not noticed")),
    }
}

/// What a recovery comes to that was struck here, and then goes well.
fn expected(from: &State, with_system: bool, how: How, when: When, is: &State) -> bool {
    let recovery = from.recovery().unwrap();
    let owed = order(from).unwrap();
    let is = is.status();
    let at_the_limit = recovery.starts == STARTS_MAX && recovery.phase == Phase::Running;
    if owed.is_of_switch() {
        return is == expected_of_switch(recovery, with_system, owed, how, when);
    }
    match recovery.phase {
        Phase::Resetting => is == Status::NotRecovering,
        phase if !phase.is_forward() => is == Status::Failed,
        _ if how == How::Fail && owed.can_fail() => is == Status::Failed,
        // The instance of the last start is lost: unless it had been stopped.
        _ if at_the_limit && how == How::Crash => {
            let stopped = owed == Order::StopInstance && when == When::After;
            is == if stopped { Status::Success } else { Status::Failed }
        }
        _ => is == Status::Success,
    }
}

/// Somebody starts the server by hand between two processes: where nothing is exchanged, that costs a stop.
fn expected_of_switch(recovery: &Recovery, with_system: bool, owed: Order, how: How, when: When) -> Status {
    let off =
        if recovery.is_rollback() || recovery.cause.is_some() { Status::Failed } else { Status::Success };
    // A server that does not come up with another `system` leads back to the old one.
    let leads_back = with_system && recovery.phase == Phase::LogPut;
    let is_lost = recovery.switch.as_ref().unwrap().live_is_lost && !leads_back;
    let lost = is_lost || recovery.unconfirmed.is_some();
    let crashed = matches!(how, How::Crash | How::CrashAlone);
    let locked = matches!(owed, Order::AwaitArchive | Order::Guard | Order::TakeLog);
    let taken = owed == Order::TakeLog && when != When::Before;
    match recovery.phase {
        Phase::Undoing | Phase::Restarting => off,
        Phase::LogPut | Phase::LiveStarted if how == How::Fail && !lost => Status::Failed,
        phase if !phase.is_switching() => Status::Promoted,
        _ if how == How::Fail => off,
        _ if how == How::Stop && matches!(owed, Order::StopLive | Order::AwaitArchive) => off,
        _ if (crashed || matches!(how, How::Stop | How::Blind))
            && locked
            && !taken
            && recovery.stops == STOPS_MAX =>
        {
            off
        }
        _ => Status::Promoted,
    }
}

#[test]
fn every_order_in_every_state_is_struck_and_taken_up_again() {
    let ways = ways();
    let mut orders: Vec<Order> = ways.iter().filter_map(|(state, _)| order(state)).collect();
    orders.sort_unstable_by_key(ToString::to_string);
    orders.dedup();
    assert_eq!(orders.len(), 30, "{orders:?}");
    assert!(strike(&ways, false) > 1000);
}

#[test]
fn every_order_is_struck_and_taken_up_again_where_system_goes_with_it() {
    let mut ways = ways();
    ways.retain(|(state, _)| order(state).unwrap().is_of_switch());
    assert!(strike(&ways, true) > 500);
}

fn strike(ways: &[(State, Vec<What>)], with_system: bool) -> usize {
    let mut struck = 0;
    for (from, way) in ways {
        // No test instance lives on where there was none.
        let all = [How::Fail, How::Blind, How::Stop, How::Crash, How::CrashAlone];
        let crashes = if order(from).unwrap().is_of_switch() { 4 } else { 5 };
        for how in all.into_iter().take(crashes) {
            for when in [When::Before, When::Inside, When::After] {
                let names: Vec<&str> = way.iter().map(What::name).collect();
                let told = format!("{:?} {how:?} {when:?} at the end of {names:?}", order(from).unwrap());
                let world = World::of(with_system);
                let owed = order(from).unwrap();
                go(&world, way, owed, (how, when)).unwrap_or_else(|why| panic!("{told}: {why}"));
                let is_alive = !matches!(how, How::Crash | How::CrashAlone);
                // Who resets it has been told that it is down.
                let ran = from.recovery().is_some_and(|recovery| recovery.ran && !gave_up(recovery));
                if is_alive && owed.is_of_switch() && ran {
                    world.things.borrow().live.assert_not_left_down(&told);
                }
                world.things.borrow_mut().live.start();
                let state = world.go_on();
                assert!(expected(from, with_system, how, when, &state), "{told}: {state:?}");
                assert_settled(&world.things.borrow(), &state, &told);
                assert_eq!(world.reset(), State::Idle, "{told}");
                assert_settled(&world.things.borrow(), &State::Idle, &told);
                struck += 1;
            }
        }
    }
    struck
}

/// The old database does not come up, and somebody wants another one in its place: nobody starts it once more.
fn gave_up(recovery: &Recovery) -> bool {
    recovery.stops > 0 && matches!(recovery.phase, Phase::Asked | Phase::LookedAgain | Phase::Staged)
}

/// It did not confirm, Grap died before it was taken back, somebody started the server, and a client wrote.
#[test]
fn what_clients_have_written_meanwhile_is_not_taken_back() {
    let world = World::new();
    drop(world.run(world.begin().unwrap(), &mut world.fake([], None)).unwrap());
    let mut state = atlas::validated();
    let wish = What::PromoteAsked { switch: Box::new(atlas::switch(false)) };
    state = apply(state, &atlas::event(wish.clone())).unwrap();
    let mut script = Vec::new();
    while order(&state) != Some(Order::Confirm) {
        let done = atlas::done(&state).unwrap();
        state = apply(state, &done).unwrap();
        script.push(done.what);
    }
    script.push(What::Failed { order: Order::Confirm, failure: atlas::failure() });
    let mut fake = world.fake(script, Some((How::CrashAlone, When::Before)));
    let crashed = catch_unwind(AssertUnwindSafe(|| world.run(world.ask(&wish).unwrap(), &mut fake)));
    assert!(crashed.is_err() && fake.struck());
    drop(fake);
    world.things.borrow_mut().live.start();
    world.things.borrow().live.write();
    let state = world.go_on();
    let recovery = state.recovery().unwrap();
    assert_eq!(state.status(), Status::Promoted);
    assert!(recovery.unconfirmed.is_some() && recovery.cause.is_none());
    assert_settled(&world.things.borrow(), &state, "written");
    // Asked again, it confirms.
    let machine = world.open().unwrap().ask_again(&world.clock).unwrap();
    let machine = world.run(machine, &mut world.fake([], None)).unwrap();
    assert_eq!(machine.state().recovery().unwrap().unconfirmed, None);
}

#[test]
fn a_second_recovery_begins_where_the_first_was_reset_and_not_before() {
    let world = World::new();
    let first = world.run(world.begin().unwrap(), &mut world.fake([], None)).unwrap();
    assert_eq!(first.state().status(), Status::Success);
    drop(first);
    let refused = world.begin().unwrap_err();
    assert_eq!(refused.code(), grap::Code::RecoveryState);
    assert!(refused.to_string().contains("recovery-20261126-020000 is SUCCESS"), "{refused}");
    assert_eq!(world.reset(), State::Idle);
    world.things.borrow_mut().restores = 0;
    let second = world.run(world.begin().unwrap(), &mut world.fake([], None)).unwrap();
    assert_eq!(second.state().recovery().unwrap().id.as_str(), "recovery-20261126-020000-2");
    assert_settled(&world.things.borrow(), second.state(), "the second");
    assert_eq!(world.things.borrow().records.len(), 2);
}
