//! `hold`, `release`: nothing deletes a backup that is held. A hold says who holds it and why; a release ends every
//! open hold, each by a note that names it.

use grap_core::{BackupId, SourceName, Target};
use grap_repository::Repository;

use super::{Access, Session};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::notes::{self, Hold, NoteKind, Notes};
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
        |repository, report| {
            notes::put(repository, &report.source, &report.id, &session.author(), held)?;
            Ok(())
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
    change("release", (backup, source), access, (state, session), |repository, report| {
        report.released = std::mem::take(&mut report.holds);
        for Hold { hold, .. } in &report.released {
            let kind = |_| NoteKind::Released { hold: *hold };
            notes::put(repository, &report.source, &report.id, &session.author(), kind)?;
        }
        Ok(())
    })
}

/// Find the backup and how it stands, change that, and look again. Under the shared lock: whoever deletes is done
/// before, or waits.
fn change(
    verb: &str,
    (backup, source): (&Target, Option<&SourceName>),
    access: Access,
    (state, session): (&StateDirectory, &Session<'_>),
    change: impl FnOnce(&Repository, &mut HoldReport) -> Result<()>,
) -> Result<HoldReport> {
    state.run(Job::Maintain, verb, session.clock, || {
        let repository = access.open()?;
        let lock = repository.lock_shared(session.holder, session.clock)?;
        let catalog = Catalog::load(&repository)?;
        let found = catalog.find(backup, source)?;
        let holds = Notes::list(&repository, &found.source)?.standing(&found.id)?.holds;
        let (id, source) = (found.id.clone(), found.source.clone());
        let mut report = HoldReport { id, source, holds, released: Vec::new() };
        change(&repository, &mut report)?;
        report.holds = Notes::list(&repository, &report.source)?.standing(&report.id)?.holds;
        session.release(lock);
        Ok(report)
    })
}
