//! `restore --dry-run`: what a restore would do. Nothing is written, not even a lock.

use grap_core::{BackupId, RestorePlan, SourceName};
use grap_repository::Repository;

use super::decide::{DatabaseDecision, decide};
use super::{RestoreOptions, chosen, question};
use crate::catalog::Catalog;
use crate::copy::Point;
use crate::error::{Error, Result};
use crate::live::SYSTEM;
use crate::ops::{Access, Session};

#[derive(Debug)]
pub struct PlanReport {
    pub target: String,
    /// Its id.
    pub repository: String,
    pub source: SourceName,
    /// The backup that it would begin from.
    pub id: BackupId,
    /// Of the backup's files.
    pub backup_bytes: u64,
    /// For a target behind the backup's end.
    pub plan: Option<RestorePlan>,
    pub databases: Vec<PlannedDatabase>,
}

#[derive(Debug)]
pub struct PlannedDatabase {
    pub name: String,
    /// Where the backup ends.
    pub base: Point,
    pub end: Point,
    pub log_transactions: u64,
    pub log_bytes: u64,
    pub short: Option<String>,
    pub server_min: String,
}

/// Decide, and tell. `to`, `owner`, `keep_going` and `no_lock` of the options mean nothing here.
pub fn plan_restore(options: &RestoreOptions, access: Access, session: &Session<'_>) -> Result<PlanReport> {
    plan_restore_from(options, &access.open_told(session)?, session)
}

/// As [`plan_restore`], from a repository that is open.
pub(crate) fn plan_restore_from(
    options: &RestoreOptions,
    repository: &Repository,
    session: &Session<'_>,
) -> Result<PlanReport> {
    let catalog = Catalog::load(repository)?;
    catalog.tell_damaged(session.monitor);
    let reader = repository.reader(session.monitor)?;
    let decision = decide(&question(options, &[], &[]), repository, &catalog, &reader, session)?;
    let databases = chosen(&decision, &options.databases)?;
    Ok(PlanReport {
        target: options.target.to_string(),
        repository: repository.id().to_string(),
        source: decision.manifest.source.clone(),
        id: decision.manifest.id.clone(),
        backup_bytes: databases.iter().flat_map(|database| &database.base.files).map(|file| file.size).sum(),
        databases: databases.into_iter().map(planned).collect(),
        plan: decision.plan.clone(),
    })
}

impl PlanReport {
    /// The user database that is named, or the only one there is.
    pub fn user_database(&self, named: Option<&str>) -> Result<&PlannedDatabase> {
        let users: Vec<&PlannedDatabase> =
            self.databases.iter().filter(|database| database.name != SYSTEM).collect();
        let names = || users.iter().map(|database| database.name.clone()).collect();
        match (named, users.as_slice()) {
            (Some(named), _) => {
                let found = users.iter().find(|database| database.name == named);
                found.copied().ok_or_else(|| Error::DatabaseNotFound {
                    id: self.id.clone(),
                    database: named.to_owned(),
                    known: names(),
                })
            }
            (None, [user]) => Ok(user),
            (None, _) => Err(Error::OpenWhich { id: self.id.clone(), names: names() }),
        }
    }
}

fn planned(database: &DatabaseDecision) -> PlannedDatabase {
    PlannedDatabase {
        name: database.base.name.clone(),
        base: database.base.end,
        end: database.promised.end,
        log_transactions: database.extension.transactions,
        log_bytes: database.extension.bytes,
        short: database.short.clone(),
        server_min: database.promised.server_min.clone(),
    }
}
