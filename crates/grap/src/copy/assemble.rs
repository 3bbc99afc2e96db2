//! From a snapshot to a data directory that a server can open.
//!
//! Everything is built in `<target>/.grap-partial`, held under `flock`. Each chunk is checked against its
//! hash, each file against its length and its digest; files and directories are synced; the written logs are
//! parsed again. Only then come two renames: `databases`, a sync, and `transactions` **last**: a server
//! refuses a store without its log, but would open one with a hole, and beside a `system` that is not there
//! yet a database would meet an empty one.
//!
//! A target is ours to begin anew when it holds our partial and at most a `databases` whose inode is noted in
//! it. Anything else is refused, untouched.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Sender, bounded};
use grap_disk::{self as disk, DiskError, FileLock, Sink};
use grap_repository::{Node, Reader, RepositoryError, chunk_size};
use grap_task::{Monitor, Stop, Stopped, Unit};

use super::extend::{ArchivedLog, extend};
use super::manifest::{DatabaseManifest, FileRole, ManifestFile};
use super::reread::{RereadError, reread};
use crate::archive::ArchiveError;

const PARTIAL: &str = ".grap-partial";
const SALVAGE: &str = ".grap-salvage";
/// Neo4j ignores it; what Grap leaves in a data directory lies there.
const OURS: &str = ".grap";
const LOCK: &str = "lock";
/// The inode of a `databases` that was put in place already.
const PLACED: &str = "placed";

#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("what was written is not what the backup promised")]
    Reread(#[from] RereadError),
    #[error("{file} is damaged in the repository, at byte {offset}")]
    Damaged { file: String, offset: u64, source: RepositoryError },
    #[error("{file} cannot be read from the repository, at byte {offset}")]
    Unreadable { file: String, offset: u64, source: RepositoryError },
    #[error("the content of {path} is not what the manifest says, though each of its chunks is whole")]
    Hash { path: String },
    #[error("the backup holds no file {path}, though its manifest names it")]
    Incomplete { path: String },
    #[error("the archived log cannot be read")]
    Archive(#[from] ArchiveError),
    #[error("the archived log does not go on where {} ends: at {ends} comes what belongs to {next}", path.display())]
    LogGap { path: PathBuf, ends: u64, next: u64 },
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error("the thread that syncs files ended without a word")]
    Syncer,
    #[error("the target {} is not empty: it holds {found}", path.display())]
    TargetNotEmpty { path: PathBuf, found: String },
    #[error("another restore is writing into {}", path.display())]
    TargetBusy { path: PathBuf },
}

/// What to write, and how.
pub struct AssembleOptions<'a> {
    pub databases: Vec<&'a DatabaseManifest>,
    /// Log behind the ends of these databases.
    pub continuations: Vec<Continuation<'a>>,
    /// Every file of the backup by its path.
    pub nodes: &'a BTreeMap<String, Node>,
    pub target: &'a Path,
    /// Owner and group of everything written.
    pub owner: Option<(u32, u32)>,
    /// Write what is whole although something is damaged.
    pub keep_going: bool,
    /// Left as `.grap/restored.json` in the target.
    pub note: &'a [u8],
}

/// Archived log that is written behind a database's files.
pub struct Continuation<'a> {
    /// What the database is then.
    pub promised: &'a DatabaseManifest,
    pub log: &'a dyn ArchivedLog,
}

/// A place in a file that could not be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub file: String,
    pub offset: u64,
    /// Names the chunk, the pack, and what is wrong with it.
    pub reason: String,
}

#[derive(Debug, Default)]
pub struct Assembled {
    pub files: u64,
    pub bytes: u64,
    pub damages: Vec<Damage>,
    /// Where the data directory is; with damages, where the rest is.
    pub path: PathBuf,
}

