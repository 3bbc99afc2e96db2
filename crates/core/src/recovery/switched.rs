//! The part of the table that is about the live database: from a validated candidate, or a retired store, to the database
//! that is live, or back.
//!
//! - Before the first exchange everything that fails calls it off: the live server is seen to serve again, the candidate
//!   is what it was. So does somebody who wants an end to it, until the last exchange.
//! - What is exchanged is exchanged back by the same order, however many of the three exchanges were done: it looks.
//! - From the last exchange on only what the new database shows leads back, and only where nobody has written to it, and
//!   the old one was not given up. Else it stays, and is called unconfirmed. A server that does not come up leads back to an
//!   old `system` all the same.
//! - The lock of the live server goes with the process that holds it. Where nothing is exchanged yet its loss leads back
//!   to before the stop, for whoever started the server meanwhile may have written. From then on the barrier keeps servers
//!   from the database.

use jiff::Timestamp;

use super::event::{Failure, Plan, What};
use super::id::RecoveryId;
use super::order::{FORWARD, Order};
use super::phase::Phase;
use super::state::{Cause, Recovery};
use super::switch::{Guard, Switch};

/// So often the live server is stopped for one promotion.
pub const STOPS_MAX: u32 = 3;

impl Recovery {
    pub(super) fn begin_rollback(id: &RecoveryId, plan: &Plan, switch: &Switch, at: Timestamp) -> Self {
        let mut recovery = Self::begin(id, plan, at);
        recovery.phase = recovery.asked(switch);
        recovery
    }

    /// In place of one whose old database did not come up again.
    pub(super) fn begin_rollback_instead(
        &self,
        id: &RecoveryId,
        plan: &Plan,
        switch: &Switch,
        at: Timestamp,
    ) -> Self {
        Self { ran: self.ran, stops: 1, ..Self::begin_rollback(id, plan, switch, at) }
    }

    /// A switch whose journal is lost is exchanged back. What its candidate was nobody knows any more: it has failed.
    pub(super) fn found(id: &RecoveryId, plan: &Plan, switch: &Switch, guard: &Guard, at: Timestamp) -> Self {
        Self {
            phase: Phase::Undoing,
            guard: Some(guard.clone()),
            ran: true,
            stops: 1,
            cause: Some(Cause::Cancelled),
            ..Self::begin_rollback(id, plan, switch, at)
        }
    }

    /// Where this leads, if it can follow.
    pub(super) fn switched(&mut self, what: &What, owed: Option<Order>) -> Option<Phase> {
        Some(match (self.phase, what) {
            // Towards another live database.
            (Phase::Validated, What::PromoteAsked { switch }) => self.asked(switch),
            (Phase::Asked, What::LookedAgain { ran }) => {
                self.ran |= ran;
                Phase::LookedAgain
            }
            (Phase::LookedAgain, What::Staged) => Phase::Staged,
            (Phase::Staged, What::Drained { ran }) => {
                self.ran |= ran;
                Phase::Drained
            }
            (Phase::Drained, What::LiveStopped { ran }) => self.live_stopped(*ran),
            (Phase::LiveStopped, What::ArchiveReached) => Phase::ArchiveReached,
            (Phase::LiveStopped, What::ArchiveMissed { failure }) if self.is_lost() => {
                self.archive_missed = Some(failure.clone());
                Phase::ArchiveReached
            }
            (Phase::ArchiveReached, What::Guarded { guard }) => {
                self.guard = Some(guard.clone());
                Phase::Guarded
            }
            (Phase::LiveStopped | Phase::ArchiveReached | Phase::Guarded, What::LockLost { failure }) => {
                self.lock_lost(failure)
            }
            (Phase::Guarded, What::LogTaken) => Phase::LogTaken,
            (Phase::LogTaken, What::StoresSwapped) => Phase::StoresSwapped,
            (Phase::StoresSwapped, What::LogPut) => Phase::LogPut,
            (Phase::LogPut, What::LiveStarted) => self.live_started(),
            (Phase::LiveStarted, What::Confirmed) => Phase::Confirmed,
            (Phase::LiveStarted, What::Unconfirmed { failure }) => {
                self.leave_unconfirmed(Order::Confirm, failure, Phase::Confirmed)
            }
            (Phase::Confirmed, What::Retired) => Phase::Retired,
            (Phase::Retired, What::PromotionRecorded) => Phase::Promoted,
            (Phase::Retired, What::RecordMissed { failure }) => {
                self.unrecorded = Some(failure.clone());
                Phase::Promoted
            }

            // It is asked again.
            (Phase::Promoted, What::ConfirmAsked) if self.unconfirmed.is_some() => {
                self.steps.retain(|step| step.order != Order::Confirm);
                Phase::AskedAgain
            }
            (Phase::AskedAgain, What::Confirmed) => {
                self.unconfirmed = None;
                Phase::Promoted
            }
            (
                Phase::AskedAgain,
                What::Unconfirmed { failure } | What::Failed { order: Order::Confirm, failure },
            ) => self.leave_unconfirmed(Order::Confirm, failure, Phase::Promoted),

            // The ways off it.
            (phase, What::CancelAsked) if phase.is_switching() => self.call_off(Cause::Cancelled),
            (phase, What::Failed { order, failure })
                if phase.is_switching() && owed == Some(*order) && order.can_fail() =>
            {
                self.call_off(Cause::Failed { order: *order, failure: failure.clone() })
            }
            (Phase::LogPut | Phase::LiveStarted, What::Failed { order, failure })
                if owed == Some(*order) && !self.stays_owed() =>
            {
                self.withdraw(*order, failure)
            }

            // Back.
            (Phase::Undoing, What::Undone) => Phase::Restarting,
            (Phase::Undoing, What::Written) if self.guard.is_some() => {
                self.unconfirmed = self.cause.take().or_else(|| self.called_off.take());
                Phase::LogPut
            }
            (Phase::Restarting, What::OldStarted) => {
                if self.cause.is_some() {
                    Phase::Failed
                } else {
                    Phase::Validated
                }
            }
            // The old one does not come up again: who gives it up need not wait for it.
            (Phase::Restarting, What::PromoteAsked { switch })
                if switch.live_is_lost && !self.is_rollback() && self.has_passed() =>
            {
                self.asked(switch)
            }
            _ => return None,
        })
    }

