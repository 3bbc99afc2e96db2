//! The orders of a switch, one by one.

use grap_core::recovery::{Guard, Part, Phase, Recovery};
use grap_task::{Finding, Unit};

use super::locked::require_nobody;
use super::{
    LiveSwitch, end_of_side, guard_of, is_seen_written, is_written, lock_is_lost, look, made_of,
    may_have_served, owed_still, progress, retired, stage, switch_of,
};
use crate::error::{Code, Error, Result, in_one_line};
use crate::notes;
use crate::ops::Session;
use crate::recovery::promote::{Archived, Confirmation, Promote, UndoEnd, WhileLocked};
use crate::recovery::swap::Swapped;
use crate::recovery::{candidate, perform};
use crate::server::control::StoresLock;

impl Promote for LiveSwitch<'_> {
    fn look_again(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        self.look(recovery, session)
    }

    fn stage(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.require_look(recovery, session)?;
        let (switch, _) = switch_of(recovery)?;
        let data = self.installation(switch)?.data;
        stage::stage(switch, &data, session)
    }

    /// The clients once more behind the archive: that may have taken its time.
    fn drain(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        self.require_look(recovery, session)?;
        let (switch, _) = switch_of(recovery)?;
        let installation = self.installation(switch)?;
        if StoresLock::holder(&installation.data)?.is_none() {
            return Ok(false);
        }
        let drained = match self.drained(switch, session) {
            Err(error) if look::is_passed_over(recovery, switch, &error) => {
                let told = format!(
                    "whether clients are in the middle of something is not known: {}",
                    in_one_line(&error)
                );
                session.monitor.finding(&Finding::warning(told));
                false
            }
            drained => drained.map(|()| true)?,
        };
        self.followed(recovery, switch, session)?;
        if drained {
            self.drained(switch, session)?;
        }
        Ok(true)
    }

    fn stop_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        if self.stopped.is_none() {
            self.require_look(recovery, session)?;
        }
        let (switch, _) = switch_of(recovery)?;
        self.require_lock(switch, session)?;
        self.require_readable(switch, session)?;
        Ok(self.was_running())
    }

    fn await_archive(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Archived>> {
        if !self.has_lock()? {
            return Ok(WhileLocked::Lost(lock_is_lost()));
        }
        let (switch, _) = switch_of(recovery)?;
        if let Some(failure) = &switch.archive_unknown {
            return Ok(WhileLocked::Done(Archived::Missed(failure.clone())));
        }
        match self.archived(recovery, switch, session) {
            Ok(()) => Ok(WhileLocked::Done(Archived::Reached)),
            Err(error) if switch.live_is_lost && error.code() != Code::Interrupted => {
                Ok(WhileLocked::Done(Archived::Missed(perform::failure(&error))))
            }
            Err(error) => Err(error),
        }
    }

    fn guard(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Guard>> {
        if !self.has_lock()? {
            return Ok(WhileLocked::Lost(lock_is_lost()));
        }
        let (switch, swap) = switch_of(recovery)?;
        self.claim(switch)?;
        require_nobody(switch)?;
        look::both_are_what_they_were(recovery, switch, &self.installation(switch)?)?;
        let end = |part: &Part| end_of_side(recovery, part, &part.side.log);
        let of_system = switch.system.as_ref().map(end).transpose()?;
        let guard = swap.guard(recovery, end(&switch.user)?, of_system)?;
        progress::note(recovery, switch, &guard, session.clock.now())?;
        Ok(WhileLocked::Done(guard))
    }

    fn take_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<()>> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        owed_still(self.claim(switch))?;
        match owed_still(swap.look(guard))? {
            Swapped::Nothing if !owed_still(self.has_lock())? => {
                return Ok(WhileLocked::Lost(lock_is_lost()));
            }
            Swapped::Nothing => require_nobody(switch)?,
            // No server has opened anything since: the barrier of `system` lies there.
            Swapped::SystemTaken => owed_still(self.require_lock(switch, session))?,
            Swapped::LogTaken | Swapped::StoresSwapped | Swapped::LogPut => {}
        }
        swap.take_log(guard).map(WhileLocked::Done)
    }

    fn swap_stores(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        owed_still(self.claim(switch))?;
        if owed_still(swap.look(guard))? < Swapped::StoresSwapped {
            owed_still(self.require_lock(switch, session))?;
        }
        swap.swap_stores(guard)
    }

    fn put_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        owed_still(self.claim(switch))?;
        if owed_still(swap.look(guard))? < Swapped::LogPut {
            owed_still(self.require_lock(switch, session))?;
        }
        swap.put_log(guard)
    }

    fn start_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, swap) = switch_of(recovery)?;
        let started = self.start(switch, session);
        match started {
            // Back to where no server serves nothing leads: it stays owed.
            Err(error) if !matches!(error, Error::StillOwed(_)) && !swap.old_are_whole()? => {
                Err(Error::StillOwed(Box::new(error)))
            }
            started => started,
        }
    }

    /// The time to answer in begins when it is seen to serve.
    fn confirm(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Confirmation> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        owed_still(self.claim(switch))?;
        if !owed_still(swap.is_put(guard))? {
            // By whom, nobody knows: it is another database that would be asked.
            if recovery.phase != Phase::AskedAgain {
                owed_still(swap.look(guard))?;
            }
            let why = format!("the new database does not lie at {} any more", switch.user.live.store);
            return Err(Error::NotConfirmed { why });
        }
        if self.served != Some(true) {
            self.start(switch, session)?;
        }
        self.confirmed(recovery, switch, guard, session)
    }

    fn retire(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        self.claim(switch)?;
        for [here, there] in swap.retire(guard)? {
            let told = format!(
                "the old store lies neither at {} nor at {}: somebody has taken it away, and no rollback puts it back",
                here.display(),
                there.display()
            );
            session.monitor.finding(&Finding::warning(told));
        }
        retired::mark(&recovery.id, &recovery.plan, switch, session.clock.now())?;
        progress::forget(switch)?;
        if recovery.is_rollback() {
            return retired::forget(switch);
        }
        // What is left of the candidate is of no use any more: a copy of `system`, unless that went with it.
        Self::remove_staged(recovery)?;
        candidate::remove_rest(recovery)
    }

    fn record_promotion(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        session.monitor.begin("opening the repository", Unit::Items, None);
        let repository = self.repository(recovery)?;
        let (switch, _) = switch_of(recovery)?;
        let (source, backup) = (&recovery.plan.source, made_of(&recovery.plan, switch));
        let promotion = notes::Promotion::of(recovery);
        notes::put_promotion(&repository, source, backup, &session.author(), &promotion).map(drop)
    }

    fn undo(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<UndoEnd> {
        let (switch, swap) = switch_of(recovery)?;
        let Some(guard) = &recovery.guard else {
            progress::forget(switch)?;
            swap.remove_barrier()?;
            return Ok(UndoEnd::Undone);
        };
        self.claim(switch)?;
        let seen = swap.look_back(guard)?;
        let served = seen != Swapped::LogPut || may_have_served(recovery, &self.installation(switch)?)?;
        // Nobody need be kept from a database that stays.
        if seen == Swapped::LogPut && self.stopped.is_none() && is_seen_written(guard, switch, served) {
            return Ok(UndoEnd::Written);
        }
        if seen > Swapped::Nothing {
            self.require_lock(switch, session)?;
        }
        // What was seen before the lock was ours may not be so any more.
        let done = swap.look_back(guard)?;
        if done == Swapped::LogPut && is_written(guard, switch, served) {
            return Ok(UndoEnd::Written);
        }
        if done == Swapped::LogPut && !served && is_written(guard, switch, true) {
            let told = "behind the end of the restored `system` something was written, by the server that did not come up with it: it is put aside with the candidate";
            session.monitor.finding(&Finding::warning(told));
        }
        swap.undo_exchanges(guard)?;
        progress::forget(switch)?;
        swap.remove_barrier()?;
        Ok(UndoEnd::Undone)
    }

    fn start_old(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, _) = switch_of(recovery)?;
        // Whatever the look saw: what we have stopped, or tried to, is started again.
        if !recovery.ran && !self.was_running() && !self.stop_failed {
            self.stopped = None;
            return Ok(());
        }
        self.start(switch, session)
    }

    fn leave(&mut self, recovery: &Recovery, session: &Session<'_>) {
        self.leave_behind(recovery, session);
    }
}
