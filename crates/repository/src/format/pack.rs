//! Pack files: sealed blobs one after the other, then a sealed header that lists them, then the header's
//! length in four bytes, little-endian.
//!
//! A header entry is `type (1) | length (4) [| plain length (4)] | id (32)`; the plain length stands for
//! compressed blobs only. All blobs of one pack are of one kind (data or trees).

use super::crypto::{Key, OVERHEAD};
use super::id::Id;

/// What a blob is: a chunk of a file, or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKind {
    Data,
    Tree,
}

impl std::fmt::Display for BlobKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Data => "chunk",
            Self::Tree => "tree",
        })
    }
}

/// Where a blob lies within its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackedBlob {
    pub kind: BlobKind,
    pub id: Id,
    pub offset: u32,
    /// As stored, sealed.
    pub length: u32,
    /// Of the plaintext, if the blob is compressed.
    pub uncompressed: Option<u32>,
}

impl PackedBlob {
    /// What the pack is longer for this blob: its own bytes and its entry in the header.
    pub(crate) fn bytes_in_pack(&self) -> u64 {
        u64::from(self.length) + if self.uncompressed.is_some() { 41 } else { 37 }
    }

    /// Bytes of the plaintext.
    pub(crate) fn plain_length(&self) -> u32 {
        self.uncompressed.unwrap_or_else(|| self.length.saturating_sub(OVERHEAD))
    }
}

/// The size of the pack that holds exactly these blobs.
pub(crate) fn pack_size<'a>(blobs: impl IntoIterator<Item = &'a PackedBlob>) -> u64 {
    let blobs = blobs.into_iter();
    let body: u64 = blobs.map(PackedBlob::bytes_in_pack).sum();
    body + u64::from(OVERHEAD) + 4
}

/// A pack being filled.
#[derive(Default)]
pub(crate) struct PackBuilder {
    bytes: Vec<u8>,
    blobs: Vec<PackedBlob>,
}

impl PackBuilder {
    /// Bytes of the blobs so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    pub(crate) fn add(&mut self, kind: BlobKind, id: Id, sealed: &[u8], uncompressed: Option<u32>) {
        let fits = |length: usize| u32::try_from(length).expect("packs are far smaller than 4 GiB");
        let blob =
            PackedBlob { kind, id, offset: fits(self.bytes.len()), length: fits(sealed.len()), uncompressed };
        self.bytes.extend_from_slice(sealed);
        self.blobs.push(blob);
    }

    /// The blob whose bytes here are no longer what was sealed, if any.
    pub(crate) fn first_damaged(&self, key: &Key) -> Option<&PackedBlob> {
        self.blobs.iter().find(|blob| {
            let start = blob.offset as usize;
            key.verify(&self.bytes[start..start + blob.length as usize]).is_err()
        })
    }

    /// Write the header. The bytes are then a whole pack.
    pub(crate) fn finish(mut self, key: &Key) -> (Vec<u8>, Vec<PackedBlob>) {
        let header = key.seal(&header_bytes(&self.blobs));
        let length = u32::try_from(header.len()).expect("a header has 41 bytes a blob, a pack few blobs");
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        (self.bytes, self.blobs)
    }

    /// Begin anew in the memory of a pack that was written.
    pub(crate) fn reuse(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, blobs: Vec::new() }
    }
}

fn header_bytes(blobs: &[PackedBlob]) -> Vec<u8> {
    let mut header = Vec::with_capacity(blobs.len() * 41);
    for blob in blobs {
        let compressed = if blob.uncompressed.is_some() { 2 } else { 0 };
        header.push(u8::from(blob.kind == BlobKind::Tree) + compressed);
        header.extend_from_slice(&blob.length.to_le_bytes());
        if let Some(length) = blob.uncompressed {
            header.extend_from_slice(&length.to_le_bytes());
        }
        header.extend_from_slice(blob.id.as_bytes());
    }
    header
}

/// The blobs of a whole pack, as its own header lists them.
pub(crate) fn read_header(pack: &[u8], key: &Key) -> Result<Vec<PackedBlob>, String> {
    let (rest, length) = pack.split_last_chunk::<4>().ok_or("it is shorter than its header's length")?;
    let length = u32::from_le_bytes(*length) as usize;
    let start = rest.len().checked_sub(length).ok_or("its header would be longer than itself")?;
    let mut sealed = rest[start..].to_vec();
    let header = key.open_in_place(&mut sealed).map_err(|_| "the MAC of its header does not match")?;
    let blobs = parse_header(header)?;
    let end = blobs.last().map_or(0, |blob| u64::from(blob.offset) + u64::from(blob.length));
    if end == start as u64 { Ok(blobs) } else { Err("its header does not account for its bytes".to_owned()) }
}

