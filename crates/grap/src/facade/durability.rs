//! Backups, and what becomes of them.

use grap_core::Target;

use super::{Caller, HealthChecker};
use crate::error::{Error, Result};
use crate::ops::{
    self, Access, BackupOptions, BackupReport, ExpireOptions, ExpirePlan, ExpireReport, HealthOptions,
    HealthReport, ListReport, VerifyOptions, VerifyReport,
};
use crate::state::StateDirectory;

/// The way to the repository, anew for each operation.
pub type OpenRepository = dyn Fn() -> Result<Access> + Send + Sync;

/// What each of the operations is to do.
#[derive(Debug, Clone)]
pub struct DurabilityOptions {
    pub backup: BackupOptions,
    /// What stays, and what goes.
    pub expire: ExpireOptions,
    pub health: HealthOptions,
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

    pub fn check_database_health(&self, detailed: bool) -> HealthReport {
        HealthChecker::new(self.options.health.clone(), self.caller.clone()).perform_all_checks(detailed)
    }
}
