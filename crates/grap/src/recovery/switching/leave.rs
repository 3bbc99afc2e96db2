//! When nobody goes on: an error leaves nothing down that is whole, and nothing half exchanged where it could be finished.
//!
//! What could not be done may be to note it (a state directory without room): the exchanges are made all the same, for every
//! order looks at the disk first, so the journal catches up later. Where that cannot be, it is said that the database is
//! refused, and by what.

use grap_core::recovery::{Guard, Phase, Recovery, Switch};
use grap_task::Finding;

use super::{LiveSwitch, locked, switch_of};
use crate::error::{Result, in_one_line};
use crate::ops::Session;
use crate::recovery::swap::{Swap, Swapped};
use crate::server::control::StoresLock;

impl LiveSwitch<'_> {
    pub(super) fn leave_behind(&mut self, recovery: &Recovery, session: &Session<'_>) {
        if let Err(error) = self.serve_what_is_whole(recovery, session) {
            let told = format!("the live server was not started: {}", in_one_line(&error));
            session.monitor.finding(&Finding::warning(told));
        }
    }

    /// Where the database is whole, or can be made so, and down because of us. Else the lock goes.
    fn serve_what_is_whole(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, swap) = switch_of(recovery)?;
        if let Some(guard) = &recovery.guard
            && !swap.is_put(guard)?
            && is_in_the_middle(swap.look_back(guard)?)
            && let Err(why) = self.finish(recovery, switch, &swap, guard)
        {
            let refused = match &switch.system {
                None => format!(
                    "a server refuses database `{}`, for a barrier lies at {}",
                    switch.user.database, switch.user.live.log
                ),
                Some(system) => format!("no server starts, for a barrier lies at {}", system.live.log),
            };
            let told = format!(
                "{refused} ({why}): `grap recover {}` goes on, `grap recover cancel` takes it back",
                recovery.words()
            );
            session.monitor.finding(&Finding::warning(told));
            return Ok(());
        }
        // What is served must not come apart by a loss of power.
        swap.settle()?;
        let is_down = match &self.stopped {
            Some(stopped) => recovery.ran || stopped.was_running(),
            // It may end yet.
            None if self.stop_failed => true,
            None if self.served.is_some() || !recovery.ran || !recovery.phase.live_may_be_down() => false,
            None => StoresLock::holder(&self.installation(switch)?.data)?.is_none(),
        };
        if is_down {
            self.start(switch, session)?;
        }
        Ok(())
    }

    /// Forwards, or back, as the journal had it at last; or why not.
    fn finish(
        &mut self,
        recovery: &Recovery,
        switch: &Switch,
        swap: &Swap,
        guard: &Guard,
    ) -> std::result::Result<(), String> {
        match self.has_lock() {
            Ok(true) => {}
            Ok(false) => return Err("the lock of its stores is not ours".to_owned()),
            Err(error) => return Err(in_one_line(&error)),
        }
        let finished = locked::require_nobody(switch).and_then(|()| {
            if recovery.phase == Phase::Undoing {
                return swap.undo_exchanges(guard);
            }
            swap.take_log(guard)?;
            swap.swap_stores(guard)?;
            swap.put_log(guard)
        });
        finished.map_err(|error| in_one_line(&error))
    }
}

fn is_in_the_middle(done: Swapped) -> bool {
    matches!(done, Swapped::SystemTaken | Swapped::LogTaken | Swapped::StoresSwapped)
}
