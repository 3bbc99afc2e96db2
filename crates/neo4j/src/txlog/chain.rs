//! Continuity over the files of one log.
//!
//! The server replays a log with a hole without a word, so this is the only guard. For each file after the
//! first: same store id, version one higher, the header's last id (and append index) is where the file before
//! ended; every file but the last is parsed to its exact last byte; ids (and append indexes, and previous
//! checksums, where the kernel writes them) go on by one across all of them. Kernel upgrades change header
//! and layouts at a rotation and are the same history.
//!
//! Continuity is not identity: a fork that reuses ids passes. Compare checksums at equal ids for that.
//! `docs/format/transaction-log.md`, section 4.

use std::io::Read;

use super::error::ChainError;
use super::header::LogHeader;
use super::scan::Scanner;
use super::tail::Tail;
use super::transaction::{ScanStart, Transaction};
use crate::ids::{LogPosition, LogVersion, TransactionEnd};
use crate::store_id::StoreId;

/// The log that was seen so far, file by file.
#[derive(Clone, Debug)]
pub struct Chain {
    store_id: StoreId,
    next: ScanStart,
    /// `None` before the first file.
    last_file: Option<LogVersion>,
    /// The last file was not shown to end with a transaction: nothing may follow it.
    closed: bool,
    end: Option<TransactionEnd>,
    breaks: Vec<TransactionEnd>,
}

/// Whether more log follows a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileRole {
    /// A newer file exists: this one was rotated, and must end with a transaction.
    Rotated,
    /// The newest (a file behind it that is only preallocated does not count): anything may follow its last
    /// transaction; the caller judges the tail.
    Newest,
}

/// What one file held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileScan {
    pub version: LogVersion,
    /// Number of transactions (behind the begin of the chain, in its first file).
    pub transactions: u64,
    pub tail: Tail,
}

impl Chain {
    /// A chain that begins at `start`, in the middle of a file or behind a header.
    pub fn begin(store_id: StoreId, start: ScanStart) -> Chain {
        Chain { store_id, next: start, last_file: None, closed: false, end: None, breaks: Vec::new() }
    }

    /// A chain that begins with the first transaction of a file.
    pub fn begin_with(header: &LogHeader) -> Chain {
        Chain::begin(header.store_id.clone(), ScanStart::of_file(header))
    }

    /// Where the reader of the next file must stand.
    pub fn next_position(&self) -> LogPosition {
        match self.last_file {
            None => self.next.position,
            Some(version) => first_entry(version.next()),
        }
    }

    /// Reads the next file to its end, and shows each transaction.
    ///
    /// `reader` stands at [`Chain::next_position`]: behind the header, in all files but the first.
    pub fn file(
        &mut self,
        header: &LogHeader,
        reader: impl Read,
        role: FileRole,
        mut each: impl FnMut(&Transaction),
    ) -> Result<FileScan, ChainError> {
        let start = self.enter(header)?;
        let mut scanner = Scanner::new(reader, start);
        let mut transactions = 0;
        for transaction in &mut scanner {
            let transaction = transaction?;
            transactions += 1;
            self.end = Some(transaction.end_point());
            if transaction.is_break() {
                self.breaks.push(transaction.end_point());
            }
            each(&transaction);
        }
        self.next = scanner.resume();
        let version = header.version;
        let tail = scanner.tail().expect("a scan that ended without an error has a tail");
        let at_end = matches!(tail, Tail::Eof { .. });
        self.closed = !(role == FileRole::Rotated && at_end);
        match role {
            FileRole::Rotated if !at_end => Err(ChainError::NotAtEnd { version, tail }),
            FileRole::Rotated | FileRole::Newest => Ok(FileScan { version, transactions, tail }),
        }
    }

    /// End of the last transaction that was seen; `None` if there was none behind the begin.
    pub fn end(&self) -> Option<TransactionEnd> {
        self.end
    }

    /// Where the next transaction would stand, and as what.
    pub fn resume(&self) -> ScanStart {
        self.next
    }

    /// Transactions without commands (see [`Transaction::is_break`]): behind each a new history begins, which
    /// must not be replayed on a state from before it.
    pub fn breaks(&self) -> &[TransactionEnd] {
        &self.breaks
    }

    /// Checks that `header` is the next file's, and gives the place where its scan begins.
    fn enter(&mut self, header: &LogHeader) -> Result<ScanStart, ChainError> {
        let version = header.version;
        if self.closed {
            return Err(ChainError::BehindNewest { version });
        }
        self.store_id
            .check_same(&header.store_id)
            .map_err(|source| ChainError::OtherStore { version, source })?;
        let expected = self.next_position().version;
        if version != expected {
            return Err(ChainError::FileVersion { expected, found: version });
        }
        if self.last_file.is_some() {
            self.check_header_continues(header)?;
            self.next.position = first_entry(version);
            self.next.last_append_index = header.last_append_index.or(self.next.last_append_index);
        }
        self.last_file = Some(version);
        self.closed = true;
        Ok(self.next)
    }

    fn check_header_continues(&self, header: &LogHeader) -> Result<(), ChainError> {
        let version = header.version;
        if header.last_id != self.next.last_id {
            let (expected, found) = (self.next.last_id, header.last_id);
            return Err(ChainError::LastId { version, expected, found });
        }
        match (self.next.last_append_index, header.last_append_index) {
            (Some(expected), Some(found)) if expected != found => {
                Err(ChainError::LastAppendIndex { version, expected, found })
            }
            _ => Ok(()),
        }
    }
}

fn first_entry(version: LogVersion) -> LogPosition {
    LogPosition { version, offset: super::header::HEADER_LENGTH as u64 }
}
