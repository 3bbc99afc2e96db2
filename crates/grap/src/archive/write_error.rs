//! What can keep an archiver from writing.

use grap_disk::DiskError;

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
    #[error("database `{database}` has no log with a header yet")]
    NoLog { database: String },
    #[error("others began runs of the archive {tries} times while this one tried to")]
    Contended { tries: u32 },
}

impl WriteError {
    /// It may pass by itself, as against a decision that an operator has to take.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Archive(error) => {
                !matches!(error, ArchiveError::Start { .. } | ArchiveError::Segment { .. })
            }
            Self::Follow(_) | Self::Disk(_) | Self::NoLog { .. } | Self::Contended { .. } => true,
            Self::NotOurs(_) | Self::StartUnreadable { .. } => false,
        }
    }
}
