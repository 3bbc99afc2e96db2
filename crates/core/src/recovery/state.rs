//! Where a recovery stands, and the table of what leads where.

use std::fmt;

use jiff::Timestamp;

use super::event::{CandidatePrint, Event, Failure, Instance, Plan, What};
use super::id::RecoveryId;
use super::order::{Order, owed};
use super::phase::{Phase, Status};
use super::switch::{Guard, Switch};
use super::tier::{Judgement, Tier, TierVerdict};

/// So often a test instance is started on one candidate. Each start but the first followed on one that went with the
/// process that had started it.
pub const STARTS_MAX: u32 = 3;

/// The code of a server that ended of itself when it had the candidate: that is noted beside the backup, whatever was owed
/// when it was seen.
pub const INSTANCE_DIED: &str = "INSTANCE_DIED";

/// What the events so far come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum State {
    #[default]
    Idle,
    Active(Box<Recovery>),
}

/// One recovery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recovery {
    pub id: RecoveryId,
    pub begun: Timestamp,
    pub plan: Plan,
    pub phase: Phase,
    /// The test instance, while it is known to run.
    pub instance: Option<Instance>,
    pub starts: u32,
    /// The release of the server that has opened the candidate last.
    pub opened_by: Option<String>,
    /// The tiers that have answered, about the instance of the last start.
    pub judgements: Vec<Judgement>,
    /// The orders that are done, and how long they took.
    pub steps: Vec<Step>,
    /// What the candidate was when the last tier had passed it.
    pub print: Option<CandidatePrint>,
    /// Why the record of the validation is not beside the backup.
    pub unrecorded: Option<Failure>,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// What becomes of the candidate, should it fail.
    pub fate: Fate,
    /// What is to be done to the live database, or was.
    pub switch: Option<Box<Switch>>,
    /// What was seen right before its first exchange.
    pub guard: Option<Guard>,
    /// The live server ran: should it be called off, it is to run again.
    pub ran: bool,
    /// So often it was stopped, each time but the first because its lock had been lost.
    pub stops: u32,
    /// Why the last promotion was called off. The candidate is what it was.
    pub called_off: Option<Cause>,
    /// It was swapped in, and whether it serves as it should is not known, or it does not; it was not put back.
    pub unconfirmed: Option<Cause>,
    /// What the archive has not of the retired database.
    pub archive_missed: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    pub order: Order,
    pub took_ms: Option<u64>,
}

/// Why a recovery failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Cause {
    Failed { order: Order, failure: Failure },
    Cancelled,
}

/// What becomes of the candidate of a recovery that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    Kept,
    HalfMade,
    Unwanted,
}

/// An event that cannot follow on this state: the journal is not the one of these events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot follow in the phase `{phase}` of a recovery")]
pub struct Illegal {
    pub phase: &'static str,
    pub event: &'static str,
}

