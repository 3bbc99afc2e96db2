//! Why the live server could not be stopped or started.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use grap_disk::DiskError;
use grap_task::Stopped;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Stopped(#[from] Stopped),

    // How it is told.
    #[error("nothing says how the live server is stopped and started")]
    NotSet,
    #[error("`{unit}` is no name of a unit of systemd")]
    NoUnit { unit: String },
    #[error("no answer from the supervisor at {}", socket.display())]
    SupervisorSilent { socket: PathBuf, source: io::Error },
    #[error("the supervisor at {} refuses: {said}", socket.display())]
    SupervisorRefuses { socket: PathBuf, said: String },
    #[error("`{command}` cannot be run")]
    Spawn { command: String, source: io::Error },

    // The stop.
    #[error("`{command}` ended with {status}, and the server goes on holding its stores: {said}")]
    StopFailed { command: String, status: ExitStatus, said: String },
    #[error("the server holds its stores {} s after it was told to stop: it may still end", limit.as_secs())]
    StopTimedOut { limit: Duration },

    // The start.
    #[error("`{command}` ended with {status}, and no server holds the stores: {said}")]
    StartFailed { command: String, status: ExitStatus, said: String },
    #[error("the server was told to start, and for {} s none has held the stores: {said}", waited.as_secs())]
    StartInVain { waited: Duration, said: String },
    #[error("no server holds the stores {} s after it was told to start", limit.as_secs())]
    StartTimedOut { limit: Duration },
    #[error("a server holds the stores, but {} s after it was told to start it does not answer", limit.as_secs())]
    NotServing { limit: Duration, source: grap_bolt::Error },
}
