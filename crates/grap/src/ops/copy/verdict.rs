//! What was written is read back, and judged in the repository where it is now.

use std::collections::BTreeSet;

use grap_repository::{Damage, Id, SnapshotId, StoredPacks};
use grap_task::Unit;

use super::{CopyReport, Pair};
use crate::catalog::{Backup, Catalog};
use crate::error::{Error, Result};
use crate::ops::Session;
use crate::ops::verify::{check_manifest, describe};

/// Judge the backups that were copied.
pub(super) fn judge(
    pair: &Pair,
    packs: BTreeSet<Id>,
    session: &Session<'_>,
    report: &mut CopyReport,
) -> Result<()> {
    if report.copied.is_empty() {
        return Ok(());
    }
    let catalog = Catalog::load(&pair.to).map_err(Error::at_copy)?;
    let copied: Vec<&Backup> = catalog
        .backups
        .iter()
        .filter(|backup| report.copied.iter().any(|copied| (&copied.source, &copied.id) == (&backup.source, &backup.id)))
        .collect();
    let snapshots: Vec<SnapshotId> = copied.iter().map(|backup| backup.snapshot.id).collect();
    session.monitor.begin("reading the copies", Unit::Bytes, None);
    let checked = pair
        .to
        .check_stored(&snapshots, &StoredPacks::These(packs), session.stop, session.monitor)
        .map_err(Error::at_copy)?;
    report.bytes_verified += checked.bytes_read;
    let reader = pair.to.reader(session.monitor).map_err(Error::at_copy)?;
    for backup in copied {
        let mut problems: Vec<String> = checked
            .damages
            .iter()
            .filter(|damage| hurts(damage, backup.snapshot.id))
            .map(|damage| describe(damage, &catalog))
            .collect();
        problems.extend(check_manifest(backup, &reader).err());
        if let Some(copied) =
            report.copied.iter_mut().find(|copied| (&copied.source, &copied.id) == (&backup.source, &backup.id))
        {
            copied.verified = problems.is_empty();
        }
        let named = problems.into_iter().map(|why| format!("in the copy, backup {}: {why}", backup.id));
        report.problems.extend(named);
    }
    Ok(())
}

/// Where more is hurt than is named, it may be this one.
fn hurts(damage: &Damage, snapshot: SnapshotId) -> bool {
    damage.affected.iter().any(|affected| affected.snapshot == snapshot)
        || damage.affected_count > damage.affected.len()
}
