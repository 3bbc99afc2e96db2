//! The `config` object: which version, which repository. Sealed plain JSON, never compressed.

use serde::{Deserialize, Serialize};

use super::crypto::Key;
use super::id::Id;

/// The version that is written, and the only one that is read: version 1 knows no compression.
pub(crate) const VERSION: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    pub version: u32,
    pub id: Id,
    /// For content-defined chunking, which Grap does not do; restic wants an irreducible polynomial here
    /// for its own backups into the same repository.
    chunker_polynomial: String,
}

impl Config {
    pub(crate) fn new(id: Id) -> Self {
        // Irreducible over GF(2), degree 53: the example of the format's description.
        Self { version: VERSION, id, chunker_polynomial: "25b468838dcb75".to_owned() }
    }

    pub(crate) fn seal(&self, key: &Key) -> Result<Vec<u8>, String> {
        Ok(key.seal(&serde_json::to_vec(self).map_err(|error| error.to_string())?))
    }

    /// `None`: sealed under another key, or damaged.
    pub(crate) fn open(key: &Key, mut sealed: Vec<u8>) -> Option<Result<Self, String>> {
        let json = key.open_in_place(&mut sealed).ok()?;
        Some(serde_json::from_slice(json).map_err(|error| error.to_string()))
    }
}
