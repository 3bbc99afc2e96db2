//! Why the live server could not be stopped or started.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use grap_disk::DiskError;
use grap_task::Stopped;

use super::supervisor::SupervisorVerb;

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
    #[error("systemd cannot stop and start `{unit}`: {why}")]
    UnitNotKnown { unit: String, why: String },
    #[error("no answer from the supervisor at {}", socket.display())]
    SupervisorSilent { socket: PathBuf, source: io::Error },
    #[error("the supervisor at {} refuses `{}`: {said}", socket.display(), verb.name())]
    SupervisorRefuses { socket: PathBuf, verb: SupervisorVerb, said: String },
    #[error("the supervisor at {} is that of {}, and not of {}", socket.display(), theirs.display(), ours.display())]
    SupervisorOfAnother { socket: PathBuf, theirs: PathBuf, ours: PathBuf },
    // The stop.
    #[error("`{command}`, which stops the server, cannot be run")]
    StopNotRun { command: String, source: io::Error },
    #[error("`{command}` ended with {status}, and the server goes on holding its stores: {said}")]
    StopFailed { command: String, status: ExitStatus, said: String },
    #[error("the server holds its stores {} s after it was told to stop: it may still end", limit.as_secs())]
    StopTimedOut { limit: Duration },

    /// The supervisor has nothing left to stop.
    #[error("what the supervisor at {} had started is stopped, and {who}, which is not its, holds the stores", socket.display())]
    HeldByAnother { socket: PathBuf, who: String },

    // The start.
    #[error("`{command}`, which starts the server, cannot be run")]
    StartNotRun { command: String, source: io::Error },
    #[error("`{command}` ended with {status}, and no server holds the stores: {said}")]
    StartFailed { command: String, status: ExitStatus, said: String },
    #[error("no server holds the stores {} s after it was told to start: {said}", limit.as_secs())]
    StartTimedOut { limit: Duration, said: String },
    #[error("a server holds the stores, but {} s after it was told to start it does not answer", limit.as_secs())]
    NotServing { limit: Duration, source: grap_bolt::Error },
    #[error("a server holds the stores and answers, but {} s after it was told to start it does not serve: {said}", limit.as_secs())]
    NotOnline { limit: Duration, said: String },
}