    /// What an earlier promotion of this candidate came to is of no interest any more.
    fn asked(&mut self, switch: &Switch) -> Phase {
        self.steps.retain(|step| FORWARD.contains(&step.order));
        self.switch = Some(Box::new(switch.clone()));
        self.guard = None;
        // An old database that did not come up again is one that we have stopped.
        let is_down = self.phase == Phase::Restarting;
        self.ran &= is_down;
        self.stops = u32::from(is_down);
        (self.cause, self.called_off, self.archive_missed) = (None, None, None);
        Phase::Asked
    }

    /// Nothing leads back from the last exchange, and a server that was not started is no reason to go on: the start stays
    /// owed. Where `system` went with it, what keeps the server down may be that: the old one leads back, whatever was lost.
    pub fn stays_owed(&self) -> bool {
        let nothing_leads_back = self.is_lost() && !self.has_system();
        self.phase == Phase::LogPut && (nothing_leads_back || self.unconfirmed.is_some())
    }

    /// Whatever ran before: it is we who have started it.
    fn live_started(&mut self) -> Phase {
        self.ran = true;
        if self.unconfirmed.is_some() { Phase::Confirmed } else { Phase::LiveStarted }
    }

    /// That of a switch that was found is not known.
    fn has_passed(&self) -> bool {
        !self.judgements.is_empty()
    }

    pub(super) fn has_system(&self) -> bool {
        self.switch.as_ref().is_some_and(|switch| switch.system.is_some())
    }

    fn is_lost(&self) -> bool {
        self.switch.as_ref().is_some_and(|switch| switch.live_is_lost)
    }

    fn live_stopped(&mut self, ran: bool) -> Phase {
        self.ran |= ran;
        self.stops += 1;
        Phase::LiveStopped
    }

    fn lock_lost(&mut self, failure: &Failure) -> Phase {
        if self.stops >= STOPS_MAX {
            return self.call_off(Cause::Failed { order: Order::StopLive, failure: failure.clone() });
        }
        self.guard = None;
        self.archive_missed = None;
        self.steps.retain(|step| !matches!(step.order, Order::StopLive | Order::AwaitArchive | Order::Guard));
        Phase::Drained
    }

    /// A candidate can be promoted again; a rollback that came to nothing has failed. The server may have been stopped from
    /// the moment that was owed, whether it was seen to or not; and a barrier may lie there since an earlier stop.
    fn call_off(&mut self, cause: Cause) -> Phase {
        let untouched =
            matches!(self.phase, Phase::Asked | Phase::LookedAgain | Phase::Staged) && self.stops == 0;
        if self.is_rollback() {
            self.cause = Some(cause);
        } else {
            self.called_off = Some(cause);
        }
        match (untouched, self.is_rollback()) {
            (true, true) => Phase::Failed,
            (true, false) => Phase::Validated,
            (false, _) => Phase::Undoing,
        }
    }

    /// The new database is in place, and is not what it should be.
    fn withdraw(&mut self, order: Order, failure: &Failure) -> Phase {
        let may_be_the_system = order == Order::StartLive && self.has_system();
        if self.is_lost() && !may_be_the_system {
            return self.leave_unconfirmed(order, failure, Phase::Confirmed);
        }
        self.cause = Some(Cause::Failed { order, failure: failure.clone() });
        Phase::Undoing
    }

    /// The first reason stays.
    fn leave_unconfirmed(&mut self, order: Order, failure: &Failure, next: Phase) -> Phase {
        let cause = Cause::Failed { order, failure: failure.clone() };
        if self.phase == Phase::AskedAgain {
            self.unconfirmed = Some(cause);
        } else {
            self.unconfirmed.get_or_insert(cause);
        }
        next
    }
}
