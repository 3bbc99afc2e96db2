//! The backups that the other repository lacks, the newest first: the first one that is done is the one that is
//! wanted most.

use std::collections::BTreeSet;

use grap_core::{BackupId, SourceName};
use grap_repository::{Id, RepositoryError, WriterOptions};
use grap_task::{Finding, Unit};

use super::{CopiedBackup, CopyReport, Pair, Standings};
use crate::catalog::{Backup, Catalog};
use crate::error::{Error, Result, in_one_line};
use crate::notes::{self, Standing};
use crate::ops::Session;

/// Copy them. Returns the packs that were put.
pub(super) fn copy(
    pair: &Pair,
    (here, standings): (&Catalog, &[Standing]),
    options: &WriterOptions,
    session: &Session<'_>,
    report: &mut CopyReport,
) -> Result<BTreeSet<Id>> {
    let there = Catalog::load(&pair.to).map_err(Error::at_copy)?;
    for error in &there.damaged {
        let text = format!("in the copy: {error}; the backup in it is copied again");
        session.monitor.finding(&Finding::warning(text));
    }
    let missing = missing(pair, (here, standings), &there, report)?;
    if missing.is_empty() {
        return Ok(BTreeSet::new());
    }
    let reader = pair.from.reader(session.monitor)?;
    let damaged = notes::damaged_packs(&pair.to, &there.backups).map_err(Error::at_copy)?;
    let writer = pair.to.writer_without(&damaged, &pair.to_lock, options, session.stop, session.monitor);
    let mut writer = writer.map_err(Error::at_copy)?;
    for backup in missing {
        session.monitor.begin(&format!("copying {}", backup.id), Unit::Bytes, None);
        match writer.copy(&reader, &backup.snapshot) {
            Ok(_) => report.copied.push(CopiedBackup {
                id: backup.id.clone(),
                source: backup.source.clone(),
                verified: false,
            }),
            Err(RepositoryError::CopySource(error)) => {
                require_readable(pair)?;
                report.problems.push(format!("backup {}: {}", backup.id, in_one_line(&error)));
            }
            Err(error) => return Err(Error::at_copy(error)),
        }
    }
    report.bytes_read = writer.report().bytes;
    report.bytes_stored = writer.report().stored_bytes;
    Ok(writer.packs_put().into_iter().collect())
}

/// Those that are to be copied; the others are counted.
fn missing<'a>(
    pair: &Pair,
    (here, standings): (&'a Catalog, &[Standing]),
    there: &Catalog,
    report: &mut CopyReport,
) -> Result<Vec<&'a Backup>> {
    let mut standings_there = Standings::of(&pair.to);
    let mut missing = Vec::new();
    for (backup, standing) in here.backups.iter().zip(standings).rev() {
        match there.backups.iter().find(|other| key(other) == key(backup)) {
            Some(other) => {
                require_same(backup, other)?;
                report.present += 1;
            }
            // It is about to be deleted here. One that is held since then stays.
            None if standing.expired.is_some() && standing.holds.is_empty() => {}
            // The other repository has deleted it. One that is held here is wanted all the same.
            None if standing.holds.is_empty()
                && standings_there.standing(backup).map_err(Error::at_copy)?.expired.is_some() =>
            {
                report.expired += 1;
            }
            None => missing.push(backup),
        }
    }
    Ok(missing)
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
