//! From a snapshot to a data directory that a server can open.
//!
//! Everything is built in `<target>/.grap-partial`, held under `flock`. Each chunk is checked against its hash, each file against its length and
//! its SHA-256; files and directories are synced; the written logs are parsed again. Only then come two renames: `databases`, a sync, and
//! `transactions` **last**: a server refuses a store without its log, but would open one with a hole, and beside a `system` that is not there yet
//! a database would meet an empty one.
//!
//! A target is ours to begin anew when it holds our partial and at most a `databases` whose inode is noted in it. Anything else is refused, untouched.

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError, FileLock, Sink};
use grap_repository::{Node, Reader, RepositoryError};
use grap_task::{Monitor, Stop, Stopped, Unit};
use sha2::{Digest, Sha256};

use super::manifest::{DatabaseManifest, FileRole, ManifestFile};
use super::reread::{RereadError, reread};

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
    #[error("the content of {path} is not what the manifest says, though each of its chunks is whole")]
    Hash { path: String },
    #[error("the backup holds no file {path}, though its manifest names it")]
    Incomplete { path: String },
    #[error("the target {} is not empty: it holds {found}", path.display())]
    TargetNotEmpty { path: PathBuf, found: String },
    #[error("another restore is writing into {}", path.display())]
    TargetBusy { path: PathBuf },
}

/// What to write, and how.
#[derive(Debug)]
pub struct AssembleOptions<'a> {
    pub databases: Vec<&'a DatabaseManifest>,
    /// The root of the backup's tree.
    pub root: &'a [Node],
    pub target: &'a Path,
    /// Owner and group of everything written.
    pub owner: Option<(u32, u32)>,
    /// Write what is whole although something is damaged.
    pub keep_going: bool,
    /// Left as `.grap/restored.json` in the target.
    pub note: &'a [u8],
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
    let built = build(options, &site.partial, reader, stop, monitor).and_then(|assembled| {
        if assembled.damages.is_empty() {
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
    let mut assembled = Assembled::default();
    for file in files {
        let node = find_file(options.root, reader, &file.path)?;
        let mut writing = FileBuild { reader, stop, monitor, file, damages: Vec::new() };
        writing.write(&node, &partial.join(&file.path), options.keep_going)?;
        assembled.damages.append(&mut writing.damages);
        assembled.files += 1;
        assembled.bytes += file.size;
    }
    Ok(assembled)
}

/// Follow a path from the root of the tree.
pub(crate) fn find_file(root: &[Node], reader: &Reader, path: &str) -> Result<Node, AssembleError> {
    let missing = || AssembleError::Incomplete { path: path.to_owned() };
    let mut nodes = root.to_vec();
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        let node = nodes.into_iter().find(|node| node.name == name).ok_or_else(missing)?;
        if names.peek().is_none() {
            return Ok(node);
        }
        nodes = reader.load_tree(node.subtree.ok_or_else(missing)?)?;
    }
    Err(missing())
}

/// One file being written.
struct FileBuild<'a> {
    reader: &'a Reader,
    stop: &'a Stop,
    monitor: &'a dyn Monitor,
    file: &'a ManifestFile,
    damages: Vec<Damage>,
}

