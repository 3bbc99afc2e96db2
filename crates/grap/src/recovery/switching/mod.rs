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
//!   written to. Only what a server that did not come up has left in a restored `system` is, and that is told.
//! - *What was looked at is looked at anew by each process*, and once more under the lock.
//! - *What could not be looked at says nothing*: from the first exchange on it leaves the order owed
//!   ([`Error::StillOwed`]); only a step that failed, and a server that was seen to refuse the database, lead back.

mod archive;
mod confirm;
mod leave;
mod locked;
mod look;
mod orders;
mod progress;
mod released;
mod retired;
mod stage;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use grap_bolt::client::Options;
use grap_core::BackupId;
use grap_core::recovery::{Cause, Failure, Guard, Order, Part, Plan, Recovery, Switch};
use grap_disk::{self as disk, FileLock, Kind};
use grap_neo4j::TransactionEnd;
use grap_neo4j::txlog::Tail;
use grap_task::Finding;

use super::OpenAgain;
use super::halves::{identity, is};
use super::swap::Swap;
use crate::ask::Asker;
use crate::check::{behind_newest_checkpoint, last_transaction};
use crate::error::{Code, Error, Result};
use crate::live::{Installation, InstallationOptions, SYSTEM};
use crate::ops::Session;
use crate::server::control::{Before, ControlError, LogEnd, ServerControl, StoppedServer, StoresLock};

pub(crate) use archive::archived_databases;
pub(crate) use locked::{claim_if_retired, is_claimed};
pub(crate) use look::{against_the_server, given_up};
pub use progress::switch_in_progress;
pub(crate) use progress::{Interrupted, NotedSwitch, in_use_by, interrupted};
pub(crate) use released::{finish_released, release_store};
pub use retired::{RetiredStore, RetiredStores, retired_stores};
pub(crate) use retired::{bytes_of, root_of_retired};

/// Between two questions while something is waited for.
const PAUSE: Duration = Duration::from_millis(250);
/// For one question to the server.
const ANSWER: Duration = Duration::from_secs(10);

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
    /// It was asked to stop by this process, and did not in time.
    stop_failed: bool,
    /// While no other Grap may change what is live.
    claim: Option<FileLock>,
    /// By this process.
    looked: bool,
    /// A start was tried by this process, and whether the server served then.
    served: Option<bool>,
}

impl<'a> LiveSwitch<'a> {
    pub fn new(find: &'a FindLive<'a>, open: Option<&'a OpenAgain<'a>>) -> Self {
        Self {
            find,
            open,
            live: None,
            stopped: None,
            stop_failed: false,
            claim: None,
            looked: false,
            served: None,
        }
    }

