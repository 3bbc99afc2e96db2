//! A transaction as the log shows it, and the place where the next one must stand.

use super::entry::{COMMIT, COMMIT_LENGTH, Commit};
use super::header::{HEADER_LENGTH, LogHeader};
use crate::ids::{AppendIndex, Checksum, CommitTime, LogPosition, TransactionEnd, TxId};
use crate::kernel::KernelVersion;

/// A complete transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: TxId,
    /// First byte of its START.
    pub start: LogPosition,
    /// Right behind its COMMIT.
    pub end: LogPosition,
    pub kernel: KernelVersion,
    pub checksum: Checksum,
    /// What its START says of the transaction before it; up to kernel 21.
    pub previous_checksum: Option<Checksum>,
    /// From kernel 17 on.
    pub append_index: Option<AppendIndex>,
    pub commit_time: CommitTime,
    /// When it was opened, ms since 1970.
    pub opened_ms: i64,
    /// START directly followed by COMMIT: what `neo4j-admin database import` and `migrate` leave.
    pub without_commands: bool,
}

/// Where a scan begins, and what must come next there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanStart {
    /// Of the next START.
    pub position: LogPosition,
    /// Id of the transaction before it.
    pub last_id: TxId,
    /// Its checksum, where known; else the first transaction's previous checksum is not compared.
    pub last_checksum: Option<Checksum>,
    /// Its append index, where known; else the first transaction's is taken as it comes.
    pub last_append_index: Option<AppendIndex>,
}

impl Transaction {
    pub fn end_point(&self) -> TransactionEnd {
        TransactionEnd {
            position: self.end,
            id: self.id,
            checksum: self.checksum,
            commit_time: self.commit_time,
        }
    }

    /// Bytes of a COMMIT entry, the last of a transaction.
    pub const COMMIT_LENGTH: usize = COMMIT_LENGTH;

    /// Whether `bytes` are the COMMIT of this very transaction: its id, its checksum.
    pub fn is_commit(bytes: &[u8; COMMIT_LENGTH], end: &TransactionEnd) -> bool {
        bytes[1] == COMMIT
            && Commit::decode(bytes)
                .is_some_and(|commit| (commit.id, commit.checksum) == (end.id, end.checksum))
    }

    /// The mark that `neo4j-admin database migrate` leaves on every kernel: here a new history begins, though
    /// store id, file numbers and ids go on. (An import leaves the same with id 2, as the first
    /// transaction there is.)
    pub fn is_break(&self) -> bool {
        self.without_commands && self.id > TxId::BASE.next()
    }
}

impl ScanStart {
    /// Right behind the header of a file.
    pub fn of_file(header: &LogHeader) -> ScanStart {
        ScanStart {
            position: LogPosition { version: header.version, offset: HEADER_LENGTH as u64 },
            last_id: header.last_id,
            last_checksum: (header.last_id == TxId::BASE).then_some(Checksum::BASE),
            last_append_index: header.last_append_index,
        }
    }

    /// The same, in the file that follows: what it must go on from is kept.
    #[must_use]
    pub fn into_file(self, header: &LogHeader) -> ScanStart {
        let position = LogPosition { version: header.version, offset: HEADER_LENGTH as u64 };
        ScanStart { position, ..self }
    }

    /// Right behind a known transaction.
    pub fn after(point: &TransactionEnd) -> ScanStart {
        ScanStart {
            position: point.position,
            last_id: point.id,
            last_checksum: Some(point.checksum),
            last_append_index: None,
        }
    }
}
