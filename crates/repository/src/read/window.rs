//! A window of a file: some consecutive chunks, fetched with few requests and decoded together.

use crate::error::{RepositoryError, Result, StoredBlob};
use crate::format::id::Id;
use crate::format::pack::{BlobKind, open_blob};
use crate::format::tree::Node;
use crate::index::{Index, Place};
use crate::repository::{Inner, object_name};

/// Plain bytes of a window; one chunk may be larger.
const WINDOW_SIZE: u64 = 2 << 20;
/// Bytes between two blobs of one pack that are rather fetched along than asked for apart.
const GAP_MAX: u64 = 128 << 10;

pub(super) struct Window<'a> {
    /// In the file.
    pub(super) offset: u64,
    chunks: &'a [Id],
    length: usize,
}

impl<'a> Window<'a> {
    /// Its bytes, chunk by chunk.
    pub(super) fn split<'b>(&self, index: &Index, mut bytes: &'b [u8]) -> Result<Vec<(&'a Id, &'b [u8])>> {
        let mut chunks = Vec::with_capacity(self.chunks.len());
        for id in self.chunks {
            let length = first_place(index, BlobKind::Data, id)?.blob.plain_length() as usize;
            let (chunk, rest) = bytes.split_at_checked(length).ok_or(RepositoryError::ReaderFailed)?;
            chunks.push((id, chunk));
            bytes = rest;
        }
        Ok(chunks)
    }
}

/// The windows of a file from byte `from` on.
pub(super) fn file_windows<'a>(index: &Index, node: &'a Node, from: u64) -> Result<Vec<Window<'a>>> {
    let mut windows = windows(index, node.content())?;
    let found = windows.last().map_or(0, |last| last.offset + last.length as u64);
    if found != node.size {
        return Err(RepositoryError::FileLength { name: node.name.clone(), found, expected: node.size });
    }
    windows.retain(|window| window.offset + window.length as u64 > from);
    Ok(windows)
}

/// Chunks, one after the other, as windows.
pub(super) fn windows<'a>(index: &Index, ids: &'a [Id]) -> Result<Vec<Window<'a>>> {
    let mut windows = Vec::new();
    let mut start = 0;
    let mut offset = 0;
    let mut length = 0;
    for (number, id) in ids.iter().enumerate() {
        let chunk = u64::from(first_place(index, BlobKind::Data, id)?.blob.plain_length());
        if length > 0 && length + chunk > WINDOW_SIZE {
            windows.push(Window { offset, chunks: &ids[start..number], length: to_usize(length) });
            (start, offset, length) = (number, offset + length, 0);
        }
        length += chunk;
    }
    windows.push(Window { offset, chunks: &ids[start..], length: to_usize(length) });
    windows.retain(|window| window.length > 0);
    Ok(windows)
}

/// A window is at most [`WINDOW_SIZE`] or one blob, whose length has 32 bits.
fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn first_place(index: &Index, kind: BlobKind, id: &Id) -> Result<Place> {
    let missing = || RepositoryError::BlobMissing { kind, blob: *id };
    index.places(kind, id).next().ok_or_else(missing)
}

/// One thread's decompressor.
pub(crate) struct Decoder<'a> {
    inner: &'a Inner,
    index: &'a Index,
    zstd: zstd::bulk::Decompressor<'static>,
}

/// A chunk of a window: where it lies, and where it goes.
struct Wanted {
    place: Place,
    at: usize,
    length: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(inner: &'a Inner, index: &'a Index) -> Result<Self> {
        let zstd = zstd::bulk::Decompressor::new()
            .map_err(|error| RepositoryError::Encode { why: error.to_string() })?;
        Ok(Self { inner, index, zstd })
    }

