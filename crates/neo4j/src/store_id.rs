//! `StoreId`: the identity of a store, as it stands in log headers, checkpoint records and `neostore`.
//!
//! 64 bytes, big-endian in all three places (`docs/format/transaction-log.md`, section 2):
//! ```text
//! 0  u8   1 (version of this form)      18       n bytes  engine name ("record")
//! 1  i64  creation time, ms             18+n     u8 m     length of the format name
//! 9  i64  random                        19+n     m bytes  format name ("aligned")
//! 17 u8 n length of the engine name     19+n+m   i8 major, i8 minor; zeros to 64
//! ```
//! Two stores with equal ids descend from one creation; they may still be forks of each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bytes::{be_i64, is_zero, slice, u8_at};

/// Bytes of the encoded form.
pub const STORE_ID_LENGTH: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StoreId {
    /// When the store was created, milliseconds since 1970.
    pub created_ms: i64,
    pub random: i64,
    /// Storage engine, `record` in Community.
    pub engine: String,
    /// Record format within the engine, `aligned` by default.
    pub format: String,
    pub major: i8,
    pub minor: i8,
}

/// The 64 bytes are not a store id of the known form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreIdError {
    #[error("store id has form {0}, only form 1 is known")]
    UnknownForm(u8),
    #[error("store id is damaged: its names do not fit into 64 bytes of text and zeros")]
    Malformed,
}

/// A store that Grap does not handle: its files would be misread.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("store format {engine}-{format} is not supported (supported: record-aligned, record-standard)")]
pub struct UnsupportedStore {
    pub engine: String,
    pub format: String,
}

/// Two things that should be of one store are not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("belongs to store {found}, not to store {expected}")]
pub struct StoreMismatch {
    pub expected: StoreId,
    pub found: StoreId,
}

impl StoreId {
    /// Reads the 64-byte form.
    pub fn parse(bytes: &[u8; STORE_ID_LENGTH]) -> Result<StoreId, StoreIdError> {
        match bytes[0] {
            1 => fields(bytes).ok_or(StoreIdError::Malformed),
            other => Err(StoreIdError::UnknownForm(other)),
        }
    }

    /// Whether `found` names this store, too.
    pub fn check_same(&self, found: &StoreId) -> Result<(), Box<StoreMismatch>> {
        if self == found {
            return Ok(());
        }
        Err(Box::new(StoreMismatch { expected: self.clone(), found: found.clone() }))
    }

    /// Refuses, by its name, every format other than the two that are understood.
    pub fn check_supported(&self) -> Result<(), UnsupportedStore> {
        match (self.engine.as_str(), self.format.as_str()) {
            ("record", "aligned" | "standard") => Ok(()),
            _ => Err(UnsupportedStore { engine: self.engine.clone(), format: self.format.clone() }),
        }
    }
}

fn fields(bytes: &[u8; STORE_ID_LENGTH]) -> Option<StoreId> {
    let (engine, at) = name(bytes, 17)?;
    let (format, at) = name(bytes, at)?;
    if !is_zero(bytes.get(at + 2..)?) {
        return None;
    }
    Some(StoreId {
        created_ms: be_i64(bytes, 1)?,
        random: be_i64(bytes, 9)?,
        engine,
        format,
        major: u8_at(bytes, at)?.cast_signed(),
        minor: u8_at(bytes, at + 1)?.cast_signed(),
    })
}

/// A length byte and as many bytes of text; with the offset behind them.
fn name(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let length = usize::from(u8_at(bytes, at)?);
    let text = str::from_utf8(slice(bytes, at + 1, length)?).ok()?;
    Some((text.to_owned(), at + 1 + length))
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreId { created_ms, random, engine, format, major, minor } = self;
        write!(f, "{engine}-{format}-{major}.{minor}-{created_ms}-{random:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{store_id, store_id_bytes};

    #[test]
    fn every_store_id_is_read_back() {
        let mut id = store_id(i64::MIN);
        assert_eq!(StoreId::parse(&store_id_bytes(&id)), Ok(id.clone()));
        (id.engine, id.format, id.major, id.minor) = (String::new(), "ä".repeat(21), -1, 127);
        assert_eq!(StoreId::parse(&store_id_bytes(&id)), Ok(id));
    }

    #[test]
    fn a_damaged_store_id_is_refused() {
        let bytes = store_id_bytes(&store_id(1));
        for (at, value, error) in [
            (0, 2, StoreIdError::UnknownForm(2)),
            (17, 200, StoreIdError::Malformed),
            (18, 0xFF, StoreIdError::Malformed),
            (24, 60, StoreIdError::Malformed),
            (34, 1, StoreIdError::Malformed),
            (63, 1, StoreIdError::Malformed),
        ] {
            let mut damaged = bytes;
            damaged[at] = value;
            assert_eq!(StoreId::parse(&damaged), Err(error), "byte {at}");
        }
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        for (engine, format, supported) in [
            ("record", "aligned", true),
            ("record", "standard", true),
            ("record", "high_limit", false),
            ("block", "block", false),
            ("multiversion", "aligned", false),
        ] {
            let id = StoreId { engine: engine.to_owned(), format: format.to_owned(), ..store_id(1) };
            match id.check_supported() {
                Ok(()) => assert!(supported, "{engine}-{format}"),
                Err(error) => {
                    assert!(!supported && error.to_string().contains(&format!("{engine}-{format}")));
                }
            }
        }
    }

    #[test]
    fn a_store_id_serialises_as_named_fields() {
        assert_eq!(
            serde_json::to_string(&store_id(-5)).unwrap(),
            r#"{"created_ms":1700000000000,"random":-5,"engine":"record","format":"aligned","major":1,"minor":1}"#
        );
        assert_eq!(store_id(-5).to_string(), "record-aligned-1.1-1700000000000-fffffffffffffffb");
    }
}
