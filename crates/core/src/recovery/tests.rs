use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use grap_neo4j::{Checksum, TxId};
use proptest::prelude::*;

use super::atlas::{self, Edge};
use super::*;

/// Performing what is owed, and asking for a reset where nothing is, comes to the beginning within so many events.
const WAY_MAX: usize = 40;

/// Walked once.
static EDGES: LazyLock<Vec<Edge>> = LazyLock::new(atlas::edges);

fn states(edges: &[Edge]) -> HashSet<State> {
    edges.iter().flat_map(|edge| [edge.from.clone(), edge.to.clone()]).collect()
}

fn phase(state: &State) -> Option<Phase> {
    state.recovery().map(|recovery| recovery.phase)
}

/// Do what is owed until nothing is.
fn perform(mut state: State) -> State {
    for _ in 0..WAY_MAX {
        let Some(done) = atlas::done(&state) else { return state };
        state = apply(state, &done).unwrap();
    }
    panic!("the orders do not end: {state:?}");
}

#[test]
fn what_goes_well_takes_every_order_once_and_ends_validated() {
    let mut state = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
    let mut orders = Vec::new();
    let mut percents = Vec::new();
    let mut statuses = vec![state.status()];
    while let Some(owed) = order(&state) {
        orders.push(owed);
        percents.push(percent(&state).unwrap());
        state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        statuses.push(state.status());
    }
    statuses.dedup();
    assert_eq!(orders, FORWARD);
    assert_eq!(statuses, [Status::Recovering, Status::Validation, Status::Success]);
    assert_eq!(FORWARD.map(|order| u32::from(share(order))).iter().sum::<u32>(), 100);
    assert!(percents.is_sorted() && percents[0] == 0, "{percents:?}");
    assert_eq!(percent(&state), Some(100));
    let recovery = state.recovery().unwrap();
    assert_eq!(recovery.steps.iter().map(|step| step.order).collect::<Vec<_>>(), FORWARD);
    assert_eq!((recovery.cause.clone(), recovery.instance.clone()), (None, None));
}

#[test]
fn every_reachable_state_has_a_way_to_the_beginning() {
    let edges = &*EDGES;
    let states = states(edges);
    let phases: HashSet<Option<Phase>> = states.iter().map(phase).collect();
    assert_eq!(phases.len(), 31, "{phases:?}");
    assert!(states.len() > 150, "{}", states.len());
    for state in states {
        let end = perform(state);
        assert!(phase(&end).is_none_or(Phase::is_end), "{end:?}");
        if end != State::Idle {
            let reset = apply(end, &atlas::event(What::ResetAsked)).unwrap();
            assert_eq!(perform(reset), State::Idle);
        }
    }
}

/// `None` is known of a state whose ways are being looked at.
fn longest<'a>(
    state: &'a State,
    next: &HashMap<&'a State, Vec<&'a State>>,
    known: &mut HashMap<&'a State, Option<usize>>,
) -> usize {
    match known.get(state) {
        Some(Some(length)) => return *length,
        Some(None) => panic!("a circle through {state:?}"),
        None => {}
    }
    known.insert(state, None);
    let ways = next.get(state).into_iter().flatten();
    let length = ways.map(|to| 1 + longest(to, next, known)).max().unwrap_or(0);
    known.insert(state, Some(length));
    length
}

#[test]
fn whatever_comes_the_transitions_without_a_new_beginning_end() {
    // The longest way from each state, over every transition there is.
    let edges = &*EDGES;
    let mut next: HashMap<&State, Vec<&State>> = HashMap::new();
    let is_new = |edge: &&Edge| edge.from != State::Idle && atlas::is_wish(&edge.event);
    for edge in edges.iter().filter(|edge| edge.to != State::Idle && !is_new(edge)) {
        next.entry(&edge.from).or_default().push(&edge.to);
    }
    let mut known = HashMap::new();
    let lengths = edges.iter().map(|edge| longest(&edge.from, &next, &mut known));
    let length = lengths.max().unwrap_or(0);
    assert!((20..=WAY_MAX).contains(&length), "{length}");
}

