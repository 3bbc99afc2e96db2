//! The state directory: local, one for each installation of Grap. It holds the locks of jobs and the journal
//! of operations.
//!
//! Invariants: an operation that changes something opens an entry before it acts and closes it after. An
//! entry that nobody closed, while nobody holds the job's lock, belongs to a process that died: it counts as
//! failed. A backup exists in the repository or not at all; here stands only that it was tried: so a journal
//! that cannot be read is set aside, stays as it is under another name, and keeps nobody from working.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grap_core::schedule::Illegal;
use grap_core::{BackupId, SourceName, recovery};
use grap_disk::{self as disk, DiskError, FileLock, Journal, JournalError};
use grap_task::Clock;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::in_one_line;

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state directory {} cannot be used", path.display())]
    Unusable { path: PathBuf, source: DiskError },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("entry {entry} of the journal {} cannot be", path.display())]
    Schedule { path: PathBuf, entry: usize, source: Illegal },
    #[error("entry {entry} of the journal {} cannot be", path.display())]
    Recovery { path: PathBuf, entry: usize, source: recovery::Illegal },
    #[error("another grap process is running ({job}) on the state directory {}", path.display())]
    Busy { job: &'static str, path: PathBuf },
}

impl StateError {
    /// A journal is there and cannot be read, now or later.
    pub(crate) fn is_unreadable(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_unreadable(),
            Self::Schedule { .. } | Self::Recovery { .. } => true,
            Self::Unusable { .. } | Self::Busy { .. } => false,
        }
    }
}

/// What can run once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    Backup,
    /// Of this repository to another.
    Copy,
    /// What deletes: expire, gc, delete; and keys.
    Maintain,
    /// A hold or its release: they do not wait for what deletes.
    Hold,
    /// A candidate and its test instance.
    Recovery,
    /// The same in scratch space, to see that it would work.
    Drill,
}

impl Job {
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Copy => "copy",
            Self::Maintain => "maintain",
            Self::Hold => "hold",
            // Its lock is not the one of `recovery.journal`, which is held for an append.
            Self::Recovery => "recover",
            // Nor this the one of `drill.journal`.
            Self::Drill => "rehearse",
        }
    }

    /// Whether an operation of this verb runs under the job's lock.
    fn runs(self, verb: &str) -> bool {
        match self {
            Self::Backup => verb == "backup",
            Self::Copy => verb == "copy",
            Self::Maintain => matches!(verb, "expire" | "delete" | "gc" | "key"),
            Self::Hold => matches!(verb, "hold" | "release"),
            Self::Recovery => verb == "recover",
            Self::Drill => verb == "drill",
        }
    }
}

#[derive(Debug, Clone)]
pub struct StateDirectory {
    root: PathBuf,
}

/// One line of the journal of operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Opened {
        operation: String,
        verb: String,
        at: Timestamp,
        pid: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<SourceName>,
    },
    Closed {
        operation: String,
        at: Timestamp,
        outcome: Outcome,
    },
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed {
        code: String,
        message: String,
    },
    /// Its process died; a later run noticed.
    Abandoned,
}

/// A try at a backup. Whether it is complete the repository knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub id: BackupId,
    pub source: Option<SourceName>,
    pub started: Timestamp,
    pub status: AttemptStatus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptStatus {
    InProgress,
    Succeeded,
    Failed { code: String, message: String },
}

/// An operation, as the journal tells it.
#[derive(Debug)]
struct Operation {
    name: String,
    verb: String,
    started: Timestamp,
    source: Option<SourceName>,
    outcome: Option<Outcome>,
}

impl Outcome {
    pub fn of<T>(result: &crate::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Succeeded,
            Err(error) => Self::Failed { code: error.code().name().to_owned(), message: error.to_string() },
        }
    }
}

/// A journal that could not be read, and was set aside so that a new one could begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong with it.
    pub why: String,
}

impl std::fmt::Display for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, why } = self;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        write!(f, "{why}: it was set aside as {}; {}", path.display(), Self::forgotten(&name))
    }
}

