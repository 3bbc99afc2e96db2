//! The loop around the state machine of a recovery (`grap_core::recovery`): perform the order that is owed, note what
//! came of it, apply it; until nothing is owed.
//!
//! Invariants, and why they hold:
//! - *Nothing acts on an event that is not durable*: an order follows from the state, and the state from the journal
//!   alone; an event is appended and synced before it is applied.
//! - *A crash is a pause*: whoever opens the machine next folds the same events, and owes the same order. An error loses
//!   the machine (each method takes it by value): who goes on opens it again, and finds what is durable.
//! - *One at a time*: the machine holds the lock of the job for as long as it lives.
//! - *What fails turns back, what is stopped does not*: a signal ends the loop where it is; the next run goes on there.
//!   What cannot be cleared away stays owed, and is tried again.

mod cancel;
mod candidate;
mod gauge;
mod halves;
mod history;
mod journal;
mod perform;
mod progress;
mod promote;
mod swap;
mod switching;

use grap_core::recovery::{
    Event, Guard, Order, Phase, Plan, Recovery, RecoveryId, RecoveryKind, State, Switch, What, apply, order,
};
use grap_disk::FileLock;
use grap_task::{Clock, Stop, Unit};
use jiff::Timestamp;

use cancel::CancelRequest;
pub use candidate::{Candidate, CandidateOptions, OpenAgain, room_for};
pub use gauge::{Gauge, Reading};
pub use history::{Past, past};
pub use journal::RecoveryJournal;
pub(crate) use perform::failure;
pub use perform::{Answer, Perform, Start, WhileItRuns};
pub use progress::{Progress, publishing};
pub use promote::{Archived, Confirmation, Promote, UndoEnd, WhileLocked};
pub use swap::{Swap, Swapped};
pub use switching::{
    FindLive, LiveServer, LiveSwitch, RetiredStore, RetiredStores, retired_stores, switch_in_progress,
};
pub(crate) use switching::{
    Interrupted, NotedSwitch, against_the_server, archived_databases, bytes_of, claim_if_retired,
    end_of_retired, finish_released, given_up, in_use_by, interrupted, is_claimed, release_store,
    root_of_retired,
};

use crate::error::{Code, Error, Result, in_one_line};
use crate::ops::Session;
use crate::state::{Job, SetAside, StateDirectory, StateError};

/// Recoveries and drills are the same machine, each with a journal and a lock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Recovery,
    Drill,
}

impl Lane {
    pub fn name(self) -> &'static str {
        self.kind().name()
    }

    fn kind(self) -> RecoveryKind {
        match self {
            Self::Recovery => RecoveryKind::Recovery,
            Self::Drill => RecoveryKind::Drill,
        }
    }

    pub(crate) fn job(self) -> Job {
        match self {
            Self::Recovery => Job::Recovery,
            Self::Drill => Job::Drill,
        }
    }
}

/// The recovery of a state directory, while nobody else is at it.
#[derive(Debug)]
pub struct Machine {
    journal: RecoveryJournal,
    cancel: CancelRequest,
    _lock: FileLock,
}

/// What a cancellation came to.
#[derive(Debug)]
pub enum Cancel {
    /// Another process performs the recovery; it has been told.
    Asked,
    /// It is cancelled; what is owed now is to be performed.
    Noted(Machine),
}

impl Machine {
    /// Take the lock, and fold what is there.
    pub fn open(directory: &StateDirectory, lane: Lane, clock: &Clock) -> Result<Self> {
        let lock = directory.lock(lane.job(), clock)?;
        let journal = RecoveryJournal::open(directory, lane)?;
        Ok(Self { journal, cancel: CancelRequest::of(directory, lane), _lock: lock })
    }

    /// As [`Machine::open`]; a journal that cannot be read is set aside. Whatever candidate it knew of stays where it is.
    pub fn open_or_begin(
        directory: &StateDirectory,
        lane: Lane,
        clock: &Clock,
    ) -> Result<(Self, Option<SetAside>)> {
        let lock = directory.lock(lane.job(), clock)?;
        let (journal, aside) = RecoveryJournal::open_or_begin(directory, lane, clock.now())?;
        Ok((Self { journal, cancel: CancelRequest::of(directory, lane), _lock: lock }, aside))
    }

    pub fn state(&self) -> &State {
        self.journal.state()
    }

    /// What the next recovery will be called: its plan names the directory by it.
    pub fn next_id(&self, now: Timestamp) -> RecoveryId {
        self.journal.next_id(now)
    }

    /// From here on there is a recovery. Nothing else is done yet.
    pub fn begin(self, id: RecoveryId, plan: Plan, clock: &Clock) -> Result<Self> {
        self.wish("a new recovery", What::Begun { id, plan }, clock)
    }

    /// Turn back, from wherever it is on its way.
    pub fn cancel(self, clock: &Clock) -> Result<Self> {
        self.wish("a cancellation", What::CancelAsked, clock)
    }

    /// The candidate that has passed is to become the live database.
    pub fn ask_promotion(self, switch: Switch, clock: &Clock) -> Result<Self> {
        self.wish("a promotion", What::PromoteAsked { switch: Box::new(switch) }, clock)
    }

