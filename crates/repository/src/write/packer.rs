//! From sealed blobs to packs and index objects. A pack is named in the index only after its put returned.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{RepositoryError, Result};
use crate::format::id::Id;
use crate::format::index::{IndexFile, IndexPack};
use crate::format::pack::{BlobKind, PackBuilder};
use crate::repository::Inner;

/// As restic: an index object lists no more blobs than about this many.
const INDEX_BLOBS_MAX: usize = 50_000;
/// An index object is put as soon as the packs in none have these bytes and are this share of those in one: a
/// run that dies loses no more of what it has stored, and however much it stores, there are few index
/// objects.
const UNINDEXED_MIN: u64 = 32 << 20;
const UNINDEXED_SHARE: u64 = 4;

pub(crate) struct Packer {
    pack_size: usize,
    /// The pack being filled, of data and of trees.
    data: Mutex<PackBuilder>,
    trees: Mutex<PackBuilder>,
    /// Memory of packs that were put.
    spare: Mutex<Vec<Vec<u8>>>,
    put: Mutex<Put>,
}

#[derive(Default)]
struct Put {
    packs: Vec<(Id, u64)>,
    /// Not yet in an index object.
    pending: Vec<IndexPack>,
    pending_blobs: usize,
    pending_bytes: u64,
    indexed_bytes: u64,
}

impl Packer {
    pub(crate) fn new(pack_size: usize) -> Self {
        Self {
            pack_size,
            data: Mutex::default(),
            trees: Mutex::default(),
            spare: Mutex::default(),
            put: Mutex::default(),
        }
    }

    /// Add a blob to the current pack of its kind. If that makes it full it is the caller's to hand on.
    pub(crate) fn add(
        &self,
        kind: BlobKind,
        id: Id,
        sealed: &[u8],
        uncompressed: Option<u32>,
    ) -> Option<PackBuilder> {
        let mut current = match kind {
            BlobKind::Data => lock(&self.data),
            BlobKind::Tree => lock(&self.trees),
        };
        current.add(kind, id, sealed, uncompressed);
        if current.len() < self.pack_size {
            return None;
        }
        let next = PackBuilder::reuse(lock(&self.spare).pop().unwrap_or_default());
        Some(std::mem::replace(&mut current, next))
    }

    /// The packs that are not full.
    pub(crate) fn rest(&self) -> impl Iterator<Item = PackBuilder> {
        [&self.data, &self.trees]
            .map(|current| std::mem::take(&mut *lock(current)))
            .into_iter()
            .filter(|pack| !pack.is_empty())
    }

    /// Check what was packed against its MACs, and put it.
    pub(crate) fn put(&self, inner: &Inner, pack: PackBuilder) -> Result<()> {
        if let Some(blob) = pack.first_damaged(&inner.key) {
            return Err(RepositoryError::MemoryDamage { blob: blob.id });
        }
        let (bytes, blobs) = pack.finish(&inner.key);
        let id = inner.put_named("data", &[&bytes])?;
        let mut put = lock(&self.put);
        put.packs.push((id, bytes.len() as u64));
        put.pending.push(IndexPack::new(id, &blobs));
        put.pending_blobs += blobs.len();
        put.pending_bytes += bytes.len() as u64;
        let full = put.pending_blobs >= INDEX_BLOBS_MAX
            || put.pending_bytes >= UNINDEXED_MIN.max(put.indexed_bytes / UNINDEXED_SHARE);
        drop(put);
        lock(&self.spare).push(bytes);
        if full { self.put_index(inner) } else { Ok(()) }
    }

    /// Put an index object for the packs that are in none yet.
    pub(crate) fn put_index(&self, inner: &Inner) -> Result<()> {
        let mut put = lock(&self.put);
        put.pending_blobs = 0;
        put.indexed_bytes += std::mem::take(&mut put.pending_bytes);
        let packs = std::mem::take(&mut put.pending);
        drop(put);
        if !packs.is_empty() {
            inner.put_document("index", &IndexFile { packs })?;
        }
        Ok(())
    }

    /// Every pack that was put, with its size.
    pub(crate) fn written(&self) -> Vec<(Id, u64)> {
        lock(&self.put).packs.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::key::KdfCost;
    use crate::object::memory::MemoryStore;
    use crate::repository::{InitOptions, Repository};

    #[test]
    fn a_pack_that_changed_in_memory_is_not_put() {
        let options = InitOptions {
            hostname: "host".to_owned(),
            username: "user".to_owned(),
            created: jiff::Timestamp::UNIX_EPOCH,
            cost: KdfCost::cheapest(),
        };
        let store = Box::new(MemoryStore::default());
        let (repository, _) = Repository::init(store, &"password".into(), &options).unwrap();
        let inner = &repository.inner;
        let packer = Packer::new(1);
        let id = Id::of(b"chunk");
        let mut sealed = inner.key.seal(b"chunk");
        let good = packer.add(BlobKind::Data, id, &sealed, None).unwrap();
        packer.put(inner, good).unwrap();
        sealed[18] ^= 1;
        let damaged = packer.add(BlobKind::Data, id, &sealed, None).unwrap();
        let refused = packer.put(inner, damaged);
        assert!(matches!(refused, Err(RepositoryError::MemoryDamage { blob }) if blob == id), "{refused:?}");
        assert_eq!(packer.written().len(), 1);
        assert_eq!(inner.list_packs().unwrap().len(), 1);
    }
}
