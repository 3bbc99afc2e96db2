//! Every order in every state, struck.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use grap_core::recovery::{
    Judgement, Order, Phase, STARTS_MAX, State, Status, TierVerdict, What, atlas, order,
};

use crate::world::{Crash, How, When, World, assert_settled};

/// The shortest way to every state in which something is owed, as what happened. A tier that was skipped is to the loop
/// what one is that was passed.
fn ways() -> Vec<(State, Vec<What>)> {
    let mut next: HashMap<State, Vec<(What, State)>> = HashMap::new();
    for edge in atlas::edges() {
        next.entry(edge.from).or_default().push((edge.event.what, edge.to));
    }
    let mut ways: HashMap<State, Vec<What>> = HashMap::from([(State::Idle, Vec::new())]);
    let mut open = VecDeque::from([State::Idle]);
    while let Some(from) = open.pop_front() {
        for (what, to) in next.get(&from).into_iter().flatten() {
            if !ways.contains_key(to) {
                let way = ways[&from].iter().cloned().chain([what.clone()]).collect();
                ways.insert(to.clone(), way);
                open.push_back(to.clone());
            }
        }
    }
    let skipped = |what: &What| matches!(what, What::Judged { judgement, .. } if is_skipped(judgement));
    ways.retain(|state, way| order(state).is_some() && !way.iter().any(skipped));
    ways.into_iter().collect()
}

fn is_skipped(judgement: &Judgement) -> bool {
    matches!(judgement.verdict, TierVerdict::Skipped { .. })
}

/// Go the way, and be struck at its end; or why the process did not end as it should have.
fn go(world: &World, way: &[What], strike: (How, When)) -> Result<(), String> {
    let script: Vec<What> =
        way.iter().filter(|what| !matches!(what, What::Begun { .. } | What::ResetAsked)).cloned().collect();
    let resets = way.iter().any(|what| matches!(what, What::ResetAsked));
    let mut fake = world.fake(script.clone(), (!resets).then_some(strike));
    let first = catch_unwind(AssertUnwindSafe(|| {
        let machine = world.begin().unwrap();
        world.run(machine, &mut fake)
    }));
    if !resets {
        if !fake.struck() {
            return Err("it was not struck".to_owned());
        }
        return ended(&first, strike.0);
    }
    assert!(first.unwrap().is_ok());
    let mut fake = world.fake([], Some(strike));
    let second = catch_unwind(AssertUnwindSafe(|| {
        let machine = world.open().unwrap().reset(&world.clock).unwrap();
        world.run(machine, &mut fake)
    }));
    ended(&second, strike.0)
}

fn ended<T>(result: &std::thread::Result<grap::Result<T>>, how: How) -> Result<(), String> {
    match (how, result) {
        (How::Crash | How::CrashAlone, Err(why)) if why.is::<Crash>() => Ok(()),
        (How::Stop, Ok(Err(grap::Error::Stopped(_)))) | (How::Fail, Ok(_)) => Ok(()),
        (_, Err(_)) => Err("a check of the world failed".to_owned()),
        (how, Ok(_)) => Err(format!("{how:?} was not noticed")),
    }
}

/// What a recovery comes to that was struck here, and then goes well.
fn expected(from: &State, how: How, when: When, is: &State) -> bool {
    let recovery = from.recovery().unwrap();
    let owed = order(from).unwrap();
    let is = is.status();
    let at_the_limit = recovery.starts == STARTS_MAX && recovery.phase == Phase::Running;
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

#[test]
fn every_order_in_every_state_is_struck_and_taken_up_again() {
    let ways = ways();
    let mut orders: Vec<Order> = ways.iter().filter_map(|(state, _)| order(state)).collect();
    orders.sort_unstable_by_key(ToString::to_string);
    orders.dedup();
    assert_eq!(orders.len(), 15, "{orders:?}");
    let mut struck = 0;
    for (from, way) in &ways {
        for how in [How::Fail, How::Stop, How::Crash, How::CrashAlone] {
            for when in [When::Before, When::Inside, When::After] {
                let names: Vec<&str> = way.iter().map(What::name).collect();
                let told = format!("{:?} {how:?} {when:?} at the end of {names:?}", order(from).unwrap());
                let world = World::new();
                go(&world, way, (how, when)).unwrap_or_else(|why| panic!("{told}: {why}"));
                let state = world.go_on();
                assert!(expected(from, how, when, &state), "{told}: {state:?}");
                assert_settled(&world.things.borrow(), &state, &told);
                assert_eq!(world.reset(), State::Idle, "{told}");
                assert_settled(&world.things.borrow(), &State::Idle, &told);
                struck += 1;
            }
        }
    }
    assert!(struck > 1000, "{struck}");
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
