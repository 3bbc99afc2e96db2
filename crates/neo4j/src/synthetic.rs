//! Well-formed log bytes made up for tests: real framing, opaque commands. Behind the feature `synthetic`.
//!
//! A [`LogWriter`] writes one log file: header, transactions with correct checksums and indexes, in the
//! layout of any kernel. [`checkpoint_record`] writes a checkpoint record in any of the five layouts. The
//! readers were proved on real files; what is written here is proved by reading it back.

use crc32c::{crc32c, crc32c_append};
use uuid::Uuid;

use crate::checkpoint::{CheckpointRecord, record_length};
use crate::ids::{AppendIndex, Checksum, CommitTime, LogPosition, TransactionEnd};
use crate::kernel::{CheckpointLayout, KernelVersion, StartLayout};
use crate::metadata::MAGIC;
use crate::store_id::{STORE_ID_LENGTH, StoreId};
use crate::txlog::entry::{COMMAND, COMMIT_CHECKSUM_AT, Commit, START};
use crate::txlog::{HEADER_LENGTH, LogFormat, LogHeader, ScanStart, Transaction};

/// One log file in the making.
#[derive(Clone, Debug)]
pub struct LogWriter {
    kernel: KernelVersion,
    header: LogHeader,
    bytes: Vec<u8>,
    next: ScanStart,
}

/// What a START says.
#[derive(Clone, Copy, Debug)]
pub struct StartFields<'a> {
    pub opened_ms: i64,
    pub previous_checksum: Checksum,
    pub append_index: AppendIndex,
    /// Always empty in Community; readers accept up to eight bytes.
    pub additional_header: &'a [u8],
}

/// A store id like that of a fresh Community store.
pub fn store_id(random: i64) -> StoreId {
    StoreId {
        created_ms: 1_700_000_000_000,
        random,
        engine: "record".to_owned(),
        format: "aligned".to_owned(),
        major: 1,
        minor: 1,
    }
}

/// The header of the first file of a fresh store.
pub fn first_header(kernel: KernelVersion, store_id: StoreId) -> LogHeader {
    LogHeader {
        format: log_format(kernel),
        version: crate::LogVersion(0),
        last_id: crate::TxId::BASE,
        last_append_index: append_index(kernel, AppendIndex(1)),
        store_id,
    }
}

/// The header format that servers of this kernel write.
pub fn log_format(kernel: KernelVersion) -> LogFormat {
    match kernel.start_layout() {
        StartLayout::A => LogFormat::V8,
        StartLayout::B | StartLayout::C | StartLayout::D => LogFormat::V9,
    }
}

fn append_index(kernel: KernelVersion, index: AppendIndex) -> Option<AppendIndex> {
    (log_format(kernel) == LogFormat::V9).then_some(index)
}

impl LogWriter {
    /// A file with this header, in which servers of `kernel` write.
    pub fn new(kernel: KernelVersion, header: LogHeader) -> LogWriter {
        let mut next = ScanStart::of_file(&header);
        // Without a file before it, the checksum that the first START names cannot be wrong.
        next.last_checksum = next.last_checksum.or(Some(Checksum::BASE));
        LogWriter { kernel, bytes: header_bytes(&header).to_vec(), header, next }
    }

