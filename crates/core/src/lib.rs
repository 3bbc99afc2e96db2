//! Decisions, pure: no files, no clock, no network. What needs the time takes `now`.

mod alert;
mod backup_id;
mod dated;
mod health;
mod plan;
pub mod recovery;
mod retention;
mod room;
pub mod schedule;
pub mod schema;
mod source;
mod target;
mod time_cut;

pub use alert::{AlertChange, AlertEvent, AlertLevel, Alerts, OpenAlert, Outbox};
pub use backup_id::{BackupId, InvalidBackupId};
pub use health::{CheckOutcome, CheckState, Checks, HealthCheck};
pub use plan::{Base, Join, Loss, Meeting, PathView, PlanRefusal, Reach, RestorePlan, Span};
pub use retention::{
    Candidate, Decision, Go, Keep, Outcome, Pause, RetentionPlan, RetentionRules, Verdict, newest_verified,
};
pub use room::{PinBudget, Room, Shortage, is_scarce};
pub use source::{Binding, InvalidSourceName, Mismatch, SourceName};
pub use target::{InvalidTarget, Target};
pub use time_cut::{Commit, StartMark, TimeCut, TimeDoubt, TimeRefusal};
