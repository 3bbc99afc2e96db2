//! The live installation, read only: where its directories are, which run of the server holds them, and its log files, pinned.

mod configuration;
mod identity;
mod layout;
mod log;
mod pin;
mod release;
mod walk;

pub use configuration::Configuration;
pub use identity::ServerRun;
pub use layout::{Installation, InstallationOptions, LayoutError};
pub use log::{Checkpoint, LogError, LogReader, LogSpan, SpanFile};
pub use pin::{Pace, PinError, PinMode, PinnedFile, Pinner};
pub use release::release;
pub(crate) use walk::LogWalk;