    /// Appends a transaction with one COMMAND entry of these bytes (empty: no entry, the mark of import and
    /// migrate).
    pub fn transaction(&mut self, command: &[u8], commit_time: CommitTime) -> Transaction {
        let id = self.next.last_id.next();
        let index = self.next.last_append_index.map_or(AppendIndex(id.0), AppendIndex::next);
        let previous = self.next.last_checksum.unwrap_or(Checksum::BASE);
        let begin = self.bytes.len();
        self.bytes.extend(start_bytes(
            self.kernel,
            StartFields {
                opened_ms: commit_time.0,
                previous_checksum: previous,
                append_index: index,
                additional_header: &[],
            },
        ));
        if !command.is_empty() {
            self.bytes.extend([self.kernel.byte(), COMMAND]);
            self.bytes.extend(command);
        }
        let commit =
            commit_bytes(self.kernel, id, commit_time, crc32c(self.bytes.get(begin..).unwrap_or_default()));
        self.bytes.extend(commit);
        let transaction = Transaction {
            id,
            start: self.position(begin),
            end: self.position(self.bytes.len()),
            kernel: self.kernel,
            checksum: Checksum(last_u32(&self.bytes)),
            previous_checksum: matches!(self.kernel.start_layout(), StartLayout::A | StartLayout::B)
                .then_some(previous),
            append_index: append_index(self.kernel, index),
            commit_time,
            opened_ms: commit_time.0,
            without_commands: command.is_empty(),
        };
        self.next.last_id = id;
        self.next.last_checksum = Some(transaction.checksum);
        self.next.last_append_index = transaction.append_index;
        transaction
    }

    /// The file as it is now: what a rotated file is, to its last byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    /// The next file, after a rotation; with another kernel, after an upgrade.
    #[must_use]
    pub fn rotate(&self, kernel: KernelVersion) -> LogWriter {
        let last_id = self.next.last_id;
        let index = self.next.last_append_index.unwrap_or(AppendIndex(last_id.0));
        let mut file = LogWriter::new(
            kernel,
            LogHeader {
                format: log_format(kernel),
                version: self.header.version.next(),
                last_id,
                last_append_index: append_index(kernel, index),
                store_id: self.header.store_id.clone(),
            },
        );
        file.next.last_checksum = self.next.last_checksum;
        file
    }

    fn position(&self, at: usize) -> LogPosition {
        LogPosition { version: self.header.version, offset: at as u64 }
    }
}

/// The 64-byte form. Names that do not fit are cut.
pub fn store_id_bytes(store_id: &StoreId) -> [u8; STORE_ID_LENGTH] {
    let mut bytes = vec![1];
    bytes.extend(store_id.created_ms.to_be_bytes());
    bytes.extend(store_id.random.to_be_bytes());
    for name in [&store_id.engine, &store_id.format] {
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend(name.as_bytes());
    }
    bytes.extend([store_id.major, store_id.minor].map(i8::cast_unsigned));
    padded(&bytes)
}

/// The 128-byte form.
pub fn header_bytes(header: &LogHeader) -> [u8; HEADER_LENGTH] {
    let format = match header.format {
        LogFormat::V8 => 8_u64,
        LogFormat::V9 => 9,
    };
    let mut bytes = (format << 56 | header.version.0).to_be_bytes().to_vec();
    bytes.extend(header.last_id.0.to_be_bytes());
    if header.format == LogFormat::V9 {
        bytes.extend(header.last_append_index.map_or(0, |index| index.0).to_be_bytes());
    }
    bytes.extend(store_id_bytes(&header.store_id));
    padded(&bytes)
}

/// A file `neostore` of a fresh store.
pub fn neostore_bytes(external_id: Uuid, store_id: &StoreId) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut slots = |used: u8, values: &[u8]| {
        for value in values.chunks(8) {
            bytes.push(used);
            bytes.extend(value);
        }
    };
    slots(1, external_id.as_bytes());
    slots(0, &[0; 16]);
    slots(1, &MAGIC);
    slots(1, &store_id_bytes(store_id));
    bytes.resize(8192, 0);
    bytes
}

