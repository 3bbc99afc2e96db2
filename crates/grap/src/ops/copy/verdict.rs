//! What was written is read back, and judged in the repository where it is now: its notes say of these bytes what
//! nobody else can say. A backup that an earlier copy wrote and was killed before it judged is read whole.

use std::collections::BTreeSet;

use grap_core::{BackupId, SourceName, Verdict};
use grap_repository::{Damage, Id, Reader, SnapshotId, StoredPacks, StoredReport};
use grap_task::Unit;

use super::{CopiedBackup, CopyReport, Pair};
use crate::catalog::{Backup, Catalog};
use crate::error::{Error, Result};
use crate::notes::{self, NoteKind, Standing};
use crate::ops::Session;
use crate::ops::verify::{check_manifest, describe};

/// Judge what was copied or mended now, and what nobody has judged there yet. What is wanted there and known to be
/// damaged is named each time: a copy that is not whole is none. `packs`: those that were written now.
pub(super) fn judge(
    pair: &Pair,
    (here, source): (&Catalog, Option<&SourceName>),
    mut packs: BTreeSet<Id>,
    session: &Session<'_>,
    report: &mut CopyReport,
) -> Result<()> {
    let mut catalog = Catalog::load(&pair.to).map_err(Error::at_copy)?;
    catalog.backups.retain(|backup| source.is_none_or(|source| backup.source == *source));
    let standings = notes::standings(&pair.to, &catalog.backups, session.stop).map_err(Error::at_copy)?;
    let (mut now, mut whole) = (Vec::new(), Vec::new());
    for (backup, standing) in catalog.backups.iter().zip(standings) {
        // What was copied now may rest on a chunk that was found damaged there.
        packs.extend(&standing.damaged_packs);
        if is_among(&report.copied, backup) {
            now.push((backup, standing));
        } else if standing.judged.is_none() || is_among(&report.mended, backup) {
            whole.push((backup, standing));
        } else if standing.verdict() == Some(Verdict::Failed) && here.has(&backup.source, &backup.id) {
            let why = standing.problems.join("; ");
            report
                .problems
                .push(format!("in the copy, backup {}: its last verification failed: {why}", backup.id));
        }
    }
    let judge = Judge { pair, catalog: &catalog, session };
    judge.all(&now, &StoredPacks::These(packs), report)?;
    judge.all(&whole, &StoredPacks::Used, report)
}

struct Judge<'a> {
    pair: &'a Pair,
    catalog: &'a Catalog,
    session: &'a Session<'a>,
}

impl Judge<'_> {
    fn all(
        &self,
        backups: &[(&Backup, Standing)],
        packs: &StoredPacks,
        report: &mut CopyReport,
    ) -> Result<()> {
        if backups.is_empty() {
            return Ok(());
        }
        let Session { stop, monitor, .. } = self.session;
        monitor.begin("reading the copies", Unit::Bytes, None);
        let snapshots: Vec<SnapshotId> = backups.iter().map(|(backup, _)| backup.snapshot.id).collect();
        let to = &self.pair.to;
        let checked = to.check_stored(&snapshots, packs, stop, *monitor).map_err(Error::at_copy)?;
        report.bytes_verified += checked.check.bytes_read;
        let reader = to.reader(*monitor).map_err(Error::at_copy)?;
        for (backup, standing) in backups {
            let (problems, unsure) = self.problems(backup, &checked, &reader);
            let whole = problems.is_empty();
            let percent = if checked.read_whole.contains(&backup.snapshot.id) { 100 } else { 0 };
            report.note_verdict(&backup.source, &backup.id, whole);
            report
                .problems
                .extend(problems.iter().map(|why| format!("in the copy, backup {}: {why}", backup.id)));
            if unsure || (whole && !standing.may_become_good(percent)) {
                continue;
            }
            let kind = if whole {
                NoteKind::Verified { read_data_percent: percent }
            } else {
                NoteKind::failed(problems, percent)
            };
            let author = self.session.author();
            notes::put(to, &backup.source, &backup.id, &author, |_| kind.clone()).map_err(Error::at_copy)?;
        }
        Ok(())
    }

    /// What is wrong with a backup; and whether nobody knows, because the storage did not answer.
    fn problems(&self, backup: &Backup, checked: &StoredReport, reader: &Reader) -> (Vec<String>, bool) {
        let hurts = |damage: &&Damage| damage.snapshots.contains(&backup.snapshot.id);
        let damages: Vec<&Damage> = checked.check.damages.iter().filter(hurts).collect();
        let manifest = check_manifest(backup, reader).err();
        let unsure = damages.iter().any(|damage| damage.storage_failed)
            || manifest.as_ref().is_some_and(|unsound| unsound.storage_failed);
        let mut problems: Vec<String> =
            damages.into_iter().map(|damage| describe(damage, self.catalog)).collect();
        problems.extend(manifest.map(|unsound| unsound.why));
        (problems, unsure)
    }
}

fn is_among(copied: &[CopiedBackup], backup: &Backup) -> bool {
    copied.iter().any(|copied| (&copied.source, &copied.id) == (&backup.source, &backup.id))
}

impl CopyReport {
    fn note_verdict(&mut self, source: &SourceName, id: &BackupId, verified: bool) {
        let judged = self.copied.iter_mut().chain(&mut self.mended);
        for copied in judged.filter(|copied| (&copied.source, &copied.id) == (source, id)) {
            copied.verified = verified;
        }
    }
}
