//! A group, 25 bytes: the chains of a dense node for one type.
//! ```text
//! 0  u8   bit 0 in use, 1-3 bits 32-34 of next, 4-6 bits 32-34 of out, 7 the length of out is kept elsewhere
//! 1  u8   bit 0 the length of in is kept elsewhere, 1-3 bits 32-34 of in, 4-6 of loop, 7 as 0 for loop
//! 2  u16  type   4 u32 next group   8 u32 out   12 u32 in   16 u32 loop   20 u32 node   24 u8 bits 32-39 of the node
//! ```

use super::{reference, u16_at, u32_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRecord {
    pub in_use: bool,
    pub type_id: u32,
    pub next: Option<u64>,
    /// The node whose group it is.
    pub owner: u64,
    pub outgoing: GroupHead,
    pub incoming: GroupHead,
    pub loops: GroupHead,
}

/// The beginning of a chain of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHead {
    pub first: Option<u64>,
    /// How long the chain is stands in the degrees store, not in its first relationship.
    pub external_degree: bool,
}

impl GroupRecord {
    pub const SIZE: usize = 25;

    pub fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        let (one, two) = (u64::from(bytes[0]), u64::from(bytes[1]));
        let head = |at, high: u64, external: u64| GroupHead {
            first: reference(u32_at(bytes, at), high),
            external_degree: external != 0,
        };
        Self {
            in_use: one & 1 != 0,
            type_id: u32::from(u16_at(bytes, 2)),
            next: reference(u32_at(bytes, 4), (one & 0x0E) << 31),
            owner: u64::from(u32_at(bytes, 20)) | u64::from(bytes[24]) << 32,
            outgoing: head(8, (one & 0x70) << 28, one & 0x80),
            incoming: head(12, (two & 0x0E) << 31, two & 0x01),
            loops: head(16, (two & 0x70) << 28, two & 0x80),
        }
    }
}
