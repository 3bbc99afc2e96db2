//! What performs the orders of a promotion, or of a rollback, in the real world: the live server, its directories, the
//! repository.
//!
//! Invariants, and why they hold:
//! - *Nothing of the live database changes but under the lock of its stores*: what exchanges asks for it right before
//!   ([`LiveSwitch::require_lock`]), and it is held until the server is told to start.
//! - *A whole database is never stopped to be finished*: which exchanges are done is looked at first ([`Swap::look`]); only
//!   where one is missing the lock is taken from a server that somebody has started.
//! - *Nothing of the old database is removed*: it is renamed to its place under `.grap/retired/`, with a mark beside it.
//! - *Nobody's writes are taken back*: an undo decides under the lock, by the end of the log.

mod archive;
mod confirm;
mod look;
mod retired;
mod stage;

use std::path::Path;
use std::time::Duration;

use grap_bolt::client::Options;
use grap_core::recovery::{Cause, Failure, Guard, Order, Recovery, Switch};
use grap_task::{Finding, Unit};

use super::promote::{Archived, Confirmation, Promote, UndoEnd, WhileLocked};
use super::swap::{Swap, Swapped, identity};
use super::{OpenAgain, perform};
use crate::ask::Asker;
use crate::check::last_transaction;
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, InstallationOptions};
use crate::notes;
use crate::ops::Session;
use crate::server::control::{LogEnd, ServerControl, StoppedServer, StoresLock};

pub(crate) use archive::archived_databases;
pub use retired::{RetiredStore, retired_stores};
pub(crate) use retired::{bytes_of, root_of_retired};

/// Between two questions while something is waited for.
const PAUSE: Duration = Duration::from_millis(250);

/// The live server, and how it is stopped, started and asked.
#[derive(Debug, Clone)]
pub struct LiveServer {
    pub installation: InstallationOptions,
    pub control: ServerControl,
    pub connection: Options,
}

/// Says where the live server is, when that is needed.
pub type FindLive<'a> = dyn Fn() -> Result<LiveServer> + 'a;

/// Performs the orders of one switch, in one process.
pub struct LiveSwitch<'a> {
    find: &'a FindLive<'a>,
    /// None: the repository is not to be had.
    open: Option<&'a OpenAgain<'a>>,
    live: Option<LiveServer>,
    /// While its lock is ours.
    stopped: Option<StoppedServer>,
}

impl<'a> LiveSwitch<'a> {
    pub fn new(find: &'a FindLive<'a>, open: Option<&'a OpenAgain<'a>>) -> Self {
        Self { find, open, live: None, stopped: None }
    }

    /// What was copied beside the live database goes with the candidate; never what was live.
    pub(super) fn remove_staged(recovery: &Recovery) -> Result<()> {
        let Some(switch) = recovery.switch.as_deref() else { return Ok(()) };
        if let Some(guard) = &recovery.guard {
            for (half, old) in [(&switch.side.store, guard.live_store), (&switch.side.log, guard.live_log)] {
                if old.is_some() && identity(Path::new(half))? == old {
                    let what = format!("what was live lies at {half}");
                    return Err(Error::SwapUnknown { what });
                }
            }
        }
        stage::remove(switch)
    }

    fn live(&mut self) -> Result<LiveServer> {
        if let Some(live) = &self.live {
            return Ok(live.clone());
        }
        Ok(self.live.insert((self.find)()?).clone())
    }

    /// Of it no database has to be there.
    fn installation(&mut self, switch: &Switch) -> Result<Installation> {
        let installation = Installation::locate(&self.live()?.installation, &switch.database)?;
        let places = [
            (installation.store(&switch.database), &switch.live.store),
            (installation.log(&switch.database), &switch.live.log),
        ];
        for (found, planned) in places {
            if found != Path::new(planned) {
                let why =
                    format!("it began with the database at {planned}, and now it is {}", found.display());
                return Err(Error::PromotionRefused { why });
            }
        }
        Ok(installation)
    }

