//! What performs the orders of a promotion, or of a rollback, in the real world: the live server, its directories, the
//! repository.
//!
//! Invariants, and why they hold:
//! - *Nothing of the live database changes but under the lock of its stores*: what exchanges asks for it right before
//!   ([`LiveSwitch::require_lock`]), and it is held until the server is told to start.
//! - *A whole database is never stopped to be finished*: which exchanges are done is looked at first ([`Swap::look`]); only
//!   where one is missing the lock is taken from a server that somebody has started.
//! - *Nothing of the old database is removed*: it is renamed to its place under `.grap/retired/`, with a mark beside it.
//! - *Nobody's writes are taken back*: an undo decides under the lock, by the end of the log. One that cannot be read counts as
//!   written to.
//! - *What was looked at is looked at anew by each process*, and once more under the lock.
//! - *What could not be looked at says nothing*: from the first exchange on it leaves the order owed
//!   ([`Error::StillOwed`]); only a step that failed, and a server that was seen to refuse the database, lead back.

mod archive;
mod confirm;
mod look;
mod progress;
mod released;
mod retired;
mod stage;

use std::path::Path;
use std::time::Duration;

use grap_bolt::client::Options;
use grap_core::BackupId;
use grap_core::recovery::{Cause, Failure, Guard, Order, Recovery, Switch};
use grap_neo4j::TransactionEnd;
use grap_neo4j::txlog::Tail;
use grap_task::{Finding, Unit};

use super::promote::{Archived, Confirmation, Promote, UndoEnd, WhileLocked};
use super::swap::{Swap, Swapped, identity, is};
use super::{OpenAgain, perform};
use crate::ask::Asker;
use crate::check::{behind_newest_checkpoint, last_transaction};
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, InstallationOptions};
use crate::notes;
use crate::ops::Session;
use crate::server::control::{ControlError, LogEnd, ServerControl, StoppedServer, StoresLock};

pub(crate) use archive::archived_databases;
pub(crate) use look::store_id;
pub(crate) use progress::{Interrupted, interrupted};
pub(crate) use released::{finish_released, release_store};
pub use retired::{RetiredStore, RetiredStores, retired_stores};
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
    /// By this process.
    looked: bool,
    /// A start was tried by this process, and whether the server served then.
    served: Option<bool>,
}

impl<'a> LiveSwitch<'a> {
    pub fn new(find: &'a FindLive<'a>, open: Option<&'a OpenAgain<'a>>) -> Self {
        Self { find, open, live: None, stopped: None, looked: false, served: None }
    }

