//! Why a scan, or a log of several files, cannot be believed. Each names the place, what must stand there and
//! what does.

use std::io;

use super::tail::Tail;
use crate::ids::{AppendIndex, Checksum, LogPosition, LogVersion, TxId};
use crate::store_id::StoreMismatch;

/// A file that holds what no supported server writes. (Bytes that merely end the log are a [`Tail`], not an
/// error.)
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("{at}: could not be read")]
    Read { at: LogPosition, source: io::Error },
    #[error(
        "{at}: kernel version byte {kernel} is unknown: written by a Neo4j that this version does not know"
    )]
    UnknownKernel { at: LogPosition, kernel: u8 },
    #[error("{at}: log entry {name} is not written by Community Edition and is not supported")]
    RefusedEntry { at: LogPosition, name: &'static str },
    #[error("{at}: additional header of {length} bytes, at most 8 are known")]
    AdditionalHeader { at: LogPosition, length: i32 },
    #[error("{at}: transaction {found} where {expected} must follow")]
    TransactionId { at: LogPosition, expected: TxId, found: TxId },
    #[error("{at}: transaction {id} has append index {found} where {expected} must follow")]
    AppendIndex { at: LogPosition, id: TxId, expected: AppendIndex, found: AppendIndex },
    #[error(
        "{at}: transaction {id} follows one with checksum {found}, not the one before it here ({expected})"
    )]
    PreviousChecksum { at: LogPosition, id: TxId, expected: Checksum, found: Checksum },
}

/// Files that are not one log.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("log file {version} is of another store")]
    OtherStore { version: LogVersion, source: Box<StoreMismatch> },
    #[error("log file {found} where file {expected} must follow")]
    FileVersion { expected: LogVersion, found: LogVersion },
    #[error(
        "log file {version} says that transaction {found} came before it; the file before ends with {expected}"
    )]
    LastId { version: LogVersion, expected: TxId, found: TxId },
    #[error(
        "log file {version} says that append index {found} came before it; the file before ends with {expected}"
    )]
    LastAppendIndex { version: LogVersion, expected: AppendIndex, found: AppendIndex },
    #[error("log file {version} must end with a transaction, but behind the last one, at offset {}, stands {tail}", tail.from())]
    NotAtEnd { version: LogVersion, tail: Tail },
    #[error("log file {version} follows a file whose end was not its last transaction")]
    BehindNewest { version: LogVersion },
    #[error(transparent)]
    Scan(#[from] ScanError),
}