#[test]
fn what_can_follow_depends_on_what_is_owed() {
    let edges = &*EDGES;
    for state in states(edges) {
        let follows = |what: What| apply(state.clone(), &atlas::event(what)).is_ok();
        let is_forward = phase(&state).is_some_and(Phase::is_forward);
        let can_be_cancelled = phase(&state).is_some_and(Phase::can_be_cancelled);
        assert_eq!(follows(What::CancelAsked), can_be_cancelled, "{state:?}");
        assert_eq!(follows(atlas::begun()), state == State::Idle);
        let is_end = phase(&state).is_some_and(Phase::is_end);
        let can_be_reset = phase(&state).is_some_and(Phase::can_be_reset);
        assert_eq!(follows(What::ResetAsked), can_be_reset, "{state:?}");
        assert_eq!(order(&state).is_none(), is_end || state == State::Idle);
        for each in FORWARD.into_iter().chain(SWITCH).chain(BACK) {
            let failed = follows(What::Failed { order: each, failure: atlas::failure() });
            let stays = state.recovery().is_some_and(Recovery::stays_owed);
            let can_fail = order(&state) == Some(each) && each.can_fail() && !stays;
            assert_eq!(failed, can_fail, "{each} in {state:?}");
        }
        let is_good = matches!(phase(&state), Some(Phase::Validated | Phase::Promoted));
        assert_eq!(percent(&state).is_some(), is_forward || is_good);
    }
}

