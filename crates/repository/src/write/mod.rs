//! Writing a snapshot: [`Writer::add`] every file, [`Writer::save_tree`] every directory, [`Writer::finish`].
//! Or taking over those of another repository: [`Writer::copy`].
//!
//! Why a published snapshot is complete:
//! - A chunk counts as stored only if it is in a pack that an index lists and that the storage lists at the
//!   right size ([`Repository::writer`] drops all others from deduplication, and those that were found damaged: what
//!   was lost is stored anew),
//!   or if this run stores it.
//! - Packs are put before the index that names them, and the snapshot after both. A failed put ends the run.
//! - Right before the snapshot every pack that it uses is seen at its size, and then our lock is seen to be
//!   there and fresh: so nobody has deleted meanwhile, and nobody does.

mod copy;
mod packer;
mod pipeline;

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};

use grap_task::{Finding, Monitor, Stop};

use crate::error::{RepositoryError, Result};
use crate::format::id::{Id, SnapshotId, TreeId};
use crate::format::pack::BlobKind;
use crate::format::snapshot::{Snapshot, SnapshotDraft};
use crate::format::tree::{Meta, Node, Tree};
use crate::lock::Lock;
use crate::object::ObjectError;
use crate::repository::{Repository, object_name};
pub(crate) use packer::Packer;
use pipeline::Pipeline;

/// The smallest chunk, and the most chunks of a file: beyond, the file's chunks are twice as large.
const CHUNK_SIZE: usize = 64 << 10;
const CHUNKS_MAX: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// Threads that hash, compress and encrypt.
    pub workers: usize,
    /// Packs under way to the storage at once. Each takes a pack of memory.
    pub uploads: usize,
    /// zstd.
    pub level: i32,
    /// A pack is put once it has this many bytes.
    pub pack_size: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { workers: cores, uploads: 1, level: 3, pack_size: 32 << 20 }
    }
}

/// One snapshot in the making.
pub struct Writer<'a> {
    repository: &'a Repository,
    lock: &'a Lock,
    pipeline: Pipeline,
    stop: &'a Stop,
    monitor: &'a dyn Monitor,
    /// Saved by this writer.
    trees: HashSet<TreeId>,
    /// Packs or indexes that should be there were not, or not whole.
    losses: bool,
    report: WriterReport,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterReport {
    pub files: u64,
    /// Bytes read from the sources.
    pub bytes: u64,
    /// Bytes of the chunks and trees that were not stored before, ...
    pub new_bytes: u64,
    /// ... and what they take in packs, compressed and encrypted.
    pub stored_bytes: u64,
}

/// The content of a stored file, for [`Node::file`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    pub(crate) ids: Vec<Id>,
    /// Bytes.
    pub size: u64,
    /// Bytes of every chunk but the last.
    pub chunk_size: u64,
    /// Bytes of the chunks that were not stored before, and what they take in packs.
    pub new_bytes: u64,
    pub stored_bytes: u64,
}

impl Node {
    pub fn file(name: &str, meta: &Meta, content: &FileContent) -> Self {
        Self::new_file(name, meta, content.size, content.ids.clone())
    }
}

impl Repository {
    /// Begin to write. Loads the index and looks at every pack.
    pub fn writer<'a>(
        &'a self,
        lock: &'a Lock,
        options: &WriterOptions,
        stop: &'a Stop,
        monitor: &'a dyn Monitor,
    ) -> Result<Writer<'a>> {
        self.writer_without(&BTreeSet::new(), lock, options, stop, monitor)
    }

    /// The same, and nothing rests on these packs, which somebody found damaged: what is still needed of them is stored
    /// anew.
    pub fn writer_without<'a>(
        &'a self,
        damaged_packs: &BTreeSet<Id>,
        lock: &'a Lock,
        options: &WriterOptions,
        stop: &'a Stop,
        monitor: &'a dyn Monitor,
    ) -> Result<Writer<'a>> {
        let (mut index, damaged) = self.inner.load_index()?;
        let mut losses = !damaged.is_empty();
        for error in damaged {
            monitor.finding(&Finding::warning(format!("{error}; what only it knows is stored anew")));
        }
        let listed = self.inner.list_packs()?;
        let lost = index.packs().iter().filter(|pack| listed.get(&pack.id) != Some(&pack.size)).count();
        if lost > 0 {
            losses = true;
            monitor.finding(&Finding::warning(format!(
                "{lost} packs are missing or of the wrong size; what is still needed of them is stored anew"
            )));
            index.retain_packs(|pack| listed.get(&pack.id) == Some(&pack.size));
        }
        if index.packs().iter().any(|pack| damaged_packs.contains(&pack.id)) {
            let text = "packs that a verification found damaged are not used; what is still needed of them is stored anew";
            monitor.finding(&Finding::warning(text));
            index.retain_packs(|pack| !damaged_packs.contains(&pack.id));
        }
        Ok(Writer {
            repository: self,
            lock,
            pipeline: Pipeline::start(self, index, options)?,
            stop,
            monitor,
            trees: HashSet::new(),
            losses,
            report: WriterReport::default(),
        })
    }
}