/// The whole table. What is not here cannot happen.
pub fn apply(state: State, event: &Event) -> Result<State, Illegal> {
    let illegal = Illegal { phase: state.phase_name(), event: event.what.name() };
    let mut recovery = match (state, &event.what) {
        (State::Idle, What::Begun { id, plan }) => {
            return Ok(State::Active(Box::new(Recovery::begin(id, plan, event.at))));
        }
        (State::Idle, What::SwitchFound { id, plan, switch, guard }) => {
            return Ok(State::Active(Box::new(Recovery::found(id, plan, switch, guard, event.at))));
        }
        (State::Active(recovery), _) => recovery,
        (State::Idle, What::RollbackBegun { id, plan, switch }) => {
            return Ok(State::Active(Box::new(Recovery::begin_rollback(id, plan, switch, event.at))));
        }
        (State::Idle, _) => return Err(illegal),
    };
    let order = owed(&recovery);
    let owes = |wanted: Order| order == Some(wanted);
    recovery.phase = match (recovery.phase, &event.what) {
        // Towards a validated candidate.
        (Phase::Begun, What::Reserved) => Phase::Reserved,
        (Phase::Reserved, What::Restored) => Phase::Restored,
        (Phase::Restored, What::Reread) => Phase::Reread,
        (Phase::Reread, What::Started { instance }) => recovery.started(instance),
        (Phase::Reread, What::Judged { judgement, .. })
            if judgement.tier == Tier::Connectivity && judgement.failed() =>
        {
            recovery.judged(judgement)
        }
        (Phase::Running | Phase::Stopped, What::Judged { judgement, print })
            if owes(Order::Judge(judgement.tier)) && judgement.is_answer() =>
        {
            recovery.print.clone_from(print);
            recovery.judged(judgement)
        }
        (Phase::Running, What::InstanceLost { failure }) => recovery.lost(failure),
        (Phase::Running, What::Stopped) if owes(Order::StopInstance) => recovery.stopped(),
        (Phase::Stopped, What::Recorded) if owes(Order::WriteRecord) => Phase::Recorded,
        (Phase::Stopped, What::RecordMissed { failure }) if owes(Order::WriteRecord) => {
            recovery.missed(failure, Phase::Recorded)
        }
        (Phase::Recorded, What::ScratchRemoved) => Phase::Validated,

        // The ways off it.
        (phase, What::Failed { order, failure })
            if phase.is_forward() && owes(*order) && order.can_fail() =>
        {
            recovery.fail(Cause::Failed { order: *order, failure: failure.clone() })
        }
        (phase, What::CancelAsked) if phase.is_forward() => recovery.fail(Cause::Cancelled),

        // Back, until nothing is left but what is kept.
        (Phase::Ending, What::InstanceEnded) => recovery.ended(),
        (Phase::Noting, What::Recorded) => recovery.noted(),
        (Phase::Noting, What::RecordMissed { failure }) => {
            let next = recovery.noted();
            recovery.missed(failure, next)
        }
        (Phase::Dropping, What::CandidateRemoved) => Phase::Failed,

        // From any end to the beginning. A rollback has no candidate.
        (phase, What::ResetAsked) if phase.can_be_reset() && recovery.is_rollback() => {
            return Ok(State::Idle);
        }
        (phase, What::ResetAsked) if phase.can_be_reset() => Phase::Resetting,
        (Phase::Resetting, What::CandidateRemoved) => return Ok(State::Idle),
        (Phase::Promoted | Phase::AskedAgain, What::RollbackBegun { id, plan, switch }) => {
            return Ok(State::Active(Box::new(Recovery::begin_rollback(id, plan, switch, event.at))));
        }
        (Phase::Restarting, What::RollbackBegun { id, plan, switch })
            if switch.live_is_lost && recovery.is_rollback() =>
        {
            let instead = recovery.begin_rollback_instead(id, plan, switch, event.at);
            return Ok(State::Active(Box::new(instead)));
        }

        (_, what) => match recovery.switched(what, order) {
            Some(phase) => phase,
            None => return Err(illegal),
        },
    };
    if event.what.is_done()
        && let Some(order) = order
    {
        recovery.steps.push(Step { order, took_ms: event.took_ms });
    }
    Ok(State::Active(recovery))
}

impl Recovery {
    pub(super) fn begin(id: &RecoveryId, plan: &Plan, at: Timestamp) -> Self {
        Self {
            id: id.clone(),
            begun: at,
            plan: plan.clone(),
            phase: Phase::Begun,
            instance: None,
            starts: 0,
            opened_by: None,
            judgements: Vec::new(),
            steps: Vec::new(),
            print: None,
            unrecorded: None,
            cause: None,
            fate: Fate::Kept,
            switch: None,
            guard: None,
            ran: false,
            stops: 0,
            called_off: None,
            unconfirmed: None,
            archive_missed: None,
        }
    }

    pub fn status(&self) -> Status {
        self.phase.status(self.cause.is_some())
    }

    /// It puts a retired store back.
    pub fn is_rollback(&self) -> bool {
        self.plan.undoes.is_some()
    }

