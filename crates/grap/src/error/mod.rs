//! Every way an operation can fail, and what it is called outside.
//!
//! - [`Error`] has one variant a situation; the libraries below know no codes.
//! - [`Code`] is what scripts match on, with an exit status and a hint (`code`).
//! - `mapping` gives each situation its code: one exhaustive match, so that a new one does not compile until it
//!   has one.

mod code;
mod mapping;

use std::path::PathBuf;

use grap_core::recovery::{Order, RecoveryId, Status};
use grap_core::{BackupId, Mismatch, PlanRefusal, Shortage, SourceName, TimeRefusal};
use grap_disk::DiskError;
use grap_repository::RepositoryError;
use grap_task::Stopped;

use crate::archive::{ArchiveError, PathError, RunNumber, WriteError};
use crate::check::CheckError;
use crate::copy::{AssembleError, CaptureError, ManifestError, RereadError};
use crate::live::{FollowError, LayoutError, LogError, PinError};
use crate::server::ServerError;
use crate::server::control::ControlError;
use crate::state::StateError;

pub use code::Code;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Reread(#[from] RereadError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Bolt(#[from] grap_bolt::Error),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("`{target}` is a point in time, no backup")]
    NotABackup { target: String },
    #[error("`{target}` lies outside of what can be restored of database `{database}`: {window}")]
    TargetOutside { target: String, database: String, window: String, source: PlanRefusal },
    #[error("`{target}` lies outside of what can be restored of database `{database}`: {window}")]
    TimeOutside { target: String, database: String, window: String, source: TimeRefusal },
    #[error("`{target}` lies outside of what can be restored of database `{database}`: {window}")]
    NothingArchived { target: String, database: String, window: String },
    #[error("`{target}` can be restored only across a hole of the archive")]
    ArchiveHole { target: String, source: PlanRefusal },
    #[error("`{target}` names no single point of database `{database}`; take one of: {}", ways.join(", "))]
    TimeUnsure { target: String, database: String, ways: Vec<String>, source: TimeRefusal },
    #[error("`{target}` could mean several points, because {why}; take one of: {}", ways.join(", "))]
    TargetAmbiguous { target: String, why: String, ways: Vec<String> },
    #[error("`{target}` is transaction {id}, and there {what}; take one of: {}", ways.join(", "))]
    TargetInSchemaChange { target: String, id: grap_neo4j::TxId, what: String, ways: Vec<String> },
    #[error("which timeline of database `{database}` `{target}` lies on is not known: the start of run {run}, the newest, cannot be read ({why}); take one of: {}", ways.join(", "))]
    NewestRunUnreadable { target: String, database: String, run: RunNumber, why: String, ways: Vec<String> },
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    #[error("not enough room at {}", path.display())]
    NoSpace { path: PathBuf, source: Shortage },
    #[error("the server was {change} while the backup ran")]
    ServerChanged { change: &'static str },
    #[error("the running server (pid {pid}) does not hold the newest log file in {} open: its transaction logs lie elsewhere", path.display())]
    LogsElsewhere { pid: u32, path: PathBuf },
    #[error("another process has made a backup {id} of source `{name}` meanwhile")]
    IdTaken { id: BackupId, name: SourceName },
    #[error("this is not the database that source `{name}` is bound to")]
    SourceMismatch { name: SourceName, source: Mismatch },
    #[error("there is no repository at {location}: it has no config")]
    NoRepository { location: String },
    #[error("{} is no place for a new repository: it holds {found}", path.display())]
    PlaceNotEmpty { path: PathBuf, found: String },
    #[error("the repository has no source `{name}`; it has: {}", list(known))]
    SourceUnknown { name: SourceName, known: Vec<SourceName> },
    #[error("the repository has a source `{name}` already")]
    SourceExists { name: SourceName },
    #[error("the repository has several sources: {}", list(known))]
    SourceUnnamed { known: Vec<SourceName> },
    #[error("the record of source `{name}` has version {found}; this program knows 1")]
    SourceNewer { name: SourceName, found: u32 },
    #[error("the repository has no source")]
    NoSource,
    #[error("the record of source `{name}` cannot be read as JSON")]
    SourceRecord { name: SourceName, source: serde_json::Error },
    #[error("there is no backup {wanted}; there are: {}", list(known))]
    BackupNotFound { wanted: String, known: Vec<BackupId> },
    #[error("there is no backup {wanted} that can be read; {} cannot be", damaged.join(", "))]
    BackupUnreadable { wanted: String, damaged: Vec<String> },
    #[error("there is no backup in this repository")]
    NoBackup,
    #[error("backup {id} is held by {}", holds.join("; by "))]
    BackupHeld { id: BackupId, holds: Vec<String> },
    #[error("backup {id} is needed: {why}")]
    BackupNeeded { id: BackupId, why: String },
    #[error("whether backup {id} may be deleted is not known: {why}")]
    BackupInDoubt { id: BackupId, why: String },
    #[error("the sources {} each have a backup {id}", list(sources))]
    BackupAmbiguous { id: BackupId, sources: Vec<SourceName> },
    #[error("the manifest of backup {id} cannot be read")]
    Manifest { id: BackupId, source: ManifestError },
    #[error("backup {id} holds no file `{path}`")]
    BackupIncomplete { id: BackupId, path: String },
    #[error("backup {id} holds no database `{database}`; it holds: {}", known.join(", "))]
    DatabaseNotFound { id: BackupId, database: String, known: Vec<String> },
    #[error("backup {id} holds several user databases: {}; say which", names.join(", "))]
    OpenWhich { id: BackupId, names: Vec<String> },
    #[error("the database `system` is not opened: each server has one of its own, with users of its own")]
    SystemNotOpened,
    #[error("the repository is damaged: {problems} problems were found")]
    Damaged { problems: usize },
    #[error("in the repository that is copied to")]
    AtCopy {
        #[source]
        error: Box<Error>,
    },
    #[error("the repository to copy to is the same one, or a copy of its files: both have the id {id}")]
    CopyToItself { id: String },
    #[error("the repository to copy to is a copy of repository {other}; this is {this}")]
    CopyOfOther { this: String, other: String },
    #[error("the repository to copy to holds {what} of its own: it is no copy of this one")]
    CopyNotEmpty { what: String },
    #[error("the repository to copy to has gone its own way: {object} is another one there")]
    CopyDiverged { object: String },
    #[error("{problems} problems were found; everything else is copied")]
    CopiedPartly { problems: usize },
    #[error("backup {id} is damaged: {damaged} files could not be restored; the others are in {}", kept.display())]
    RestoredPartly { id: BackupId, damaged: usize, kept: PathBuf },
    #[error("{asked} is not possible: recovery {id} is {status}")]
    RecoveryInTheWay { asked: &'static str, id: RecoveryId, status: Status },
    #[error("{asked} is not possible: recovery {id} to `{target}` is under way; without a target it goes on")]
    OtherRecovery { asked: &'static str, id: RecoveryId, target: String },
    #[error(
        "{id} goes on with the Neo4j that has opened its candidate, {opened_by}; this is {found}: name a home of the former (--neo4j-home or recovery.neo4j_home), or cancel the recovery and start it anew"
    )]
    OtherServer { id: RecoveryId, opened_by: String, found: String },
    #[error("{id} began with another repository")]
    OtherRepository { id: RecoveryId },
    #[error("{} is there, and is not of this recovery", path.display())]
    CandidateTaken { path: PathBuf },
    #[error("the path {} is no UTF-8: a journal cannot hold it", path.display())]
    CandidatePath { path: PathBuf },
    #[error("what was restored to {} is not what was planned: {why}", path.display())]
    CandidateWrong { path: PathBuf, why: String },
    #[error("the candidate {} is not what has passed: {why}", path.display())]
    CandidateChanged { path: PathBuf, why: String },
    #[error("whether the candidate {} is still what has passed cannot be said: an older program judged it, and did not note what it was", path.display())]
    CandidateUnprinted { path: PathBuf },
    #[error("the repository cannot be opened again: {why}")]
    NotOpenedAgain { why: String },
    #[error("a recovery is under way: a drill waits until there is none")]
    DrillBesideRecovery,
    #[error("there is nothing that could be drilled: {why}")]
    NoDrillTarget { why: String },
    #[error("{why}")]
    PromotionRefused { why: String },
    #[error(
        "the server is not started: {half} is not there, and a server makes an empty database in the place of one that is gone, and serves that"
    )]
    LiveGone { half: String },
    #[error("{} is the barrier of {id}, which was interrupted: `grap recover reset` exchanges it back", .path.display())]
    BarrierOfAnother { path: PathBuf, id: RecoveryId },
    #[error(
        "another grap, of another state directory, is in the middle of a promotion, a rollback or a release here: it holds {}", .path.display()
    )]
    ClaimHeld { path: PathBuf },
    #[error("the new database is not what it should be: {why}")]
    NotConfirmed { why: String },
    #[error("what lies on disk is not what was noted, and nothing was touched: {what}")]
    SwapUnknown { what: String },
    /// What an order had to look at could not be looked at: that says nothing about it, and it stays owed.
    #[error(transparent)]
    StillOwed(Box<Error>),
    #[error(
        "{asked} is not possible: {id} owes `{owed}`, {why}: `grap recover {verb}` goes on with it, `grap recover cancel` takes it back where that can be"
    )]
    SwitchOwed { asked: &'static str, id: RecoveryId, owed: Order, why: String, verb: &'static str },
    #[error(
        "a cancellation is not possible: {id} owes `{owed}`, and {stands}: `grap recover {words}` goes on with it"
    )]
    TooLateToCancel { id: RecoveryId, owed: Order, stands: &'static str, words: &'static str },
    #[error("stopped, and {id} owes `{owed}` still: {stands}: `grap recover {words}` goes on with it")]
    SwitchPaused { id: RecoveryId, owed: Order, stands: &'static str, words: &'static str },
    #[error(
        "{id} was told to end within {seconds} s and has not: it is at `{owed}`, and may still be taken back"
    )]
    CancelNotHeard { id: RecoveryId, owed: Order, seconds: u64 },
    #[error("{} cannot be read: {why}", path.display())]
    MarkUnreadable { path: PathBuf, why: String },
    #[error("of a promotion that is owed the journal does not say {what}")]
    SwitchUnknown { what: &'static str },
    #[error("{}: {free} bytes are left, and {wanted} are to be there for what is noted while the live server is stopped", path.display())]
    NoRoomForJournal { path: PathBuf, free: u64, wanted: u64 },
    #[error("which server is the live one, or how it is stopped, started and asked, is not set: {why}")]
    LiveUnknown { why: String },
    #[error("there is no retired database{}", named(id.as_ref()))]
    NoRetired { id: Option<RecoveryId> },
    #[error("what {id} has retired is not released: {why}")]
    RetiredNotBackedUp { id: RecoveryId, why: String },
    #[error("{asked} is not possible: there is no recovery")]
    NoRecovery { asked: &'static str },
}

impl Error {
    /// What failed in the repository that is copied to: two are open.
    pub(crate) fn at_copy(error: impl Into<Self>) -> Self {
        match error.into() {
            stopped @ (Self::Stopped(_) | Self::Repository(RepositoryError::Stopped(_))) => stopped,
            error => Self::AtCopy { error: Box::new(error) },
        }
    }
}

fn named(id: Option<&RecoveryId>) -> String {
    id.map_or_else(String::new, |id| format!(" of {id}"))
}

fn list<T: std::fmt::Display>(names: &[T]) -> String {
    match names {
        [] => "none".to_owned(),
        [shown @ .., last] if shown.len() < 20 => {
            shown.iter().fold(String::new(), |text, name| format!("{text}{name}, ")) + &last.to_string()
        }
        _ => {
            let shown: Vec<String> = names[names.len() - 20..].iter().map(ToString::to_string).collect();
            format!("... {}", shown.join(", "))
        }
    }
}

/// What caused an error, outermost first. A cause that an outer error shows as itself is not said twice.
pub fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        cause = inner.source();
    }
    said.split_off(1)
}

/// An error and what caused it: `the start record of run 3 is damaged: it cannot be read as JSON`.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    std::iter::once(error.to_string()).chain(causes(error)).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_twice_and_nothing_dangles() {
        let inner = || ManifestError::Newer { found: 9 };
        let alone = in_one_line(&inner());
        assert!(!alone.ends_with(": "), "{alone}");
        let id: BackupId = "neo4j-20261125-020000".parse().unwrap();
        let outer = Error::Manifest { id, source: inner() };
        assert_eq!(in_one_line(&outer), format!("{outer}: {alone}"));
        let shown_as_itself = Error::Stopped(Stopped);
        assert_eq!(in_one_line(&shown_as_itself), Stopped.to_string());
    }
}
