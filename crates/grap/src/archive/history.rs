//! All that a repository knows of one source's past: its backups and its archive.

use grap_core::{BackupId, Base, SourceName};
use grap_neo4j::{StoreId, TransactionEnd, TxId};
use grap_repository::{Reader, Repository};
use grap_task::{Finding, Monitor, Stop};

use super::names::{RunNumber, SegmentName};
use super::path::{Path, PathReader};
use super::runs::Runs;
use super::store::{Archive, ArchiveError};
use super::survey::{BaseEnd, Survey, SurveyOptions, survey};
use crate::catalog::{Backup, Catalog};
use crate::copy::{DatabaseManifest, Manifest};
use crate::error::{Code, Result};

/// A backup with what it says of itself.
#[derive(Debug, Clone)]
pub struct KnownBackup {
    pub backup: Backup,
    pub manifest: Manifest,
}

/// The past of one source.
pub struct History {
    pub archive: Archive,
    pub runs: Runs,
    /// Oldest first; those whose manifest can be read.
    pub backups: Vec<KnownBackup>,
    stop: Stop,
}

/// The backups of one database, as a plan and a survey want them; the same number means the same backup.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    pub plan: Vec<Base>,
    pub ends: Vec<BaseEnd>,
}

impl History {
    /// From what is known already.
    pub fn of(archive: Archive, runs: Runs, backups: Vec<KnownBackup>, stop: Stop) -> Self {
        Self { archive, runs, backups, stop }
    }

    pub fn load(
        repository: &Repository,
        reader: &Reader,
        catalog: &Catalog,
        source: &SourceName,
        (monitor, stop): (&dyn Monitor, &Stop),
    ) -> Result<Self> {
        let archive = Archive::new(repository.clone(), source.clone());
        let runs = archive.runs()?;
        for (run, why) in runs.damaged() {
            monitor.finding(&Finding::warning(format!("run {run} of the archive is passed over: {why}")));
        }
        let mut backups = Vec::new();
        for backup in catalog.of(Some(source)) {
            match backup.manifest(reader) {
                Ok(manifest) => backups.push(KnownBackup { backup: backup.clone(), manifest }),
                Err(error) if matches!(error.code(), Code::BackupCorrupted | Code::RepositoryUnsupported) => {
                    monitor.finding(&Finding::warning(format!("{error}; it is passed over")));
                }
                // A storage that does not answer must not look like a backup that is not there.
                Err(error) => return Err(error),
            }
        }
        backups.sort_by(|a, b| (a.manifest.started, &a.backup.id).cmp(&(b.manifest.started, &b.backup.id)));
        Ok(Self::of(archive, runs, backups, stop.clone()))
    }

    pub fn bases(&self, database: &str) -> Bases {
        let mut bases = Bases::default();
        for known in &self.backups {
            let Some(found) = known.manifest.database(database) else { continue };
            let bytes = known.manifest.databases.iter().flat_map(|database| &database.files);
            bases.plan.push(Base {
                id: known.backup.id.clone(),
                end: end_of(found),
                bytes: bytes.map(|file| file.size).sum(),
            });
            bases.ends.push(BaseEnd { store_id: found.store_id.clone(), end: end_of(found) });
        }
        bases
    }

    pub fn backup(&self, id: &BackupId) -> Option<&KnownBackup> {
        self.backups.iter().find(|known| known.backup.id == *id)
    }

    /// The path of a run (the current one where none is named); `None`: nothing of this database is archived.
    pub fn path(&self, database: &str, run: Option<RunNumber>) -> Result<Option<Path>> {
        match run.or_else(|| self.runs.current(database)) {
            None => Ok(None),
            Some(run) => Ok(Some(self.runs.path(database, run)?)),
        }
    }

    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    pub fn reader<'a>(&'a self, path: &'a Path) -> PathReader<'a> {
        PathReader { archive: &self.archive, runs: &self.runs, path, stop: &self.stop }
    }

    pub fn survey<'a>(&'a self, path: &Path, options: SurveyOptions<'a>) -> Result<Survey> {
        Ok(survey(&self.reader(path), options)?)
    }

    /// The last transaction of a path.
    pub fn path_end(&self, path: &Path) -> Result<Option<TransactionEnd>> {
        Ok(path_end(&self.reader(path))?.map(|(_, end)| end))
    }
}

/// The last transaction of a path, from its last segments alone.
pub fn path_end(
    reader: &PathReader<'_>,
) -> std::result::Result<Option<(StoreId, TransactionEnd)>, ArchiveError> {
    let PathReader { archive, runs, path, .. } = *reader;
    let newest = path.pieces.iter().rev().find_map(|piece| {
        let within = |name: &SegmentName| piece.last.is_none_or(|last| name.first <= last);
        let name = runs.get(piece.run)?.segments(&path.database).rfind(within)?;
        Some((piece.run, name))
    });
    // Listed or not: a first segment that the listing hides is asked for by name.
    let from = newest.map(|(_, name)| name.first).or(path.pieces.last().map(|piece| piece.first));
    let surveyed = survey(reader, SurveyOptions { from, ..SurveyOptions::default() })?;
    if let (true, Some((run, name))) = (surveyed.stretches.is_empty(), newest) {
        // It is there and cannot be read: without it nobody knows the end.
        archive.check(run, &path.database, name)?;
    }
    Ok(surveyed.stretches.last().map(|stretch| (stretch.store_id.clone(), stretch.last)))
}

/// Where a backup of a database ends.
pub fn end_of(database: &DatabaseManifest) -> TransactionEnd {
    let end = &database.end;
    TransactionEnd {
        position: grap_neo4j::LogPosition {
            version: grap_neo4j::LogVersion(end.log_version),
            offset: end.offset,
        },
        id: TxId(end.tx_id),
        checksum: grap_neo4j::Checksum(end.checksum),
        commit_time: grap_neo4j::CommitTime(end.commit_ms),
    }
}