impl Writer<'_> {
    /// Store what `reader` gives, exactly `planned` bytes of it: fewer are an error, what follows is left
    /// unread.
    pub fn add(&mut self, reader: &mut dyn Read, planned: u64) -> Result<FileContent> {
        let mut content = self.begin(planned, chunk_size(planned))?;
        let mut offset = 0;
        for number in 0..content.ids.len() {
            self.stop.check()?;
            if self.pipeline.is_full() {
                self.receive(&mut content)?;
            }
            let length = content.chunk_size.min(planned - offset);
            let mut buffer = self.pipeline.buffer();
            buffer.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            fill(reader, &mut buffer, offset, planned)?;
            self.pipeline.submit(number, BlobKind::Data, buffer)?;
            offset += length;
            self.monitor.advance(length);
        }
        while self.receive(&mut content)? {}
        self.report.files += 1;
        self.report.bytes += planned;
        Ok(content)
    }

    pub fn add_bytes(&mut self, bytes: &[u8]) -> Result<FileContent> {
        self.add(&mut &bytes[..], bytes.len() as u64)
    }

    /// Store a directory. The order of the nodes does not matter.
    pub fn save_tree(&mut self, nodes: Vec<Node>) -> Result<TreeId> {
        self.stop.check()?;
        let tree = Tree::new(nodes).map_err(|why| RepositoryError::InvalidTree { why })?;
        let bytes = tree.to_bytes().map_err(|why| RepositoryError::Encode { why })?;
        let length = bytes.len() as u64;
        let mut content = self.begin(length, length)?;
        self.pipeline.submit(0, BlobKind::Tree, bytes)?;
        while self.receive(&mut content)? {}
        let id = TreeId(content.ids[0]);
        self.trees.insert(id);
        Ok(id)
    }

    /// Room for the ids of `size` bytes. Blobs of an `add` that failed half-way are waited for first.
    fn begin(&mut self, size: u64, chunk_size: u64) -> Result<FileContent> {
        while self.pipeline.receive()?.is_some() {}
        let count = usize::try_from(size.div_ceil(chunk_size)).unwrap_or(usize::MAX);
        let ids = vec![Id::from_bytes([0; 32]); count];
        Ok(FileContent { ids, size, chunk_size, new_bytes: 0, stored_bytes: 0 })
    }

    /// Put one id in its place; false when none is under way.
    fn receive(&mut self, content: &mut FileContent) -> Result<bool> {
        let Some(done) = self.pipeline.receive()? else { return Ok(false) };
        content.ids[done.number] = done.id;
        if let Some((plain, stored)) = done.new {
            content.new_bytes += plain;
            content.stored_bytes += stored;
        }
        self.note_new(done.new);
        Ok(true)
    }

    /// Plain and stored bytes of a blob that is new.
    fn note_new(&mut self, new: Option<(u64, u64)>) {
        let (plain, stored) = new.unwrap_or_default();
        self.report.new_bytes += plain;
        self.report.stored_bytes += stored;
    }

    /// Whether something was missing when this writer began, beside the packs that it was told of: a snapshot of
    /// before may lack what it needs.
    pub fn found_losses(&self) -> bool {
        self.losses
    }

    /// The packs that this writer has put.
    pub fn packs_put(&self) -> Vec<Id> {
        self.pipeline.written().into_iter().map(|(pack, _)| pack).collect()
    }

    pub fn report(&self) -> WriterReport {
        self.report
    }

    /// Every pack is there at its size. What the listing does not show is asked for by name: a listing may
    /// lag.
    fn see_packs(&self, packs: Vec<(Id, u64)>) -> Result<()> {
        let inner = &self.repository.inner;
        let listed = inner.list_packs()?;
        for (pack, expected) in packs {
            let found = match listed.get(&pack) {
                Some(size) => Some(*size),
                None => match inner.store.size(&object_name("data", pack)) {
                    Err(ObjectError::NotFound { .. }) => None,
                    size => Some(size?),
                },
            };
            if found != Some(expected) {
                return Err(RepositoryError::PackGone { pack, expected, found });
            }
        }
        Ok(())
    }

    /// Publish the snapshot that this writer is for.
    pub fn finish(mut self, root: TreeId, draft: SnapshotDraft) -> Result<Snapshot> {
        self.publish(root, draft)
    }

    /// Store what is still in memory, make sure that everything is there, publish the snapshot. The writer can
    /// go on with another one.
    pub(crate) fn publish(&mut self, root: TreeId, draft: SnapshotDraft) -> Result<Snapshot> {
        if !self.trees.contains(&root) {
            return Err(RepositoryError::InvalidTree { why: format!("{root} was not saved by this writer") });
        }
        self.secure()?;
        let file = draft.with_tree(root);
        let id = self.repository.inner.put_document("snapshots", &file)?;
        Ok(file.with_id(SnapshotId(id)))
    }

    /// Store what is still in memory, and see that all of it is there.
    fn secure(&mut self) -> Result<()> {
        let packs = self.pipeline.flush()?;
        self.stop.check()?;
        self.see_packs(packs)?;
        // Last: that it is still there says that nobody deletes, and nobody did since the packs were seen.
        self.lock.assert_fresh()
    }
}

/// Bytes of every chunk but the last, of a file of this length.
pub fn chunk_size(planned: u64) -> u64 {
    let mut size = CHUNK_SIZE as u64;
    while planned.div_ceil(size) > CHUNKS_MAX {
        size *= 2;
    }
    size
}

fn fill(reader: &mut dyn Read, buffer: &mut [u8], offset: u64, planned: u64) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => return Err(RepositoryError::SourceShort { found: offset + filled as u64, planned }),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(RepositoryError::SourceUnreadable { offset: offset + filled as u64, source });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_has_more_than_a_million_chunks() {
        assert_eq!(chunk_size(0), 64 << 10);
        assert_eq!(chunk_size(64 << 30), 64 << 10);
        assert_eq!(chunk_size((64 << 30) + 1), 128 << 10);
        assert_eq!(chunk_size(1 << 40), 1 << 20);
    }
}
