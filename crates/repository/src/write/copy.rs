//! Taking over a snapshot of another repository: what this one lacks is read there and stored here.
//!
//! A blob is named by the SHA-256 of its plain bytes, in every repository: so a file that both hold is stored
//! once, a directory keeps its id (its bytes are taken as they are, and read only to see what they need), and
//! every byte is checked against the name that the directory gives it before it is stored under the key of
//! this repository. The snapshot says what it said, but its own id is another: that is the SHA-256 of sealed
//! bytes.
//!
//! Why a published copy is complete: every chunk and every directory that the snapshot needs was found in a
//! pack that this writer relies on, or was stored by it; publishing is [`Writer::publish`]'s, as for a backup.
//! A copy that failed half-way leaves chunks, which the next one finds.

use std::collections::HashSet;

use crate::error::{RepositoryError, Result};
use crate::format::id::{Id, TreeId};
use crate::format::pack::BlobKind;
use crate::format::snapshot::{Snapshot, SnapshotDraft};
use crate::format::tree::{NodeKind, Tree};
use crate::read::Reader;
use crate::write::Writer;

/// Chunks that are looked for together: sorted, they are read as they lie. 2 MiB of ids, up to 4 GiB of chunks.
const BATCH: usize = 1 << 16;

/// Which of the two repositories failed.
enum Side {
    From(RepositoryError),
    To(RepositoryError),
}

impl From<RepositoryError> for Side {
    fn from(error: RepositoryError) -> Self {
        Self::From(error)
    }
}

impl From<Side> for RepositoryError {
    fn from(side: Side) -> Self {
        match side {
            Side::To(error) | Side::From(error @ Self::Stopped(_)) => error,
            Side::From(error) => Self::CopySource(Box::new(error)),
        }
    }
}

impl From<&Snapshot> for SnapshotDraft {
    /// All that it says, but for its parent, which is another repository's.
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            time: snapshot.time,
            parent: None,
            paths: snapshot.paths.clone(),
            hostname: snapshot.hostname.clone(),
            username: snapshot.username.clone(),
            tags: snapshot.tags.clone(),
            program_version: snapshot.program_version.clone(),
        }
    }
}

impl Writer<'_> {
    /// Store what a snapshot of another repository needs, and publish it here.
    /// [`RepositoryError::CopySource`]: it cannot be read there; this writer can go on with another one.
    pub fn copy(&mut self, from: &Reader, snapshot: &Snapshot) -> Result<Snapshot> {
        let trees = self.take_over(from, snapshot.tree)?;
        self.trees.extend(trees);
        self.publish(snapshot.tree, SnapshotDraft::from(snapshot))
    }

    /// Store anew what a snapshot that was copied before needs, and this writer does not rely on: what was lost, or
    /// found damaged. Nothing is published. Whether something was stored.
    pub fn mend(&mut self, from: &Reader, snapshot: &Snapshot) -> Result<bool> {
        let before = self.report.new_bytes;
        let trees = self.take_over(from, snapshot.tree)?;
        self.trees.extend(trees);
        self.secure()?;
        Ok(self.report.new_bytes > before)
    }

    /// Everything below a directory. Returns the directories, all of them whole here now.
    fn take_over(&mut self, from: &Reader, root: TreeId) -> Result<HashSet<TreeId>, Side> {
        let mut seen = HashSet::new();
        let mut open = vec![root];
        let (mut wanted, mut chosen) = (Vec::new(), HashSet::new());
        while let Some(id) = open.pop() {
            if self.trees.contains(&id) || !seen.insert(id) {
                continue;
            }
            self.stop.check().map_err(RepositoryError::from)?;
            let bytes = from.tree_bytes(id)?;
            let damaged = |why| RepositoryError::Damaged { object: format!("tree {id}"), why };
            for node in Tree::parse(&bytes).map_err(damaged)?.nodes {
                if let (NodeKind::Dir, Some(subtree)) = (node.kind, node.subtree) {
                    open.push(subtree);
                }
                for chunk in node.content() {
                    if !self.pipeline.has(BlobKind::Data, *chunk) && chosen.insert(*chunk) {
                        wanted.push(*chunk);
                    }
                }
                if wanted.len() >= BATCH {
                    self.take_chunks(from, &mut wanted)?;
                    chosen.clear();
                }
            }
            self.take_tree(id, bytes)?;
        }
        self.take_chunks(from, &mut wanted)?;
        Ok(seen)
    }

    fn take_tree(&mut self, id: TreeId, bytes: Vec<u8>) -> Result<(), Side> {
        if self.pipeline.has(BlobKind::Tree, id.0) {
            return Ok(());
        }
        self.settle(&[]).map_err(Side::To)?;
        self.report.bytes += bytes.len() as u64;
        self.pipeline.submit(0, BlobKind::Tree, bytes).map_err(Side::To)?;
        self.settle(&[id.0]).map_err(Side::To)
    }

    /// Read these chunks and store them. None is left in `wanted`.
    fn take_chunks(&mut self, from: &Reader, wanted: &mut Vec<Id>) -> Result<(), Side> {
        self.settle(&[]).map_err(Side::To)?;
        let (stop, mut under_way) = (self.stop, Vec::new());
        let read = from.read_chunks(std::mem::take(wanted), stop, |id, chunk| {
            self.take_chunk(*id, chunk, &mut under_way).map_err(Side::To)
        });
        self.settle(&under_way).map_err(Side::To)?;
        read
    }

    fn take_chunk(&mut self, id: Id, chunk: &[u8], under_way: &mut Vec<Id>) -> Result<()> {
        if self.pipeline.is_full() {
            self.receive_taken(under_way)?;
        }
        let mut buffer = self.pipeline.buffer();
        buffer.clear();
        buffer.extend_from_slice(chunk);
        self.pipeline.submit(under_way.len(), BlobKind::Data, buffer)?;
        under_way.push(id);
        self.report.bytes += chunk.len() as u64;
        self.monitor.advance(chunk.len() as u64);
        Ok(())
    }

    /// Wait for all that is under way.
    fn settle(&mut self, under_way: &[Id]) -> Result<()> {
        while self.receive_taken(under_way)? {}
        Ok(())
    }

    /// Hear of one blob; it must have been stored under the name that it was read by. False: none is under way.
    fn receive_taken(&mut self, under_way: &[Id]) -> Result<bool> {
        let Some(done) = self.pipeline.receive()? else { return Ok(false) };
        if let Some(blob) = under_way.get(done.number).filter(|id| **id != done.id) {
            return Err(RepositoryError::MemoryDamage { blob: *blob });
        }
        self.note_new(done.new);
        Ok(true)
    }
}
