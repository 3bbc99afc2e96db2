//! The index in memory: where each blob lies.
//!
//! Sorted arrays, 48 bytes a blob: 1 TiB in chunks of 64 KiB takes 0.8 GB. A blob may lie in several packs
//! (one of them lost and healed, say); every place is kept.

use std::collections::HashMap;

use crate::error::{RepositoryError, Result};
use crate::format::id::Id;
use crate::format::index::IndexFile;
use crate::format::pack::{BlobKind, PackedBlob, pack_size};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexedPack {
    pub id: Id,
    /// Bytes that the pack has if the index is right.
    pub size: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    id: Id,
    pack: u32,
    offset: u32,
    length: u32,
    /// 0: not compressed.
    uncompressed: u32,
}

#[derive(Default)]
pub(crate) struct Index {
    packs: Vec<IndexedPack>,
    data: Vec<Entry>,
    trees: Vec<Entry>,
}

/// One place of a blob. `pack` is the number of the pack in this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub pack: usize,
    pub blob: PackedBlob,
}

impl Place {
    /// Sorts places as they lie.
    pub(crate) fn order(&self) -> (usize, u32) {
        (self.pack, self.blob.offset)
    }
}

impl Index {
    pub(crate) fn packs(&self) -> &[IndexedPack] {
        &self.packs
    }

    /// Every place of a blob; empty if it is unknown.
    pub(crate) fn places(&self, kind: BlobKind, id: &Id) -> impl Iterator<Item = Place> {
        let entries = self.entries(kind);
        let first = entries.partition_point(|entry| entry.id < *id);
        entries[first..].iter().take_while(move |entry| entry.id == *id).map(move |entry| place(kind, entry))
    }

    /// Every blob with each of its places; equal ones follow each other.
    pub(crate) fn all_blobs(&self) -> impl Iterator<Item = Place> {
        let of = |kind: BlobKind| self.entries(kind).iter().map(move |entry| place(kind, entry));
        of(BlobKind::Data).chain(of(BlobKind::Tree))
    }

    /// How many places there are: [`Self::all_blobs`] gives so many.
    pub(crate) fn place_count(&self) -> usize {
        self.data.len() + self.trees.len()
    }

    /// The first place of a blob, by its number in the order of [`Self::all_blobs`].
    pub(crate) fn first_place(&self, kind: BlobKind, id: &Id) -> Option<usize> {
        let entries = self.entries(kind);
        let first = entries.partition_point(|entry| entry.id < *id);
        entries.get(first).filter(|entry| entry.id == *id)?;
        Some(match kind {
            BlobKind::Data => first,
            BlobKind::Tree => self.data.len() + first,
        })
    }

    /// Forget the blobs of packs that `keep` refuses. The numbers of the packs stay.
    pub(crate) fn retain_packs(&mut self, keep: impl Fn(&IndexedPack) -> bool) {
        let kept: Vec<bool> = self.packs.iter().map(keep).collect();
        self.data.retain(|entry| kept[entry.pack as usize]);
        self.trees.retain(|entry| kept[entry.pack as usize]);
    }

    fn entries(&self, kind: BlobKind) -> &[Entry] {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        }
    }
}

fn place(kind: BlobKind, entry: &Entry) -> Place {
    Place {
        pack: entry.pack as usize,
        blob: PackedBlob {
            kind,
            id: entry.id,
            offset: entry.offset,
            length: entry.length,
            uncompressed: Some(entry.uncompressed).filter(|length| *length != 0),
        },
    }
}

/// Collects index files, in any order.
#[derive(Default)]
pub(crate) struct IndexBuilder {
    index: Index,
    numbers: HashMap<Id, u32>,
}

impl IndexBuilder {
    pub(crate) fn add(&mut self, file: &IndexFile) -> Result<()> {
        for pack in &file.packs {
            let blobs: Vec<PackedBlob> = pack.packed().collect();
            let size = pack_size(&blobs);
            let number = *self.numbers.entry(pack.id).or_insert_with(|| {
                self.index.packs.push(IndexedPack { id: pack.id, size });
                u32::try_from(self.index.packs.len() - 1).expect("an index of 4 billion packs fits no memory")
            });
            self.add_blobs(number, &blobs)?;
        }
        Ok(())
    }

    fn add_blobs(&mut self, pack: u32, blobs: &[PackedBlob]) -> Result<()> {
        let entries = self.index.data.len() + self.index.trees.len();
        for blob in blobs {
            let list = match blob.kind {
                BlobKind::Data => &mut self.index.data,
                BlobKind::Tree => &mut self.index.trees,
            };
            list.try_reserve(1).map_err(|_| RepositoryError::IndexTooLarge { entries })?;
            let uncompressed = blob.uncompressed.unwrap_or(0);
            list.push(Entry { id: blob.id, pack, offset: blob.offset, length: blob.length, uncompressed });
        }
        Ok(())
    }

    pub(crate) fn build(self) -> Index {
        let mut index = self.index;
        for list in [&mut index.data, &mut index.trees] {
            list.sort_unstable();
            list.dedup();
            list.shrink_to_fit();
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::index::IndexPack;

    fn blob(kind: BlobKind, content: &[u8], offset: u32) -> PackedBlob {
        PackedBlob { kind, id: Id::of(content), offset, length: 40, uncompressed: None }
    }

    fn build(packs: Vec<IndexPack>) -> Index {
        let mut builder = IndexBuilder::default();
        builder.add(&IndexFile { packs }).unwrap();
        builder.build()
    }

    #[test]
    fn kinds_are_told_apart_and_all_places_are_found() {
        let [one, two] = [Id::of(b"1"), Id::of(b"2")];
        let tree = blob(BlobKind::Tree, b"x", 0);
        let data = blob(BlobKind::Data, b"x", 40);
        let index = build(vec![
            IndexPack::new(one, &[tree, data]),
            IndexPack::new(two, &[data]),
            IndexPack::new(one, &[tree, data]),
        ]);
        let packs = |kind| index.places(kind, &Id::of(b"x")).map(|place| place.pack).collect::<Vec<_>>();
        assert_eq!((packs(BlobKind::Tree), packs(BlobKind::Data)), (vec![0], vec![0, 1]));
        assert_eq!(index.places(BlobKind::Data, &Id::of(b"y")).count(), 0);
        assert_eq!(index.packs()[0].size, 2 * 40 + 2 * 37 + 32 + 4);
    }

    #[test]
    fn blobs_of_refused_packs_are_forgotten() {
        let [one, two] = [Id::of(b"1"), Id::of(b"2")];
        let data = blob(BlobKind::Data, b"x", 0);
        let mut index = build(vec![IndexPack::new(one, &[data]), IndexPack::new(two, &[data])]);
        index.retain_packs(|pack| pack.id == two);
        assert_eq!(index.places(BlobKind::Data, &data.id).map(|place| place.pack).collect::<Vec<_>>(), [1]);
    }
}
