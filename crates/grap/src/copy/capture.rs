//! From live files to a snapshot: the protocol of a base backup, one database at a time.
//!
//! Why a copy of changing files is exact: whatever stands on a page of a store comes from transactions that
//! stood in the log before (write-ahead). Their commands carry whole images, so replay from a checkpoint C0
//! that existed *before* the first byte was read overwrites every record that was touched since; records that
//! were not touched are the same in every version of their page. Checkpoints meanwhile do not matter, as long
//! as the copy's checkpoint file ends at C0 and its log reaches from C0's position past the last byte read
//! (docs/hot-backup.md).
//!
//! Hence the order, which must not change: C0; then each file's length, when it is opened; then its bytes;
//! after the last byte of any file, a fresh look at the log directory; then the end E. A length taken before
//! C0 would lose nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError, Kind, Source, Stat};
use grap_neo4j::checkpoint::CheckpointLog;
use grap_neo4j::files::{
    DATABASE_LOCK, DerivedKind, DerivedUnit, LogFile, METADATA, RECORD_STORES, Role, UnitForm,
};
use grap_neo4j::ids::LogVersion;
use grap_neo4j::metadata::{Metadata, MetadataError};
use grap_neo4j::store_id::{StoreId, UnsupportedStore};
use grap_repository::{FileContent, RepositoryError, Writer};
use grap_task::{Clock, Finding, Monitor, Stop};

use super::Throttle;
use super::manifest::{CheckpointRef, DatabaseManifest, FileRole, ManifestFile, Omitted};
use crate::live::{Checkpoint, Installation, LogError, LogReader, LogSpan, Pinner};

/// A derived unit that changes is tried so often.
const DERIVED_TRIES: u32 = 3;
/// The state pages of a GBP tree: pages 0 to 2.
const TREE_STATE_LENGTH: usize = 3 * 8192;

#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error("cannot store {}", path.display())]
    File { path: PathBuf, source: RepositoryError },
    #[error("the metadata store of database `{database}` cannot be read")]
    Metadata { database: String, source: MetadataError },
    #[error("database `{database}` cannot be backed up")]
    Format { database: String, source: UnsupportedStore },
    #[error("database `{database}` has no {name}: every store has one")]
    MissingStore { database: String, name: String },
    #[error("database `{database}` holds {}, a store that this program does not know", path.display())]
    UnknownStore { database: String, path: PathBuf },
    #[error("{} is not a plain file", path.display())]
    NotAFile { path: PathBuf },
    #[error("the store id of database `{database}` changed while it was copied, from {before} to {after}")]
    StoreReplaced { database: String, before: StoreId, after: StoreId },
    #[error("the log of database `{database}` belongs to store {log}, its files to store {store}")]
    ForeignLog { database: String, store: StoreId, log: StoreId },
    #[error(
        "the log of database `{database}` ends with transaction {end}, but its newest checkpoint names transaction {checkpoint}: log is missing"
    )]
    EndsBeforeCheckpoint { database: String, end: u64, checkpoint: u64 },
    #[error("{} changed while it was copied, though no server was seen to hold the database", path.display())]
    WrittenBehindOurBack { path: PathBuf },
}

/// What all databases of one backup share.
pub struct Capture<'a, 'w> {
    pub installation: &'a Installation,
    pub pinner: &'a Pinner,
    pub writer: &'a mut Writer<'w>,
    /// Whether a server holds the database.
    pub running: bool,
    pub throttle: &'a mut Throttle,
    pub stop: &'a Stop,
    pub clock: &'a Clock,
    pub monitor: &'a dyn Monitor,
}

/// One database, stored. Its files are not yet in a tree.
#[derive(Debug)]
pub struct CapturedDatabase {
    pub manifest: DatabaseManifest,
    pub files: Vec<CapturedFile>,
}

#[derive(Debug)]
pub struct CapturedFile {
    /// From the snapshot's root.
    pub path: String,
    pub stat: Stat,
    pub content: FileContent,
    pub role: FileRole,
}

/// What stands in a store directory, by what it is to a copy.
#[derive(Debug, Default)]
struct Inventory {
    stores: Vec<PathBuf>,
    units: BTreeSet<DerivedUnit>,
}