    /// Stopped, and its lock ours, when this returns; whoever has started a server meanwhile.
    fn require_lock(&mut self, switch: &Switch, session: &Session<'_>) -> Result<()> {
        if self.stopped.is_none() {
            let installation = self.installation(switch)?;
            let limit = seconds(switch.limits.stop_s);
            self.stopped = Some(self.live()?.control.stop(&installation, limit, session)?);
        }
        Ok(())
    }

    /// The log of the live database, where it was stopped, can be read: or it is given up.
    fn require_readable(&self, switch: &Switch, session: &Session<'_>) -> Result<()> {
        let databases = self.stopped.iter().flat_map(StoppedServer::databases);
        for database in databases {
            let told = match &database.end {
                LogEnd::Clean(_) => continue,
                LogEnd::Crashed { why, .. } => format!("database `{}` was not closed: {why}", database.name),
                LogEnd::Unreadable { why } if database.name == switch.database && !switch.live_is_lost => {
                    let why = format!(
                        "the log of the live database cannot be read: {why}; with --live-is-lost it is given up"
                    );
                    return Err(Error::PromotionRefused { why });
                }
                LogEnd::Unreadable { why } => format!("the log of database `{}`: {why}", database.name),
            };
            session.monitor.finding(&Finding::warning(told));
        }
        Ok(())
    }

    fn start(&mut self, switch: &Switch, session: &Session<'_>) -> Result<()> {
        let installation = self.installation(switch)?;
        let live = self.live()?;
        let stopped = self.stopped.take();
        let limit = seconds(switch.limits.start_s);
        Ok(live.control.start(stopped, &installation, &live.connection, limit, session)?)
    }
}