/// Build the data directory.
pub fn assemble(
    options: &AssembleOptions<'_>,
    reader: &Reader,
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<Assembled, AssembleError> {
    let mut site = Site::open(options.target)?;
    let built = build(options, &site.partial, reader, stop, monitor).and_then(|mut assembled| {
        if assembled.damages.is_empty() {
            extend(options, &site.partial, stop, monitor, &mut assembled)?;
            verify(options, &site.partial, monitor)?;
            site.place(options)?;
            Ok(Assembled { path: options.target.to_owned(), ..assembled })
        } else {
            let path = site.keep_as_salvage(options)?;
            Ok(Assembled { path, ..assembled })
        }
    });
    if built.is_err() {
        site.clear();
    }
    built
}

fn build(
    options: &AssembleOptions<'_>,
    partial: &Path,
    reader: &Reader,
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<Assembled, AssembleError> {
    let mut files: Vec<&ManifestFile> =
        options.databases.iter().flat_map(|database| &database.files).collect();
    // The log last: without it no server opens the directory.
    files.sort_by_key(|file| matches!(file.role, FileRole::TransactionLog | FileRole::CheckpointLog));
    monitor.begin("restoring files", Unit::Bytes, Some(files.iter().map(|file| file.size).sum()));
    std::thread::scope(|scope| {
        let (written, to_sync) = bounded(SYNCS_MAX);
        let syncer = std::thread::Builder::new().name("syncer".to_owned());
        let syncer = syncer.spawn_scoped(scope, move || to_sync.iter().try_for_each(Sink::finish));
        let syncer = syncer.map_err(AssembleError::Thread)?;
        let built = write_files(options, partial, &files, reader, stop, monitor, &written);
        drop(written);
        let synced = syncer.join().map_err(|_| AssembleError::Syncer)?;
        let assembled = built?;
        synced?;
        Ok(assembled)
    })
}

/// Write file after file; each goes on to the syncer, so that the next is decoded while the disk takes the last.
fn write_files(
    options: &AssembleOptions<'_>,
    partial: &Path,
    files: &[&ManifestFile],
    reader: &Reader,
    stop: &Stop,
    monitor: &dyn Monitor,
    written: &Sender<Sink>,
) -> Result<Assembled, AssembleError> {
    let mut assembled = Assembled::default();
    for &file in files {
        let missing = || AssembleError::Incomplete { path: file.path.clone() };
        let node = options.nodes.get(&file.path).ok_or_else(missing)?;
        let mut writing = FileBuild { options, reader, stop, monitor, file, damages: Vec::new() };
        let sink = writing.write(node, &partial.join(&file.path))?;
        // A syncer that failed takes no more; what it failed with is heard when it is joined.
        let _ = written.send(sink);
        assembled.damages.append(&mut writing.damages);
        assembled.files += 1;
        assembled.bytes += file.size;
    }
    Ok(assembled)
}

/// One file being written.
struct FileBuild<'a> {
    options: &'a AssembleOptions<'a>,
    reader: &'a Reader,
    stop: &'a Stop,
    monitor: &'a dyn Monitor,
    file: &'a ManifestFile,
    damages: Vec<Damage>,
}

impl FileBuild<'_> {
    fn write(&mut self, node: &Node, path: &Path) -> Result<Sink, AssembleError> {
        // The chunks are those of the manifest; that each is whole the reader sees to.
        if node.size != self.file.size || node.digest().to_string() != self.file.digest {
            return Err(AssembleError::Hash { path: self.file.path.clone() });
        }
        if let Some(parent) = path.parent() {
            disk::create_dir_all(parent)?;
        }
        let sink = Sink::create(path)?;
        let mut reached = 0;
        if let Err(error) = self.copy(node, &sink, &mut reached) {
            let AssembleError::Repository(source) = error else { return Err(error) };
            if !is_damage(&source) {
                return Err(self.unreadable(reached, source));
            }
            self.salvage(node, &sink, reached)?;
        }
        sink.set_len(node.size)?;
        sink.set_mode(node.permissions() & 0o777 | 0o600)?;
        if let Some((uid, gid)) = self.options.owner {
            sink.set_owner(uid, gid)?;
        }
        Ok(sink)
    }

    /// Go on from byte `from` chunk by chunk, so that exactly the damaged ones are named, and missing. The
    /// first of them is an error unless the rest is wanted.
    fn salvage(&mut self, node: &Node, sink: &Sink, from: u64) -> Result<(), AssembleError> {
        let chunk = chunk_size(node.size);
        for number in from / chunk..node.size.div_ceil(chunk) {
            self.stop.check()?;
            let offset = number * chunk;
            match self.reader.read_chunk(node, number) {
                Ok(bytes) => {
                    sink.write_all_at(&bytes, offset)?;
                    self.monitor.advance(bytes.len() as u64);
                }
                Err(source) if self.options.keep_going && is_damage(&source) => self.damages.push(Damage {
                    file: self.file.path.clone(),
                    offset,
                    reason: source.to_string(),
                }),
                Err(source) if is_damage(&source) => {
                    return Err(AssembleError::Damaged { file: self.file.path.clone(), offset, source });
                }
                Err(source) => return Err(self.unreadable(offset, source)),
            }
        }
        Ok(())
    }

    fn unreadable(&self, offset: u64, source: RepositoryError) -> AssembleError {
        match source {
            RepositoryError::Stopped(stopped) => stopped.into(),
            source => AssembleError::Unreadable { file: self.file.path.clone(), offset, source },
        }
    }

    fn copy(&self, node: &Node, sink: &Sink, reached: &mut u64) -> Result<(), AssembleError> {
        self.reader.read_file(node, *reached, self.stop, &mut |offset, bytes: &[u8]| {
            // A hole reads as zeros and takes no room: much of a store is preallocated.
            for (index, block) in bytes.chunks(HOLE).enumerate() {
                if *block != ZEROS[..block.len()] {
                    sink.write_all_at(block, offset + (index * HOLE) as u64)?;
                }
            }
            *reached = offset + bytes.len() as u64;
            self.monitor.advance(bytes.len() as u64);
            Ok::<(), AssembleError>(())
        })
    }
}

