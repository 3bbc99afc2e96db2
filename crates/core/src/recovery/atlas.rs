//! Every state that a recovery can be in, found by walking over the table: for the tests that try each of them, and for
//! the diagram in the documentation.
//!
//! The events differ in all that the table looks at. What it does not look at (times, texts, sizes) is always the same, so
//! that the walk ends.

use std::collections::{HashSet, VecDeque};

use grap_neo4j::{Checksum, CommitTime, LogPosition, LogVersion, TransactionEnd, TxId};
use jiff::Timestamp;

use super::event::{End, Event, Failure, Instance, Limits, Plan, What};
use super::order::{BACK, FORWARD, Order, SWITCH, order};
use super::state::{INSTANCE_DIED, State, apply};
use super::switch::{Guard, Halves, Identity, Part, Switch, SwitchLimits};
use super::tier::{Judgement, Tier, TierVerdict};

/// One transition that can happen.
#[derive(Debug, Clone)]
pub struct Edge {
    pub from: State,
    pub event: Event,
    pub to: State,
}

/// There are far fewer. More are a table without an end.
const STATES_MAX: usize = 10_000;

/// Every transition from every state that can be reached.
pub fn edges() -> Vec<Edge> {
    let events = events();
    let mut seen = HashSet::from([State::Idle]);
    let mut open = VecDeque::from([State::Idle]);
    let mut edges = Vec::new();
    while let Some(from) = open.pop_front() {
        for event in &events {
            if !is_walked(&from, event) {
                continue;
            }
            let Ok(to) = apply(from.clone(), event) else { continue };
            if seen.insert(to.clone()) {
                open.push_back(to.clone());
            }
            assert!(seen.len() < STATES_MAX, "the table does not end: {to:?}");
            edges.push(Edge { from: from.clone(), event: event.clone(), to });
        }
    }
    edges
}

/// A promotion does not look at how its candidate was validated: it is walked from one that was asked everything, once,
/// and recorded.
pub fn is_walked(from: &State, event: &Event) -> bool {
    let What::PromoteAsked { .. } = event.what else { return true };
    from.recovery().is_none_or(|recovery| {
        recovery.starts == 1
            && recovery.unrecorded.is_none()
            && recovery.judgements.iter().all(|judgement| judgement.verdict == passed())
    })
}

/// Somebody begins something behind an end.
pub fn is_wish(event: &Event) -> bool {
    matches!(
        event.what,
        What::Begun { .. }
            | What::ResetAsked
            | What::PromoteAsked { .. }
            | What::RollbackBegun { .. }
            | What::SwitchFound { .. }
            | What::ConfirmAsked
    )
}

/// One event of each kind that the table tells from others.
pub fn events() -> Vec<Event> {
    let verdicts = [passed(), failed(), TierVerdict::Skipped { why: "why".to_owned() }];
    let tiers = Tier::RUNNING.into_iter().chain(Tier::STOPPED);
    let judgements = tiers.flat_map(|tier| verdicts.clone().map(|verdict| judged(tier, verdict)));
    let orders = FORWARD.into_iter().chain(SWITCH).chain(BACK);
    let failures = orders.map(|order| What::Failed { order, failure: failure() });
    let died = What::Failed { order: Order::StopInstance, failure: death() };
    let others = [
        begun(),
        What::Reserved,
        What::Restored,
        What::Reread,
        What::Started { instance: instance() },
        What::InstanceLost { failure: failure() },
        What::Stopped,
        What::Recorded,
        What::RecordMissed { failure: failure() },
        What::ScratchRemoved,
        What::CancelAsked,
        What::InstanceEnded,
        What::CandidateRemoved,
        What::ResetAsked,
    ];
    let all = others.into_iter().chain(switching()).chain(judgements).chain(failures).chain([died]);
    all.map(event).collect()
}

fn switching() -> Vec<What> {
    let mut all = Vec::new();
    for lost in [false, true] {
        all.push(What::PromoteAsked { switch: Box::new(switch(lost)) });
        all.push(rollback_begun(lost));
        all.extend([switch_found(lost, false), switch_found(lost, true)]);
    }
    all.extend([
        What::LookedAgain { ran: true },
        What::LookedAgain { ran: false },
        What::LiveStopped { ran: true },
        What::LiveStopped { ran: false },
        What::Staged,
        What::Drained { ran: true },
        What::Drained { ran: false },
        What::LockLost { failure: failure() },
        What::ArchiveReached,
        What::ArchiveMissed { failure: failure() },
        What::Guarded { guard: guard() },
        What::LogTaken,
        What::StoresSwapped,
        What::LogPut,
        What::LiveStarted,
        What::Confirmed,
        What::Unconfirmed { failure: failure() },
        What::Retired,
        What::PromotionRecorded,
        What::Undone,
        What::Written,
        What::OldStarted,
        What::ConfirmAsked,
    ]);
    all
}