/// Whether something stands behind what the new database ended with. Nobody may write meanwhile.
fn is_written(guard: &Guard, switch: &Switch) -> Result<bool> {
    let end = last_transaction(Path::new(&switch.live.log), &switch.database)?;
    Ok((end.id, end.checksum) != (guard.end.id, guard.end.checksum))
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

/// Of an order that is owed.
fn switch_of(recovery: &Recovery) -> Result<(&Switch, Swap)> {
    let none = || Error::SwapUnknown { what: "no promotion was planned".to_owned() };
    let switch = recovery.switch.as_deref().ok_or_else(none)?;
    Ok((switch, Swap::of(switch)))
}

fn guard_of(recovery: &Recovery) -> Result<&Guard> {
    recovery.guard.as_ref().ok_or_else(|| Error::SwapUnknown { what: "no guard was noted".to_owned() })
}

fn lock_is_lost() -> Failure {
    let message = "the process that had stopped the live server is gone, and its lock with it".to_owned();
    Failure { code: Code::ServerChanged.name().to_owned(), message }
}

impl Promote for LiveSwitch<'_> {
    fn look_again(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        self.look(recovery, session)
    }

    fn stage(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, _) = switch_of(recovery)?;
        stage::stage(switch, session)
    }

    fn drain(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, _) = switch_of(recovery)?;
        let installation = self.installation(switch)?;
        if StoresLock::holder(&installation.data)?.is_none() {
            return Ok(());
        }
        match self.drained(switch, session) {
            Err(error) if switch.live_is_lost && error.code() != Code::Interrupted => {
                let told = format!(
                    "whether clients are in the middle of something is not known: {}",
                    in_one_line(&error)
                );
                session.monitor.finding(&Finding::warning(told));
                Ok(())
            }
            drained => drained,
        }
    }

    fn stop_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        let (switch, _) = switch_of(recovery)?;
        self.require_lock(switch, session)?;
        self.require_readable(switch, session)?;
        Ok(self.stopped.as_ref().is_some_and(StoppedServer::was_running))
    }

    fn await_archive(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Archived>> {
        if self.stopped.is_none() {
            return Ok(WhileLocked::Lost(lock_is_lost()));
        }
        let (switch, _) = switch_of(recovery)?;
        match self.archived(recovery, switch, session) {
            Ok(()) => Ok(WhileLocked::Done(Archived::Reached)),
            Err(error) if switch.live_is_lost && error.code() != Code::Interrupted => {
                Ok(WhileLocked::Done(Archived::Missed(perform::failure(&error))))
            }
            Err(error) => Err(error),
        }
    }

    fn guard(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<WhileLocked<Guard>> {
        if self.stopped.is_none() {
            return Ok(WhileLocked::Lost(lock_is_lost()));
        }
        let (switch, swap) = switch_of(recovery)?;
        let end = last_transaction(Path::new(&switch.side.log), &switch.database)?;
        swap.guard(recovery, end).map(WhileLocked::Done)
    }

    fn take_log(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<WhileLocked<()>> {
        let ((_, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        if self.stopped.is_none() && swap.look(guard)? == Swapped::Nothing {
            return Ok(WhileLocked::Lost(lock_is_lost()));
        }
        swap.take_log(guard).map(WhileLocked::Done)
    }

    fn swap_stores(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        if swap.look(guard)? < Swapped::StoresSwapped {
            self.require_lock(switch, session)?;
        }
        swap.swap_stores(guard)
    }

    fn put_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        if swap.look(guard)? < Swapped::LogPut {
            self.require_lock(switch, session)?;
        }
        swap.put_log(guard)
    }

    fn start_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, _) = switch_of(recovery)?;
        self.start(switch, session)
    }

    fn confirm(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Confirmation> {
        let (switch, _) = switch_of(recovery)?;
        self.confirmed(switch, guard_of(recovery)?, session)
    }

    fn retire(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        swap.retire(guard)?;
        retired::mark(recovery, switch, session.clock.now())?;
        if recovery.is_rollback() {
            return retired::forget(recovery);
        }
        // What is left of the candidate is a copy of `system`, which is of no use any more.
        Self::remove_staged(recovery)?;
        super::candidate::remove_rest(recovery)
    }

    fn record_promotion(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let open =
            self.open.ok_or_else(|| Error::NotOpenedAgain { why: "it is not to be had".to_owned() })?;
        session.monitor.begin("opening the repository", Unit::Items, None);
        let repository = open()?.open()?;
        super::candidate::require_repository(recovery, &repository.id().to_string())?;
        let (source, backup) = (&recovery.plan.source, &recovery.plan.backup);
        let promotion = notes::Promotion::of(recovery);
        notes::put_promotion(&repository, source, backup, &session.author(), &promotion).map(drop)
    }

    fn undo(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<UndoEnd> {
        let (switch, swap) = switch_of(recovery)?;
        let Some(guard) = &recovery.guard else {
            swap.undo(None)?;
            return Ok(UndoEnd::Undone);
        };
        let done = swap.look(guard)?;
        if done > Swapped::Nothing {
            self.require_lock(switch, session)?;
        }
        if done == Swapped::LogPut && is_written(guard, switch)? {
            return Ok(UndoEnd::Written);
        }
        swap.undo(Some(guard))?;
        Ok(UndoEnd::Undone)
    }

    fn start_old(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, _) = switch_of(recovery)?;
        if !recovery.ran || was_never_stopped(recovery) {
            self.stopped = None;
            return Ok(());
        }
        self.start(switch, session)
    }
}

/// Nobody was told to stop it: it is what it was.
fn was_never_stopped(recovery: &Recovery) -> bool {
    let cause = recovery.called_off.as_ref().or(recovery.cause.as_ref());
    matches!(cause, Some(Cause::Failed { order: Order::Drain, .. })) && recovery.stops == 0
}

/// The connection that is asked, within a limit.
fn asker(live: &LiveServer, database: &str, limit: Duration) -> Result<Asker> {
    let options = Options { budget: Some(limit), ..live.connection.clone() };
    Ok(Asker::open(&options, Some(database))?)
}
