//! Sealed objects: small records below `grap/`, encrypted as everything else, under names of their own.
//!
//! restic ignores that folder. Names there say what the record is, so they are not hashes of the content;
//! instead the name is sealed in with the content, and a record that was moved or swapped is refused.
//! The plaintext is `1 | length of the name (2, little-endian) | name | zstd(content)`.

use crate::error::{RepositoryError, Result};
use crate::object::{ObjectError, ObjectInfo, check_name};
use crate::repository::{Repository, exists};

const VERSION: u8 = 1;
const FOLDER: &str = "grap/";

impl Repository {
    /// Put a record. It must not exist yet (`ObjectError::AlreadyExists`).
    pub fn put_sealed(&self, name: &str, content: &[u8]) -> Result<()> {
        check_sealed_name(name)?;
        let encode = |error: std::io::Error| RepositoryError::Encode { why: error.to_string() };
        let length =
            u16::try_from(name.len()).map_err(|_| ObjectError::InvalidName { name: name.to_owned() })?;
        let mut plaintext = vec![VERSION];
        plaintext.extend_from_slice(&length.to_le_bytes());
        plaintext.extend_from_slice(name.as_bytes());
        zstd::stream::copy_encode(content, &mut plaintext, 3).map_err(encode)?;
        let sealed = self.inner.key.seal(&plaintext);
        Ok(self.inner.store.put(name, &[&sealed])?)
    }

    pub fn get_sealed(&self, name: &str) -> Result<Vec<u8>> {
        check_sealed_name(name)?;
        let mut sealed = self.inner.store.get(name)?;
        let opened =
            self.inner.key.open_in_place(&mut sealed).map_err(|_| "its MAC does not match".to_owned());
        opened
            .and_then(|plaintext| content(name, plaintext))
            .map_err(|why| RepositoryError::Damaged { object: name.to_owned(), why })
    }

    /// Whether there is such a record; it is not read.
    pub fn has_sealed(&self, name: &str) -> Result<bool> {
        check_sealed_name(name)?;
        exists(self.inner.store.as_ref(), name)
    }

    /// An error where the storage does not show the repository (any more): its mount went away.
    pub fn require_config(&self) -> Result<()> {
        self.inner.store.size("config")?;
        Ok(())
    }

    /// The records below a folder such as `grap/notes`.
    pub fn list_sealed(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        check_sealed_name(prefix)?;
        Ok(self.inner.store.list(prefix)?)
    }
}

pub(crate) fn check_sealed_name(name: &str) -> Result<(), ObjectError> {
    check_name(name)?;
    if name.starts_with(FOLDER) { Ok(()) } else { Err(ObjectError::InvalidName { name: name.to_owned() }) }
}

fn content(name: &str, plaintext: &[u8]) -> Result<Vec<u8>, String> {
    let ([version, low, high], rest) = plaintext.split_first_chunk().ok_or("it is too short")?;
    if *version != VERSION {
        return Err(format!("its version {version} is unknown"));
    }
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let (own_name, compressed) = rest.split_at_checked(length).ok_or("it is too short")?;
    if own_name != name.as_bytes() {
        return Err(format!("it was stored as {}", String::from_utf8_lossy(own_name)));
    }
    zstd::stream::decode_all(compressed).map_err(|error| error.to_string())
}
