//! The index without the packs that go: new index objects, then the old ones deleted, some at a time, so that it
//! takes no more room than two index objects have. What stays is named by an index at every moment.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Deleter;
use crate::error::Result;
use crate::format::id::Id;
use crate::format::index::{IndexFile, IndexPack};
use crate::format::pack::PackedBlob;
use crate::index::Index;
use crate::repository::Inner;

/// As restic: an index object lists no more blobs than about this many.
pub(super) const INDEX_BLOBS_MAX: usize = 50_000;
/// An index object that lists fewer is written together with others when the index is written anyway.
const INDEX_BLOBS_MIN: usize = 25_000;

/// Old index objects and what stays of them.
#[derive(Default)]
struct Batch {
    packs: Vec<IndexPack>,
    places: HashMap<Id, usize>,
    blobs: usize,
    replaces: Vec<String>,
    /// What stays is less than what was there, or in fewer objects.
    changed: bool,
}

impl Batch {
    fn add(&mut self, name: String, packs: Vec<IndexPack>, changed: bool) {
        self.changed |= changed || !self.replaces.is_empty();
        self.replaces.push(name);
        for pack in packs {
            // A run that was killed here leaves packs that two objects name.
            let before = self.places.get(&pack.id).map(|at| &self.packs[*at]);
            if before != Some(&pack) {
                self.blobs += pack.packed().count();
                self.places.insert(pack.id, self.packs.len());
                self.packs.push(pack);
            }
        }
    }
}

/// Write the index objects anew that name a pack of `gone`, and the small ones with them. Returns how many were
/// written and how many deleted.
pub(super) fn rewrite(
    inner: &Inner,
    gone: &HashSet<Id>,
    deleter: &mut Deleter<'_>,
) -> Result<(usize, usize)> {
    let mut total = (0, 0);
    let mut replace = |batch: Batch, deleter: &mut Deleter<'_>| -> Result<()> {
        if !batch.changed {
            return Ok(());
        }
        if !batch.packs.is_empty() {
            inner.put_document("index", &IndexFile { packs: batch.packs })?;
            total.0 += 1;
        }
        for name in &batch.replaces {
            total.1 += usize::from(deleter.delete(name)?);
        }
        Ok(())
    };
    let mut batch = Batch::default();
    for (id, name) in inner.named_objects("index")? {
        deleter.stop.check()?;
        let mut file: IndexFile = inner.load(&name, id)?;
        let (packs, blobs): (_, usize) =
            (file.packs.len(), file.packs.iter().map(|pack| pack.packed().count()).sum());
        file.packs.retain(|pack| !gone.contains(&pack.id));
        let changed = file.packs.len() < packs;
        if changed || blobs < INDEX_BLOBS_MIN {
            batch.add(name, file.packs, changed);
        }
        if batch.blobs >= INDEX_BLOBS_MAX {
            replace(std::mem::take(&mut batch), deleter)?;
        }
    }
    replace(batch, deleter)?;
    Ok(total)
}

/// Name packs again that are in no index any more: somebody needs them after all.
pub(super) fn reinstate(inner: &Inner, index: &Index, packs: &[usize]) -> Result<()> {
    let mut blobs: BTreeMap<usize, Vec<PackedBlob>> = packs.iter().map(|pack| (*pack, Vec::new())).collect();
    for place in index.all_blobs() {
        if let Some(found) = blobs.get_mut(&place.pack) {
            found.push(place.blob);
        }
    }
    let mut batch = Batch::default();
    for (pack, mut found) in blobs {
        found.sort_by_key(|blob| blob.offset);
        batch.blobs += found.len();
        batch.packs.push(IndexPack::new(index.packs()[pack].id, &found));
        if batch.blobs >= INDEX_BLOBS_MAX {
            let full = std::mem::take(&mut batch);
            inner.put_document("index", &IndexFile { packs: full.packs })?;
        }
    }
    if !batch.packs.is_empty() {
        inner.put_document("index", &IndexFile { packs: batch.packs })?;
    }
    Ok(())
}
