//! The backups that the other repository lacks, the newest first: the first one that is done is the one that is
//! wanted most. Behind them those that are there and not whole.

use std::collections::BTreeSet;

use grap_core::{BackupId, SourceName, Verdict};
use grap_repository::{Id, RepositoryError, WriterOptions};
use grap_task::{Finding, Unit};

use super::{CopiedBackup, CopyReport, Pair, Standings};
use crate::catalog::{Backup, Catalog};
use crate::error::{Error, Result, in_one_line};
use crate::notes;
use crate::ops::Session;

/// Copy them, and mend those that are there and not whole. Returns the packs that were put.
pub(super) fn copy(
    pair: &Pair,
    (here, standings): (&Catalog, &Standings),
    options: &WriterOptions,
    session: &Session<'_>,
    report: &mut CopyReport,
) -> Result<BTreeSet<Id>> {
    let there = Catalog::load(&pair.to).map_err(Error::at_copy)?;
    for error in &there.damaged {
        let text = format!("in the copy: {error}; the backup in it is copied again");
        session.monitor.finding(&Finding::warning(text));
    }
    let wanted = wanted(here, standings, &there, report)?;
    let damaged = notes::damaged_packs(&pair.to, &there.backups).map_err(Error::at_copy)?;
    let writer = pair.to.writer_without(&damaged, &pair.to_lock, options, session.stop, session.monitor);
    let mut writer = writer.map_err(Error::at_copy)?;
    // Whatever was there may have needed what is gone.
    let all = writer.found_losses();
    let unsound: Vec<_> = wanted.present.iter().filter(|(_, failed)| *failed || all).collect();
    if wanted.missing.is_empty() && unsound.is_empty() {
        return Ok(BTreeSet::new());
    }
    let reader = pair.from.reader(session.monitor)?;
    for backup in wanted.missing {
        session.monitor.begin(&format!("copying {}", backup.id), Unit::Bytes, None);
        let copied = writer.copy(&reader, &backup.snapshot);
        if unless_unreadable(copied, pair, backup, report)?.is_some() {
            report.copied.push(CopiedBackup::of(backup));
        }
    }
    for (backup, failed) in unsound {
        session.monitor.begin(&format!("mending {}", backup.id), Unit::Bytes, None);
        let mended = writer.mend(&reader, &backup.snapshot);
        // One that failed, and of which all is there since then, is judged anew as well.
        if unless_unreadable(mended, pair, backup, report)?.is_some_and(|stored| stored || *failed) {
            report.mended.push(CopiedBackup::of(backup));
        }
    }
    report.bytes_read = writer.report().bytes;
    report.bytes_stored = writer.report().stored_bytes;
    Ok(writer.packs_put().into_iter().collect())
}

/// `None`: it cannot be read here, which is noted.
fn unless_unreadable<T>(
    outcome: std::result::Result<T, RepositoryError>,
    pair: &Pair,
    backup: &Backup,
    report: &mut CopyReport,
) -> Result<Option<T>> {
    match outcome {
        Err(RepositoryError::CopySource(error)) => {
            require_readable(pair)?;
            report.problems.push(format!("backup {}: {}", backup.id, in_one_line(&error)));
            Ok(None)
        }
        other => other.map(Some).map_err(Error::at_copy),
    }
}

/// Backups of the first repository, the newest first.
#[derive(Default)]
struct Wanted<'a> {
    /// To be copied.
    missing: Vec<&'a Backup>,
    /// Those that are there, and whether their last verification there failed.
    present: Vec<(&'a Backup, bool)>,
}

/// Those that are neither are counted.
fn wanted<'a>(
    here: &'a Catalog,
    standings: &Standings,
    there: &Catalog,
    report: &mut CopyReport,
) -> Result<Wanted<'a>> {
    let mut wanted = Wanted::default();
    let stand = standings.here.iter().zip(&standings.there);
    for (backup, (standing, standing_there)) in here.backups.iter().zip(stand).rev() {
        match there.backups.iter().find(|other| key(other) == key(backup)) {
            Some(other) => {
                require_same(backup, other)?;
                report.present += 1;
                wanted.present.push((backup, standing_there.verdict() == Some(Verdict::Failed)));
            }
            // It is about to be deleted here. One that is held since then stays.
            None if standing.expired.is_some() && standing.holds.is_empty() => {}
            // The other repository has deleted it. One that is held here is wanted all the same.
            None if standing.holds.is_empty() && standing_there.expired.is_some() => {
                report.expired += 1;
            }
            None => wanted.missing.push(backup),
        }
    }
    Ok(wanted)
}

fn key(backup: &Backup) -> (&SourceName, &BackupId) {
    (&backup.source, &backup.id)
}

/// A backup of that name with another content was not copied from here.
fn require_same(backup: &Backup, other: &Backup) -> Result<()> {
    if backup.snapshot.tree == other.snapshot.tree {
        return Ok(());
    }
    Err(Error::CopyDiverged { object: format!("backup {}/{}", backup.source, backup.id) })
}

/// What cannot be read is damaged only if nobody may have deleted it, and the storage is there.
fn require_readable(pair: &Pair) -> Result<()> {
    pair.from_lock.assert_fresh()?;
    Ok(pair.from.require_config()?)
}