    /// A retired store is to become the live database.
    pub fn begin_rollback(self, id: RecoveryId, plan: Plan, switch: Switch, clock: &Clock) -> Result<Self> {
        self.wish("a rollback", What::RollbackBegun { id, plan, switch: Box::new(switch) }, clock)
    }

    /// A switch that no journal knows of is to be exchanged back.
    pub fn take_up(
        self,
        id: RecoveryId,
        plan: Plan,
        (switch, guard): (Switch, Guard),
        clock: &Clock,
    ) -> Result<Self> {
        self.wish("a way back", What::SwitchFound { id, plan, switch: Box::new(switch), guard }, clock)
    }

    /// The database that was promoted and not confirmed is to be asked again.
    pub fn ask_again(self, clock: &Clock) -> Result<Self> {
        self.wish("to be asked again", What::ConfirmAsked, clock)
    }

    /// From any end: its candidate goes, and there is no recovery any more, once what is owed is performed.
    pub fn reset(self, clock: &Clock) -> Result<Self> {
        match self.state().recovery() {
            None => Ok(self),
            Some(recovery) if recovery.phase == Phase::Resetting => Ok(self),
            Some(_) => self.wish("a reset", What::ResetAsked, clock),
        }
    }

    /// Note what somebody asks for, where the table lets it follow. A cancellation that was asked for before was not meant
    /// for it.
    fn wish(mut self, asked: &'static str, what: What, clock: &Clock) -> Result<Self> {
        let event = Event { at: clock.now(), took_ms: None, what };
        if apply(self.state().clone(), &event).is_err() {
            let recovery = self.state().recovery();
            return Err(recovery.map_or(Error::NoRecovery { asked }, |recovery| in_the_way(asked, recovery)));
        }
        let cancels = event.what == What::CancelAsked;
        if !cancels {
            self.cancel.remove()?;
        }
        self.journal.record(&event)?;
        if cancels {
            self.cancel.remove()?;
        }
        Ok(self)
    }

    /// Perform what is owed until nothing is. An error leaves the recovery where it was: the next run goes on there. A
    /// whole database that we have stopped is started before that.
    pub fn run(mut self, performer: &mut dyn Perform, session: &Session<'_>, gauge: &Gauge) -> Result<Self> {
        match self.perform_all(performer, session, gauge) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.leave(performer, session);
                Err(error)
            }
        }
    }

    /// Nobody goes on here. Whoever called for the stop is not asked: a start ends by itself.
    fn leave(&self, performer: &mut dyn Perform, session: &Session<'_>) {
        let Some((_, recovery)) = self.owed().filter(|(owed, _)| owed.is_of_switch()) else { return };
        if let Ok(promote) = performer.promote() {
            promote.leave(recovery, &Session { stop: &Stop::new(), ..*session });
        }
    }

    fn perform_all(
        &mut self,
        performer: &mut dyn Perform,
        session: &Session<'_>,
        gauge: &Gauge,
    ) -> Result<()> {
        while let Some((owed, recovery)) = self.owed() {
            gauge.set(self.state(), Some(owed), session.clock);
            let began = session.clock.since_boot();
            let what = if self.told_to_stop(recovery, session)? {
                What::CancelAsked
            } else {
                self.perform(owed, recovery, performer, session, gauge)?
            };
            let took = session.clock.since_boot().saturating_sub(began);
            self.note_after(what, u64::try_from(took.as_millis()).ok(), session.clock)?;
        }
        gauge.set(self.state(), None, session.clock);
        Ok(())
    }

    /// Whether it is to be cancelled. A signal is a pause: but for a database that is down, where the way back or the way
    /// on ends with one that serves.
    fn told_to_stop(&self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        if self.is_cancelled(recovery)? {
            return Ok(true);
        }
        if !recovery.phase.live_is_down() {
            session.stop.check()?;
        }
        let can_turn = matches!(recovery.phase, Phase::LiveStopped | Phase::ArchiveReached);
        Ok(session.stop.requested() && can_turn)
    }

    fn owed(&self) -> Option<(Order, &Recovery)> {
        order(self.state()).zip(self.state().recovery())
    }

    /// Whether another process wants it to be.
    fn is_cancelled(&self, recovery: &Recovery) -> Result<bool> {
        Ok(recovery.phase.can_be_cancelled() && self.cancel.is_for(&recovery.id)?)
    }

    /// What comes of the order, as an event; an error where nothing is to be noted.
    fn perform(
        &self,
        order: Order,
        recovery: &Recovery,
        performer: &mut dyn Perform,
        session: &Session<'_>,
        gauge: &Gauge,
    ) -> Result<What> {
        if order == Order::LookAgain {
            // Between the stop and the start nothing is to be noted in vain.
            self.journal.require_room()?;
        }
        session.monitor.begin(&announced(order, gauge, session.clock), Unit::Items, None);
        let metering = gauge.metering(session.monitor);
        let session = Session { monitor: &metering, ..*session };
        let mut act = |session: &Session<'_>| perform::perform(order, recovery, performer, session);
        let uncalled = Stop::new();
        // Of the steps between the stop and the start only the wait for the archive is long.
        let session = if recovery.phase.live_is_down() && order != Order::AwaitArchive {
            Session { stop: &uncalled, ..session }
        } else {
            session
        };
        // Nothing cancels the way back.
        let result = if recovery.phase.can_be_cancelled() {
            self.cancel.watching(&recovery.id, &session, act)
        } else {
            act(&session)
        };
        match result {
            Err(error) if error.code() == Code::Interrupted => {
                // Who was told to stop stays stopped, if nobody goes on.
                if self.is_cancelled(recovery)? || matches!(order, Order::StopLive | Order::AwaitArchive) {
                    Ok(What::CancelAsked)
                } else {
                    Err(error)
                }
            }
            Err(Error::StillOwed(error)) => Err(*error),
            Err(error) if recovery.stays_owed() => Err(error),
            Err(error) if order.can_fail() => Ok(What::Failed { order, failure: perform::failure(&error) }),
            Err(error) if order.is_record() => Ok(What::RecordMissed { failure: perform::failure(&error) }),
            result => result,
        }
    }

    fn note_after(&mut self, what: What, took_ms: Option<u64>, clock: &Clock) -> Result<()> {
        Ok(self.journal.record(&Event { at: clock.now(), took_ms, what })?)
    }
}

