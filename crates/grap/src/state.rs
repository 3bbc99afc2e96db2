//! The state directory: local, one for each installation of Grap. It holds the locks of jobs and the journal of operations.
//!
//! Invariants: an operation that changes something opens an entry before it acts and closes it after. An entry that nobody closed, while nobody
//! holds the job's lock, belongs to a process that died: it counts as failed. A backup exists in the repository or not at all; here stands
//! only that it was tried.

use std::path::{Path, PathBuf};

use grap_core::{BackupId, SourceName};
use grap_disk::{self as disk, DiskError, FileLock, Journal, JournalError};
use grap_task::Clock;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state directory {} cannot be used", path.display())]
    Unusable { path: PathBuf, source: DiskError },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("another grap process is running a {job} on the state directory {}", path.display())]
    Busy { job: &'static str, path: PathBuf },
}

/// What can run once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    Backup,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
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
    pub ended: Option<Timestamp>,
    pub status: AttemptStatus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptStatus {
    InProgress,
    Succeeded,
    Failed { code: String, message: String },
}

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

    /// Take the lock of a job. What a dead holder left open is closed as abandoned.
    pub fn lock(&self, job: Job, clock: &Clock) -> Result<FileLock, StateError> {
        let lock = self
            .try_lock(job)?
            .ok_or_else(|| StateError::Busy { job: job.name(), path: self.root.clone() })?;
        for operation in self.open_operations(job.name())? {
            self.append(&Event::Closed { operation, at: clock.now(), outcome: Outcome::Abandoned })?;
        }
        Ok(lock)
    }

    fn try_lock(&self, job: Job) -> Result<Option<FileLock>, StateError> {
        let path = self.root.join(format!("{}.lock", job.name()));
        FileLock::try_exclusive(&path)
            .map_err(|source| StateError::Unusable { path: self.root.clone(), source })
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

    /// Every try at a backup, oldest first.
    pub fn attempts(&self) -> Result<Vec<Attempt>, StateError> {
        let running = self.try_lock(Job::Backup)?.is_none();
        let mut attempts: Vec<Attempt> = Vec::new();
        for event in self.journal().entries::<Event>()? {
            match event {
                Event::Opened { operation, verb, at, source, .. } if verb == "backup" => {
                    let Ok(id) = operation.parse() else { continue };
                    attempts.push(Attempt {
                        id,
                        source,
                        started: at,
                        ended: None,
                        status: AttemptStatus::InProgress,
                    });
                }
                Event::Closed { operation, at, outcome } => {
                    let open = attempts.iter_mut().rev().find(|attempt| attempt.id.as_str() == operation);
                    if let Some(attempt) = open {
                        attempt.ended = Some(at);
                        attempt.status = outcome.into();
                    }
                }
                Event::Opened { .. } => {}
            }
        }
        if !running {
            for attempt in attempts.iter_mut().filter(|attempt| attempt.status == AttemptStatus::InProgress) {
                attempt.status = Outcome::Abandoned.into();
            }
        }
        Ok(attempts)
    }

    fn open_operations(&self, verb: &str) -> Result<Vec<String>, StateError> {
        let mut open = Vec::new();
        for event in self.journal().entries::<Event>()? {
            match event {
                Event::Opened { operation, verb: of, .. } if of == verb => open.push(operation),
                Event::Closed { operation, .. } => open.retain(|known| *known != operation),
                Event::Opened { .. } => {}
            }
        }
        Ok(open)
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
}
