//! The digest of a file: the SHA-256 of its chunks' ids, in order. An id is the SHA-256 of its chunk, so the digest
//! stands for every byte and for their order, and costs next to nothing beside the ids.
//!
//! How a file is cut follows from its length alone ([`chunk_size`]), so equal content has an equal digest.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::format::id::Id;
use crate::format::tree::Node;
use crate::write::{FileContent, chunk_size};

fn digest(ids: &[Id]) -> Id {
    let mut hasher = Sha256::new();
    for id in ids {
        hasher.update(id.as_bytes());
    }
    Id::from_bytes(hasher.finalize().into())
}

impl FileContent {
    pub fn digest(&self) -> Id {
        digest(&self.ids)
    }
}

impl Node {
    pub fn digest(&self) -> Id {
        digest(self.content())
    }
}

/// The digest that the first `length` bytes of `reader` have when they are stored; `None` if there are fewer.
pub fn digest_of(reader: &mut dyn Read, length: u64) -> io::Result<Option<Id>> {
    let chunk = chunk_size(length);
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    for number in 0..length.div_ceil(chunk) {
        let wanted = chunk.min(length - number * chunk);
        bytes.clear();
        reader.take(wanted).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != wanted {
            return Ok(None);
        }
        ids.push(Id::of(&bytes));
    }
    Ok(Some(digest(&ids)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_the_order_of_chunks_count() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let of = |bytes: &[u8]| digest_of(&mut &bytes[..], bytes.len() as u64).unwrap().unwrap();
        let whole = of(&bytes);
        let mut flipped = bytes.clone();
        flipped[500_000] ^= 1;
        let mut swapped = bytes.clone();
        swapped.rotate_left(64 << 10);
        assert!(of(&flipped) != whole && of(&swapped) != whole && of(&bytes[1..]) != whole);
        assert_eq!(digest_of(&mut &bytes[..10], 11).unwrap(), None);
        assert_eq!(digest_of(&mut &bytes[..], 10).unwrap(), Some(of(&bytes[..10])));
    }
}
