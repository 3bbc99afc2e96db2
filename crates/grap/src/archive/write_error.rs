//! What can keep an archiver from writing.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use grap_disk::DiskError;
use grap_repository::{ObjectError, RepositoryError};

use super::names::RunNumber;
use super::owner::NotOurs;
use super::store::ArchiveError;
use crate::live::FollowError;

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another installation writes for this source.
    #[error("this installation does not write for the source")]
    NotOurs(#[from] NotOurs),
    #[error(
        "the newest start record of the archive, run {run}, cannot be read ({why}): whose it is nobody can say"
    )]
    StartUnreadable { run: RunNumber, why: String },
    #[error(
        "the directory `databases` was replaced while its log was archived: the databases lie in another place now"
    )]
    PlaceChanged,
    #[error("{} is held by another process", path.display())]
    NoncesHeld { path: PathBuf },
    #[error("the system gives no random numbers")]
    NoRandom(#[source] io::Error),
    #[error("database `{database}` has no log with a header yet")]
    NoLog { database: String },
    #[error("not everything that was complete at the stop could be stored within {} s", within.as_secs())]
    NotDrained { within: Duration },
    #[error("others began runs of the archive {tries} times while this one tried to")]
    Contended { tries: u32 },
}

impl WriteError {
    /// It may pass by itself, as against what an operator has to look at.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Archive(ArchiveError::Repository(error)) => storage_may_pass(error),
            Self::Archive(_)
            | Self::NotOurs(_)
            | Self::StartUnreadable { .. }
            | Self::PlaceChanged
            | Self::NotDrained { .. } => false,
            Self::Follow(error) => follow_may_pass(error),
            Self::Disk(_)
            | Self::NoncesHeld { .. }
            | Self::NoRandom(_)
            | Self::NoLog { .. }
            | Self::Contended { .. } => true,
        }
    }
}

/// A storage that does not answer, or refuses for a while (credentials that ran out, a quota, a bucket that is
/// away), as against one that answers badly.
pub(super) fn storage_may_pass(error: &RepositoryError) -> bool {
    let RepositoryError::Object(error) = error else { return false };
    match error {
        ObjectError::Failed { .. }
        | ObjectError::NotFound { .. }
        | ObjectError::Denied { .. }
        | ObjectError::Full { .. }
        | ObjectError::Refused { .. } => true,
        ObjectError::AlreadyExists { .. } | ObjectError::InvalidName { .. } => false,
    }
}

/// A storage that understood us and says no.
pub(super) fn storage_refuses(error: &RepositoryError) -> bool {
    matches!(error, RepositoryError::Object(ObjectError::Denied { .. } | ObjectError::Refused { .. }))
}

/// A source that cannot be looked at for a while.
pub(super) fn follow_may_pass(error: &FollowError) -> bool {
    match error {
        FollowError::Disk(_)
        | FollowError::GateShut { .. }
        | FollowError::TooManyDescriptors { .. }
        | FollowError::NoStores { .. } => true,
        FollowError::UnknownDatabase { .. } | FollowError::RunIsPresent | FollowError::OtherOwner { .. } => {
            false
        }
    }
}
