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
}