    /// Fill `bytes` with the window.
    pub(super) fn window(&mut self, window: &Window<'_>, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.resize(window.length, 0);
        let mut wanted = Vec::with_capacity(window.chunks.len());
        let mut at = 0;
        for id in window.chunks {
            let place = first_place(self.index, BlobKind::Data, id)?;
            let length = place.blob.plain_length() as usize;
            wanted.push(Wanted { place, at, length });
            at += length;
        }
        wanted.sort_by_key(|wanted| (wanted.place.pack, wanted.place.blob.offset, wanted.at));
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let (run, after) = rest.split_at(run_length(rest));
            self.run(run, bytes)?;
            rest = after;
        }
        Ok(())
    }

    /// Fetch and decode neighbours of one pack. What cannot be read that way is tried alone, in each of its
    /// places.
    fn run(&mut self, run: &[Wanted], bytes: &mut [u8]) -> Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let start = first.place.blob.offset;
        let length = (last.place.blob.offset - start) as usize + last.place.blob.length as usize;
        let name = self.pack_name(&first.place);
        let mut fetched = self.inner.store.get_range(&name, start.into(), length).unwrap_or_default();
        let mut before: Option<&Wanted> = None;
        for wanted in run {
            match before.filter(|before| before.place == wanted.place) {
                // The same chunk again; its sealed bytes are used up.
                Some(before) => bytes.copy_within(before.at..before.at + before.length, wanted.at),
                None => self.chunk(wanted, start, &mut fetched, bytes)?,
            }
            before = Some(wanted);
        }
        Ok(())
    }

    fn chunk(&mut self, wanted: &Wanted, start: u32, fetched: &mut [u8], bytes: &mut [u8]) -> Result<()> {
        let blob = &wanted.place.blob;
        let plain = &mut bytes[wanted.at..wanted.at + wanted.length];
        let from = (blob.offset - start) as usize;
        if let Some(sealed) = fetched.get_mut(from..from + blob.length as usize)
            && open_blob(&self.inner.key, &mut self.zstd, blob, sealed, plain).is_ok()
        {
            return Ok(());
        }
        let whole = self.blob(blob.kind, &blob.id)?;
        if whole.len() != plain.len() {
            return Err(self.damaged(&wanted.place, "its places disagree on its length".to_owned()));
        }
        plain.copy_from_slice(&whole);
        Ok(())
    }

    /// One blob, from the first of its places where it is whole.
    pub(crate) fn blob(&mut self, kind: BlobKind, id: &Id) -> Result<Vec<u8>> {
        let places: Vec<Place> = self.index.places(kind, id).collect();
        let mut first_error = None;
        for place in &places {
            match self.read_at(place) {
                Ok(plain) => return Ok(plain),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(RepositoryError::BlobMissing { kind, blob: *id }))
    }

    fn read_at(&mut self, place: &Place) -> Result<Vec<u8>> {
        let blob = &place.blob;
        let name = self.pack_name(place);
        let length = blob.length as usize;
        let mut sealed = self.inner.store.get_range(&name, blob.offset.into(), length).map_err(|source| {
            RepositoryError::BlobUnreadable { blob: Box::new(self.stored(place)), source }
        })?;
        if sealed.len() != length {
            return Err(self.damaged(place, "the pack ends before it".to_owned()));
        }
        let mut plain = vec![0; blob.plain_length() as usize];
        open_blob(&self.inner.key, &mut self.zstd, blob, &mut sealed, &mut plain)
            .map_err(|why| self.damaged(place, why))?;
        Ok(plain)
    }

    fn pack_name(&self, place: &Place) -> String {
        object_name("data", self.index.packs()[place.pack].id)
    }

    fn damaged(&self, place: &Place, why: String) -> RepositoryError {
        RepositoryError::BlobDamaged { blob: Box::new(self.stored(place)), why }
    }

    fn stored(&self, place: &Place) -> StoredBlob {
        let Place { pack, blob } = place;
        let pack = self.index.packs()[*pack].id;
        StoredBlob { kind: blob.kind, id: blob.id, pack, offset: blob.offset }
    }
}

/// How many of the first are close together in one pack.
fn run_length(wanted: &[Wanted]) -> usize {
    let near = |pair: &[Wanted]| {
        let [Place { pack, blob }, next] = [&pair[0].place, &pair[1].place];
        let end = u64::from(blob.offset) + u64::from(blob.length);
        next.pack == *pack && u64::from(next.blob.offset) <= end + GAP_MAX
    };
    1 + wanted.windows(2).take_while(|pair| near(pair)).count()
}