    /// What was copied beside the live database goes with the candidate; never what was live.
    pub(super) fn remove_staged(recovery: &Recovery) -> Result<()> {
        let Some(switch) = recovery.switch.as_deref() else { return Ok(()) };
        if let Some(guard) = &recovery.guard {
            for (half, old) in [(&switch.side.store, guard.live_store), (&switch.side.log, guard.live_log)] {
                if old.is_some() && is(identity(Path::new(half))?, old) {
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
        let installation = owed_still(self.installation(switch))?;
        let live = owed_still(self.live())?;
        let stopped = self.stopped.take();
        let limit = seconds(switch.limits.start_s);
        let started = live.control.start(stopped, &installation, &live.connection, limit, session);
        self.served = Some(started.is_ok());
        started.map_err(|error| match error {
            ControlError::Disk(_)
            | ControlError::NotSet
            | ControlError::NoUnit { .. }
            | ControlError::SupervisorSilent { .. }
            | ControlError::SupervisorRefuses { .. }
            | ControlError::StartNotRun { .. } => Error::StillOwed(Box::new(error.into())),
            error => error.into(),
        })
    }

    /// Another process has looked, or nobody.
    fn require_look(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        if !self.looked {
            self.look(recovery, session)?;
        }
        Ok(())
    }

    /// Where the database is whole, and down because of us: or let go of the lock.
    fn serve_what_is_whole(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, swap) = switch_of(recovery)?;
        let done = recovery.guard.as_ref().map_or(Ok(Swapped::Nothing), |guard| swap.look_back(guard))?;
        let is_whole = matches!(done, Swapped::Nothing | Swapped::LogPut);
        let is_down = match &self.stopped {
            Some(stopped) => recovery.ran || stopped.was_running(),
            None if self.served.is_some() || !recovery.ran || !recovery.phase.live_may_be_down() => false,
            None => StoresLock::holder(&self.installation(switch)?.data)?.is_none(),
        };
        if is_whole && is_down {
            self.start(switch, session)?;
        }
        Ok(())
    }
}

/// What this order could not look at.
fn owed_still<T>(looked: Result<T>) -> Result<T> {
    looked.map_err(|error| Error::StillOwed(Box::new(error)))
}

/// Whether something stands behind what the new database ended with, or it cannot be said. Nobody may write meanwhile.
fn is_written(guard: &Guard, switch: &Switch) -> bool {
    let end = last_transaction(Path::new(&switch.live.log), &switch.database);
    end.map_or(true, |end| (end.id, end.checksum) != (guard.end.id, guard.end.checksum))
}

/// Whether clients have written to it, as far as that can be seen while it serves.
fn is_seen_written(guard: &Guard, switch: &Switch) -> bool {
    let seen = behind_newest_checkpoint(Path::new(&switch.live.log), &switch.database);
    seen.is_ok_and(|(_, span, _)| span.end.id > guard.end.id)
}

/// What the database that is to become live ends with. One that was live until its server crashed may have the beginning of
/// a transaction behind that, which a server cuts off.
fn end_of_side(recovery: &Recovery, switch: &Switch, log: &str) -> Result<TransactionEnd> {
    let log = Path::new(log);
    if !recovery.is_rollback() {
        return Ok(last_transaction(log, &switch.database)?);
    }
    let (_, span, tail) = behind_newest_checkpoint(log, &switch.database)?;
    match tail {
        Tail::Eof { .. } | Tail::Zeros { .. } | Tail::Incomplete { .. } => Ok(span.end),
        tail @ Tail::Garbage { .. } => {
            let why = format!("behind the last transaction of {} stands {tail}", log.display());
            Err(Error::PromotionRefused { why })
        }
    }
}

/// The backup that the new database was made of.
fn made_of(recovery: &Recovery) -> &BackupId {
    recovery.switch.as_ref().and_then(|switch| switch.made_of.as_ref()).unwrap_or(&recovery.plan.backup)
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
        self.require_look(recovery, session)?;
        let (switch, _) = switch_of(recovery)?;
        let data = self.installation(switch)?.data;
        stage::stage(switch, &data, session)
    }

    fn drain(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.require_look(recovery, session)?;
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
        if self.stopped.is_none() {
            self.require_look(recovery, session)?;
        }
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

    fn guard(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Guard>> {
        if self.stopped.is_none() {
            return Ok(WhileLocked::Lost(lock_is_lost()));
        }
        let (switch, swap) = switch_of(recovery)?;
        look::both_are_what_they_were(recovery, switch)?;
        let end = end_of_side(recovery, switch, &switch.side.log)?;
        let guard = swap.guard(recovery, end)?;
        progress::note(recovery, switch, &guard, session.clock.now())?;
        Ok(WhileLocked::Done(guard))
    }

    fn take_log(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<WhileLocked<()>> {
        let ((_, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        if self.stopped.is_none() && owed_still(swap.look(guard))? == Swapped::Nothing {
            return Ok(WhileLocked::Lost(lock_is_lost()));
        }
        owed_still(swap.look(guard))?;
        swap.take_log(guard).map(WhileLocked::Done)
    }

    fn swap_stores(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        if owed_still(swap.look(guard))? < Swapped::StoresSwapped {
            owed_still(self.require_lock(switch, session))?;
        }
        swap.swap_stores(guard)
    }

    fn put_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        if owed_still(swap.look(guard))? < Swapped::LogPut {
            owed_still(self.require_lock(switch, session))?;
        }
        swap.put_log(guard)
    }

    fn start_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let (switch, _) = switch_of(recovery)?;
        self.start(switch, session)
    }

    /// The time to answer in begins when it is seen to serve.
    fn confirm(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Confirmation> {
        let (switch, _) = switch_of(recovery)?;
        if self.served != Some(true) {
            self.start(switch, session)?;
        }
        self.confirmed(recovery, switch, guard_of(recovery)?, session)
    }

    fn retire(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let ((switch, swap), guard) = (switch_of(recovery)?, guard_of(recovery)?);
        swap.retire(guard)?;
        retired::mark(recovery, switch, session.clock.now())?;
        progress::forget(switch)?;
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
        let (source, backup) = (&recovery.plan.source, made_of(recovery));
        let promotion = notes::Promotion::of(recovery);
        notes::put_promotion(&repository, source, backup, &session.author(), &promotion).map(drop)
    }

    fn undo(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<UndoEnd> {
        let (switch, swap) = switch_of(recovery)?;
        let Some(guard) = &recovery.guard else {
            progress::forget(switch)?;
            swap.undo(None)?;
            return Ok(UndoEnd::Undone);
        };
        let done = swap.look_back(guard)?;
        // Nobody need be kept from a database that stays.
        if done == Swapped::LogPut && self.stopped.is_none() && is_seen_written(guard, switch) {
            return Ok(UndoEnd::Written);
        }
        if done > Swapped::Nothing {
            self.require_lock(switch, session)?;
        }
        if done == Swapped::LogPut && is_written(guard, switch) {
            return Ok(UndoEnd::Written);
        }
        swap.undo_exchanges(guard)?;
        progress::forget(switch)?;
        swap.undo(None)?;
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

    fn leave(&mut self, recovery: &Recovery, session: &Session<'_>) {
        if let Err(error) = self.serve_what_is_whole(recovery, session) {
            let told = format!("the live server was not started: {}", in_one_line(&error));
            session.monitor.finding(&Finding::warning(told));
        }
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
