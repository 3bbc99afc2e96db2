//! A relationship, 34 bytes. It is in the chain of its start node and in that of its end node; where both are one node, it
//! is in one chain, and both sides say the same.
//! ```text
//! 0  u8   bit 0 in use, 1-3 bits 32-34 of the start node, 4-7 bits 32-35 of the property
//! 1  u32  start node              5  u32  end node
//! 9  u32  bits 0-15 type; 28-30, 25-27, 22-24, 19-21, 16-18: bits 32-34 of end node, previous and next in the start
//!         node's chain, previous and next in the end node's
//! 13 u32  previous, 17 next in the start node's chain; 21 previous, 25 next in the end node's
//! 29 u32  first property record   33 u8   bit 0 first in the start node's chain, 1 in the end node's
//! ```

use super::{reference, u32_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationshipRecord {
    pub in_use: bool,
    pub type_id: u32,
    pub start: Side,
    pub end: Side,
    pub property: Option<u64>,
}

/// Its place in the chain of one of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    pub node: u64,
    /// The first of a chain has in this place how long the chain is.
    pub previous: Option<u64>,
    pub next: Option<u64>,
    pub first: bool,
}

impl RelationshipRecord {
    pub const SIZE: usize = 34;

    pub fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        let header = u64::from(bytes[0]);
        let word = u64::from(u32_at(bytes, 9));
        let node = |at, high: u64| high | u64::from(u32_at(bytes, at));
        Self {
            in_use: header & 1 != 0,
            type_id: u32_at(bytes, 9) & 0xFFFF,
            start: Side {
                node: node(1, (header & 0x0E) << 31),
                previous: reference(u32_at(bytes, 13), (word & 0x0E00_0000) << 7),
                next: reference(u32_at(bytes, 17), (word & 0x01C0_0000) << 10),
                first: bytes[33] & 1 != 0,
            },
            end: Side {
                node: node(5, (word & 0x7000_0000) << 4),
                previous: reference(u32_at(bytes, 21), (word & 0x0038_0000) << 13),
                next: reference(u32_at(bytes, 25), (word & 0x0007_0000) << 16),
                first: bytes[33] & 2 != 0,
            },
            property: reference(u32_at(bytes, 29), (header & 0xF0) << 28),
        }
    }

    pub fn is_loop(&self) -> bool {
        self.start.node == self.end.node
    }

    /// Its place in the chain of a node, if it is in one.
    pub fn side_of(&self, node: u64) -> Option<&Side> {
        [&self.start, &self.end].into_iter().find(|side| side.node == node)
    }
}
