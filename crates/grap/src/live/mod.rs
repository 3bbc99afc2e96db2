//! The live installation, read only: where its directories are, which run of the server holds them, and its
//! log files, pinned.

mod configuration;
mod elsewhere;
mod follow;
mod identity;
mod layout;
mod log;
mod log_error;
mod pin;
mod pin_folder;
mod pinned;
mod plugins;
mod release;
mod walk;

pub use configuration::Configuration;
pub use elsewhere::logs_elsewhere;
pub(crate) use follow::held_before;
pub use follow::{
    FollowError, FollowOptions, Follower, HeldBack, HeldRun, LeftFolder, LeftReason, ManualRun, PinGap,
    Place, RunIdentity, RunProbe,
};
pub use identity::ServerRun;
pub use layout::{Installation, InstallationOptions, LayoutError, SYSTEM};
pub use log::{Checkpoint, LogReader};
pub use log_error::LogError;
pub use pin::{Pace, PinError, Pinner};
pub use pinned::{PinMode, PinnedFile};
pub use plugins::{Plugin, plugins};
pub use release::release;
pub(crate) use walk::LogWalk;
pub use walk::{LogSpan, SpanFile};
