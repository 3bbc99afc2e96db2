//! `neostore`, the metadata store: who a store is.
//!
//! One page of 8192 bytes, big-endian, slots of nine bytes: `u8 in use, i64 value`
//! (`docs/format/transaction-log.md`, section 6).
//! ```text
//! slot 0-1   external store UUID          slot 4     the constant CF1BBCDCB7A56463
//! slot 2-3   database UUID (not in use)   slot 5-12  StoreId, 8 bytes a slot
//! ```
//! It never changes while the store lives.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::bytes::{array, u8_at};
use crate::store_id::{STORE_ID_LENGTH, StoreId, StoreIdError};

const SLOT_LENGTH: usize = 9;
pub(crate) const MAGIC: [u8; 8] = 0xCF1B_BCDC_B7A5_6463_u64.to_be_bytes();

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// UUID of the store as the outside knows it; copies carry the same.
    pub external_id: Uuid,
    pub store_id: StoreId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("neostore ends within slot {slot}")]
    TooShort { slot: usize },
    #[error("neostore: slot {slot} is not in use")]
    Unused { slot: usize },
    #[error("this is no neostore of Neo4j 5 or newer: its constant (slot 4) is not there")]
    NoMagic,
    #[error("neostore has no readable store id")]
    StoreId { source: StoreIdError },
}

impl Metadata {
    /// Decodes the beginning of the file `neostore`.
    pub fn parse(file: &[u8]) -> Result<Metadata, MetadataError> {
        if slots::<1, 8>(file, 4)? != MAGIC {
            return Err(MetadataError::NoMagic);
        }
        let store_id = slots::<8, STORE_ID_LENGTH>(file, 5)?;
        Ok(Metadata {
            external_id: Uuid::from_bytes(slots::<2, 16>(file, 0)?),
            store_id: StoreId::parse(&store_id).map_err(|source| MetadataError::StoreId { source })?,
        })
    }

    /// What `SHOW DATABASES YIELD databaseID` and `CALL db.info()` show for this store. Equal ids prove that
    /// a directory belongs to the server that was asked.
    pub fn database_id(&self) -> String {
        let text = self.external_id.hyphenated().to_string();
        hex::encode_upper(Sha256::digest(text))
    }
}

/// The values of `SLOTS` slots from `first` on, one behind the other; `LENGTH` is eight bytes for each.
fn slots<const SLOTS: usize, const LENGTH: usize>(
    file: &[u8],
    first: usize,
) -> Result<[u8; LENGTH], MetadataError> {
    let mut values = [0; LENGTH];
    for (slot, value) in (first..first + SLOTS).zip(values.chunks_exact_mut(8)) {
        let at = slot * SLOT_LENGTH;
        let found: [u8; 8] = array(file, at + 1).ok_or(MetadataError::TooShort { slot })?;
        if u8_at(file, at) != Some(1) {
            return Err(MetadataError::Unused { slot });
        }
        value.copy_from_slice(&found);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{neostore_bytes, store_id};

    fn file() -> Vec<u8> {
        neostore_bytes(Uuid::from_u128(0x0908_5c19_0b9a_4403_be72_8345_17a3_be1b), &store_id(1))
    }

    #[test]
    fn a_database_id_is_the_hash_of_the_uuids_text() {
        let metadata = Metadata::parse(&file()).unwrap();
        assert_eq!(metadata.store_id, store_id(1));
        // As a server of 5.26.30 showed it for this UUID.
        assert_eq!(
            metadata.database_id(),
            "E99C876E361CE687C7DB249937E8A3D9D393CC2E053AAD320C0E5ECAC13B2ACE"
        );
    }

    #[test]
    fn another_file_is_refused() {
        assert_eq!(Metadata::parse(&file()[..116]), Err(MetadataError::TooShort { slot: 12 }));
        for (at, error) in [
            (0, MetadataError::Unused { slot: 0 }),
            (36, MetadataError::Unused { slot: 4 }),
            (37, MetadataError::NoMagic),
            (46, MetadataError::StoreId { source: StoreIdError::UnknownForm(0) }),
            (108, MetadataError::Unused { slot: 12 }),
        ] {
            let mut damaged = file();
            damaged[at] = 0;
            assert_eq!(Metadata::parse(&damaged), Err(error), "byte {at}");
        }
    }
}
