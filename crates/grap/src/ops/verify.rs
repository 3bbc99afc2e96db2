//! `verify`: look for damage, in the whole repository (backups and archive) or in what one backup needs.
//!
//! What was found of a backup is noted: *good* is one whose newest verdict is that nothing was wrong. Where the storage
//! failed, or the look was stopped, nothing was found. What was found damaged once is looked at again each time, as long
//! as a backup is there that rests on it.

use grap_core::{BackupId, SourceName, Target, Verdict};
use grap_repository::{
    CheckOptions, CheckReport, Damage, ReadData, Reader, Repository, SnapshotId, StoredPacks,
};
use grap_task::{Finding, Unit};

use super::{Access, Session};
use crate::archive::{self, History};
use crate::catalog::{Backup, Catalog};
use crate::error::{Code, Error, Result, in_one_line};
use crate::notes::{self, NoteKind, Notes};
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
    /// Where a part of a round was read: where the next one begins.
    pub read_until: Option<u32>,
    /// Of the archive, merged ones included.
    pub archive_objects: usize,
    /// Paths that were gone over, from their first transaction to their last.
    pub timelines: usize,
    /// Each names the damaged object and what it hurts.
    pub problems: Vec<String>,
    /// Of each backup that could be judged.
    pub verdicts: Vec<BackupVerdict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupVerdict {
    pub id: BackupId,
    pub source: SourceName,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

pub fn verify(options: &VerifyOptions, access: Access, session: &Session<'_>) -> Result<VerifyReport> {
    let read_data = match options.read_data_percent {
        None => ReadData::None,
        Some(100..) => ReadData::All,
        Some(percent) => ReadData::Percent(percent),
    };
    verify_reading(options, read_data, access, session)
}

/// The same, with another choice of packs to read.
pub(super) fn verify_reading(
    options: &VerifyOptions,
    read_data: ReadData,
    access: Access,
    session: &Session<'_>,
) -> Result<VerifyReport> {
    let repository = access.open()?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    let catalog = Catalog::load(&repository)?;
    let only =
        options.backup.as_ref().map(|target| catalog.find(target, options.source.as_ref())).transpose()?;
    let check = CheckOptions { read_data, snapshot: only.map(|backup| backup.snapshot.id) };
    let mut checked = repository.check(&check, session.stop, session.monitor)?;
    if read_data != ReadData::All {
        let judged = only.map_or(catalog.backups.as_slice(), std::slice::from_ref);
        read_again(&repository, &catalog, judged, &mut checked, session)?;
    }
    let mut problems: Vec<String> = checked.damages.iter().map(|damage| describe(damage, &catalog)).collect();

    let backups: Vec<&Backup> = only.map_or_else(|| catalog.backups.iter().collect(), |backup| vec![backup]);
    let reader = repository.reader(session.monitor)?;
    let mut verdicts = Vec::new();
    for backup in &backups {
        verdicts.extend(judge(backup, &checked.damages, &reader, &mut problems));
    }
    let mut archives = archive::Verified::default();
    if only.is_none() {
        verify_archives((&repository, &reader, &catalog), session, &mut archives)?;
    }
    problems.append(&mut archives.problems);
    note(&verdicts, options, &repository, session);
    session.release(lock);
    Ok(VerifyReport {
        archive_objects: archives.objects,
        timelines: archives.timelines,
        backups: backups.len(),
        packs: checked.packs,
        packs_read: checked.packs_read,
        bytes_read: checked.bytes_read,
        read_until: checked.read_until,
        problems,
        verdicts,
    })
}

/// Packs that were found damaged are read each time: a look that happens not to read them must not call a backup good that
/// rests on them, nor say that all is well again.
fn read_again(
    repository: &Repository,
    catalog: &Catalog,
    judged: &[Backup],
    checked: &mut CheckReport,
    session: &Session<'_>,
) -> Result<()> {
    let known = notes::damaged_packs(repository, &catalog.backups)?;
    if known.is_empty() {
        return Ok(());
    }
    let snapshots: Vec<SnapshotId> = judged.iter().map(|backup| backup.snapshot.id).collect();
    let packs = StoredPacks::These(known);
    let again = repository.check_stored(&snapshots, &packs, session.stop, session.monitor)?.check;
    // What lies elsewhere, too, hurts nobody.
    for damage in again.damages.into_iter().filter(|damage| !damage.snapshots.is_empty()) {
        if !checked.damages.iter().any(|found| found.object == damage.object) {
            checked.damages.push(damage);
        }
    }
    checked.packs_read += again.packs_read;
    checked.bytes_read += again.bytes_read;
    Ok(())
}

/// What is wrong with a backup; `None` where the storage failed, and so nothing was found.
fn judge(
    backup: &Backup,
    damages: &[Damage],
    reader: &Reader,
    problems: &mut Vec<String>,
) -> Option<BackupVerdict> {
    let hurt: Vec<&Damage> = damages.iter().filter(|damage| hurts(damage, backup)).collect();
    let manifest = check_manifest(backup, reader);
    if let Err(unsound) = &manifest {
        problems.push(format!("backup {}: {}", backup.id, unsound.why));
    }
    let unsure = |damage: &&Damage| damage.storage_failed;
    if hurt.iter().any(unsure) || manifest.as_ref().is_err_and(|unsound| unsound.storage_failed) {
        return None;
    }
    let own = hurt.into_iter().map(|damage| format!("{}: {}", damage.object, damage.why.join("; ")));
    let problems = own.chain(manifest.err().map(|unsound| unsound.why)).collect();
    Some(BackupVerdict { id: backup.id.clone(), source: backup.source.clone(), problems })
}

/// The archive of every source, all of it.
fn verify_archives(
    (repository, reader, catalog): (&Repository, &Reader, &Catalog),
    session: &Session<'_>,
    archives: &mut archive::Verified,
) -> Result<()> {
    let found = match sources::load(repository) {
        Ok(found) => found,
        Err(error) => {
            archives.problems.push(error.to_string());
            return Ok(());
        }
    };
    for source in found {
        session.monitor.begin("reading the archive", Unit::Items, None);
        let listeners = (session.monitor, session.stop);
        let history = History::load(repository, reader, catalog, &source.name, listeners)?;
        archive::verify(&history, session.stop, archives)?;
    }
    Ok(())
}

fn hurts(damage: &Damage, backup: &Backup) -> bool {
    damage.snapshots.contains(&backup.snapshot.id)
}

/// Note what was found of each backup; of a look at all of them only what is new. A note that cannot be put changes
/// nothing of what was found.
fn note(verdicts: &[BackupVerdict], options: &VerifyOptions, repository: &Repository, session: &Session<'_>) {
    for verdict in verdicts {
        if let Err(error) = note_one(verdict, options, repository, session) {
            let text = format!(
                "what was found of backup {} could not be noted: {}",
                verdict.id,
                in_one_line(&error)
            );
            session.monitor.finding(&Finding::warning(text));
        }
    }
}

fn note_one(
    verdict: &BackupVerdict,
    options: &VerifyOptions,
    repository: &Repository,
    session: &Session<'_>,
) -> Result<()> {
    let BackupVerdict { id, source, problems } = verdict;
    let read_data_percent = options.read_data_percent.unwrap_or(0);
    let standing = Notes::list(repository, source)?.standing(id)?;
    let found = if problems.is_empty() { Verdict::Verified } else { Verdict::Failed };
    if found == Verdict::Verified && !standing.may_become_good(read_data_percent) {
        let text = format!(
            "backup {id} failed when its data was read: only a look that reads all of it makes it good again (--read-data)"
        );
        session.monitor.finding(&Finding::warning(text));
        return Ok(());
    }
    let known = standing
        .judged
        .is_some_and(|judged| judged.verdict == found && judged.read_data_percent >= read_data_percent);
    if known && options.backup.is_none() {
        return Ok(());
    }
    let kind = match found {
        Verdict::Verified => NoteKind::Verified { read_data_percent },
        Verdict::Failed => NoteKind::failed(problems.clone(), read_data_percent),
    };
    notes::put(repository, source, id, &session.author(), |_| kind.clone())?;
    Ok(())
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

/// What is wrong with a backup's manifest, or with what it names.
pub(super) struct Unsound {
    pub(super) why: String,
    /// The storage did not give it out: whether it is damaged nobody knows.
    pub(super) storage_failed: bool,
}

impl From<Error> for Unsound {
    fn from(error: Error) -> Self {
        let told = matches!(error.code(), Code::BackupCorrupted | Code::RepositoryUnsupported);
        Self { why: error.to_string(), storage_failed: !told }
    }
}

impl From<String> for Unsound {
    fn from(why: String) -> Self {
        Self { why, storage_failed: false }
    }
}

/// The manifest can be read, and every file that it names is in the tree at its length.
pub(super) fn check_manifest(backup: &Backup, reader: &Reader) -> std::result::Result<(), Unsound> {
    let manifest = backup.manifest(reader)?;
    let nodes = backup.files(reader)?;
    for file in manifest.databases.iter().flat_map(|database| &database.files) {
        match nodes.get(&file.path).map(|node| node.size) {
            None => return Err(format!("{} is named by its manifest, and not there", file.path).into()),
            Some(size) if size != file.size => {
                return Err(format!("{} has {size} bytes; its manifest says {}", file.path, file.size).into());
            }
            Some(_) => {}
        }
    }
    Ok(())
}
