//! The entries that frame a transaction: START and COMMIT.
//!
//! Every entry begins `u8 kernel, u8 type`; numbers are little-endian (`docs/format/transaction-log.md`,
//! section 3). Between START (1) and COMMIT (5) stand COMMAND entries (3), which carry no length: `body`.
//! ```text
//! START   A (kernels 5-16)        B (17-21)               C (22-29)               D (30-32)
//! 2       i64 time opened, ms     the same                the same                the same
//! 10      i64 last committed      the same                the same                the same
//! 18      u32 previous checksum   u32 previous checksum   i64 append index        i64 append index
//! 22      i32 n                   i64 append index
//! 26      n bytes                                         i32 n                   i64 sequence number
//! 30                              i32 n                   n bytes
//! 34                              n bytes                                         i32 n
//! 38                                                                              n bytes
//!
//! COMMIT  2 i64 transaction id; 10 i64 commit time, ms; 18 u32 CRC32C from START's first byte to here; 22 long
//! ```

use crate::bytes::{le_i32, le_i64, le_u32, u8_at};
use crate::ids::{AppendIndex, Checksum, CommitTime, TxId};
use crate::kernel::{KernelVersion, StartLayout};

pub(crate) const START: u8 = 1;
pub(crate) const COMMAND: u8 = 3;
pub(crate) const COMMIT: u8 = 5;
/// Length of a COMMIT entry; its checksum covers everything before its last four bytes.
pub(crate) const COMMIT_LENGTH: usize = 22;
pub(crate) const COMMIT_CHECKSUM_AT: usize = 18;
/// Longest START without its additional header.
const ADDITIONAL_HEADER_LENGTH_MAX: i32 = 8;

/// Entry types that only Enterprise Edition and enveloped logs have: transactions cut into chunks, and
/// rollbacks.
pub(crate) fn refused_entry(entry_type: u8) -> Option<&'static str> {
    match entry_type {
        10 => Some("CHUNK_START"),
        11 => Some("CHUNK_END"),
        12 => Some("ROLLBACK"),
        13 => Some("EMPTY_TX"),
        _ => None,
    }
}

/// A decoded START entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub kernel: KernelVersion,
    /// When the transaction was opened (not when this was written), ms since 1970. Not ordered.
    pub opened_ms: i64,
    /// Up to kernel 21.
    pub previous_checksum: Option<Checksum>,
    /// From kernel 17 on.
    pub append_index: Option<AppendIndex>,
    /// Bytes of the entry, additional header included.
    pub length: usize,
}

/// Why no START could be decoded from bytes that begin like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStart {
    /// The bytes end within the entry; so many are needed to go on.
    Needs(usize),
    /// The additional header would have this length.
    AdditionalHeader(i32),
}

impl Start {
    /// Decodes the START that `bytes` begin with; the caller has seen its first two bytes.
    pub(crate) fn decode(kernel: KernelVersion, bytes: &[u8]) -> Result<Start, NoStart> {
        let (previous_at, append_at, additional_at) = match kernel.start_layout() {
            StartLayout::A => (Some(18), None, 22),
            StartLayout::B => (Some(18), Some(22), 30),
            StartLayout::C => (None, Some(18), 26),
            StartLayout::D => (None, Some(18), 34),
        };
        let fixed = additional_at + 4;
        let additional = le_i32(bytes, additional_at).ok_or(NoStart::Needs(fixed))?;
        if !(0..=ADDITIONAL_HEADER_LENGTH_MAX).contains(&additional) {
            return Err(NoStart::AdditionalHeader(additional));
        }
        let length = fixed + additional.unsigned_abs() as usize;
        let absent = NoStart::Needs(length);
        if bytes.len() < length {
            return Err(absent);
        }
        Ok(Start {
            kernel,
            opened_ms: le_i64(bytes, 2).ok_or(absent)?,
            previous_checksum: previous_at.and_then(|at| le_u32(bytes, at)).map(Checksum),
            append_index: append_at
                .and_then(|at| le_i64(bytes, at))
                .map(|index| AppendIndex(index.cast_unsigned())),
            length,
        })
    }
}

/// The bytes after the entry's type, decoded. Whether they are a COMMIT at all only the checksum can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: TxId,
    pub(crate) time: CommitTime,
    pub(crate) checksum: Checksum,
}

impl Commit {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Commit> {
        debug_assert_eq!(u8_at(bytes, 1), Some(COMMIT));
        Some(Commit {
            id: TxId(le_i64(bytes, 2)?.cast_unsigned()),
            time: CommitTime(le_i64(bytes, 10)?),
            checksum: Checksum(le_u32(bytes, COMMIT_CHECKSUM_AT)?),
        })
    }

    /// How the COMMIT of transaction `id` begins.
    pub(crate) fn beginning(kernel: KernelVersion, id: TxId) -> [u8; 10] {
        let mut beginning = [kernel.byte(), COMMIT, 0, 0, 0, 0, 0, 0, 0, 0];
        beginning[2..].copy_from_slice(&id.0.to_le_bytes());
        beginning
    }
}