impl SetAside {
    /// What is forgotten with a journal, by the name of the file.
    pub fn forgotten(name: &str) -> &'static str {
        match Journal::set_aside_of(name).unwrap_or(name) {
            "schedule.journal" => "pending retries and requests are forgotten, and slots count from then on",
            "recovery.journal" => {
                "which recovery was going on is forgotten; its candidate lies where it was, and no database is touched"
            }
            "drill.journal" => {
                "the history of drills is forgotten; what one of them left in its scratch space lies there still"
            }
            "alerts.journal" => "which alerts were open and told is forgotten: what lasts is told again",
            _ => "which attempts have failed is forgotten; what backups there are the repository knows",
        }
    }

    /// Read a journal; one that cannot be read, or of which the entries are not `legal`, is set aside, and what is read is
    /// a new one. A disk that fails is an error all the same.
    pub fn or_begin<T: DeserializeOwned, R>(
        journal: &Journal,
        now: Timestamp,
        legal: impl FnOnce(&[T]) -> bool,
        read: impl Fn() -> Result<R, StateError>,
    ) -> Result<(R, Option<Self>), StateError> {
        let why = match read() {
            Ok(there) => return Ok((there, None)),
            Err(error) if error.is_unreadable() => error,
            Err(error) => return Err(error),
        };
        let instant = now.strftime("%Y%m%d-%H%M%S%.3f").to_string();
        // `None`: another process was here first.
        let path = journal.set_aside(&instant, legal)?;
        Ok((read()?, path.map(|path| Self { path, why: in_one_line(&why) })))
    }
}

/// How long somebody may hold a lock who only asks whether it is held.
const ASKED_MAX: Duration = Duration::from_secs(1);
const SERVE_LOCK: &str = "serve.lock";
/// What an abandoned operation is reported as.
const ABANDONED: (&str, &str) = ("INTERRUPTED", "its process died before it was done");