/// Zeros of this length and alignment are not written.
const HOLE: usize = 64 << 10;
static ZEROS: [u8; HOLE] = [0; HOLE];
/// Written files that wait for the disk.
const SYNCS_MAX: usize = 16;

/// Damage of what is stored, as against a storage that fails.
fn is_damage(error: &RepositoryError) -> bool {
    matches!(
        error,
        RepositoryError::Damaged { .. }
            | RepositoryError::BlobDamaged { .. }
            | RepositoryError::BlobMissing { .. }
            | RepositoryError::BlobUnreadable { .. }
    )
}

fn verify(options: &AssembleOptions<'_>, partial: &Path, monitor: &dyn Monitor) -> Result<(), AssembleError> {
    monitor.begin("parsing what was written", Unit::Items, Some(options.databases.len() as u64));
    for database in &options.databases {
        let continued = options.continuations.iter().find(|going_on| going_on.promised.name == database.name);
        reread(partial, continued.map_or(*database, |going_on| going_on.promised))?;
        monitor.advance(1);
    }
    Ok(())
}

/// The target and our partial in it.
struct Site {
    target: PathBuf,
    partial: PathBuf,
    _lock: FileLock,
    made_target: bool,
    /// Both trees are in place.
    placed: bool,
}

impl Site {
    /// Take the target, or refuse it untouched.
    fn open(target: &Path) -> Result<Self, AssembleError> {
        let partial = target.join(PARTIAL);
        require_ours_or_empty(target, &partial)?;
        let made_target = disk::make_dirs(target, None)?;
        disk::make_dirs(&partial, None)?;
        if made_target {
            // As what will be in it: else a strict umask shuts the server out.
            disk::set_mode(target, 0o755)?;
        }
        let lock = FileLock::try_exclusive(&partial.join(LOCK))?;
        let lock = lock.ok_or_else(|| AssembleError::TargetBusy { path: target.to_owned() })?;
        // Looked at again under the lock: another restore may have ended between.
        require_ours_or_empty(target, &partial)?;
        disk::remove_tree(&target.join("databases"))?;
        // Before anything else: the number it notes is free from here on.
        disk::remove_file(&partial.join(PLACED))?;
        disk::sync_dir(&partial)?;
        for name in disk::list(&partial)?.unwrap_or_default() {
            if name != LOCK {
                remove_any(&partial.join(name))?;
            }
        }
        Ok(Self { target: target.to_owned(), partial, _lock: lock, made_target, placed: false })
    }

    /// The two renames.
    fn place(&mut self, options: &AssembleOptions<'_>) -> Result<(), AssembleError> {
        open_directories(&self.partial, options.owner)?;
        let databases = self.partial.join("databases");
        let noted = identity(&databases)?.unwrap_or_default();
        disk::replace(&self.partial.join(PLACED), &[noted.as_bytes()])?;
        disk::rename_new(&databases, &self.target.join("databases"))?;
        disk::sync_dir(&self.target)?;
        disk::rename_new(&self.partial.join("transactions"), &self.target.join("transactions"))?;
        self.placed = true;
        disk::sync_dir(&self.target)?;
        if let Some((uid, gid)) = options.owner {
            disk::chown(&self.target, uid, gid)?;
        }
        // In place. What is left of the partial becomes our folder in the data directory.
        disk::remove_file(&self.partial.join(PLACED))?;
        self.become_folder(OURS, options)?;
        Ok(())
    }

    fn keep_as_salvage(&self, options: &AssembleOptions<'_>) -> Result<PathBuf, AssembleError> {
        disk::remove_tree(&self.partial.join("transactions"))?;
        open_directories(&self.partial, options.owner)?;
        self.become_folder(SALVAGE, options)
    }

    fn become_folder(&self, name: &str, options: &AssembleOptions<'_>) -> Result<PathBuf, AssembleError> {
        let note = self.partial.join("restored.json");
        disk::replace(&note, &[options.note])?;
        disk::set_mode(&note, 0o644)?;
        if let Some((uid, gid)) = options.owner {
            disk::chown(&note, uid, gid)?;
        }
        let folder = self.target.join(name);
        disk::rename_new(&self.partial, &folder)?;
        disk::remove_file(&folder.join(LOCK))?;
        disk::sync_dir(&self.target)?;
        Ok(folder)
    }

