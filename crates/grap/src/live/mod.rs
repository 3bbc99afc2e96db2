//! The live installation, read only: where its directories are, which run of the server holds them, and its
//! log files, pinned.

mod configuration;
mod identity;
mod layout;
mod log;
mod log_error;
mod pin;
mod release;
mod walk;

pub use configuration::Configuration;
pub use identity::ServerRun;
pub use layout::{Installation, InstallationOptions, LayoutError};
pub use log::{Checkpoint, LogReader};
pub use log_error::LogError;
pub use pin::{Pace, PinError, PinMode, PinnedFile, Pinner};
pub use release::release;
pub(crate) use walk::LogWalk;
pub use walk::{LogSpan, SpanFile};