/// What comes of the owed order when it goes well.
pub fn done(state: &State) -> Option<Event> {
    let what = match order(state)? {
        Order::Reserve => What::Reserved,
        Order::Restore => What::Restored,
        Order::Reread => What::Reread,
        Order::StartInstance => What::Started { instance: instance() },
        Order::Judge(tier) => judged(tier, passed()),
        Order::StopInstance => What::Stopped,
        Order::WriteRecord => What::Recorded,
        Order::RemoveScratch => What::ScratchRemoved,
        Order::EndInstance => What::InstanceEnded,
        Order::RemoveCandidate => What::CandidateRemoved,
        Order::LookAgain => What::LookedAgain { ran: true },
        Order::Stage => What::Staged,
        Order::Drain => What::Drained { ran: true },
        Order::StopLive => What::LiveStopped { ran: true },
        Order::AwaitArchive => What::ArchiveReached,
        Order::Guard => What::Guarded { guard: guard() },
        Order::TakeLog => What::LogTaken,
        Order::SwapStores => What::StoresSwapped,
        Order::PutLog => What::LogPut,
        Order::StartLive => What::LiveStarted,
        Order::Confirm => What::Confirmed,
        Order::Retire => What::Retired,
        Order::RecordPromotion => What::PromotionRecorded,
        Order::Undo => What::Undone,
        Order::StartOld => What::OldStarted,
    };
    Some(event(what))
}

pub fn event(what: What) -> Event {
    Event { at: Timestamp::UNIX_EPOCH, took_ms: None, what }
}

pub fn begun() -> What {
    let id = "recovery-20261126-020000".parse().expect("it is an id");
    What::Begun { id, plan: plan("/data/.grap/candidate/recovery-20261126-020000") }
}

/// Of a candidate in this directory.
pub fn plan(candidate: &str) -> Plan {
    Plan {
        target: "latest".to_owned(),
        repository: None,
        source: "neo4j".parse().expect("it is a name"),
        backup: "neo4j-20261125-020000".parse().expect("it is an id"),
        timeline: Some(1),
        ends: vec![End { database: "neo4j".to_owned(), tx_id: TxId(140), short: None }],
        candidate: candidate.to_owned(),
        bytes: 1 << 20,
        limits: Limits::default(),
        undoes: None,
    }
}

/// Of a candidate, or a retired store, in the live data directory.
pub fn switch(live_is_lost: bool) -> Switch {
    let halves = |of: &str| Halves {
        store: format!("/data/{of}databases/neo4j"),
        log: format!("/data/{of}transactions/neo4j"),
    };
    let side = halves(".grap/candidate/recovery-20261126-020000/data/");
    let user = Part {
        database: "neo4j".to_owned(),
        live: halves(""),
        found: side.clone(),
        side,
        retired: halves(".grap/retired/recovery-20261126-020000/"),
    };
    Switch {
        user,
        archived: vec!["neo4j".to_owned()],
        archive_unknown: None,
        live_is_lost,
        made_of: None,
        limits: SwitchLimits::default(),
        system: None,
    }
}

pub fn rollback_begun(live_is_lost: bool) -> What {
    let undoes = "recovery-20261126-020000".parse().expect("it is an id");
    let plan = Plan { undoes: Some(undoes), ..plan("/data/.grap/retired/recovery-20261126-020000") };
    let id = "recovery-20261126-030000".parse().expect("it is an id");
    What::RollbackBegun { id, plan, switch: Box::new(switch(live_is_lost)) }
}

/// Of a promotion, or of a rollback.
pub fn switch_found(live_is_lost: bool, of_rollback: bool) -> What {
    let (id, plan, switch) = match (rollback_begun(live_is_lost), begun()) {
        (What::RollbackBegun { id, plan, switch }, _) if of_rollback => (id, plan, switch),
        (_, What::Begun { id, plan }) => (id, plan, Box::new(switch(live_is_lost))),
        _ => unreachable!("both begin something"),
    };
    What::SwitchFound { id, plan, switch, guard: guard() }
}

pub fn guard() -> Guard {
    let identity = |inode| Identity { inode, born: None };
    let end = TransactionEnd {
        position: LogPosition { version: LogVersion(0), offset: 4711 },
        id: TxId(140),
        checksum: Checksum(0xDEAD_5EED),
        commit_time: CommitTime(0),
    };
    Guard {
        live_store: Some(identity(1)),
        live_log: Some(identity(2)),
        side_store: identity(3),
        side_log: identity(4),
        barrier: identity(5),
        end,
        system: None,
    }
}

/// A candidate that has passed everything.
pub fn validated() -> State {
    let mut state = apply(State::Idle, &event(begun())).expect("a recovery can begin");
    while let Some(done) = done(&state) {
        state = apply(state, &done).expect("what is owed can be done");
    }
    state
}

pub fn instance() -> Instance {
    Instance {
        pid: 4711,
        start_ticks: 123_456,
        ports: vec![40_001],
        nonce: "0f1e2d".to_owned(),
        release: None,
    }
}

fn judged(tier: Tier, verdict: TierVerdict) -> What {
    let judgement = Judgement { tier, verdict, findings: Vec::new(), measured: None };
    What::Judged { judgement, print: None }
}

pub fn passed() -> TierVerdict {
    TierVerdict::Passed { message: "passed".to_owned() }
}

pub fn failed() -> TierVerdict {
    TierVerdict::Failed { code: "RESTORE_HEALTH_FAILED".to_owned(), message: "failed".to_owned() }
}

/// Of a server that ended of itself.
pub fn death() -> Failure {
    Failure { code: INSTANCE_DIED.to_owned(), message: "died".to_owned() }
}

pub fn failure() -> Failure {
    Failure { code: "FILE_FAILED".to_owned(), message: "failed".to_owned() }
}