    /// After a failure: leave the target as it was found. What cannot be removed the next restore removes.
    fn clear(&self) {
        if self.placed {
            return;
        }
        let databases = self.target.join("databases");
        // Only the `databases` that we put there; somebody else's is not ours to remove.
        let noted = noted_databases(&self.partial).ok().flatten();
        if noted.is_some() && identity(&databases).ok().flatten() == noted {
            let _ = disk::remove_tree(&databases);
        }
        let _ = disk::remove_file(&self.partial.join(PLACED));
        let _ = disk::remove_tree(&self.partial);
        if self.made_target {
            let _ = disk::remove_dir(&self.target);
        }
    }
}

/// Which directory it is: device, inode and, where the file system keeps it, time of birth.
fn identity(directory: &Path) -> Result<Option<String>, DiskError> {
    let stat = disk::stat(directory)?;
    Ok(stat.map(|stat| format!("{} {} {}", stat.device, stat.inode, stat.born.unwrap_or_default())))
}

/// The `databases` that a restore into this partial has put in place already.
fn noted_databases(partial: &Path) -> Result<Option<String>, DiskError> {
    match disk::read(&partial.join(PLACED), 256) {
        Ok(text) => Ok(String::from_utf8(text).ok()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn require_ours_or_empty(target: &Path, partial: &Path) -> Result<(), AssembleError> {
    let noted = noted_databases(partial)?;
    for name in disk::list(target)?.unwrap_or_default() {
        let ours = match name.as_str() {
            PARTIAL => true,
            "databases" => noted.is_some() && identity(&target.join("databases"))? == noted,
            _ => false,
        };
        if !ours {
            return Err(AssembleError::TargetNotEmpty { path: target.to_owned(), found: name });
        }
    }
    Ok(())
}

fn remove_any(path: &Path) -> Result<(), DiskError> {
    match disk::stat_link(path)? {
        Some(stat) if stat.kind == disk::Kind::Directory => disk::remove_tree(path),
        _ => disk::remove_file(path),
    }
}

/// Directories are open to the server whatever the umask: 0755, as its own are. And durable, deepest first.
fn open_directories(root: &Path, owner: Option<(u32, u32)>) -> Result<(), DiskError> {
    let entries = disk::walk(root)?;
    let below =
        entries.iter().filter(|entry| entry.stat.kind == disk::Kind::Directory).map(|entry| &*entry.path);
    for directory in below.chain([root]) {
        disk::set_mode(directory, 0o755)?;
        if let Some((uid, gid)) = owner {
            disk::chown(directory, uid, gid)?;
        }
    }
    disk::sync_tree(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options<'a>(target: &'a Path, nodes: &'a BTreeMap<String, Node>) -> AssembleOptions<'a> {
        AssembleOptions {
            databases: Vec::new(),
            continuations: Vec::new(),
            nodes,
            target,
            owner: None,
            keep_going: false,
            note: b"{}",
        }
    }

    fn built(site: &Site) {
        for side in ["databases", "transactions"] {
            disk::create_dir_all(&site.partial.join(side)).unwrap();
        }
    }

    #[test]
    fn what_somebody_else_puts_into_the_target_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (target, nodes) = (folder.path().join("target"), BTreeMap::new());
        for theirs in ["databases", "transactions"] {
            let mut site = Site::open(&target).unwrap();
            built(&site);
            disk::create_dir_all(&target.join(theirs).join("mine")).unwrap();
            site.place(&options(&target, &nodes)).unwrap_err();
            site.clear();
            assert_eq!(disk::list(&target).unwrap().unwrap(), [theirs]);
            assert!(target.join(theirs).join("mine").is_dir());
            disk::remove_tree(&target).unwrap();
        }
    }

    #[test]
    fn one_killed_between_the_renames_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (target, nodes) = (folder.path().join("target"), BTreeMap::new());
        let mut site = Site::open(&target).unwrap();
        disk::create_dir_all(&site.partial.join("databases")).unwrap();
        // There is no `transactions` to rename: as if killed right before.
        site.place(&options(&target, &nodes)).unwrap_err();
        assert!(target.join("databases").is_dir());
        drop(site);
        let mut site = Site::open(&target).unwrap();
        assert!(!target.join("databases").exists());
        built(&site);
        site.place(&options(&target, &nodes)).unwrap();
        assert_eq!(disk::list(&target).unwrap().unwrap(), [".grap", "databases", "transactions"]);
    }
}