impl StateDirectory {
    /// Open the directory, and make it (for its owner alone) when it is not there.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        let unusable = |source| StateError::Unusable { path: root.to_owned(), source };
        if disk::stat(root).map_err(unusable)?.is_none() {
            disk::create_dir_all(root).and_then(|()| disk::set_mode(root, 0o700)).map_err(unusable)?;
        }
        Ok(Self { root: root.to_owned() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Set the journal of operations aside where it cannot be read: which attempts failed, and which is open, is
    /// forgotten; what is in the repository is not.
    pub fn mend(&self, now: Timestamp) -> Result<Option<SetAside>, StateError> {
        let legal = |_: &[Event]| true;
        Ok(SetAside::or_begin(&self.journal(), now, legal, || self.operations())?.1)
    }

    /// The names of the journals that were set aside and lie here still.
    pub fn set_aside(&self) -> Result<Vec<String>, StateError> {
        let names = disk::list(&self.root).map_err(|source| self.unusable(source))?.unwrap_or_default();
        let mut names: Vec<String> =
            names.into_iter().filter(|name| Journal::set_aside_of(name).is_some()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Take the lock of a job. What a dead holder left open is closed as abandoned.
    pub fn lock(&self, job: Job, clock: &Clock) -> Result<FileLock, StateError> {
        let busy = || StateError::Busy { job: job.verb(), path: self.root.clone() };
        // Who only asks whether a job runs holds the lock for a moment.
        let lock = FileLock::wait_exclusive(&self.lock_path(job), ASKED_MAX)
            .map_err(|source| self.unusable(source))?
            .ok_or_else(busy)?;
        match self.close_abandoned(job, clock) {
            // A database may be down: whether its recovery goes on does not hang on this journal. The next one closes it.
            Err(_) if job == Job::Recovery => Ok(lock),
            closed => closed.map(|()| lock),
        }
    }

    fn close_abandoned(&self, job: Job, clock: &Clock) -> Result<(), StateError> {
        for operation in self.operations()?.into_iter().filter(|operation| job.runs(&operation.verb)) {
            if operation.outcome.is_none() {
                self.end(&operation.name, clock.now(), Outcome::Abandoned)?;
            }
        }
        Ok(())
    }

    /// Take the lock of the archiver of a source: one on each state directory.
    pub fn lock_archive(&self, source: &SourceName) -> Result<FileLock, StateError> {
        let path = self.root.join(format!("archive.{source}.lock"));
        FileLock::wait_exclusive(&path, ASKED_MAX)
            .map_err(|source| self.unusable(source))?
            .ok_or_else(|| StateError::Busy { job: "archive", path: self.root.clone() })
    }

    /// Take the lock of the daemon: one on each state directory, held for its life.
    pub fn lock_serve(&self) -> Result<FileLock, StateError> {
        FileLock::wait_exclusive(&self.serve_lock(), ASKED_MAX)
            .map_err(|source| self.unusable(source))?
            .ok_or_else(|| StateError::Busy { job: "serve", path: self.root.clone() })
    }

    /// Whether a daemon runs here. A state directory that is not there has none.
    pub fn is_served(root: &Path) -> Result<bool, StateError> {
        let path = root.join(SERVE_LOCK);
        FileLock::is_held(&path).map_err(|source| StateError::Unusable { path: root.to_owned(), source })
    }

    fn serve_lock(&self) -> PathBuf {
        self.root.join(SERVE_LOCK)
    }

    /// Whether an operation of this job runs.
    pub(crate) fn runs(&self, job: Job) -> Result<bool, StateError> {
        FileLock::is_held(&self.lock_path(job)).map_err(|source| self.unusable(source))
    }

    fn lock_path(&self, job: Job) -> PathBuf {
        self.root.join(format!("{}.lock", job.verb()))
    }

    fn unusable(&self, source: DiskError) -> StateError {
        StateError::Unusable { path: self.root.clone(), source }
    }

    /// Note that an operation begins.
    pub fn begin(
        &self,
        operation: &str,
        verb: &str,
        source: Option<&SourceName>,
        at: Timestamp,
    ) -> Result<(), StateError> {
        self.append(&Event::Opened {
            operation: operation.to_owned(),
            verb: verb.to_owned(),
            at,
            pid: std::process::id(),
            source: source.cloned(),
        })
    }

    /// Note how it ended.
    pub fn end(&self, operation: &str, at: Timestamp, outcome: Outcome) -> Result<(), StateError> {
        self.append(&Event::Closed { operation: operation.to_owned(), at, outcome })
    }

    /// Run what can run once at a time: under the job's lock, and journaled.
    pub fn run<T>(
        &self,
        job: Job,
        verb: &str,
        clock: &Clock,
        run: impl FnOnce() -> crate::Result<T>,
    ) -> crate::Result<T> {
        let _lock = self.lock(job, clock)?;
        self.journaled(verb, clock, run)
    }

    /// Run an operation that changes something, with an entry opened before and closed after it.
    pub fn journaled<T>(
        &self,
        verb: &str,
        clock: &Clock,
        run: impl FnOnce() -> crate::Result<T>,
    ) -> crate::Result<T> {
        let at = clock.now();
        let operation = format!("{verb}-{}-{}", at.strftime("%Y%m%d-%H%M%S%.3f"), std::process::id());
        self.begin(&operation, verb, None, at)?;
        let result = run();
        self.end(&operation, clock.now(), Outcome::of(&result))?;
        result
    }

    /// As [`StateDirectory::journaled`]; where that journal cannot be written it is said, and the operation is run all the
    /// same: for what a database is down until it ends.
    pub fn journaled_if_possible<T>(
        &self,
        verb: &str,
        session: &crate::ops::Session<'_>,
        run: impl FnOnce() -> crate::Result<T>,
    ) -> crate::Result<T> {
        let at = session.clock.now();
        let operation = format!("{verb}-{}-{}", at.strftime("%Y%m%d-%H%M%S%.3f"), std::process::id());
        let tell = |noted: Result<(), StateError>| {
            if let Err(error) = noted {
                let told = format!("it is not noted among the operations: {}", in_one_line(&error));
                session.monitor.finding(&grap_task::Finding::warning(told));
            }
        };
        tell(self.begin(&operation, verb, None, at));
        let result = run();
        tell(self.end(&operation, session.clock.now(), Outcome::of(&result)));
        result
    }

    /// Every try at a backup, oldest first.
    pub fn attempts(&self) -> Result<Vec<Attempt>, StateError> {
        let running = self.runs(Job::Backup)?;
        let backups = self.operations()?.into_iter().filter(|operation| operation.verb == Job::Backup.verb());
        let attempt = |operation: Operation| {
            let unended = || if running { AttemptStatus::InProgress } else { Outcome::Abandoned.into() };
            Some(Attempt {
                id: operation.name.parse().ok()?,
                source: operation.source,
                started: operation.started,
                status: operation.outcome.map_or_else(unended, Into::into),
            })
        };
        Ok(backups.filter_map(attempt).collect())
    }

    /// The journal, folded.
    fn operations(&self) -> Result<Vec<Operation>, StateError> {
        let mut operations: Vec<Operation> = Vec::new();
        for event in self.journal().entries::<Event>()? {
            match event {
                Event::Opened { operation, verb, at, source, .. } => {
                    operations.push(Operation { name: operation, verb, started: at, source, outcome: None });
                }
                Event::Closed { operation, outcome, .. } => {
                    if let Some(open) = operations.iter_mut().rev().find(|open| open.name == operation) {
                        open.outcome = Some(outcome);
                    }
                }
            }
        }
        Ok(operations)
    }

    fn append(&self, event: &Event) -> Result<(), StateError> {
        Ok(self.journal().append(event)?)
    }

    fn journal(&self) -> Journal {
        Journal::new(self.root.join("operations.journal"), "operations")
    }
}

impl From<Outcome> for AttemptStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Failed { code, message } => Self::Failed { code, message },
            Outcome::Abandoned => {
                Self::Failed { code: ABANDONED.0.to_owned(), message: ABANDONED.1.to_owned() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_of_a_dead_process_has_failed() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(&directory.path().join("state")).unwrap();
        let clock = Clock::System;
        let lock = state.lock(Job::Backup, &clock).unwrap();
        state.begin("neo4j-20261125-020000", "backup", None, clock.now()).unwrap();
        assert_eq!(state.attempts().unwrap()[0].status, AttemptStatus::InProgress);
        assert!(matches!(state.lock(Job::Backup, &clock), Err(StateError::Busy { .. })));
        drop(lock);
        assert!(matches!(state.attempts().unwrap()[0].status, AttemptStatus::Failed { .. }));
        let _lock = state.lock(Job::Backup, &clock).unwrap();
        state.begin("neo4j-20261125-020001", "backup", None, clock.now()).unwrap();
        state.end("neo4j-20261125-020001", clock.now(), Outcome::Succeeded).unwrap();
        let statuses: Vec<_> = state.attempts().unwrap().into_iter().map(|attempt| attempt.status).collect();
        assert_eq!(statuses, [Outcome::Abandoned.into(), AttemptStatus::Succeeded]);
    }

    #[test]
    fn a_journal_of_operations_that_cannot_be_read_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path()).unwrap();
        let clock = Clock::System;
        for id in ["neo4j-20261125-020000", "neo4j-20261125-020001"] {
            state.begin(id, "backup", None, clock.now()).unwrap();
        }
        assert_eq!(state.mend(clock.now()).unwrap(), None);
        let path = directory.path().join("operations.journal");
        let mut bytes = disk::read(&path, 1 << 20).unwrap();
        bytes[40] ^= 1;
        disk::replace(&path, &[&bytes]).unwrap();
        assert!(state.lock(Job::Backup, &clock).is_err());
        let aside = state.mend(clock.now()).unwrap().unwrap();
        assert!(aside.why.contains("line 2"), "{}", aside.why);
        assert_eq!(disk::read(&aside.path, 1 << 20).unwrap(), bytes);
        assert_eq!(state.set_aside().unwrap().len(), 1);
        let _lock = state.lock(Job::Backup, &clock).unwrap();
        assert_eq!(state.attempts().unwrap(), []);
    }
}
