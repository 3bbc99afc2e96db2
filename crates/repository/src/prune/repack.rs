//! Copying what is kept of packs that go into new ones. Blobs are copied as they are sealed, each after it was
//! opened and seen to be what its id says; one that is damaged here is taken from another of its places.

use grap_task::{Monitor, Stop};

use super::decide::Fate;
use super::mark::Bits;
use crate::error::{RepositoryError, Result, StoredBlob};
use crate::format::pack::{PackedBlob, open_blob};
use crate::index::{Index, Place};
use crate::repository::{Repository, object_name};
use crate::write::Packer;

/// Packs for which the index is gone over once; bounds the memory.
const PACKS_AT_ONCE: usize = 256;
/// Bytes between two blobs that are rather fetched along than asked for apart.
const GAP_MAX: u64 = 128 << 10;

pub(super) struct Repacker<'a> {
    repository: &'a Repository,
    index: &'a Index,
    packer: Packer,
    zstd: zstd::bulk::Decompressor<'static>,
    plain: Vec<u8>,
}

impl<'a> Repacker<'a> {
    pub(super) fn new(repository: &'a Repository, index: &'a Index, pack_size: usize) -> Result<Self> {
        let zstd = zstd::bulk::Decompressor::new()
            .map_err(|error| RepositoryError::Encode { why: error.to_string() })?;
        Ok(Self { repository, index, packer: Packer::new(pack_size), zstd, plain: Vec::new() })
    }

    /// Copy, put the new packs, put the index of them. Returns how many packs were written, and their bytes.
    pub(super) fn run(
        mut self,
        fates: &[Fate],
        kept: &Bits,
        stop: &Stop,
        monitor: &dyn Monitor,
    ) -> Result<(usize, u64)> {
        let doomed: Vec<usize> = (0..fates.len()).filter(|pack| fates[*pack] == Fate::Repack).collect();
        for group in doomed.chunks(PACKS_AT_ONCE) {
            for places in self.kept_of(group, kept) {
                stop.check()?;
                self.pack(&places)?;
                monitor.advance(places.iter().map(|place| place.blob.bytes_in_pack()).sum());
            }
        }
        let inner = &self.repository.inner;
        for rest in self.packer.rest().collect::<Vec<_>>() {
            self.packer.put(inner, rest)?;
        }
        self.packer.put_index(inner)?;
        let written = self.packer.written();
        Ok((written.len(), written.iter().map(|(_, bytes)| bytes).sum()))
    }

    /// What is kept of these packs, by pack and place.
    fn kept_of(&self, group: &[usize], kept: &Bits) -> Vec<Vec<Place>> {
        let mut found = vec![Vec::new(); group.len()];
        for (number, place) in self.index.all_blobs().enumerate() {
            if kept.get(number)
                && let Ok(at) = group.binary_search(&place.pack)
            {
                found[at].push(place);
            }
        }
        for places in &mut found {
            places.sort_by_key(|place| place.blob.offset);
        }
        found
    }

    /// One pack: its kept blobs in order, neighbours with one request.
    fn pack(&mut self, places: &[Place]) -> Result<()> {
        let mut rest = places;
        while let (Some(first), count) = (rest.first(), run_length(rest)) {
            let (run, after) = rest.split_at(count);
            let start = first.blob.offset;
            let end = run.last().map_or(0, |place| end_of(&place.blob));
            let length = usize::try_from(end - u64::from(start)).unwrap_or(usize::MAX);
            let name = object_name("data", self.index.packs()[first.pack].id);
            let fetched = self.repository.inner.store.get_range(&name, start.into(), length);
            // What cannot be had that way is asked for blob by blob, with an error that names it.
            let fetched = fetched.unwrap_or_default();
            for place in run {
                let from = (place.blob.offset - start) as usize;
                let sealed = fetched.get(from..from + place.blob.length as usize);
                self.blob(place, sealed.unwrap_or_default())?;
            }
            rest = after;
        }
        Ok(())
    }

    fn blob(&mut self, place: &Place, sealed: &[u8]) -> Result<()> {
        if self.is_whole(&place.blob, sealed).is_ok() {
            return self.store(&place.blob, sealed);
        }
        let mut first_error = None;
        for place in self.index.places(place.blob.kind, &place.blob.id) {
            match self.read_at(&place) {
                Ok(sealed) => return self.store(&place.blob, &sealed),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let missing = RepositoryError::BlobMissing { kind: place.blob.kind, blob: place.blob.id };
        Err(first_error.unwrap_or(missing))
    }

    fn is_whole(&mut self, blob: &PackedBlob, sealed: &[u8]) -> Result<(), String> {
        if sealed.len() != blob.length as usize {
            return Err("the pack ends before it".to_owned());
        }
        self.plain.resize(blob.plain_length() as usize, 0);
        open_blob(&self.repository.inner.key, &mut self.zstd, blob, &mut sealed.to_vec(), &mut self.plain)
    }

    fn read_at(&mut self, place: &Place) -> Result<Vec<u8>> {
        let Place { pack, blob } = *place;
        let pack = self.index.packs()[pack].id;
        let stored = || Box::new(StoredBlob { kind: blob.kind, id: blob.id, pack, offset: blob.offset });
        let store = &self.repository.inner.store;
        let sealed = store
            .get_range(&object_name("data", pack), blob.offset.into(), blob.length as usize)
            .map_err(|source| RepositoryError::BlobUnreadable { blob: stored(), source })?;
        self.is_whole(&blob, &sealed).map_err(|why| RepositoryError::BlobDamaged { blob: stored(), why })?;
        Ok(sealed)
    }

    fn store(&mut self, blob: &PackedBlob, sealed: &[u8]) -> Result<()> {
        match self.packer.add(blob.kind, blob.id, sealed, blob.uncompressed) {
            Some(full) => self.packer.put(&self.repository.inner, full),
            None => Ok(()),
        }
    }
}

fn end_of(blob: &PackedBlob) -> u64 {
    u64::from(blob.offset) + u64::from(blob.length)
}

/// How many of the first are close together.
fn run_length(places: &[Place]) -> usize {
    /// Bytes that are held at once; one blob may be larger.
    const RUN_MAX: u64 = 8 << 20;
    let Some(first) = places.first() else { return 0 };
    let start = u64::from(first.blob.offset);
    let near = |pair: &[Place]| {
        u64::from(pair[1].blob.offset) <= end_of(&pair[0].blob) + GAP_MAX
            && end_of(&pair[1].blob) - start <= RUN_MAX
    };
    1 + places.windows(2).take_while(|pair| near(pair)).count()
}
