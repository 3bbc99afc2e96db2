//! What deleting asks first, the same for `expire` and `delete`: how each backup of a source stands, and what the kept
//! window of the archive needs. Asked under the repository's lock.

use grap_core::{Candidate, SourceName, Verdict};
use grap_repository::{Reader, Repository};
use jiff::{SignedDuration, Timestamp};

use super::Session;
use crate::archive::{History, Keeping, keep};
use crate::catalog::{Backup, Catalog};
use crate::error::{Code, Result};
use crate::notes::{Notes, Standing};

/// One source's backups, oldest first, and its archive.
pub(super) struct Assessed {
    pub(super) history: History,
    pub(super) backups: Vec<AssessedBackup>,
    pub(super) keeping: Keeping,
}

pub(super) struct AssessedBackup {
    pub(super) backup: Backup,
    pub(super) standing: Standing,
    pub(super) candidate: Candidate,
}

/// When a window begins that reaches so far back.
pub(super) fn window_begins(now: Timestamp, days: u32) -> Timestamp {
    let reach = SignedDuration::from_hours(i64::from(days) * 24);
    now.checked_sub(reach).unwrap_or(Timestamp::MIN)
}

impl Assessed {
    pub(super) fn load(
        (repository, reader, catalog): (&Repository, &Reader, &Catalog),
        source: &SourceName,
        since: Timestamp,
        session: &Session<'_>,
    ) -> Result<Self> {
        let history = History::load(repository, reader, catalog, source, (session.monitor, session.stop))?;
        let notes = Notes::list(repository, source)?;
        let mut backups = Vec::new();
        for backup in catalog.of(Some(source)) {
            session.stop.check()?;
            backups.push(assess(backup, &history, reader, notes.standing(&backup.id)?)?);
        }
        backups.sort_by(|a, b| (a.candidate.began, &a.backup.id).cmp(&(b.candidate.began, &b.backup.id)));
        let good = |id: &_| {
            let found = backups.iter().find(|known| known.backup.id == *id);
            found.is_some_and(|known| known.candidate.verdict == Some(Verdict::Verified))
        };
        let keeping = keep(&history, &good, since)?;
        for known in &mut backups {
            known.candidate.needed = keeping.needs(&known.backup.id);
        }
        Ok(Self { history, backups, keeping })
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        self.backups.iter().map(|known| known.candidate.clone()).collect()
    }
}

fn assess(backup: &Backup, history: &History, reader: &Reader, standing: Standing) -> Result<AssessedBackup> {
    let doubt = standing.doubt();
    let mut candidate = Candidate {
        id: backup.id.clone(),
        began: backup.snapshot.time,
        // A note that cannot be read may be the newest verdict: others must not go because this one counts as good.
        verdict: if doubt.is_none() { standing.worth() } else { None },
        holds: standing.holds.iter().map(ToString::to_string).collect(),
        needed: false,
        doubt,
    };
    if let Some(known) = history.backup(&backup.id) {
        candidate.began = known.manifest.started;
    } else {
        // Without its manifest nothing is restored from it, whatever an earlier verification found.
        candidate.verdict = candidate.verdict.map(|_| Verdict::Failed);
        match backup.manifest(reader) {
            Err(error) if error.code() == Code::RepositoryUnsupported => {
                candidate.doubt.get_or_insert(format!("it is of a newer program: {error}"));
            }
            Err(error) if error.code() != Code::BackupCorrupted => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(AssessedBackup { backup: backup.clone(), standing, candidate })
}
