//! Everything that can be wrong with a log, and which of it a log that is being written may show for a
//! moment.

use grap_disk::DiskError;
use grap_neo4j::checkpoint::CheckpointError;
use grap_neo4j::ids::LogPosition;
use grap_neo4j::txlog::{ChainError, HeaderError, Tail};
use grap_task::Stopped;

use super::pin::PinError;

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("database `{database}` has no checkpoint: no valid record in any of its checkpoint files")]
    NoCheckpoint { database: String },
    #[error("checkpoint file {version} of database `{database}` cannot be read")]
    Checkpoint { database: String, version: u64, source: CheckpointError },
    #[error("log file {version} of database `{database}` cannot be read")]
    Header { database: String, version: u64, source: HeaderError },
    #[error("log file {version} of database `{database}` calls itself log file {found}")]
    Misnamed { database: String, version: u64, found: u64 },
    #[error("log file {version} of database `{database}` has a length of {size} bytes, less than its header")]
    TooShort { database: String, version: u64, size: u64 },
    #[error(
        "log file {version} of database `{database}` is missing; the checkpoint needs the log from file {from} on"
    )]
    Missing { database: String, version: u64, from: u64 },
    #[error("log file {version} of database `{database}` was replaced by another while the backup ran")]
    Replaced { database: String, version: u64 },
    #[error("the log of database `{database}` is not continuous")]
    Chain { database: String, source: ChainError },
    #[error("the log of database `{database}` is damaged behind transaction {last}: {tail} (log file {version}, offset {})", tail.from())]
    Damaged { database: String, version: u64, last: u64, tail: Tail },
    #[error(
        "the log of database `{database}` does not hold what its checkpoint names: transaction {id} at {position}"
    )]
    CheckpointNotOnLog { database: String, id: u64, position: LogPosition },
    #[error("log file {version} of database `{database}` changed where it had been read already")]
    Changed { database: String, version: u64 },
}

impl LogError {
    /// Whether a log that is being written can look like this for a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::TooShort { .. } | Self::CheckpointNotOnLog { .. } => true,
            // A rotated file that is not yet cut to its length, or a successor that came while we read.
            Self::Chain { source, .. } => {
                matches!(source, ChainError::NotAtEnd { .. } | ChainError::BehindNewest { .. })
            }
            _ => false,
        }
    }
}
