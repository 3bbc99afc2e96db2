//! What the daemon knows of itself, as `grap status` asks for it over the socket.

use grap_core::AlertLevel;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use super::job::{JobState, JobView};
pub(crate) use super::scheduler::TaskView;
pub(crate) use crate::alert::{AlertView, SinkView};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DaemonStatus {
    pub(crate) program: String,
    pub(crate) pid: u32,
    pub(crate) since: Timestamp,
    /// Why settings that were read anew were not taken.
    pub(crate) refused: Option<String>,
    pub(crate) jobs: Vec<JobView>,
    pub(crate) tasks: Vec<TaskView>,
    pub(crate) lag: Vec<LagView>,
    pub(crate) protection: Option<ProtectionView>,
    pub(crate) alerts: Vec<AlertView>,
    pub(crate) sinks: Vec<SinkView>,
    /// `None`: not a local one, or it could not be measured.
    pub(crate) space: Option<SpaceView>,
}

impl DaemonStatus {
    /// What is wrong badly enough that somebody has to look: critical alerts, and sinks that tell nobody of them.
    pub(crate) fn critical(&self) -> Vec<String> {
        let alerts = self.alerts.iter().filter(|alert| alert.level == AlertLevel::Critical);
        let alerts = alerts.map(|alert| alert.message.clone());
        let sinks = self.sinks.iter().filter_map(|sink| {
            let since = sink.failing_since?;
            let why = sink.last_error.as_deref().unwrap_or("it does not answer");
            Some(format!("the alert sink {} has failed since {since}: {why}", sink.sink))
        });
        alerts.chain(sinks).collect()
    }
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
    /// Backups that can be read, and when the newest of them ended.
    pub(crate) backups: usize,
    pub(crate) last_backup: Option<Timestamp>,
}

/// Of the file system that holds the repository.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct SpaceView {
    pub(crate) available: u64,
    pub(crate) total: u64,
}
