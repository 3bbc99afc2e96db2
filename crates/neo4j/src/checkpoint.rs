//! The checkpoint log, `checkpoint.N`: a log header, then records of fixed length, then preallocated zeros.
//!
//! A record says: whatever transactions up to here changed is in the store files, replay begins at this
//! position. Little-endian; the layout follows from the record's kernel byte
//! (`docs/format/transaction-log.md`, section 5):
//! ```text
//!            5.0 (5)   5.7 (6-16)  5.20 (17)  5.22 (18-31)  2026.08 (32)
//! 0, 1       u8 kernel, u8 type 9
//! 2, 10      i64 log version, i64 offset: the end of the checkpointed transaction
//!            -         -           -          18, 26        18, 26         the same of the oldest not completed one
//! time ms    18        18          18         34            34             i64
//! StoreId    26        26          26         42            42             64 bytes
//! tx id      90        90          90         106           106            i64
//!            -         -           98         114           114            i64 append index
//!            -         -           106        122           122            u8 kernel of the transaction
//! tx CRC     98        98          107        123           123            u32
//! commit ms  102       102         111        127           127            i64
//!            -         110         119        135           135            i64 consensus index, -1
//!            -         -           127        143           143            i64 last append index
//! reason     110, 112  118, 120    135, 137   151, 153      151, 153       i16 length, text in the room that is left
//! CRC        228       228         228        228           482            u32 CRC32C of all before it
//! ```
//! A record that was cut or half written at the end is a tail: the server may be writing it. A valid record
//! behind bytes that are none cannot come from writing, and is damage.

use crate::bytes::{array, first_nonzero, le_i16, le_i64, le_u32, slice, u8_at};
use crate::ids::{AppendIndex, Checksum, CommitTime, LogPosition, LogVersion, TransactionEnd, TxId};
use crate::kernel::{CheckpointLayout, KernelVersion};
use crate::store_id::{STORE_ID_LENGTH, StoreId, StoreIdError, StoreMismatch};
use crate::txlog::{FileHeader, HEADER_LENGTH, HeaderError, LogHeader};

/// Type byte of a checkpoint record.
const CHECKPOINT: u8 = 9;

/// A decoded checkpoint file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointLog {
    pub header: LogHeader,
    /// The valid records, in the order of writing. May be empty: `migrate` and kernel upgrades leave such
    /// files.
    pub records: Vec<CheckpointRecord>,
    pub tail: CheckpointTail,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// Its bytes in the file: `start..end`.
    pub start: u64,
    pub end: u64,
    pub kernel: KernelVersion,
    /// Where replay begins: the smaller of the two positions.
    pub position: LogPosition,
    /// End of the checkpointed transaction.
    pub transaction_end: LogPosition,
    /// When the checkpoint was written, ms since 1970.
    pub written_ms: i64,
    pub store_id: StoreId,
    /// The last transaction whose changes are in the store.
    pub tx_id: TxId,
    pub tx_checksum: Checksum,
    pub tx_commit_time: CommitTime,
    /// From kernel 17 on.
    pub tx_append_index: Option<AppendIndex>,
    /// Kernel byte of that transaction; from kernel 17 on.
    pub tx_kernel: Option<u8>,
    /// Why it was written, in the server's words; cut off where the record has no more room.
    pub reason: String,
}

/// What stands behind the last record; offsets in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointTail {
    Eof {
        at: u64,
    },
    Zeros {
        from: u64,
        to: u64,
    },
    /// The beginning of a record that is not valid: being written, cut, or damaged.
    Torn {
        at: u64,
    },
    /// Neither zeros nor the beginning of a record.
    Garbage {
        from: u64,
        at: u64,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("checkpoint file was allocated, but holds nothing yet")]
    Preallocated,
    #[error("checkpoint record at {at} has kernel version byte {kernel}, which is unknown")]
    UnknownKernel { at: u64, kernel: u8 },
    #[error("checkpoint record at {at} is no valid record, but a valid one follows at {next}")]
    Damaged { at: u64, next: u64 },
    #[error("checkpoint record at {at} is of another store")]
    OtherStore { at: u64, source: Box<StoreMismatch> },
    #[error("checkpoint record at {at} has no readable store id")]
    StoreId { at: u64, source: StoreIdError },
    #[error("checkpoint record at {at} has a valid checksum, but a field holds what it cannot")]
    BadField { at: u64 },
}

