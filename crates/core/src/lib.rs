//! Decisions, pure: no files, no clock, no network. What needs the time takes `now`.

mod backup_id;
mod room;
mod source;
mod target;

pub use backup_id::{BackupId, InvalidBackupId};
pub use room::{PinBudget, Room, Shortage};
pub use source::{Binding, InvalidSourceName, Mismatch, SourceName};
pub use target::{InvalidTarget, Target};
