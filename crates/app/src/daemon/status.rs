//! What the daemon knows of itself, as `grap status` asks for it over the socket.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::job::JobView;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DaemonStatus {
    pub(crate) program: String,
    pub(crate) pid: u32,
    pub(crate) since: Timestamp,
    pub(crate) jobs: Vec<JobView>,
    pub(crate) lag: Vec<LagView>,
    pub(crate) protection: Option<ProtectionView>,
    /// `None`: not a local one, or it could not be measured.
    pub(crate) space: Option<SpaceView>,
}

/// How far the archive of a database is behind, as it was last seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LagView {
    pub(crate) database: String,
    /// Whether the log goes on from what is archived; else there is nothing to be counted.
    pub(crate) follows: bool,
    pub(crate) transactions: u64,
    pub(crate) milliseconds: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProtectionView {
    pub(crate) protected: bool,
    pub(crate) reasons: Vec<String>,
    pub(crate) at: Timestamp,
}

/// Of the file system that holds the repository.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct SpaceView {
    pub(crate) available: u64,
    pub(crate) total: u64,
}