impl FileBuild<'_> {
    fn write(&mut self, node: &Node, path: &Path, keep_going: bool) -> Result<(), AssembleError> {
        if node.size != self.file.size {
            return Err(AssembleError::Hash { path: self.file.path.clone() });
        }
        if let Some(parent) = path.parent() {
            disk::create_dir_all(parent)?;
        }
        let sink = Sink::create(path)?;
        let mut hasher = Sha256::new();
        let mut reached = 0;
        if let Err(error) = self.copy(node, &sink, &mut reached, &mut hasher) {
            let AssembleError::Repository(source) = error else { return Err(error) };
            if !is_damage(&source) {
                return Err(AssembleError::Damaged { file: self.file.path.clone(), offset: reached, source });
            }
            self.salvage(node, &sink, reached, &mut hasher, keep_going)?;
        }
        sink.set_len(node.size)?;
        sink.finish()?;
        disk::set_mode(path, node.permissions() & 0o777 | 0o600)?;
        let whole = self.damages.is_empty() && hex::encode(hasher.finalize()) != self.file.sha256;
        if whole { Err(AssembleError::Hash { path: self.file.path.clone() }) } else { Ok(()) }
    }

    /// Go on from byte `from` chunk by chunk, so that exactly the damaged ones are named, and missing. The first of them is an error
    /// unless the rest is wanted.
    fn salvage(
        &mut self,
        node: &Node,
        sink: &Sink,
        from: u64,
        hasher: &mut Sha256,
        keep_going: bool,
    ) -> Result<(), AssembleError> {
        let chunk = chunk_size(node.size);
        for number in from / chunk..node.size.div_ceil(chunk) {
            self.stop.check()?;
            let offset = number * chunk;
            match self.reader.read_chunk(node, number) {
                Ok(bytes) => {
                    hasher.update(&bytes);
                    sink.write_all_at(&bytes, offset)?;
                    self.monitor.advance(bytes.len() as u64);
                }
                Err(source) if keep_going && is_damage(&source) => self.damages.push(Damage {
                    file: self.file.path.clone(),
                    offset,
                    reason: source.to_string(),
                }),
                Err(source) => {
                    return Err(AssembleError::Damaged { file: self.file.path.clone(), offset, source });
                }
            }
        }
        Ok(())
    }

    fn copy(
        &self,
        node: &Node,
        sink: &Sink,
        reached: &mut u64,
        hasher: &mut Sha256,
    ) -> Result<(), AssembleError> {
        self.reader.read_file(node, *reached, self.stop, &mut |offset, bytes: &[u8]| {
            hasher.update(bytes);
            // A hole reads as zeros and takes no room: much of a store is preallocated.
            for (index, block) in bytes.chunks(HOLE).enumerate() {
                if block.iter().any(|byte| *byte != 0) {
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
const HOLE: usize = 256 << 10;

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
        reread(partial, database)?;
        monitor.advance(1);
    }
    Ok(())
}

/// The target and our partial in it.
struct Site {
    target: PathBuf,
    partial: PathBuf,
    lock: Option<FileLock>,
    made_target: bool,
}

impl Site {
    /// Take the target, or refuse it untouched.
    fn open(target: &Path) -> Result<Self, AssembleError> {
        let partial = target.join(PARTIAL);
        let made_target = disk::stat(target)?.is_none();
        require_ours_or_empty(target, &partial)?;
        disk::create_dir_all(&partial)?;
        if made_target {
            // As what will be in it: else a strict umask shuts the server out.
            disk::set_mode(target, 0o755)?;
        }
        let lock = FileLock::try_exclusive(&partial.join(LOCK))?;
        let lock = lock.ok_or_else(|| AssembleError::TargetBusy { path: target.to_owned() })?;
        // Looked at again under the lock: another restore may have ended between.
        require_ours_or_empty(target, &partial)?;
        disk::remove_tree(&target.join("databases"))?;
        for name in disk::list(&partial)?.unwrap_or_default() {
            if name != LOCK {
                remove_any(&partial.join(name))?;
            }
        }
        Ok(Self { target: target.to_owned(), partial, lock: Some(lock), made_target })
    }

    /// The two renames.
    fn place(&mut self, options: &AssembleOptions<'_>) -> Result<(), AssembleError> {
        set_owner(&self.partial, options.owner)?;
        disk::sync_tree(&self.partial)?;
        let databases = self.partial.join("databases");
        let inode = disk::stat(&databases)?.map_or(0, |stat| stat.inode);
        disk::replace(&self.partial.join(PLACED), &[inode.to_string().as_bytes()])?;
        disk::replace(&self.partial.join("restored.json"), &[options.note])?;
        disk::set_mode(&self.partial.join("restored.json"), 0o644)?;
        disk::rename(&databases, &self.target.join("databases"))?;
        disk::sync_dir(&self.target)?;
        disk::rename(&self.partial.join("transactions"), &self.target.join("transactions"))?;
        disk::sync_dir(&self.target)?;
        if let Some((uid, gid)) = options.owner {
            disk::chown(&self.target, uid, gid)?;
        }
        // In place. What is left of the partial becomes our folder in the data directory.
        disk::remove_file(&self.partial.join(PLACED))?;
        self.become_folder(OURS, options)?;
        Ok(())
    }

    fn keep_as_salvage(&mut self, options: &AssembleOptions<'_>) -> Result<PathBuf, AssembleError> {
        disk::remove_tree(&self.partial.join("transactions"))?;
        set_owner(&self.partial, options.owner)?;
        disk::sync_tree(&self.partial)?;
        self.become_folder(SALVAGE, options)
    }

    fn become_folder(&mut self, name: &str, options: &AssembleOptions<'_>) -> Result<PathBuf, AssembleError> {
        disk::remove_file(&self.partial.join(LOCK))?;
        let folder = self.target.join(name);
        set_owner(&self.partial, options.owner)?;
        disk::rename(&self.partial, &folder)?;
        disk::sync_dir(&self.target)?;
        self.lock = None;
        Ok(folder)
    }

    /// After a failure: leave the target as it was found. What cannot be removed the next restore removes.
    fn clear(&self) {
        let placed = disk::stat(&self.target.join("transactions")).is_ok_and(|stat| stat.is_some());
        if placed {
            return;
        }
        let _ = disk::remove_tree(&self.target.join("databases"));
        let _ = disk::remove_tree(&self.partial);
        if self.made_target {
            let _ = disk::remove_dir(&self.target);
        }
    }
}

fn require_ours_or_empty(target: &Path, partial: &Path) -> Result<(), AssembleError> {
    let noted = match disk::read(&partial.join(PLACED), 64) {
        Ok(text) => String::from_utf8_lossy(&text).parse().ok(),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    for name in disk::list(target)?.unwrap_or_default() {
        let ours = match name.as_str() {
            PARTIAL => true,
            "databases" => {
                noted.is_some() && disk::stat(&target.join("databases"))?.map(|stat| stat.inode) == noted
            }
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

/// Directories are open to the server whatever the umask: 0755, as its own are.
fn set_owner(root: &Path, owner: Option<(u32, u32)>) -> Result<(), DiskError> {
    for entry in disk::walk(root)? {
        if entry.stat.kind == disk::Kind::Directory {
            disk::set_mode(&entry.path, 0o755)?;
        }
        if let Some((uid, gid)) = owner {
            disk::chown(&entry.path, uid, gid)?;
        }
    }
    disk::set_mode(root, 0o755)?;
    if let Some((uid, gid)) = owner {
        disk::chown(root, uid, gid)?;
    }
    Ok(())
}

/// Bytes of a chunk, as the writer cuts them (docs/format/repository.md).
fn chunk_size(file: u64) -> u64 {
    let mut size = 64 << 10;
    while file.div_ceil(size) > 1 << 20 {
        size *= 2;
    }
    size
}
