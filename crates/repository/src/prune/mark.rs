//! What is needed: every tree and chunk that any snapshot names, one bit for each place in the index.
//!
//! Whatever cannot be read ends the search: what it would have named is not known, so nothing may go.

use grap_task::{Monitor, Stop, Unit};

use crate::error::{RepositoryError, Result};
use crate::format::id::{Id, TreeId};
use crate::format::pack::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::index::Index;
use crate::read::Decoder;
use crate::repository::Repository;

/// One bit for each place in the index, in the order of [`Index::all_blobs`].
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn for_places(index: &Index) -> Self {
        Self(vec![0; index.place_count().div_ceil(64)])
    }

    pub(super) fn get(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    /// Whether it was set before.
    pub(super) fn set(&mut self, number: usize) -> bool {
        let before = self.get(number);
        self.0[number / 64] |= 1 << (number % 64);
        before
    }
}

/// The bit of the first place of every blob that a snapshot needs.
pub(super) fn mark(
    repository: &Repository,
    index: &Index,
    snapshots: &[Snapshot],
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<Bits> {
    monitor.begin("reading the snapshots", Unit::Items, Some(snapshots.len() as u64));
    let mut marking = Marking {
        index,
        decoder: Decoder::new(&repository.inner, index)?,
        marked: Bits::for_places(index),
        stop,
    };
    for snapshot in snapshots {
        marking.snapshot(snapshot).map_err(|error| match error {
            RepositoryError::Stopped(stopped) => RepositoryError::Stopped(stopped),
            error => RepositoryError::SnapshotIncomplete { snapshot: snapshot.id, source: Box::new(error) },
        })?;
        monitor.advance(1);
    }
    Ok(marking.marked)
}

struct Marking<'a> {
    index: &'a Index,
    decoder: Decoder<'a>,
    marked: Bits,
    stop: &'a Stop,
}

impl Marking<'_> {
    /// A directory that was marked before is not read again: all below it was marked then.
    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut open = vec![snapshot.tree];
        while let Some(tree) = open.pop() {
            if self.blob(BlobKind::Tree, &tree.0)? {
                continue;
            }
            self.stop.check()?;
            for node in self.nodes(tree)? {
                match (node.kind, node.subtree) {
                    (NodeKind::Dir, Some(subtree)) => open.push(subtree),
                    (NodeKind::Dir, None) => {
                        let why = format!("the directory {:?} in it has no content", node.name);
                        return Err(RepositoryError::Damaged { object: format!("tree {tree}"), why });
                    }
                    // Whatever kind it is: what it names is needed.
                    _ => {
                        for id in node.content() {
                            self.blob(BlobKind::Data, id)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn nodes(&mut self, tree: TreeId) -> Result<Vec<Node>> {
        let bytes = self.decoder.blob(BlobKind::Tree, &tree.0)?;
        let damaged = |why| RepositoryError::Damaged { object: format!("tree {tree}"), why };
        Ok(Tree::parse(&bytes).map_err(damaged)?.nodes)
    }

    /// Whether it was marked before.
    fn blob(&mut self, kind: BlobKind, id: &Id) -> Result<bool> {
        let first = self.index.first_place(kind, id);
        Ok(self.marked.set(first.ok_or(RepositoryError::BlobMissing { kind, blob: *id })?))
    }
}