/// Cancel the recovery that goes on here, whoever performs it.
pub fn cancel(directory: &StateDirectory, lane: Lane, clock: &Clock) -> Result<Cancel> {
    match Machine::open(directory, lane, clock) {
        Ok(machine) => match too_late_to_cancel(machine.state()) {
            Some(error) => Err(error),
            None => machine.cancel(clock).map(Cancel::Noted),
        },
        Err(Error::State(StateError::Busy { .. })) => {
            let asked = "a cancellation";
            let journal = RecoveryJournal::open(directory, lane)?;
            if let Some(error) = too_late_to_cancel(journal.state()) {
                return Err(error);
            }
            let recovery = journal.state().recovery().ok_or(Error::NoRecovery { asked })?;
            if !recovery.phase.can_be_cancelled() {
                return Err(in_the_way(asked, recovery));
            }
            CancelRequest::of(directory, lane).put(&recovery.id)?;
            Ok(Cancel::Asked)
        }
        Err(error) => Err(error),
    }
}

/// Of a switch that is behind its last exchange, or on its way back.
fn too_late_to_cancel(state: &State) -> Option<Error> {
    let owed = order(state).filter(|owed| owed.is_of_switch())?;
    let recovery = state.recovery().filter(|recovery| !recovery.phase.can_be_cancelled())?;
    let (id, stands, words) = (recovery.id.clone(), stands(recovery), recovery.words());
    Some(Error::TooLateToCancel { id, owed, stands, words })
}

/// Which database lies in the live place, of a switch that cannot be cancelled.
pub(crate) fn stands(recovery: &Recovery) -> &'static str {
    match recovery.phase {
        Phase::Undoing | Phase::Restarting => "the old database comes back",
        _ => "the new database is in place",
    }
}

/// The recovery as it stands, and whether a process is at it. Takes nothing that anybody would have to wait for.
///
/// Where it is of interest only while a process is at it, [`runs`] comes first: it needs no journal.
pub fn look(directory: &StateDirectory, lane: Lane) -> Result<(State, bool)> {
    let runs = directory.runs(lane.job())?;
    Ok((RecoveryJournal::open(directory, lane)?.state().clone(), runs))
}

/// Whether a process is at one.
pub fn runs(directory: &StateDirectory, lane: Lane) -> Result<bool> {
    Ok(directory.runs(lane.job())?)
}

/// Why its journal cannot be read, now or later: then nobody knows whether one is under way. `None`: it can be. A disk that does
/// not answer says neither, and is an error.
pub fn unreadable(directory: &StateDirectory, lane: Lane) -> Result<Option<String>> {
    match RecoveryJournal::open(directory, lane) {
        Ok(_) => Ok(None),
        Err(error) if error.is_unreadable() => Ok(Some(in_one_line(&error))),
        Err(error) => Err(error.into()),
    }
}

/// `restore (1 % done)`
fn announced(order: Order, gauge: &Gauge, clock: &Clock) -> String {
    let Some(reading) = gauge.read(clock) else { return order.to_string() };
    let left = reading.remaining.filter(|left| !left.is_zero());
    let left = left.map_or_else(String::new, |left| format!(", about {} s left", left.as_secs().max(1)));
    format!("{order} ({} % done{left})", reading.percent)
}

pub(crate) fn switch_owed(asked: &'static str, recovery: &Recovery, owed: Order) -> Error {
    let kind = if recovery.is_rollback() { "a rollback" } else { "a promotion" };
    let (id, why, verb) = (recovery.id.clone(), format!("which is a step of {kind}"), recovery.words());
    Error::SwitchOwed { asked, id, owed, why, verb }
}

pub(crate) fn in_the_way(asked: &'static str, recovery: &Recovery) -> Error {
    Error::RecoveryInTheWay { asked, id: recovery.id.clone(), status: recovery.status() }
}
