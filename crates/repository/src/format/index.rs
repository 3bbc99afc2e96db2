//! Index objects: which pack holds which blobs. JSON within a sealed document.

use serde::{Deserialize, Serialize};

use super::id::Id;
use super::pack::{BlobKind, PackedBlob};

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexFile {
    #[serde(deserialize_with = "null_is_empty")]
    pub packs: Vec<IndexPack>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexPack {
    pub id: Id,
    #[serde(deserialize_with = "null_is_empty")]
    pub blobs: Vec<IndexBlob>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexBlob {
    id: Id,
    #[serde(rename = "type")]
    kind: Kind,
    offset: u32,
    length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    uncompressed_length: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Data,
    Tree,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(length: &u32) -> bool {
    *length == 0
}

/// Go writes an empty list as `null`.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl From<&PackedBlob> for IndexBlob {
    fn from(blob: &PackedBlob) -> Self {
        Self {
            id: blob.id,
            kind: match blob.kind {
                BlobKind::Data => Kind::Data,
                BlobKind::Tree => Kind::Tree,
            },
            offset: blob.offset,
            length: blob.length,
            uncompressed_length: blob.uncompressed.unwrap_or(0),
        }
    }
}

impl From<&IndexBlob> for PackedBlob {
    fn from(blob: &IndexBlob) -> Self {
        Self {
            kind: match blob.kind {
                Kind::Data => BlobKind::Data,
                Kind::Tree => BlobKind::Tree,
            },
            id: blob.id,
            offset: blob.offset,
            length: blob.length,
            uncompressed: Some(blob.uncompressed_length).filter(|length| *length != 0),
        }
    }
}

impl IndexPack {
    pub(crate) fn new(id: Id, blobs: &[PackedBlob]) -> Self {
        Self { id, blobs: blobs.iter().map(IndexBlob::from).collect() }
    }

    pub(crate) fn packed(&self) -> impl Iterator<Item = PackedBlob> {
        self.blobs.iter().map(PackedBlob::from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::crypto::{Key, KeyBytes};
    use crate::format::document;

    fn blob() -> impl Strategy<Value = PackedBlob> {
        (any::<[u8; 32]>(), any::<bool>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
            |(id, tree, offset, length, uncompressed)| PackedBlob {
                kind: if tree { BlobKind::Tree } else { BlobKind::Data },
                id: Id::from_bytes(id),
                offset,
                length,
                uncompressed: Some(uncompressed).filter(|length| *length != 0),
            },
        )
    }

    proptest! {
        #[test]
        fn an_index_reads_back(packs in proptest::collection::vec(proptest::collection::vec(blob(), 0..9), 0..9)) {
            let key = Key::new(KeyBytes::random());
            let packs = packs.iter().enumerate().map(|(n, blobs)| IndexPack::new(Id::of(&n.to_le_bytes()), blobs));
            let file = IndexFile { packs: packs.collect() };
            let sealed = document::seal(&key, &file).unwrap();
            prop_assert_eq!(document::open::<IndexFile>(&key, sealed).unwrap(), file);
        }

        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            let key = Key::new(KeyBytes::random());
            prop_assert!(document::open::<IndexFile>(&key, key.seal(&bytes)).is_err());
            prop_assert!(document::open::<IndexFile>(&key, bytes).is_err());
        }
    }

    #[test]
    fn nulls_and_unknown_fields_of_other_writers_are_read() {
        let key = Key::new(KeyBytes::random());
        let json = br#"{"supersedes":["x"],"packs":null}"#;
        assert!(document::open::<IndexFile>(&key, key.seal(json)).unwrap().packs.is_empty());
    }
}