    /// What was copied beside the live database goes with the candidate; never what was live.
    pub(crate) fn remove_staged(recovery: &Recovery) -> Result<()> {
        let Some(switch) = recovery.switch.as_deref() else { return Ok(()) };
        for (part, guard) in switch.parts().zip(recovery.guard.iter().flat_map(Guard::parts)) {
            for (half, old) in [(&part.side.store, guard.live_store), (&part.side.log, guard.live_log)] {
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
        let installation = Installation::locate(&self.live()?.installation, &switch.user.database)?;
        let places = |part: &Part| {
            let store = (installation.store(&part.database), part.live.store.clone());
            [store, (installation.log(&part.database), part.live.log.clone())]
        };
        for (found, planned) in switch.parts().flat_map(places) {
            if found != Path::new(&planned) {
                let why =
                    format!("it began with the database at {planned}, and now it is {}", found.display());
                return Err(Error::PromotionRefused { why });
            }
        }
        Ok(installation)
    }

    /// The log of the live database, where it was stopped, can be read: or it is given up.
    fn require_readable(&self, switch: &Switch, session: &Session<'_>) -> Result<()> {
        let databases = self.stopped.iter().flat_map(StoppedServer::databases);
        let replaced = |name: &String| switch.parts().any(|part| part.database == *name);
        for database in databases {
            let told = match &database.end {
                LogEnd::Clean(_) => continue,
                LogEnd::Crashed { why, .. } => format!("database `{}` was not closed: {why}", database.name),
                LogEnd::Unreadable { why } if replaced(&database.name) && !switch.live_is_lost => {
                    let why = format!(
                        "the log of the live database `{}` cannot be read: {why}; with --live-is-lost it is given up",
                        database.name
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
        owed_still(all_is_there(switch))?;
        let live = owed_still(self.live())?;
        let before = match self.stopped.take() {
            Some(stopped) => Before::Stopped(stopped),
            None if std::mem::take(&mut self.stop_failed) => Before::StopFailed,
            None => Before::Unknown,
        };
        let limit = seconds(switch.limits.start_s);
        let started = live.control.start(before, &installation, &live.connection, limit, session);
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
}

/// Where neither half of a database lies in its place a server makes an empty one, and serves that.
fn all_is_there(switch: &Switch) -> Result<()> {
    let halves = |part: &Part| [part.live.store.clone(), part.live.log.clone()];
    for half in switch.parts().flat_map(halves) {
        let stat = disk::stat(Path::new(&half))?;
        if stat.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Err(Error::LiveGone { half });
        }
    }
    Ok(())
}

/// What this order could not look at.
fn owed_still<T>(looked: Result<T>) -> Result<T> {
    looked.map_err(|error| Error::StillOwed(Box::new(error)))
}

/// Whether clients may have been let in since the last exchange: not where the start has failed, and no server holds the
/// stores any more.
fn may_have_served(recovery: &Recovery, installation: &Installation) -> Result<bool> {
    let has_failed = matches!(recovery.cause, Some(Cause::Failed { order: Order::StartLive, .. }));
    Ok(!has_failed || StoresLock::holder(&installation.data)?.is_some())
}

/// Where a client can have written: to `system`, too, where that went with it (a user that was made, a password that was
/// changed). Of a server that has let nobody in, what stands behind the end of `system` is its own: it writes there when it
/// opens one of an older release.
fn writable<'a>(
    guard: &'a Guard,
    switch: &'a Switch,
    served: bool,
) -> impl Iterator<Item = (&'a Guard, &'a Part)> {
    guard.parts().zip(switch.parts()).filter(move |(_, part)| served || part.database != SYSTEM)
}

/// Whether something stands behind what the new database ended with, or it cannot be said. Nobody may write meanwhile.
fn is_written(guard: &Guard, switch: &Switch, served: bool) -> bool {
    writable(guard, switch, served).any(|(guard, part)| {
        let end = last_transaction(Path::new(&part.live.log), &part.database);
        end.map_or(true, |end| (end.id, end.checksum) != (guard.end.id, guard.end.checksum))
    })
}

/// Whether clients have written to it, as far as that can be seen while it serves.
fn is_seen_written(guard: &Guard, switch: &Switch, served: bool) -> bool {
    writable(guard, switch, served).any(|(guard, part)| {
        let seen = behind_newest_checkpoint(Path::new(&part.live.log), &part.database);
        seen.is_ok_and(|(_, span, _)| span.end.id > guard.end.id)
    })
}

/// What the database that is to become live ends with.
fn end_of_side(recovery: &Recovery, part: &Part, log: &str) -> Result<TransactionEnd> {
    let log = Path::new(log);
    if !recovery.is_rollback() {
        return Ok(last_transaction(log, &part.database)?);
    }
    end_of_retired(log, &part.database)
}

/// One that was live until its server crashed may have the beginning of a transaction behind its last one, which a server cuts
/// off. Behind damage there may be more transactions.
pub(crate) fn end_of_retired(log: &Path, database: &str) -> Result<TransactionEnd> {
    let (_, span, tail) = behind_newest_checkpoint(log, database)?;
    match tail {
        Tail::Eof { .. } | Tail::Zeros { .. } | Tail::Incomplete { .. } => Ok(span.end),
        tail @ Tail::Garbage { .. } => {
            let why = format!("behind the last transaction of {} stands {tail}", log.display());
            Err(Error::PromotionRefused { why })
        }
    }
}

/// The backup that the new database was made of.
fn made_of<'a>(plan: &'a Plan, switch: &'a Switch) -> &'a BackupId {
    switch.made_of.as_ref().unwrap_or(&plan.backup)
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

/// Of an order that is owed.
fn switch_of(recovery: &Recovery) -> Result<(&Switch, Swap)> {
    let switch = recovery.switch.as_deref().ok_or(Error::SwitchUnknown { what: "what was planned" })?;
    Ok((switch, Swap::of(switch)))
}

fn guard_of(recovery: &Recovery) -> Result<&Guard> {
    recovery.guard.as_ref().ok_or(Error::SwitchUnknown { what: "what lay where before the first exchange" })
}

fn lock_is_lost() -> Failure {
    let message = "the process that had stopped the live server is gone, and its lock with it".to_owned();
    Failure { code: Code::ServerChanged.name().to_owned(), message }
}

fn asker(live: &LiveServer, database: &str) -> Result<Asker> {
    let options = Options { budget: Some(ANSWER), ..live.connection.clone() };
    Ok(Asker::open(&options, Some(database))?)
}

/// As [`asker`], of `system`. A server asks nobody for a password for some seconds by whose name three wrong ones were said.
fn patient_asker(live: &LiveServer, session: &Session<'_>) -> Result<Asker> {
    let until = session.clock.since_boot() + ANSWER;
    loop {
        match asker(live, SYSTEM) {
            Err(error) if confirm::is_to_wait(&error) && session.clock.since_boot() < until => {
                session.clock.wait(PAUSE, session.stop);
                session.stop.check()?;
            }
            asked => return asked,
        }
    }
}
