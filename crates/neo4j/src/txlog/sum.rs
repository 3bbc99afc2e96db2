//! The checksum of a transaction, carried along while the scan moves over it.

use std::io::Read;

use crc32c::crc32c_append;

use super::entry::{COMMIT_CHECKSUM_AT, Commit};
use super::window::Window;
use crate::bytes::nonzero_end;
use crate::ids::Checksum;

/// Checksum of the transaction so far, and how far it is more than zeros.
pub(super) struct RunningSum {
    crc: u32,
    written_to: u64,
}

impl RunningSum {
    /// Of a transaction that begins at this offset.
    pub(super) fn new(start: u64) -> RunningSum {
        RunningSum { crc: 0, written_to: start }
    }

    pub(super) fn written_to(&self) -> u64 {
        self.written_to
    }

    /// Consumes `count` bytes of the window (at most all).
    pub(super) fn pass<R: Read>(&mut self, window: &mut Window<R>, count: usize) {
        let bytes = window.bytes();
        let passed = bytes.get(..count).unwrap_or(bytes);
        self.crc = crc32c_append(self.crc, passed);
        if let Some(end) = nonzero_end(passed) {
            self.written_to = window.offset() + end as u64;
        }
        window.consume(count);
    }

    /// The COMMIT that `bytes` begin with, if its checksum is that of the transaction.
    pub(super) fn proves(&self, bytes: &[u8]) -> Option<Commit> {
        let commit = Commit::decode(bytes)?;
        let crc = crc32c_append(self.crc, bytes.get(..COMMIT_CHECKSUM_AT)?);
        (commit.checksum == Checksum(crc)).then_some(commit)
    }
}
