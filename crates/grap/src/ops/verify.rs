//! `verify`: look for damage, in the whole repository (backups and archive) or in what one backup needs.

use grap_core::{SourceName, Target};
use grap_repository::{CheckOptions, Damage, ReadData, Reader};

use grap_task::Unit;

use super::{Access, Session};
use crate::archive::{self, History};
use crate::catalog::{Backup, Catalog};
use crate::error::Result;
use crate::sources;

#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Only what this backup needs.
    pub backup: Option<Target>,
    pub source: Option<SourceName>,
    /// Read this share of the packs, too.
    pub read_data_percent: Option<u8>,
}

#[derive(Debug, Default)]
pub struct VerifyReport {
    pub backups: usize,
    pub packs: usize,
    pub packs_read: usize,
    pub bytes_read: u64,
    /// Of the archive, merged ones included.
    pub archive_objects: usize,
    /// Paths that were gone over, from their first transaction to their last.
    pub timelines: usize,
    /// Each names the damaged object and what it hurts.
    pub problems: Vec<String>,
}

pub fn verify(options: &VerifyOptions, access: Access, session: &Session<'_>) -> Result<VerifyReport> {
    let repository = access.open()?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    let catalog = Catalog::load(&repository)?;
    let only =
        options.backup.as_ref().map(|target| catalog.find(target, options.source.as_ref())).transpose()?;
    let check = CheckOptions {
        read_data: match options.read_data_percent {
            None => ReadData::None,
            Some(100..) => ReadData::All,
            Some(percent) => ReadData::Percent(percent),
        },
        snapshot: only.map(|backup| backup.snapshot.id),
    };
    let checked = repository.check(&check, session.stop, session.monitor)?;
    let mut problems: Vec<String> = checked.damages.iter().map(|damage| describe(damage, &catalog)).collect();

    let backups: Vec<&Backup> = only.map_or_else(|| catalog.backups.iter().collect(), |backup| vec![backup]);
    let reader = repository.reader(session.monitor)?;
    for backup in &backups {
        if let Err(problem) = check_manifest(backup, &reader) {
            problems.push(format!("backup {}: {problem}", backup.id));
        }
    }
    let mut archives = archive::Verified::default();
    if only.is_none() {
        match sources::load(&repository) {
            Err(error) => problems.push(error.to_string()),
            Ok(found) => {
                for source in found {
                    session.monitor.begin("reading the archive", Unit::Items, None);
                    let history = History::load(
                        &repository,
                        &reader,
                        &catalog,
                        &source.name,
                        (session.monitor, session.stop),
                    )?;
                    archive::verify(&history, session.stop, &mut archives)?;
                }
            }
        }
    }
    problems.append(&mut archives.problems);
    session.release(lock);
    Ok(VerifyReport {
        archive_objects: archives.objects,
        timelines: archives.timelines,
        backups: backups.len(),
        packs: checked.packs,
        packs_read: checked.packs_read,
        bytes_read: checked.bytes_read,
        problems,
    })
}

/// `data/ab/...: its MAC does not match; hurts databases/neo4j/... in neo4j-20261125-020000 (and 3 more)`
pub(super) fn describe(damage: &Damage, catalog: &Catalog) -> String {
    let mut text = format!("{}: {}", damage.object, damage.why.join("; "));
    if let Some(first) = damage.affected.first() {
        let backup = catalog.backups.iter().find(|backup| backup.snapshot.id == first.snapshot);
        let name =
            backup.map_or_else(|| format!("snapshot {}", first.snapshot), |backup| backup.id.to_string());
        text += &format!("; hurts {} in {name}", first.path);
        if damage.affected_count > 1 {
            text += &format!(" (and {} more)", damage.affected_count - 1);
        }
    }
    text
}

/// The manifest can be read, and every file that it names is in the tree at its length.
pub(super) fn check_manifest(backup: &Backup, reader: &Reader) -> std::result::Result<(), String> {
    let manifest = backup.manifest(reader).map_err(|error| error.to_string())?;
    let nodes = backup.files(reader).map_err(|error| error.to_string())?;
    for file in manifest.databases.iter().flat_map(|database| &database.files) {
        match nodes.get(&file.path).map(|node| node.size) {
            None => return Err(format!("{} is named by its manifest, and not there", file.path)),
            Some(size) if size != file.size => {
                return Err(format!("{} has {size} bytes; its manifest says {}", file.path, file.size));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