impl Capture<'_, '_> {
    /// Store one database. When this returns its end is fixed; that the server did not change under it the
    /// caller checks at the very end.
    pub fn database(&mut self, name: &str) -> Result<CapturedDatabase, CaptureError> {
        let metadata = read_metadata(self.installation, name)?;
        // The log behind the checkpoint is whole and pinned before anything is copied.
        let (checkpoint, begun) = self.logs(name).begin()?;
        require_same_store(name, &metadata.store_id, &checkpoint.record.store_id)?;
        let inventory = self.inventory(name)?;
        let mut captured = Vec::new();
        for path in &inventory.stores {
            captured.push(self.store_file(name, path)?);
        }
        let mut omitted = Vec::new();
        let clean = !self.running && begun.transactions == 0;
        for unit in &inventory.units {
            if unit.kind == DerivedKind::Ids && !clean {
                let reason = "ids are kept of a store that was stopped cleanly only".to_owned();
                omitted.push(Omitted { path: format!("databases/{name}/{}", unit.path), reason });
                continue;
            }
            match self.derived_unit(name, unit)? {
                Ok(files) => captured.extend(files),
                Err(reason) => {
                    omitted.push(Omitted { path: format!("databases/{name}/{}", unit.path), reason });
                }
            }
        }
        let span = self.end(name, &checkpoint)?;
        captured.extend(self.log(name, &span)?);
        captured.push(self.checkpoint(name, &checkpoint)?);
        self.require_unreplaced(name, &metadata.store_id)?;
        let manifest = describe(name, &metadata, &checkpoint, &span, &captured, omitted);
        Ok(CapturedDatabase { manifest, files: captured })
    }

    fn logs<'s>(&'s self, database: &'s str) -> LogReader<'s> {
        LogReader { database, pinner: self.pinner, stop: self.stop, clock: self.clock }
    }

    /// Sort the files of the store directory by what they are. All mandatory ones must be there.
    fn inventory(&self, name: &str) -> Result<Inventory, CaptureError> {
        let root = self.installation.store(name);
        let mut inventory = Inventory::default();
        for entry in disk::walk(&root)? {
            if entry.stat.kind == Kind::Directory {
                continue;
            }
            let relative =
                entry.path.strip_prefix(&root).unwrap_or(&entry.path).to_string_lossy().into_owned();
            match Role::of(&relative) {
                Role::RecordStore => inventory.stores.push(entry.path),
                Role::Derived(unit) => drop(inventory.units.insert(unit)),
                Role::Skip(_) => {}
                // A store of a format to come would be named like this: leaving it out would lose data.
                Role::Unknown if relative.starts_with("neostore") => {
                    return Err(CaptureError::UnknownStore { database: name.to_owned(), path: entry.path });
                }
                Role::Unknown => self.monitor.finding(&Finding::info(format!(
                    "{} is no file of a database that Grap knows; it is left out",
                    entry.path.display()
                ))),
            }
        }
        for store in RECORD_STORES {
            if !inventory.stores.contains(&root.join(store)) {
                return Err(CaptureError::MissingStore { database: name.to_owned(), name: store.to_owned() });
            }
        }
        Ok(inventory)
    }

    /// Store a file as long as it is when it is opened.
    fn store_file(&mut self, database: &str, path: &Path) -> Result<CapturedFile, CaptureError> {
        let source = Source::open(path)?;
        let stat = source.stat()?;
        if stat.kind != Kind::File {
            return Err(CaptureError::NotAFile { path: path.to_owned() });
        }
        let relative = path.strip_prefix(self.installation.store(database)).unwrap_or(path);
        let target = format!("databases/{database}/{}", relative.display());
        self.add(target, source, stat, stat.size, FileRole::Store)
    }

    fn add(
        &mut self,
        path: String,
        source: Source,
        stat: Stat,
        length: u64,
        role: FileRole,
    ) -> Result<CapturedFile, CaptureError> {
        self.pinner.check().map_err(LogError::from)?;
        let origin = source.path().to_owned();
        let mut reader = self.throttle.reader(source);
        let added = self.writer.add(&mut reader, length);
        let content = added.map_err(|source| match source {
            RepositoryError::SourceShort { .. } | RepositoryError::SourceUnreadable { .. } => {
                CaptureError::File { path: origin, source }
            }
            other => other.into(),
        })?;
        Ok(CapturedFile { path, stat, content, role })
    }