fn parse_header(mut header: &[u8]) -> Result<Vec<PackedBlob>, String> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
        let (first, rest) = bytes.split_first_chunk::<N>().ok_or("its header ends within an entry")?;
        *bytes = rest;
        Ok(*first)
    }
    let mut blobs = Vec::new();
    let mut offset = 0_u32;
    while let Some((kind, rest)) = header.split_first() {
        header = rest;
        if *kind > 3 {
            return Err(format!("its header has an entry of the unknown type {kind}"));
        }
        let length = u32::from_le_bytes(take(&mut header)?);
        let uncompressed = if kind & 2 != 0 { Some(u32::from_le_bytes(take(&mut header)?)) } else { None };
        let id = Id::from_bytes(take(&mut header)?);
        let kind = if kind & 1 == 0 { BlobKind::Data } else { BlobKind::Tree };
        blobs.push(PackedBlob { kind, id, offset, length, uncompressed });
        offset = offset.checked_add(length).ok_or("its header lists more than 4 GiB")?;
    }
    Ok(blobs)
}

/// Open one sealed blob into `plain`, which has its plain length, and make sure that it is what its id
/// says. `sealed` is used up.
pub(crate) fn open_blob(
    key: &Key,
    zstd: &mut zstd::bulk::Decompressor<'_>,
    blob: &PackedBlob,
    sealed: &mut [u8],
    plain: &mut [u8],
) -> Result<(), String> {
    let opened = key.open_in_place(sealed).map_err(|_| "its MAC does not match")?;
    let length = if blob.uncompressed.is_some() {
        zstd.decompress_to_buffer(opened, plain)
            .map_err(|error| format!("it does not decompress: {error}"))?
    } else {
        if opened.len() == plain.len() {
            plain.copy_from_slice(opened);
        }
        opened.len()
    };
    if length != plain.len() {
        return Err(format!("it has {length} bytes instead of {}", plain.len()));
    }
    if Id::of(plain) == blob.id { Ok(()) } else { Err("its content has another SHA-256".to_owned()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::crypto::KeyBytes;

    proptest! {
        #[test]
        fn a_pack_reads_back(blobs in proptest::collection::vec((any::<bool>(), any::<Vec<u8>>()), 0..20)) {
            let key = Key::new(KeyBytes::random());
            let mut builder = PackBuilder::default();
            for (tree, bytes) in &blobs {
                let kind = if *tree { BlobKind::Tree } else { BlobKind::Data };
                let compressed = zstd::bulk::compress(bytes, 3).unwrap();
                if compressed.len() < bytes.len() {
                    let length = u32::try_from(bytes.len()).unwrap();
                    builder.add(kind, Id::of(bytes), &key.seal(&compressed), Some(length));
                } else {
                    builder.add(kind, Id::of(bytes), &key.seal(bytes), None);
                }
            }
            prop_assert!(builder.first_damaged(&key).is_none());
            let (mut pack, written) = builder.finish(&key);
            prop_assert_eq!(pack.len() as u64, pack_size(&written));
            let read = read_header(&pack, &key).unwrap();
            prop_assert_eq!(&read, &written);
            let mut zstd = zstd::bulk::Decompressor::new().unwrap();
            for (blob, (_, bytes)) in read.iter().zip(&blobs) {
                prop_assert_eq!(blob.plain_length() as usize, bytes.len());
                let mut plain = vec![0; bytes.len()];
                let sealed = &mut pack[blob.offset as usize..(blob.offset + blob.length) as usize];
                open_blob(&key, &mut zstd, blob, sealed, &mut plain).unwrap();
                prop_assert_eq!(&plain, bytes);
            }
        }

        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>, header: Vec<u8>) {
            let key = Key::new(KeyBytes::random());
            prop_assert!(read_header(&bytes, &key).is_err());
            let _ = parse_header(&header);
            let mut authentic = key.seal(&header);
            let length = u32::try_from(authentic.len()).unwrap();
            authentic.extend_from_slice(&length.to_le_bytes());
            let _ = read_header(&authentic, &key);
        }
    }

    #[test]
    fn a_blob_damaged_in_memory_is_seen_before_the_pack_is_stored() {
        let key = Key::new(KeyBytes::random());
        let mut builder = PackBuilder::default();
        builder.add(BlobKind::Data, Id::of(b"a"), &key.seal(b"a"), None);
        builder.add(BlobKind::Data, Id::of(b"b"), &key.seal(b"b"), None);
        builder.bytes[40] ^= 1;
        assert_eq!(builder.first_damaged(&key).unwrap().id, Id::of(b"b"));
    }
}
