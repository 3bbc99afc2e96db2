//! Tokens (labels, relationship types, property keys) and schema records.
//! ```text
//! label, type    0 u8 bit 0 in use   1 u32 first name record
//! property key   0 u8 bit 0 in use   1 u32 not used   5 u32 first name record
//! schema         0 u64 bit 56 in use, 57 has properties, 0-55 first property record
//! ```

use crate::bytes::{array, u8_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRecord {
    pub in_use: bool,
    pub name: u64,
}

/// An index or a constraint: its rule is a map, in properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaRecord {
    pub in_use: bool,
    pub property: Option<u64>,
}

impl TokenRecord {
    /// Of a record of five or nine bytes; the name is in its last four.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let name = u32::from_be_bytes(array(bytes, bytes.len().checked_sub(4)?)?);
        Some(Self { in_use: u8_at(bytes, 0)? & 1 != 0, name: u64::from(name) })
    }
}

impl SchemaRecord {
    pub const SIZE: usize = 8;

    pub fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        let word = u64::from_be_bytes(*bytes);
        let has_property = word & 1 << 57 != 0;
        Self { in_use: word & 1 << 56 != 0, property: has_property.then_some(word & ((1 << 56) - 1)) }
    }
}
