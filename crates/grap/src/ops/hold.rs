//! `hold`, `release`: nothing deletes a backup that is held. A hold says who holds it and why; a release ends every
//! open hold, each by a note that names it.
//!
//! Neither waits for the repository's lock: a `gc` may hold it for hours, and deletes no backup. Why a hold that was
//! promised is kept all the same: whoever deletes a backup first puts a note that it goes, then looks for holds that
//! came since it decided, and leaves the backup where there is one (`delete_backup`). We put the hold first, then look
//! for such a note. So one of both sees the other. Where we see it, nothing is promised before the lock was ours for a
//! moment, shared: then whoever put that note is done (each deletion needs the exclusive lock), and whoever comes now
//! finds the hold.

use grap_core::{BackupId, SourceName, Target};
use grap_repository::Repository;

use super::{Access, Session};
use crate::catalog::{Backup, Catalog};
use crate::error::Result;
use crate::notes::{self, Hold, NoteKind};
use crate::state::{Job, StateDirectory};

#[derive(Debug, Clone)]
pub struct HoldOptions {
    /// A backup.
    pub backup: Target,
    pub source: Option<SourceName>,
    pub reason: String,
}

#[derive(Debug)]
pub struct HoldReport {
    pub id: BackupId,
    pub source: SourceName,
    /// Those that are open now.
    pub holds: Vec<Hold>,
    /// Those that this call ended.
    pub released: Vec<Hold>,
}

pub fn hold(
    options: &HoldOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<HoldReport> {
    let holder = format!("{}@{}", session.holder.username, session.holder.hostname);
    let held = |hold| NoteKind::Held { hold, holder: holder.clone(), reason: options.reason.clone() };
    change(
        "hold",
        (&options.backup, options.source.as_ref()),
        access,
        (state, session),
        |repository, backup, report| {
            notes::put(repository, &report.source, &report.id, &session.author(), held)?;
            require_kept(repository, backup, session)
        },
    )
}

pub fn release(
    backup: &Target,
    source: Option<&SourceName>,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<HoldReport> {
    change("release", (backup, source), access, (state, session), |repository, _, report| {
        report.released = std::mem::take(&mut report.holds);
        for Hold { hold, .. } in &report.released {
            let kind = |_| NoteKind::Released { hold: *hold };
            notes::put(repository, &report.source, &report.id, &session.author(), kind)?;
        }
        Ok(())
    })
}

/// Behind the hold: the backup is there, and nobody is about to delete it who did not see the hold.
fn require_kept(repository: &Repository, backup: &Backup, session: &Session<'_>) -> Result<()> {
    let standing = notes::standing(repository, &backup.source, &backup.id)?;
    if standing.expired.is_some() {
        // Refused where somebody is alone in the repository.
        session.release(repository.lock_shared(session.holder, session.clock)?);
    }
    let wanted = Target::Backup { source: Some(backup.source.clone()), id: backup.id.clone() };
    Catalog::load(repository)?.find(&wanted, None).map(drop)
}

/// Find the backup and how it stands, change that, and look again.
fn change(
    verb: &str,
    (backup, source): (&Target, Option<&SourceName>),
    access: Access,
    (state, session): (&StateDirectory, &Session<'_>),
    change: impl FnOnce(&Repository, &Backup, &mut HoldReport) -> Result<()>,
) -> Result<HoldReport> {
    state.run(Job::Hold, verb, session.clock, || {
        let repository = access.open()?;
        let catalog = Catalog::load(&repository)?;
        let found = catalog.find(backup, source)?;
        let holds = notes::standing(&repository, &found.source, &found.id)?.holds;
        let (id, source) = (found.id.clone(), found.source.clone());
        let mut report = HoldReport { id, source, holds, released: Vec::new() };
        change(&repository, found, &mut report)?;
        report.holds = notes::standing(&repository, &report.source, &report.id)?.holds;
        Ok(report)
    })
}
