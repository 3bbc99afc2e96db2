//! A node, 15 bytes.
//! ```text
//! 0  u8   bit 0 in use, 1-3 bits 32-34 of the relationship, 4-7 bits 32-35 of the property
//! 1  u32  first relationship; of a dense node its first group
//! 5  u32  first property record
//! 9  u32  labels, low bits    13 u8  labels, high bits    14 u8  bit 0 dense
//! ```

use super::{LabelField, reference, u32_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRecord {
    pub in_use: bool,
    /// The first relationship of its chain; of a dense node its first group.
    pub next: Option<u64>,
    pub property: Option<u64>,
    pub labels: LabelField,
    /// Its relationships are in one chain for each type and direction.
    pub dense: bool,
}

impl NodeRecord {
    pub const SIZE: usize = 15;

    pub fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        let header = u64::from(bytes[0]);
        Self {
            in_use: header & 1 != 0,
            next: reference(u32_at(bytes, 1), (header & 0x0E) << 31),
            property: reference(u32_at(bytes, 5), (header & 0xF0) << 28),
            labels: LabelField(u64::from(u32_at(bytes, 9)) | u64::from(bytes[13]) << 32),
            dense: bytes[14] & 1 != 0,
        }
    }
}
