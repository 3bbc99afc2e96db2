//! Reads fields one behind the other.
//!
//! Every step answers `None` where the bytes end before the field does, or where its value is impossible.
//! `None` is final: after it the position says only where the reading broke off. Lengths and counts that
//! stand in the bytes are compared with what is left before anything is passed over, and nothing is
//! allocated by them.

use crate::bytes::{le_i32, le_i64, slice, u8_at};

pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The fields of `bytes` from offset `at` on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Fields<'a> {
        Fields { bytes, at }
    }

    /// Offset of the next field.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let value = u8_at(self.bytes, self.at)?;
        self.skip(1)?;
        Some(value)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        let value = le_i32(self.bytes, self.at)?;
        self.skip(4)?;
        Some(value)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        let value = le_i64(self.bytes, self.at)?;
        self.skip(8)?;
        Some(value)
    }

    /// An i32 that counts something.
    pub(super) fn count(&mut self) -> Option<usize> {
        let position = self.at;
        let count = usize::try_from(self.i32()?).ok();
        if count.is_none() {
            self.at = position;
        }
        count
    }

    /// An i32 length and so many bytes.
    pub(super) fn counted_bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        self.take(length)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = slice(self.bytes, self.at, length)?;
        self.at += length;
        Some(bytes)
    }

    pub(super) fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(drop)
    }
}
