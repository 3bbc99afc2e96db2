//! Backups, and what becomes of them.

use grap_core::Target;

use super::{Caller, HealthChecker, OpenRepository};
use crate::error::{Error, Result};
use crate::ops::{
    self, BackupOptions, BackupReport, ExpireOptions, ExpirePlan, ExpireReport, HealthOptions, HealthReport,
    ListReport, RecoverOptions, RecoveryReport, VerifyOptions, VerifyReport,
};
use crate::state::StateDirectory;

/// What each of the operations is to do.
#[derive(Debug, Clone)]
pub struct DurabilityOptions {
    pub backup: BackupOptions,
    /// What stays, and what goes.
    pub expire: ExpireOptions,
    pub health: HealthOptions,
    /// Its target is said with each call.
    pub recover: RecoverOptions,
}

/// One installation and its repository.
pub struct DurabilityOrchestrator {
    options: DurabilityOptions,
    open: Box<OpenRepository>,
    state: StateDirectory,
    caller: Caller,
}

/// A backup, and the verdict that makes it a good one.
#[derive(Debug)]
pub struct VerifiedBackup {
    pub backup: BackupReport,
    pub verify: VerifyReport,
}

impl DurabilityOrchestrator {
    pub fn new(
        options: DurabilityOptions,
        open: Box<OpenRepository>,
        state: StateDirectory,
        caller: Caller,
    ) -> Self {
        Self { options, open, state, caller }
    }

    /// A hot backup, looked at in the repository when it is there. What is found wrong then is an error; the backup stays,
    /// and does not count as good.
    pub fn backup_and_verify(&self) -> Result<VerifiedBackup> {
        let session = self.caller.session();
        let backup = ops::backup(&self.options.backup, (self.open)()?, &self.state, &session)?;
        let options = VerifyOptions {
            backup: Some(Target::Backup {
                source: Some(backup.manifest.source.clone()),
                id: backup.manifest.id.clone(),
            }),
            source: Some(backup.manifest.source.clone()),
            read_data_percent: None,
        };
        let verify = ops::verify(&options, (self.open)()?, &session)?;
        match verify.problems.len() {
            0 => Ok(VerifiedBackup { backup, verify }),
            problems => Err(Error::Damaged { problems }),
        }
    }

    /// Every backup, and every try that came to nothing, oldest first.
    pub fn list_backups_with_status(&self) -> Result<ListReport> {
        let source = self.options.expire.source.as_ref();
        ops::list((self.open)()?, source, &self.state, &self.caller.session())
    }

    /// What a cleanup would delete now, and why the rest stays.
    pub fn plan_cleanup(&self) -> Result<ExpirePlan> {
        ops::plan_expire(&self.options.expire, (self.open)()?, &self.caller.session())
    }

    /// Delete what no rule keeps: backups, and archived log from before the window. There is no way back. Their room
    /// comes back with [`ops::gc`].
    pub fn cleanup_old_backups(&self) -> Result<ExpireReport> {
        ops::expire(&self.options.expire, (self.open)()?, &self.state, &self.caller.session())
    }

    /// A candidate of this target (`None`: the newest point), restored, opened in a test instance, and judged by every
    /// tier. The live database is not touched. A recovery to the same target that was interrupted goes on. The report says
    /// how it ended: a candidate that failed is no error of this call, see [`RecoveryReport::failure`].
    pub fn restore_with_validation(&self, target: Option<Target>) -> Result<RecoveryReport> {
        let options = RecoverOptions { target, ..self.options.recover.clone() };
        ops::recover(&options, &|| (self.open)(), &self.state, &self.caller.session())
    }

    /// How a recovery stands, and how far it is, whoever performs it.
    pub fn get_recovery_status(&self) -> Result<RecoveryReport> {
        ops::recovery_status(&self.state, &self.caller.session())
    }

    pub fn check_database_health(&self, detailed: bool) -> HealthReport {
        HealthChecker::new(self.options.health.clone(), self.caller.clone()).perform_all_checks(detailed)
    }
}
