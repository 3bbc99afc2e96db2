//! Records of texts, arrays, label lists and names: a chain of pieces.
//! ```text
//! 0  u32  bit 31 not the first of its chain, 28 in use, 24-27 bits 32-35 of next, 0-23 bytes of data
//! 4  u32  next      8  data
//! ```
//! Record 0 begins with the size of all records, u32, and holds nothing else. Only the last piece of a chain may be
//! shorter than the record.

use super::reference;
use crate::bytes::array;

const HEADER: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicRecord<'a> {
    pub in_use: bool,
    /// The first of its chain.
    pub start: bool,
    pub next: Option<u64>,
    /// How many bytes it says that it holds.
    pub length: usize,
    /// Room for data.
    pub room: &'a [u8],
}

/// The size of the records of a dynamic store, from the first bytes of the file. No less than one byte of data.
pub fn dynamic_record_size(file: &[u8]) -> Option<usize> {
    let size = usize::try_from(u32::from_be_bytes(array(file, 0)?)).ok()?;
    (HEADER + 1..=super::PAGE_SIZE).contains(&size).then_some(size)
}

impl<'a> DynamicRecord<'a> {
    /// `None` for fewer bytes than a header has.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, room) = bytes.split_first_chunk::<HEADER>()?;
        let word = super::u32_at(header, 0);
        Some(Self {
            in_use: word & 0x1000_0000 != 0,
            start: word & 0x8000_0000 == 0,
            next: reference(super::u32_at(header, 4), u64::from(word & 0x0F00_0000) << 8),
            length: (word & 0x00FF_FFFF) as usize,
            room,
        })
    }

    /// Its piece; `None` where it says that it holds more than there is room for.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.room.get(..self.length)
    }

    pub fn is_full(&self) -> bool {
        self.length == self.room.len()
    }
}