/// Where an instance was started, or was about to be, the way back ends it; what was reserved is kept for a reason or
/// goes.
#[test]
fn the_way_back_leaves_nothing_behind() {
    let mut deaths = 0;
    for edge in EDGES.iter().cloned() {
        let turns_back =
            phase(&edge.from).is_some_and(Phase::is_forward) && edge.to.status() == Status::Failed;
        if !turns_back {
            continue;
        }
        let from = phase(&edge.from).unwrap();
        let mut state = edge.to;
        let mut orders = Vec::new();
        while let Some(owed) = order(&state) {
            orders.push(owed);
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        let recovery = state.recovery().unwrap();
        assert_eq!(recovery.phase, Phase::Failed);
        assert!(recovery.cause.is_some());
        assert_eq!(recovery.instance, None);
        let may_run = matches!(from, Phase::Reread | Phase::Running);
        assert_eq!(orders.contains(&Order::EndInstance), may_run, "{from:?}");
        let judged = recovery.judgements.iter().any(Judgement::failed);
        let died =
            matches!(&recovery.cause, Some(Cause::Failed { failure, .. }) if *failure == atlas::death());
        assert_eq!(orders.contains(&Order::WriteRecord), judged || died, "{from:?}");
        deaths += usize::from(died);
        let whole = !matches!(from, Phase::Begun | Phase::Reserved);
        let kept = whole && recovery.cause != Some(Cause::Cancelled);
        assert_eq!(recovery.fate == Fate::Kept, kept);
        assert_eq!(orders.contains(&Order::RemoveCandidate), !kept, "{from:?}");
        if let Some(place) = orders.iter().position(|order| *order == Order::RemoveCandidate) {
            assert_eq!(place, orders.len() - 1, "an instance is ended before its files go");
        }
    }
    assert!(deaths > 0);
}

/// As [`perform`], with what was performed.
fn performed(mut state: State) -> (State, Vec<Order>) {
    let mut orders = Vec::new();
    while let Some(owed) = order(&state) {
        orders.push(owed);
        state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
    }
    (state, orders)
}

fn asked(state: State) -> State {
    let switch = Box::new(atlas::switch(false));
    apply(state, &atlas::event(What::PromoteAsked { switch })).unwrap()
}

#[test]
fn a_promotion_takes_every_order_once_and_a_rollback_the_same() {
    let (promoted, orders) = performed(asked(atlas::validated()));
    assert_eq!(orders, SWITCH);
    assert_eq!((promoted.status(), promoted.phase_name()), (Status::Promoted, "promoted"));
    assert_eq!(promoted.recovery().unwrap().steps.len(), FORWARD.len() + SWITCH.len());
    for from in [State::Idle, promoted] {
        let begun = apply(from, &atlas::event(atlas::rollback_begun(false))).unwrap();
        let (back, orders) = performed(begun);
        assert_eq!((orders.as_slice(), back.status()), (SWITCH.as_slice(), Status::Promoted));
        // What a rollback took its side from is no candidate: a reset removes nothing.
        assert_eq!(apply(back, &atlas::event(What::ResetAsked)), Ok(State::Idle));
    }
}

/// Nothing of the live database is exchanged while a step before fails, and behind the way back it is what it was: the
/// orders that exchange come behind the stop, under the lock, behind the guard.
#[test]
fn between_the_first_exchange_and_the_last_there_is_a_guard_and_a_way_back() {
    for state in states(&EDGES) {
        let Some(recovery) = state.recovery() else { continue };
        let touched = matches!(
            recovery.phase,
            Phase::Guarded | Phase::LogTaken | Phase::StoresSwapped | Phase::LogPut | Phase::LiveStarted
        );
        if touched {
            assert!(recovery.guard.is_some() && recovery.stops > 0, "{state:?}");
        }
        if !recovery.phase.is_switching() {
            continue;
        }
        let cancelled = apply(state.clone(), &atlas::event(What::CancelAsked)).unwrap();
        let (end, orders) = performed(cancelled);
        let may_be_stopped = !matches!(recovery.phase, Phase::Asked | Phase::LookedAgain | Phase::Staged)
            || recovery.stops > 0;
        let wanted: &[Order] = if may_be_stopped { &[Order::Undo, Order::StartOld] } else { &[] };
        assert_eq!(orders, wanted, "{state:?}");
        let end = end.recovery().unwrap();
        if recovery.is_rollback() {
            assert_eq!((end.phase, &end.cause), (Phase::Failed, &Some(Cause::Cancelled)));
        } else {
            assert_eq!((end.phase, &end.called_off), (Phase::Validated, &Some(Cause::Cancelled)));
            assert_eq!(end.cause, None);
        }
    }
}

#[test]
fn a_lost_lock_leads_back_to_before_the_stop_and_not_for_ever() {
    let mut state = asked(atlas::validated());
    for stop in 1..=STOPS_MAX {
        while order(&state) != Some(Order::TakeLog) {
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        assert_eq!(state.recovery().unwrap().stops, stop);
        let lost = atlas::event(What::LockLost { failure: atlas::failure() });
        state = apply(state, &lost).unwrap();
        let expected = if stop < STOPS_MAX { Order::StopLive } else { Order::Undo };
        assert_eq!(order(&state), Some(expected));
    }
    let (state, _) = performed(state);
    assert_eq!(state.status(), Status::Success);
    assert!(state.recovery().unwrap().called_off.is_some());
    // Behind the first exchange the barrier holds, and the lock is taken again.
    let taken = atlas::event(What::LogTaken);
    let mut state = asked(atlas::validated());
    while order(&state) != Some(Order::TakeLog) {
        state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
    }
    state = apply(state, &taken).unwrap();
    assert!(apply(state, &atlas::event(What::LockLost { failure: atlas::failure() })).is_err());
}

#[test]
fn what_does_not_confirm_goes_back_unless_it_was_written_to_or_the_old_one_was_given_up() {
    let until = |lost: bool| {
        let switch = Box::new(atlas::switch(lost));
        let mut state = apply(atlas::validated(), &atlas::event(What::PromoteAsked { switch })).unwrap();
        while order(&state) != Some(Order::Confirm) {
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        let failed = What::Failed { order: Order::Confirm, failure: atlas::failure() };
        apply(state, &atlas::event(failed)).unwrap()
    };
    let (back, orders) = performed(until(false));
    assert_eq!(orders, [Order::Undo, Order::StartOld]);
    assert_eq!(back.status(), Status::Failed);
    let written = apply(until(false), &atlas::event(What::Written)).unwrap();
    let (written, orders) = performed(written);
    assert_eq!(orders, [Order::StartLive, Order::Retire, Order::RecordPromotion]);
    let (lost, orders) = performed(until(true));
    assert_eq!(orders, [Order::Retire, Order::RecordPromotion]);
    for state in [written, lost] {
        assert_eq!(state.status(), Status::Promoted);
        assert!(state.recovery().unwrap().unconfirmed.is_some());
        let again = apply(state, &atlas::event(What::ConfirmAsked)).unwrap();
        let (confirmed, orders) = performed(again);
        assert_eq!(orders, [Order::Confirm]);
        assert_eq!(confirmed.recovery().unwrap().unconfirmed, None);
    }
}

/// In good order each of them is owed where the live database is down, or about to be.
#[test]
fn nobody_is_served_while_the_live_database_is_down() {
    for state in states(&EDGES) {
        let Some((owed, recovery)) = order(&state).zip(state.recovery()) else { continue };
        if !SWITCH.contains(&owed) {
            assert!(!owed.nobody_is_served());
            continue;
        }
        let begins = recovery.phase == Phase::Drained;
        assert_eq!(owed.nobody_is_served(), recovery.phase.live_is_down() || begins, "{owed}");
    }
}

/// It is exchanged back and started, and then it has failed: nobody knows what its candidate was.
#[test]
fn a_switch_that_no_journal_knows_goes_back_and_is_never_promoted() {
    for of_rollback in [false, true] {
        let found = apply(State::Idle, &atlas::event(atlas::switch_found(false, of_rollback))).unwrap();
        let undone = apply(found.clone(), &atlas::event(What::Undone)).unwrap();
        let wish = What::PromoteAsked { switch: Box::new(atlas::switch(true)) };
        assert!(apply(undone, &atlas::event(wish)).is_err());
        let (end, orders) = performed(found);
        assert_eq!(orders, [Order::Undo, Order::StartOld]);
        assert_eq!(end.recovery().unwrap().cause, Some(Cause::Cancelled));
        assert_eq!((phase(&end), end.status()), (Some(Phase::Failed), Status::Failed));
    }
    let promoted = asked(atlas::validated());
    assert!(apply(promoted, &atlas::event(atlas::switch_found(false, false))).is_err());
}

/// What ran stays to be started, whatever is asked for meanwhile.
#[test]
fn an_old_database_that_does_not_come_up_has_two_ways_out_and_is_not_forgotten() {
    let mut state = asked(atlas::validated());
    while order(&state) != Some(Order::StartLive) {
        state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
    }
    let failed = What::Failed { order: Order::StartLive, failure: atlas::failure() };
    state = apply(state, &atlas::event(failed)).unwrap();
    state = apply(state, &atlas::event(What::Undone)).unwrap();
    assert_eq!((order(&state), state.status()), (Some(Order::StartOld), Status::Failed));
    let reset = apply(state.clone(), &atlas::event(What::ResetAsked)).unwrap();
    assert_eq!(perform(reset), State::Idle);
    let wish = |lost| What::PromoteAsked { switch: Box::new(atlas::switch(lost)) };
    assert!(apply(state.clone(), &atlas::event(wish(false))).is_err());
    let again = apply(state, &atlas::event(wish(true))).unwrap();
    let recovery = again.recovery().unwrap();
    assert_eq!((recovery.phase, recovery.ran, &recovery.cause), (Phase::Asked, true, &None));
    // It is down: called off, it is to be started, though nothing was stopped since.
    let off = apply(again, &atlas::event(What::CancelAsked)).unwrap();
    let (off, orders) = performed(off);
    assert_eq!(
        (orders.as_slice(), off.status()),
        ([Order::Undo, Order::StartOld].as_slice(), Status::Success)
    );
}

#[test]
fn what_was_started_by_us_ran_and_one_that_is_given_up_is_started_before_anything_follows() {
    let until_put = |lost| {
        let switch = Box::new(atlas::switch(lost));
        let mut state = apply(atlas::validated(), &atlas::event(What::PromoteAsked { switch })).unwrap();
        while order(&state) != Some(Order::StartLive) {
            let what = match atlas::done(&state).unwrap().what {
                What::LookedAgain { .. } => What::LookedAgain { ran: false },
                What::Drained { .. } => What::Drained { ran: false },
                What::LiveStopped { .. } => What::LiveStopped { ran: false },
                what => what,
            };
            state = apply(state.clone(), &atlas::event(what)).unwrap();
        }
        assert!(!state.recovery().unwrap().ran);
        state
    };
    let started = apply(until_put(false), &atlas::event(What::LiveStarted)).unwrap();
    assert!(started.recovery().unwrap().ran);
    let failed = What::Failed { order: Order::StartLive, failure: atlas::failure() };
    assert!(apply(until_put(false), &atlas::event(failed.clone())).is_ok());
    assert!(apply(until_put(true), &atlas::event(failed)).is_err());
}

/// The look saw no server, and somebody has started one since.
#[test]
fn a_server_that_is_drained_is_started_again_when_it_is_called_off() {
    let mut state = asked(atlas::validated());
    for what in [What::LookedAgain { ran: false }, What::Staged] {
        state = apply(state, &atlas::event(what)).unwrap();
    }
    for ran in [false, true] {
        let drained = apply(state.clone(), &atlas::event(What::Drained { ran })).unwrap();
        let off = apply(drained, &atlas::event(What::CancelAsked)).unwrap();
        assert_eq!(off.recovery().unwrap().ran, ran);
    }
}

/// Whether it is what it should be may never be answered.
#[test]
fn what_is_asked_again_can_be_rolled_back() {
    let mut state = asked(atlas::validated());
    while order(&state) != Some(Order::Confirm) {
        state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
    }
    state = apply(state, &atlas::event(What::Unconfirmed { failure: atlas::failure() })).unwrap();
    state = perform(state);
    state = apply(state, &atlas::event(What::ConfirmAsked)).unwrap();
    assert_eq!(phase(&state), Some(Phase::AskedAgain));
    let back = apply(state, &atlas::event(atlas::rollback_begun(false))).unwrap();
    assert_eq!((phase(&back), order(&back)), (Some(Phase::Asked), Some(Order::LookAgain)));
}

#[test]
fn what_has_passed_is_known_by_its_print() {
    let print = Some(CandidatePrint { databases: Vec::new() });
    let mut state = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
    while order(&state).is_some() {
        let mut done = atlas::done(&state).unwrap();
        if let What::Judged { judgement, print: noted } = &mut done.what
            && judgement.tier == Tier::Store
        {
            noted.clone_from(&print);
        }
        state = apply(state, &done).unwrap();
    }
    assert_eq!((phase(&state), &state.recovery().unwrap().print), (Some(Phase::Validated), &print));
}

#[test]
fn success_means_that_every_tier_has_answered() {
    for state in states(&EDGES) {
        let has_passed = matches!(state.status(), Status::Success | Status::Promoted);
        let Some(recovery) = state.recovery().filter(|_| has_passed) else { continue };
        // What comes back was live once, and nobody judged it. How a switch was judged that was found, and that clients have
        // written to, is not known any more: it stays.
        let was_found = recovery.steps.iter().all(|step| step.order != Order::Reserve);
        if recovery.is_rollback() || was_found {
            continue;
        }
        let tiers: Vec<Tier> = recovery.judgements.iter().map(|judgement| judgement.tier).collect();
        assert_eq!(tiers, Tier::RUNNING.into_iter().chain(Tier::STOPPED).collect::<Vec<_>>());
        for judgement in &recovery.judgements {
            match judgement.verdict {
                TierVerdict::Passed { .. } => {}
                TierVerdict::Skipped { .. } => assert!(judgement.tier.may_be_skipped()),
                TierVerdict::Failed { .. } => panic!("{judgement:?}"),
            }
        }
    }
}

#[test]
fn an_instance_that_is_lost_is_started_again_and_asked_everything_but_not_for_ever() {
    let mut state = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
    for start in 1..=STARTS_MAX {
        while order(&state) != Some(Order::Judge(Tier::Schema)) {
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        let recovery = state.recovery().unwrap();
        assert_eq!((recovery.starts, recovery.judgements.len()), (start, 1));
        state = apply(state, &atlas::event(What::InstanceLost { failure: atlas::failure() })).unwrap();
        let expected = if start < STARTS_MAX { Order::StartInstance } else { Order::EndInstance };
        assert_eq!(order(&state), Some(expected));
    }
    let cause = Cause::Failed { order: Order::StartInstance, failure: atlas::failure() };
    assert_eq!(state.recovery().unwrap().cause, Some(cause));
}

#[test]
fn the_format_of_the_events_is_kept() {
    let json = |what: What| serde_json::to_string(&atlas::event(what)).unwrap();
    let begun = concat!(
        r#"{"at":"1970-01-01T00:00:00Z","event":"begun","id":"recovery-20261126-020000","plan":{"target":"latest","#,
        r#""source":"neo4j","backup":"neo4j-20261125-020000","timeline":1,"ends":[{"database":"neo4j","tx_id":140}],"#,
        r#""candidate":"/data/.grap/candidate/recovery-20261126-020000","bytes":1048576,"limits":{"start_s":3600,"#,
        r#""connectivity_s":5,"schema_s":10,"orphans_s":30,"counts_s":60,"custom_s":60,"stop_s":600,"store_s":3600}}}"#
    );
    assert_eq!(json(atlas::begun()), begun);
    let failed = What::Failed { order: Order::Judge(Tier::Schema), failure: atlas::failure() };
    assert_eq!(
        json(failed),
        r#"{"at":"1970-01-01T00:00:00Z","event":"failed","order":{"judge":"schema"},"failure":{"code":"FILE_FAILED","message":"failed"}}"#
    );
    let guarded = concat!(
        r#"{"at":"1970-01-01T00:00:00Z","event":"guarded","guard":{"live_store":{"inode":1},"live_log":{"inode":2},"#,
        r#""side_store":{"inode":3},"side_log":{"inode":4},"barrier":{"inode":5},"end":{"log_version":0,"offset":4711,"#,
        r#""tx_id":140,"checksum":3735903981,"commit_ms":0}}}"#
    );
    assert_eq!(json(What::Guarded { guard: atlas::guard() }), guarded);
    // As an older program has written it, and as this one does.
    let judgement = concat!(
        r#"{"at":"1970-01-01T00:00:00Z","event":"judged","judgement":{"tier":"store","#,
        r#""verdict":{"kind":"passed","message":"passed"}}"#
    );
    let old: Event = serde_json::from_str(&format!("{judgement}}}")).unwrap();
    let What::Judged { judgement: of_old, print: None } = old.what else { panic!("{old:?}") };
    let database = DatabasePrint {
        database: "neo4j".to_owned(),
        store_inode: 1,
        log_inode: 2,
        files: 3,
        bytes: 4,
        digest: "5e".to_owned(),
        end: TxId(140),
        end_checksum: Checksum(6),
    };
    let print = Some(CandidatePrint { databases: vec![database] });
    assert_eq!(
        json(What::Judged { judgement: of_old, print }),
        judgement.to_owned()
            + r#","print":{"databases":[{"database":"neo4j","store_inode":1,"log_inode":2,"files":3,"bytes":4,"digest":"5e","end":140,"end_checksum":6}]}}"#
    );
    for event in atlas::events() {
        let event = Event { took_ms: Some(17), ..event };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
    }
}

static REACHABLE: LazyLock<HashSet<State>> = LazyLock::new(|| states(&EDGES));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 5000 }))]

    /// Any events in any order: what is illegal is refused and the fold goes on without it; what came through is a list
    /// that folds again, to the same state, prefix by prefix.
    #[test]
    fn whatever_is_thrown_at_it_only_what_is_legal_changes_it(
        choices in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8), 0..160)
    ) {
        let events = atlas::events();
        let mut state = State::Idle;
        let mut journal = Vec::new();
        let mut between = vec![state.clone()];
        for (index, choice) in choices {
            // Mostly what is owed, so that it gets anywhere.
            let event = match (choice, atlas::done(&state)) {
                (0 | 1, Some(done)) => done,
                (0 | 1, None) if index.index(2) == 0 => atlas::event(atlas::rollback_begun(false)),
                (0 | 1, None) => {
                    let switch = Box::new(atlas::switch(index.index(3) == 0));
                    atlas::event(What::PromoteAsked { switch })
                }
                _ => events[index.index(events.len())].clone(),
            };
            if !atlas::is_walked(&state, &event) {
                continue;
            }
            match apply(state.clone(), &event) {
                Ok(next) => {
                    journal.push(event);
                    state = next;
                    between.push(state.clone());
                }
                Err(illegal) => {
                    prop_assert_eq!(illegal.phase, state.phase_name());
                    prop_assert_eq!(illegal.event, event.what.name());
                }
            }
            prop_assert!(REACHABLE.contains(&state));
        }
        let mut folded = State::Idle;
        for (event, expected) in journal.iter().zip(&between[1..]) {
            let text = serde_json::to_string(event).unwrap();
            folded = apply(folded, &serde_json::from_str(&text).unwrap()).unwrap();
            prop_assert_eq!(&folded, expected);
        }
        prop_assert!(order(&perform(folded)).is_none());
    }
}

/// A lost database is not waited for; but a server that an old `system` would let start does not stay down.
#[test]
fn a_system_that_keeps_the_server_down_leads_back_even_to_what_was_lost() {
    for with_system in [false, true] {
        let lost = atlas::switch(true);
        let system = with_system.then(|| lost.user.clone());
        let switch = Box::new(Switch { system, ..lost });
        let mut state = apply(atlas::validated(), &atlas::event(What::PromoteAsked { switch })).unwrap();
        while order(&state) != Some(Order::StartLive) {
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        assert_eq!(state.recovery().unwrap().stays_owed(), !with_system);
        let failed = What::Failed { order: Order::StartLive, failure: atlas::failure() };
        let next = apply(state, &atlas::event(failed));
        assert_eq!(next.ok().and_then(|state| order(&state)), with_system.then_some(Order::Undo));
    }
}