/// A START in the layout of `kernel`; fields that the layout lacks are left out.
pub fn start_bytes(kernel: KernelVersion, fields: StartFields<'_>) -> Vec<u8> {
    let layout = kernel.start_layout();
    let mut bytes = vec![kernel.byte(), START];
    bytes.extend(fields.opened_ms.to_le_bytes());
    bytes.extend(0_i64.to_le_bytes());
    if matches!(layout, StartLayout::A | StartLayout::B) {
        bytes.extend(fields.previous_checksum.0.to_le_bytes());
    }
    if layout != StartLayout::A {
        bytes.extend(fields.append_index.0.to_le_bytes());
    }
    if layout == StartLayout::D {
        bytes.extend((-1_i64).to_le_bytes());
    }
    let additional = i32::try_from(fields.additional_header.len()).unwrap_or(i32::MAX);
    bytes.extend(additional.to_le_bytes());
    bytes.extend(fields.additional_header);
    bytes
}

/// A COMMIT; `crc` is that of everything before it, from START on.
pub fn commit_bytes(kernel: KernelVersion, id: crate::TxId, time: CommitTime, crc: u32) -> Vec<u8> {
    let mut bytes = Commit::beginning(kernel, id).to_vec();
    bytes.extend(time.0.to_le_bytes());
    debug_assert_eq!(bytes.len(), COMMIT_CHECKSUM_AT);
    let crc = crc32c_append(crc, &bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// A checkpoint at the end of a transaction, as `kernel` writes it.
pub fn checkpoint(
    kernel: KernelVersion,
    store_id: StoreId,
    end: &TransactionEnd,
    reason: &str,
) -> CheckpointRecord {
    let index = append_index(kernel, AppendIndex(end.id.0));
    CheckpointRecord {
        start: 0,
        end: record_length(kernel) as u64,
        kernel,
        position: end.position,
        transaction_end: end.position,
        written_ms: end.commit_time.0,
        store_id,
        tx_id: end.id,
        tx_checksum: end.checksum,
        tx_commit_time: end.commit_time,
        tx_append_index: index,
        tx_kernel: index.map(|_| kernel.byte()),
        reason: reason.to_owned(),
    }
}

/// The bytes of a record in the layout of its kernel; a reason that is too long is cut, `start` and `end`
/// mean nothing.
pub fn checkpoint_record(record: &CheckpointRecord) -> Vec<u8> {
    let layout = record.kernel.checkpoint_layout();
    let length = record_length(record.kernel);
    let mut bytes = vec![record.kernel.byte(), 9];
    bytes.extend(position_bytes(record.transaction_end));
    if matches!(layout, CheckpointLayout::V5_22 | CheckpointLayout::V2026_08) {
        bytes.extend(position_bytes(record.position));
    }
    bytes.extend(record.written_ms.to_le_bytes());
    bytes.extend(store_id_bytes(&record.store_id));
    bytes.extend(record.tx_id.0.to_le_bytes());
    if let Some(index) = record.tx_append_index {
        bytes.extend(index.0.to_le_bytes());
        bytes.push(record.tx_kernel.unwrap_or(record.kernel.byte()));
    }
    bytes.extend(record.tx_checksum.0.to_le_bytes());
    bytes.extend(record.tx_commit_time.0.to_le_bytes());
    if layout != CheckpointLayout::V5_0 {
        bytes.extend((-1_i64).to_le_bytes());
    }
    if let Some(index) = record.tx_append_index {
        bytes.extend(index.0.to_le_bytes());
    }
    let room = length - 4 - 2 - bytes.len();
    let reason = record.reason.as_bytes();
    let reason = reason.get(..room).unwrap_or(reason);
    bytes.extend(i16::try_from(reason.len()).unwrap_or(i16::MAX).to_le_bytes());
    bytes.extend(reason);
    bytes.resize(length - 4, 0);
    bytes.extend(crc32c(&bytes).to_le_bytes());
    bytes
}

fn position_bytes(position: LogPosition) -> impl Iterator<Item = u8> {
    [position.version.0, position.offset].into_iter().flat_map(u64::to_le_bytes)
}

fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    padded
}

fn last_u32(bytes: &[u8]) -> u32 {
    bytes.last_chunk().map_or(0, |last| u32::from_le_bytes(*last))
}
