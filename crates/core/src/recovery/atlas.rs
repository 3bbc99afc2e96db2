//! Every state that a recovery can be in, found by walking over the table: for the tests that try each of them, and for
//! the diagram in the documentation.
//!
//! The events differ in all that the table looks at. What it does not look at (times, texts, sizes) is always the same, so
//! that the walk ends.

use std::collections::{HashSet, VecDeque};

use grap_neo4j::TxId;
use jiff::Timestamp;

use super::event::{End, Event, Failure, Instance, Limits, Plan, What};
use super::order::{FORWARD, Order, order};
use super::state::{INSTANCE_DIED, State, apply};
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

/// One event of each kind that the table tells from others.
pub fn events() -> Vec<Event> {
    let verdicts = [passed(), failed(), TierVerdict::Skipped { why: "why".to_owned() }];
    let tiers = Tier::RUNNING.into_iter().chain(Tier::STOPPED);
    let judgements = tiers.flat_map(|tier| verdicts.clone().map(|verdict| judged(tier, verdict)));
    let orders = FORWARD.into_iter().chain([Order::EndInstance, Order::RemoveCandidate]);
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
    others.into_iter().chain(judgements).chain(failures).chain([died]).map(event).collect()
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
        ends: vec![End { database: "neo4j".to_owned(), tx_id: TxId(140) }],
        candidate: candidate.to_owned(),
        bytes: 1 << 20,
        limits: Limits::default(),
    }
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