    /// How its switch is gone on with: `grap recover <words>`.
    pub fn words(&self) -> &'static str {
        let is_lost = self.switch.as_ref().is_some_and(|switch| switch.live_is_lost);
        match (self.is_rollback(), self.has_system(), is_lost) {
            (true, _, false) => "rollback",
            (true, _, true) => "rollback --live-is-lost",
            (false, false, false) => "promote",
            (false, false, true) => "promote --live-is-lost",
            (false, true, false) => "promote --with-system",
            (false, true, true) => "promote --with-system --live-is-lost",
        }
    }

    fn started(&mut self, instance: &Instance) -> Phase {
        self.opened_by.clone_from(&instance.release);
        self.instance = Some(instance.clone());
        self.starts += 1;
        Phase::Running
    }

    /// The first of these tiers that has not answered.
    pub(super) fn unjudged(&self, tiers: &[Tier]) -> Option<Tier> {
        let judged = |tier: &Tier| self.judgements.iter().any(|judgement| judgement.tier == *tier);
        tiers.iter().find(|tier| !judged(tier)).copied()
    }

    /// The first tier that fails is the last that is asked.
    fn judged(&mut self, judgement: &Judgement) -> Phase {
        self.judgements.push(judgement.clone());
        match &judgement.verdict {
            TierVerdict::Passed { .. } | TierVerdict::Skipped { .. } => self.phase,
            TierVerdict::Failed { code, message } => {
                let failure = Failure { code: code.clone(), message: message.clone() };
                self.fail(Cause::Failed { order: Order::Judge(judgement.tier), failure })
            }
        }
    }

    /// Start another one, and ask it everything: unless that did not help before.
    fn lost(&mut self, failure: &Failure) -> Phase {
        if self.starts >= STARTS_MAX {
            return self.fail(Cause::Failed { order: Order::StartInstance, failure: failure.clone() });
        }
        self.instance = None;
        self.judgements.clear();
        self.steps.retain(|step| matches!(step.order, Order::Reserve | Order::Restore | Order::Reread));
        Phase::Reread
    }

    fn stopped(&mut self) -> Phase {
        self.instance = None;
        Phase::Stopped
    }

    fn missed(&mut self, failure: &Failure, next: Phase) -> Phase {
        self.unrecorded = Some(failure.clone());
        next
    }

    /// Turn back. An instance may run where one was started, or was about to be; whether the order was seen to end says
    /// nothing about that.
    fn fail(&mut self, cause: Cause) -> Phase {
        let may_run = matches!(self.phase, Phase::Reread | Phase::Running);
        self.fate = match (&cause, self.phase) {
            (Cause::Cancelled, _) => Fate::Unwanted,
            (_, Phase::Begun | Phase::Reserved) => Fate::HalfMade,
            _ => Fate::Kept,
        };
        self.cause = Some(cause);
        if may_run { Phase::Ending } else { self.ended() }
    }

    fn ended(&mut self) -> Phase {
        self.instance = None;
        let died = self.cause.as_ref().is_some_and(|cause| cause.death().is_some());
        let judged = self.judgements.iter().any(Judgement::failed);
        if judged || died { Phase::Noting } else { self.noted() }
    }

    fn noted(&self) -> Phase {
        if self.fate == Fate::Kept { Phase::Failed } else { Phase::Dropping }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { order, failure } => write!(f, "{order}: {} ({})", failure.message, failure.code),
            Self::Cancelled => f.write_str("it was cancelled"),
        }
    }
}

impl Cause {
    /// The failure, where it is that the server died.
    pub fn death(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure).filter(|failure| failure.code == INSTANCE_DIED),
            Self::Cancelled => None,
        }
    }
}

impl State {
    pub fn recovery(&self) -> Option<&Recovery> {
        match self {
            Self::Idle => None,
            Self::Active(recovery) => Some(recovery),
        }
    }

    pub fn status(&self) -> Status {
        self.recovery().map_or(Status::NotRecovering, Recovery::status)
    }

    /// As `phase` of an [`Illegal`] and in the diagram.
    pub fn phase_name(&self) -> &'static str {
        self.recovery().map_or("idle", |recovery| recovery.phase.name())
    }
}

impl Fate {
    /// Why it is kept, or why it goes.
    pub fn why(self) -> &'static str {
        match self {
            Self::Kept => "it is whole, and kept so that somebody can look at it; a reset removes it",
            Self::HalfMade => "it was not whole, and of no use: it is removed",
            Self::Unwanted => "the recovery was cancelled: it is removed",
        }
    }
}
