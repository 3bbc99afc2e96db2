//! What can go wrong while the log files are followed.

use std::path::PathBuf;

use grap_disk::DiskError;

#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("another process held the folder of pins {} for too long", pins.display())]
    GateShut { pins: PathBuf },
    #[error("too many log files to hold open ({count}), and hard links are not possible: {reason}")]
    TooManyDescriptors { count: usize, reason: String },
    #[error("database `{database}` is not one of this installation")]
    UnknownDatabase { database: String },
    #[error("{} is no directory", path.display())]
    NoStores { path: PathBuf },
    #[error("the run of the server that is there now cannot be dropped")]
    RunIsPresent,
    #[error("these pins are for `{owner}`, not for `{wanted}`")]
    OtherOwner { owner: String, wanted: String },
}
