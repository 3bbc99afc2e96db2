//! A property record, 41 bytes: up to four blocks of eight bytes, in which properties stand one behind the other.
//! ```text
//! 0  u8   bits 4-7: bits 32-35 of previous, 0-3: of next    1 u32 previous    5 u32 next    9  4 x u64 blocks
//! ```
//! A property is one to four blocks. The first says key (bits 0-23) and type (24-27). Type 0 ends the record; where the
//! first block has it, the record is not in use.

use super::inline::blocks_of;
use super::{ValueError, reference, u32_at, u64_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyRecord {
    pub previous: Option<u64>,
    pub next: Option<u64>,
    pub blocks: [u64; 4],
}

/// One property: its key, and the blocks that hold its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    pub key: u32,
    pub blocks: &'a [u64],
}

/// The properties of a record, one after the other. Behind an error there is nothing more.
#[derive(Debug, Clone)]
pub struct Blocks<'a> {
    left: &'a [u64],
}

impl PropertyRecord {
    pub const SIZE: usize = 41;

    pub fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        let high = u64::from(bytes[0]);
        Self {
            previous: reference(u32_at(bytes, 1), (high & 0xF0) << 28),
            next: reference(u32_at(bytes, 5), (high & 0x0F) << 32),
            blocks: [u64_at(bytes, 9), u64_at(bytes, 17), u64_at(bytes, 25), u64_at(bytes, 33)],
        }
    }

    pub fn in_use(&self) -> bool {
        type_of(self.blocks[0]) != 0
    }

    pub fn properties(&self) -> Blocks<'_> {
        Blocks { left: &self.blocks }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.left.first()?;
        if type_of(first) == 0 {
            self.left = &[];
            return None;
        }
        let split = blocks_of(first).and_then(|count| {
            self.left
                .split_at_checked(count)
                .ok_or(ValueError::TooLong { blocks: count, left: self.left.len() })
        });
        match split {
            Ok((blocks, left)) => {
                self.left = left;
                let key = (first & 0xFF_FFFF) as u32;
                Some(Ok(Block { key, blocks }))
            }
            Err(error) => {
                self.left = &[];
                Some(Err(error))
            }
        }
    }
}

fn type_of(block: u64) -> u64 {
    block >> 24 & 0xF
}
