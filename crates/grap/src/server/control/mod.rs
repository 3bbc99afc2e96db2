//! Stopping and starting the live server, for a promotion. Nothing else in Grap does either, and nothing else takes a lock
//! of the server's.
//!
//! - [`ServerControl`]: how it is told: by commands, or through the socket of `grap supervise` ([`supervisor`]).
//! - [`StoppedServer`]: the proof that it is stopped. It holds the lock of the stores ([`StoresLock`]), so that no server
//!   opens them until it is released: one that is started meanwhile ends at once with status 1 and touches nothing. It says
//!   of each database how its log ends.
//!
//! Why a stop is what it says: the server takes that lock before it opens a store and lets go of it after it has closed the
//! last one. (Its process goes on for seconds, closing connections, and changes no file.) So who has the lock has stores
//! that nobody changes; and where each log ends in the checkpoint of a shutdown, everything of it is in the stores.
//!
//! A start is done when a server holds the lock again and Bolt answers: never because a command has ended well.

mod command;
mod error;
mod log_end;
mod owner;
mod serving;
mod start;
mod stop;
mod stores_lock;
pub mod supervisor;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use grap_bolt::client::Options;

pub use error::ControlError;
pub use log_end::{LogEnd, StoppedDatabase};
pub use owner::Owner;
pub use stop::StoppedServer;
pub use stores_lock::StoresLock;

use crate::live::Installation;
use crate::ops::Session;
use supervisor::SupervisorVerb;

/// How the live server is stopped and started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerControl {
    /// Commands for sh. The one that stops may end before the server has; the one that starts leaves it running, and must
    /// not let it keep its own output.
    Commands { stop: String, start: String, manager: Option<Manager> },
    /// The socket of the `grap supervise` that is its parent.
    Supervisor { socket: PathBuf },
}

/// A service manager that the commands tell, and what else it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// What it calls the server.
    pub unit: String,
    /// A command that ends well where it would have the server run, though it does not: between two starts.
    pub wanted: String,
    /// One that ends well where it could start the server; else it says why not.
    pub known: String,
}

/// What is known of the server that is to be started.
#[derive(Debug)]
pub enum Before {
    /// It is stopped, and the lock is ours.
    Stopped(StoppedServer),
    /// We have asked for its end, and it did not come in time.
    StopFailed,
    Unknown,
}

impl std::fmt::Display for ServerControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Commands { stop, start, .. } => write!(f, "by `{stop}` and `{start}`"),
            Self::Supervisor { socket } => write!(f, "through the supervisor at {}", socket.display()),
        }
    }
}

impl ServerControl {
    /// Commands of which no more is known than that they stop and start it.
    pub fn commands(stop: impl Into<String>, start: impl Into<String>) -> Self {
        Self::Commands { stop: stop.into(), start: start.into(), manager: None }
    }

    /// The commands for a unit of systemd.
    pub fn systemd(unit: &str) -> Result<Self, ControlError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ":_.@-\\".contains(c);
        if unit.is_empty() || unit.starts_with('-') || !unit.chars().all(fits) {
            return Err(ControlError::NoUnit { unit: unit.to_owned() });
        }
        // One that met our lock again and again has used up its starts: that is forgotten before it is started.
        let start = format!("systemctl reset-failed '{unit}' 2>/dev/null; systemctl start '{unit}'");
        let wanted = format!(
            "case \"$(systemctl show -p ActiveState --value '{unit}')\" in active|activating|reloading|failed) exit 0;; esac; exit 1"
        );
        // Not one that is masked, or that it could not read.
        let known = format!(
            "state=$(systemctl show -p LoadState --value '{unit}') && test \"$state\" = loaded || {{ echo \"LoadState=$state\"; exit 1; }}"
        );
        let stop = format!("systemctl stop '{unit}'");
        let manager = Manager { unit: unit.to_owned(), wanted, known };
        Ok(Self::Commands { stop, start, manager: Some(manager) })
    }

    /// Whether it can be asked at all, and is that of these stores: what a promotion wants to know before it stops anything.
    /// Of commands nothing can be said without running them, but of a service manager's whether it could start the server.
    pub fn check(&self, live: &Installation, session: &Session<'_>) -> Result<(), ControlError> {
        let socket = match self {
            Self::Supervisor { socket } => socket,
            Self::Commands { manager: Some(manager), .. } => return stop::require_known(manager, session),
            Self::Commands { manager: None, .. } => return Ok(()),
        };
        match supervisor::ask(socket, SupervisorVerb::Status)?.stores {
            Some(theirs) if !theirs.is_of(&live.data)? => {
                let (socket, ours) = (socket.clone(), live.data.clone());
                Err(ControlError::SupervisorOfAnother { socket, theirs: theirs.path, ours })
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody would have it run, who holds no stores: a supervisor, or a service manager, between two starts.
    /// `None`: nobody can say.
    pub fn is_wanted(&self, session: &Session<'_>) -> Option<bool> {
        stop::is_wanted(self, session)
    }

    /// Stops it, and takes the lock of its stores. One that does not run is told all the same, as well as it goes: who starts
    /// it again and again is to leave it.
    ///
    /// An error means that the lock is not ours, that no command of ours runs any more, and that nothing was changed by us:
    /// the server may still serve, or end later. [`ServerControl::start`] without a [`StoppedServer`] makes sure that it serves.
    pub fn stop(
        &self,
        live: &Installation,
        limit: Duration,
        session: &Session<'_>,
    ) -> Result<StoppedServer, ControlError> {
        stop::stop(self, live, limit, session)
    }

    /// Lets go of the lock and starts it; done when a server holds the lock and answers over Bolt at that address (nobody
    /// logs on).
    ///
    /// Without a [`StoppedServer`] it makes sure that a server serves, whatever was asked of it before: one that runs and
    /// goes on answering is not touched. It may be ending all the while: so its database must be online for a time, too;
    /// where that cannot be asked, this is told as a finding. And where a stop was asked for that has failed the command that
    /// starts it is run in any case: a service manager keeps that for when it has ended.
    pub fn start(
        &self,
        before: Before,
        live: &Installation,
        bolt: &Options,
        limit: Duration,
        session: &Session<'_>,
    ) -> Result<(), ControlError> {
        start::start(self, before, live, bolt, limit, session)
    }
}
