//! What a promotion or a rollback is going to do to the live database: a *side* (a store directory and a log directory)
//! takes the place of the live ones, which are retired.
//!
//! No single rename does that. It is three atomic exchanges with a *barrier*, a regular file: the live log and the barrier;
//! the two stores; the barrier and the side's log. A server that finds the barrier where the log should be refuses the
//! database and touches nothing. Which of the three are done the inodes on disk say, never the journal alone.

use grap_neo4j::TransactionEnd;
use serde::{Deserialize, Serialize};

use super::event::Failure;
use crate::BackupId;

/// Fixed when it is asked for, in the journal before anything follows from it. Paths are UTF-8, so that a journal can hold
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Switch {
    /// The database that is meant.
    #[serde(flatten)]
    pub user: Part,
    /// The log of these databases is archived: the archive is to hold all of it before the swap.
    pub archived: Vec<String>,
    /// Of a database that is given up: why the archive could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_unknown: Option<Failure>,
    /// The operator says that the live database is to be given up, whatever of it cannot be read, archived or put back.
    #[serde(default)]
    pub live_is_lost: bool,
    /// The backup that a candidate was really made of: an older one than planned, where that was damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<BackupId>,
    pub limits: SwitchLimits,
    /// Where it goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Part>,
}

impl Switch {
    /// Each database that is exchanged.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.user).chain(&self.system)
    }
}

/// One database that is exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    pub database: String,
    /// Where the server looks for the database.
    pub live: Halves,
    /// Where the side lies.
    pub found: Halves,
    /// Where it lies for the swap: on the file systems of the live ones. The same as `found`, where it lies so already.
    pub side: Halves,
    /// Where the live ones go. That of the log is the place of the barrier, too.
    pub retired: Halves,
}

/// A database is two directories.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Halves {
    pub store: String,
    pub log: String,
}

/// Seconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SwitchLimits {
    /// No transaction of a client is older when the server is stopped.
    pub transaction_s: u32,
    /// So long that is waited for.
    pub drain_s: u32,
    pub stop_s: u32,
    /// Until the archive holds what was live when it was asked before the stop, and what was written up to the stop.
    pub archive_s: u32,
    pub start_s: u32,
    /// Until the new database has answered.
    pub confirm_s: u32,
}

impl Default for SwitchLimits {
    fn default() -> Self {
        Self { transaction_s: 10, drain_s: 60, stop_s: 120, archive_s: 60, start_s: 600, confirm_s: 60 }
    }
}

/// What was seen right before the first exchange: it tells which of them are done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Guard {
    /// None: there was none.
    pub live_store: Option<Identity>,
    pub live_log: Option<Identity>,
    pub side_store: Identity,
    pub side_log: Identity,
    pub barrier: Identity,
    /// Where the log of the side ends: behind it stands what was written to it since.
    pub end: TransactionEnd,
    /// The same of `system`, where that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Box<Guard>>,
}

impl Guard {
    /// As [`Switch::parts`].
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.system.as_deref())
    }
}

/// Of a directory or a file, whatever it is called. (The number of a device may be another one after a boot.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub inode: u64,
    /// Time of birth, nanoseconds since 1970, where the file system keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<i64>,
}
