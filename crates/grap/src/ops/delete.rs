//! `delete`: one backup, by the operator's word. The same records and the same lock as `expire`; age is not asked, but
//! what is held, the last good backup, and what the kept window begins from are refused.

use grap_core::{BackupId, Candidate, SourceName, Target, newest_verified};
use grap_repository::Repository;
use grap_task::Unit;

use super::assess::{Assessed, AssessedBackup, window_begins};
use super::expire::delete_backup;
use super::space::without_reserve;
use super::{Access, Session};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::state::{Job, StateDirectory};

#[derive(Debug, Clone)]
pub struct DeleteOptions {
    /// A backup.
    pub backup: Target,
    pub source: Option<SourceName>,
    /// How many days of 24 hours the window of the archive reaches back.
    pub window_days: u32,
}

/// What would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletePlan {
    pub id: BackupId,
    pub source: SourceName,
    pub snapshot: String,
}

#[derive(Debug)]
pub struct DeleteReport {
    pub plan: DeletePlan,
}

/// Whether it may go. Deletes nothing.
pub fn plan_delete(options: &DeleteOptions, access: Access, session: &Session<'_>) -> Result<DeletePlan> {
    let repository = access.open()?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    let (plan, _) = decide(options, &repository, session)?;
    session.release(lock);
    Ok(plan)
}

pub fn delete(
    options: &DeleteOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<DeleteReport> {
    let directory = access.directory.clone();
    without_reserve(directory.as_deref(), session, || {
        state.run(Job::Maintain, "delete", session.clock, || run(options, access, session))
    })
}

fn run(options: &DeleteOptions, access: Access, session: &Session<'_>) -> Result<DeleteReport> {
    let repository = access.open()?;
    let lock = repository.lock_exclusive(session.holder, session.clock)?;
    let (plan, backup) = decide(options, &repository, session)?;
    let why = (vec!["an operator said so".to_owned()], "delete");
    delete_backup((&repository, &lock), &backup, why, session)?;
    session.release(lock);
    Ok(DeleteReport { plan })
}

fn decide(
    options: &DeleteOptions,
    repository: &Repository,
    session: &Session<'_>,
) -> Result<(DeletePlan, AssessedBackup)> {
    let catalog = Catalog::load(repository)?;
    let found = catalog.find(&options.backup, options.source.as_ref())?;
    let reader = repository.reader(session.monitor)?;
    session.monitor.begin("reading the archive", Unit::Items, None);
    let since = window_begins(session.clock.now(), options.window_days);
    let mut assessed = Assessed::load((repository, &reader, &catalog), &found.source, since, session)?;
    let number = assessed.backups.iter().position(|known| known.backup.snapshot.id == found.snapshot.id);
    let number = number.expect("it comes from the same catalog");
    refuse(&assessed.backups[number].candidate, &assessed)?;
    let (id, source) = (found.id.clone(), found.source.clone());
    let plan = DeletePlan { id, source, snapshot: found.snapshot.id.to_string() };
    Ok((plan, assessed.backups.swap_remove(number)))
}

fn refuse(candidate: &Candidate, assessed: &Assessed) -> Result<()> {
    let id = &candidate.id;
    let needed = |why: &str| Err(Error::BackupNeeded { id: id.clone(), why: why.to_owned() });
    if let Some(why) = &candidate.doubt {
        return Err(Error::BackupInDoubt { id: id.clone(), why: why.clone() });
    }
    if !candidate.holds.is_empty() {
        return Err(Error::BackupHeld { id: id.clone(), holds: candidate.holds.clone() });
    }
    if candidate.needed {
        return needed("the kept window of the archive begins from it");
    }
    if newest_verified(&assessed.candidates()).is_some_and(|newest| newest.id == *id) {
        return needed("it is the newest verified backup of its source");
    }
    if let Some(doubt) = &assessed.keeping.doubt {
        return needed(&format!("what the archive needs is not known: {doubt}"));
    }
    Ok(())
}
