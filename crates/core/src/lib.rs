//! Decisions, pure: no files, no clock, no network. What needs the time takes `now`.

mod backup_id;
mod plan;
mod room;
mod source;
mod target;
mod time_cut;

pub use backup_id::{BackupId, InvalidBackupId};
pub use plan::{Base, Join, Loss, Meeting, PathView, PlanRefusal, Reach, RestorePlan, Span};
pub use room::{PinBudget, Room, Shortage, is_scarce};
pub use source::{Binding, InvalidSourceName, Mismatch, SourceName};
pub use target::{InvalidTarget, Target};
pub use time_cut::{Commit, StartMark, TimeCut, TimeDoubt, TimeRefusal};