    /// A derived unit is kept only if it did not change while it was copied; else it is left out, with the
    /// reason.
    fn derived_unit(
        &mut self,
        database: &str,
        unit: &DerivedUnit,
    ) -> Result<Result<Vec<CapturedFile>, String>, CaptureError> {
        let root = self.installation.store(database).join(&unit.path);
        for _ in 0..DERIVED_TRIES {
            self.stop.check().map_err(LogError::from)?;
            let before = unit_state(unit, &root)?;
            let Some(paths) = unit_files(unit, &root)? else { continue };
            let copied: Result<Vec<_>, _> =
                paths.iter().map(|path| self.store_file(database, path)).collect();
            match copied {
                Ok(files) if unit_state(unit, &root)? == before => {
                    let kept = files.into_iter().map(|file| CapturedFile { role: FileRole::Derived, ..file });
                    return Ok(Ok(kept.collect()));
                }
                Ok(_) => {}
                Err(error) if vanished(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Err("it changed while it was copied".to_owned()))
    }

    /// The end of the copy: read after the last byte of any store or derived file, from a fresh listing.
    fn end(&self, name: &str, from: &Checkpoint) -> Result<LogSpan, CaptureError> {
        let newest = self.logs(name).newest_checkpoint()?;
        let span = self.logs(name).span(from)?;
        if span.end.id < newest.record.tx_id {
            return Err(CaptureError::EndsBeforeCheckpoint {
                database: name.to_owned(),
                end: span.end.id.0,
                checkpoint: newest.record.tx_id.0,
            });
        }
        Ok(span)
    }

    /// Store the log from the checkpoint's file to the end, and see that what was stored is what was parsed.
    fn log(&mut self, name: &str, span: &LogSpan) -> Result<Vec<CapturedFile>, CaptureError> {
        let mut captured = Vec::new();
        for part in &span.files {
            let source = self.logs(name).open(part)?;
            let stat = source.stat()?;
            let file = LogFile::Transactions(LogVersion(part.version));
            let path = format!("transactions/{name}/{file}");
            captured.push(self.add(path, source, stat, part.length, FileRole::TransactionLog)?);
        }
        let digests: Vec<_> = captured.iter().map(|file| file.content.digest()).collect();
        self.logs(name).reread(span, &digests)?;
        Ok(captured)
    }

    /// The checkpoint file up to and including the record of C0: with a newer one behind it, the restored
    /// store would be ruined.
    fn checkpoint(&mut self, name: &str, checkpoint: &Checkpoint) -> Result<CapturedFile, CaptureError> {
        let source = self.logs(name).open_checkpoint(checkpoint)?;
        let stat = source.stat()?;
        let length = checkpoint.record.end;
        let mut prefix = Vec::new();
        let read = source.try_clone()?.take(length).read_to_end(&mut prefix);
        read.map_err(|error| DiskError::reading(source.path(), error))?;
        let last = CheckpointLog::parse(&prefix).ok().and_then(|log| log.records.into_iter().next_back());
        if last.as_ref() != Some(&checkpoint.record) {
            let (database, version) = (name.to_owned(), checkpoint.version);
            return Err(LogError::Changed { database, version }.into());
        }
        let file = LogFile::Checkpoints(LogVersion(checkpoint.version));
        self.add(format!("transactions/{name}/{file}"), source, stat, length, FileRole::CheckpointLog)
    }

    fn require_unreplaced(&self, name: &str, before: &StoreId) -> Result<(), CaptureError> {
        let after = read_metadata(self.installation, name)?.store_id;
        if after == *before {
            return Ok(());
        }
        Err(CaptureError::StoreReplaced { database: name.to_owned(), before: before.clone(), after })
    }
}

/// The metadata store of a database, of a format that can be backed up.
pub fn read_metadata(installation: &Installation, name: &str) -> Result<Metadata, CaptureError> {
    let bytes = disk::read(&installation.store(name).join(METADATA), 1 << 20)?;
    let database = name.to_owned();
    let metadata = Metadata::parse(&bytes)
        .map_err(|source| CaptureError::Metadata { database: database.clone(), source })?;
    metadata.store_id.check_supported().map_err(|source| CaptureError::Format { database, source })?;
    Ok(metadata)
}

fn require_same_store(name: &str, store: &StoreId, log: &StoreId) -> Result<(), CaptureError> {
    if store == log {
        return Ok(());
    }
    Err(CaptureError::ForeignLog { database: name.to_owned(), store: store.clone(), log: log.clone() })
}

fn vanished(error: &CaptureError) -> bool {
    match error {
        CaptureError::Disk(error) => error.is_not_found(),
        CaptureError::File { source: RepositoryError::SourceShort { .. }, .. } => true,
        _ => false,
    }
}

/// What would show that a unit changed.
#[derive(Debug, PartialEq, Eq)]
enum UnitState {
    Tree(Vec<u8>),
    Directory(Vec<(PathBuf, disk::Fingerprint)>),
    Absent,
}

fn unit_state(unit: &DerivedUnit, root: &Path) -> Result<UnitState, DiskError> {
    if disk::stat(root)?.is_none() {
        return Ok(UnitState::Absent);
    }
    match unit.kind.form() {
        UnitForm::Tree => {
            let mut state = vec![0; TREE_STATE_LENGTH];
            let length = Source::open(root)?.read_at(&mut state, 0)?;
            state.truncate(length);
            Ok(UnitState::Tree(state))
        }
        UnitForm::Directory => {
            let entries = disk::walk(root)?;
            Ok(UnitState::Directory(
                entries.into_iter().map(|entry| (entry.path, entry.stat.fingerprint())).collect(),
            ))
        }
    }
}

/// The files of a unit as they are now; `None` when it is gone.
fn unit_files(unit: &DerivedUnit, root: &Path) -> Result<Option<Vec<PathBuf>>, DiskError> {
    match unit.kind.form() {
        UnitForm::Tree => Ok(disk::stat(root)?.map(|_| vec![root.to_owned()])),
        UnitForm::Directory => match disk::walk(root) {
            Err(error) if error.is_not_found() => Ok(None),
            entries => Ok(Some(
                entries?
                    .into_iter()
                    .filter(|entry| entry.stat.kind != Kind::Directory)
                    .map(|entry| entry.path)
                    .collect(),
            )),
        },
    }
}

/// Inode, size and time of every file of a database. For a store that no server was seen to hold: none of it
/// may change.
pub type StillLife = BTreeMap<PathBuf, disk::Fingerprint>;

/// [`StillLife`] of one database.
pub fn still_life(installation: &Installation, name: &str) -> Result<StillLife, DiskError> {
    let mut seen = BTreeMap::new();
    for root in [installation.store(name), installation.log(name)] {
        for entry in disk::walk(&root)? {
            let lock = entry.path.file_name().is_some_and(|file| file == DATABASE_LOCK);
            if entry.stat.kind == Kind::File && !lock {
                seen.insert(entry.path, entry.stat.fingerprint());
            }
        }
    }
    Ok(seen)
}

fn describe(
    name: &str,
    metadata: &Metadata,
    checkpoint: &Checkpoint,
    span: &LogSpan,
    files: &[CapturedFile],
    omitted: Vec<Omitted>,
) -> DatabaseManifest {
    let describe_file = |file: &CapturedFile| ManifestFile {
        path: file.path.clone(),
        role: file.role,
        size: file.content.size,
        digest: file.content.digest().to_string(),
    };
    DatabaseManifest {
        name: name.to_owned(),
        store_id: metadata.store_id.clone(),
        database_id: metadata.database_id(),
        format: metadata.store_id.format.clone(),
        kernel: span.kernel.byte(),
        server_min: span.kernel.name().to_owned(),
        checkpoint: CheckpointRef::new(checkpoint.version, &checkpoint.record),
        replay_from: checkpoint.record.position,
        end: span.end.into(),
        transactions: span.transactions,
        nodes: None,
        relationships: None,
        files: files.iter().map(describe_file).collect(),
        omitted,
    }
}
