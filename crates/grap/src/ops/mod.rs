//! The operations: one file a verb. The top function of each reads as its story.

mod archive;
mod assess;
mod backup;
mod canary;
mod check;
mod copy;
mod delete;
mod doctor;
mod drill;
mod expire;
mod hold;

mod gc;
mod health;
mod init;
mod key;
mod lateness;
mod list;
mod open;
mod promote;
mod recover;
mod release;
mod restore;
mod schema;
mod session;
mod show;
mod source;
mod space;
mod status;
mod unlock;
mod verify;
mod verify_part;
mod watch;
mod watchdog;
mod window;

pub use archive::{ArchiveOptions, ArchiveReport, archive};
pub use backup::{BackupOptions, BackupReport, backup};
pub use canary::{CanaryOptions, CanaryRun, canary};
pub use check::{CheckOptions, CheckReport, CheckedDatabase, check};
pub use copy::{CopiedBackup, CopyOptions, CopyReport, copy};

pub use delete::{DeleteOptions, DeletePlan, DeleteReport, delete, plan_delete};
pub use doctor::{Check, CheckStatus, DoctorOptions, DoctorReport, SecondRepository, doctor};
pub use drill::{DrillOptions, DrillReport, drill, drill_history};
pub use expire::{ExpireOptions, ExpirePlan, ExpireReport, Left, SourcePlan, expire, plan_expire};
pub use gc::{GcOptions, GcPlan, GcReport, gc, plan_gc};
pub use health::{
    CANARY, CONNECTIVITY, CustomCheck, HealthLimits, HealthOptions, HealthReport, ORPHAN_DETECTION,
    SCHEMA_CONSISTENCY, health, health_with_canary,
};
pub use hold::{HoldOptions, HoldReport, hold, release};
pub use init::{InitReport, init};
pub use key::{KeyReport, add_key, change_key, list_keys, remove_key};
pub use list::{BackupRow, BackupStatus, ListReport, list};
pub use open::{OpenOptions, OpenReport, Opened, StayEnd, open};
pub use promote::{
    Ends, SwitchAccess, SwitchOptions, SwitchPlan, SwitchReport, plan_promotion, plan_rollback, promote,
    recover_and_promote, resume_promotion, rollback,
};
pub use recover::{
    CandidateIs, RecoverOptions, RecoveryReport, begin_recovery, cancel_recovery, lost_switch, recover,
    recovery_at_work, recovery_status, reset_recovery,
};
pub use release::{
    Held, StoreReleaseOptions, StoreReleasePlan, StoreReleaseReport, Which, plan_store_release, release_store,
};
pub(crate) use restore::restore_to_ends;
pub use restore::{
    PlanReport, PlannedDatabase, RestoreOptions, RestoreReport, RestoredDatabase, plan_restore, restore,
};
pub use schema::{SchemaOptions, SchemaPlan, SchemaReport, apply_schema, diff_schema};
pub use session::{Access, Session};
pub use show::{ShowReport, show};
pub use source::{SourceReport, add_source, list_sources, rebind_source};
pub use status::{DatabaseStatus, LastBackup, Protection, StatusOptions, StatusReport, status};
pub use unlock::{UnlockReport, unlock};
pub use verify::{BackupVerdict, VerifyOptions, VerifyReport, verify};
pub use verify_part::{VerifyPartOptions, verify_part};
pub use watch::{LagLook, Look, Onlooker, WatchOptions, watch};
pub use window::{SourceWindow, WindowReport, window};