impl CheckpointLog {
    /// Decodes a whole file (1 MiB, as the server allocates it).
    pub fn parse(file: &[u8]) -> Result<CheckpointLog, CheckpointError> {
        let header = FileHeader::parse(file)?.written().ok_or(CheckpointError::Preallocated)?;
        let mut records = Vec::new();
        let mut at = HEADER_LENGTH;
        while let Some(record) = record_at(file, at, &header.store_id)? {
            at += record_length(record.kernel);
            records.push(record);
        }
        let tail = tail(file, at)?;
        Ok(CheckpointLog { header, records, tail })
    }

    /// The newest valid record.
    pub fn last(&self) -> Option<&CheckpointRecord> {
        self.records.last()
    }
}

impl CheckpointRecord {
    /// The transaction that the checkpoint names, as a point. Its position is where the server says that replay may begin; under concurrent
    /// writers the transaction itself can end behind it.
    pub fn end_point(&self) -> TransactionEnd {
        TransactionEnd {
            position: self.transaction_end,
            id: self.tx_id,
            checksum: self.tx_checksum,
            commit_time: self.tx_commit_time,
        }
    }

    /// Left by `neo4j-admin database import` or `migrate`: a new history begins here.
    pub fn is_break(&self) -> bool {
        matches!(self.reason.as_str(), "Migration checkpoint." | "Batch importer checkpoint.")
    }
}

/// Offsets of the fields that differ between layouts.
struct Fields {
    length: usize,
    oldest: Option<usize>,
    time: usize,
    append_index: Option<usize>,
    tx_kernel: Option<usize>,
    tx_checksum: usize,
    reason_length: usize,
}

impl Fields {
    fn of(layout: CheckpointLayout) -> Fields {
        let fields = |time, tx_checksum, reason_length| Fields {
            length: 232,
            oldest: None,
            time,
            append_index: None,
            tx_kernel: None,
            tx_checksum,
            reason_length,
        };
        match layout {
            CheckpointLayout::V5_0 => fields(18, 98, 110),
            CheckpointLayout::V5_7 => fields(18, 98, 118),
            CheckpointLayout::V5_20 => {
                Fields { append_index: Some(98), tx_kernel: Some(106), ..fields(18, 107, 135) }
            }
            CheckpointLayout::V5_22 => Fields {
                oldest: Some(18),
                append_index: Some(114),
                tx_kernel: Some(122),
                ..fields(34, 123, 151)
            },
            CheckpointLayout::V2026_08 => Fields { length: 486, ..Fields::of(CheckpointLayout::V5_22) },
        }
    }

    fn store_id(&self) -> usize {
        self.time + 8
    }

    fn tx_id(&self) -> usize {
        self.store_id() + STORE_ID_LENGTH
    }
}

/// Length of a record in the layout of `kernel`.
pub fn record_length(kernel: KernelVersion) -> usize {
    Fields::of(kernel.checkpoint_layout()).length
}

/// The record at `at`, if a valid one stands there.
fn record_at(
    file: &[u8],
    at: usize,
    store_id: &StoreId,
) -> Result<Option<CheckpointRecord>, CheckpointError> {
    let Some((kernel, bytes)) = valid_record(file, at) else {
        return Ok(None);
    };
    let at = at as u64;
    let record = decode(kernel, bytes, at)?;
    store_id.check_same(&record.store_id).map_err(|source| CheckpointError::OtherStore { at, source })?;
    Ok(Some(record))
}

