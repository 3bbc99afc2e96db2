//! Why a database cannot be checked. What is wrong *in* it is no error but a finding.

use std::path::PathBuf;

use grap_disk::DiskError;
use grap_neo4j::checkpoint::CheckpointError;
use grap_neo4j::metadata::MetadataError;
use grap_task::Stopped;

use crate::live::LogError;

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{} is neither a store directory (with `neostore` in it) nor a data directory (with `databases`)", path.display())]
    NoStore { path: PathBuf },
    #[error("{} holds no transaction log of the database in {}", log.display(), store.display())]
    NoLog { store: PathBuf, log: PathBuf },
    #[error("a server holds {}", path.display())]
    Running { path: PathBuf },
    #[error("database `{database}` was not shut down cleanly: {reason}")]
    NotClean { database: String, reason: String },
    #[error("{} has record format {format}; the checker knows record-aligned", path.display())]
    Format { path: PathBuf, format: String },
    #[error("{} cannot be read", path.display())]
    Metadata { path: PathBuf, source: MetadataError },
    #[error("{} cannot be read", path.display())]
    Checkpoint { path: PathBuf, source: CheckpointError },
    #[error("{} is missing: without it there is no database", path.display())]
    Missing { path: PathBuf },
    #[error("{} does not say how long its records are", path.display())]
    Header { path: PathBuf },
    #[error("somebody wrote into {} meanwhile", path.display())]
    Changed { path: PathBuf },
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}