/// The bytes of a record whose kernel, type and checksum are right.
fn valid_record(file: &[u8], at: usize) -> Option<(KernelVersion, &[u8])> {
    let kernel = KernelVersion::known(u8_at(file, at)?)?;
    if u8_at(file, at + 1)? != CHECKPOINT {
        return None;
    }
    let record = slice(file, at, record_length(kernel))?;
    let (body, checksum) = record.split_last_chunk::<4>()?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*checksum)).then_some((kernel, record))
}

fn decode(kernel: KernelVersion, bytes: &[u8], at: u64) -> Result<CheckpointRecord, CheckpointError> {
    let fields = Fields::of(kernel.checkpoint_layout());
    let bad = || CheckpointError::BadField { at };
    let store_id = array(bytes, fields.store_id()).ok_or_else(bad)?;
    let store_id = StoreId::parse(&store_id).map_err(|source| CheckpointError::StoreId { at, source })?;
    numbers(kernel, &fields, bytes, at, store_id).ok_or_else(bad)
}

fn numbers(
    kernel: KernelVersion,
    fields: &Fields,
    bytes: &[u8],
    start: u64,
    store_id: StoreId,
) -> Option<CheckpointRecord> {
    let transaction_end = position(bytes, 2)?;
    let position = match fields.oldest {
        Some(at) => position(bytes, at)?.min(transaction_end),
        None => transaction_end,
    };
    Some(CheckpointRecord {
        start,
        end: start + fields.length as u64,
        kernel,
        position,
        transaction_end,
        written_ms: le_i64(bytes, fields.time)?,
        store_id,
        tx_id: TxId(natural(bytes, fields.tx_id())?),
        tx_checksum: Checksum(le_u32(bytes, fields.tx_checksum)?),
        tx_commit_time: CommitTime(le_i64(bytes, fields.tx_checksum + 4)?),
        tx_append_index: match fields.append_index {
            Some(at) => Some(AppendIndex(natural(bytes, at)?)),
            None => None,
        },
        tx_kernel: fields.tx_kernel.and_then(|at| u8_at(bytes, at)),
        reason: reason(fields, bytes)?,
    })
}

fn position(bytes: &[u8], at: usize) -> Option<LogPosition> {
    Some(LogPosition { version: LogVersion(natural(bytes, at)?), offset: natural(bytes, at + 8)? })
}

fn natural(bytes: &[u8], at: usize) -> Option<u64> {
    u64::try_from(le_i64(bytes, at)?).ok()
}

/// The text may be cut within a character.
fn reason(fields: &Fields, bytes: &[u8]) -> Option<String> {
    let at = fields.reason_length;
    let room = fields.length.checked_sub(4 + at + 2)?;
    let length = usize::try_from(le_i16(bytes, at)?).ok()?;
    let text = slice(bytes, at + 2, length).filter(|text| text.len() <= room)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Says what stands at `at`, where no valid record does.
fn tail(file: &[u8], at: usize) -> Result<CheckpointTail, CheckpointError> {
    let rest = file.get(at..).unwrap_or_default();
    let from = at as u64;
    if let Some(next) = (at + 1..file.len()).find(|&at| valid_record(file, at).is_some()) {
        return Err(CheckpointError::Damaged { at: from, next: next as u64 });
    }
    match *rest {
        [] => Ok(CheckpointTail::Eof { at: from }),
        [0, ..] => Ok(match first_nonzero(rest) {
            None => CheckpointTail::Zeros { from, to: file.len() as u64 },
            Some(garbage) => CheckpointTail::Garbage { from, at: from + garbage as u64 },
        }),
        [kernel, CHECKPOINT, ..] if KernelVersion::known(kernel).is_none() => {
            Err(CheckpointError::UnknownKernel { at: from, kernel })
        }
        [_, CHECKPOINT, ..] => Ok(CheckpointTail::Torn { at: from }),
        [kernel, ref rest @ ..]
            if KernelVersion::known(kernel).is_some() && first_nonzero(rest).is_none() =>
        {
            Ok(CheckpointTail::Torn { at: from })
        }
        _ => Ok(CheckpointTail::Garbage { from, at: from }),
    }
}
