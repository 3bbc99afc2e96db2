//! The log of one database as the source holds it: pinned files, put together to histories.
//!
//! Two log files are one history only if both lay in the source during one run of the server, joined by
//! header and ids; across runs only a file that is the same inode in both joins. What follows from this:
//! - [`Sequence::present`]: the files that end with the newest live one, back to the oldest that joins. This is
//!   the log that the server goes on with.
//! - [`remains`]: everything else that is held. A server that was killed right after a rotation throws the new
//!   file away and writes on in the old one: an acknowledged transaction can stand in the remains alone.

use std::io::Read;
use std::sync::Arc;

use grap_disk::{DiskError, Source};
use grap_neo4j::files::LogFile as LogFileName;
use grap_neo4j::txlog::{FileHeader, HEADER_LENGTH, LogHeader, Transaction};
use grap_neo4j::{LogVersion, StoreId, TransactionEnd};

use crate::live::{HeldRun, PinnedFile};

/// A held log file and its header.
#[derive(Debug, Clone)]
pub(super) struct HeldLog {
    file: Arc<PinnedFile>,
    pub(super) header: LogHeader,
    /// As they stand in the file.
    pub(super) header_bytes: [u8; HEADER_LENGTH],
}

/// Files of consecutive versions that are one history.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    /// Oldest first.
    pub(super) files: Vec<HeldLog>,
}

impl HeldLog {
    /// `None`: nothing was written to it yet, or its header is not one of a log file of that name.
    pub(super) fn read(file: &Arc<PinnedFile>) -> Result<Option<Self>, DiskError> {
        let mut header_bytes = [0; HEADER_LENGTH];
        if file.open()?.read_at(&mut header_bytes, 0)? < HEADER_LENGTH {
            return Ok(None);
        }
        let header = FileHeader::parse(&header_bytes).ok().and_then(FileHeader::written);
        let header = header.filter(|header| header.version == file.name.version());
        Ok(header.map(|header| Self { file: Arc::clone(file), header, header_bytes }))
    }

    pub(super) fn version(&self) -> LogVersion {
        self.header.version
    }

    pub(super) fn inode(&self) -> u64 {
        self.file.inode
    }

    pub(super) fn open(&self) -> Result<Source, DiskError> {
        self.file.open()
    }

    pub(super) fn size(&self) -> Result<u64, DiskError> {
        Ok(self.open()?.stat()?.size)
    }

    fn is_same(&self, other: &PinnedFile) -> bool {
        (self.version(), self.inode()) == (other.name.version(), other.inode)
    }

    /// Whether this very transaction ends there: its COMMIT, under its id, with its checksum.
    pub(super) fn holds(&self, store_id: &StoreId, end: &TransactionEnd) -> Result<bool, DiskError> {
        if self.header.store_id != *store_id || self.version() != end.position.version {
            return Ok(false);
        }
        let Some(begin) = end.position.offset.checked_sub(Transaction::COMMIT_LENGTH as u64) else {
            return Ok(false);
        };
        let mut commit = [0; Transaction::COMMIT_LENGTH];
        let read = self.open()?.read_at(&mut commit, begin)?;
        Ok(read == commit.len() && Transaction::is_commit(&commit, end))
    }

    /// Bytes from `offset` on, at most `length`.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let mut source = self.open()?;
        source.seek(offset);
        let mut bytes = Vec::new();
        let path = source.path().to_owned();
        let read = source.take(length as u64).read_to_end(&mut bytes);
        read.map_err(|error| DiskError::reading(&path, error))?;
        Ok(bytes)
    }
}

impl Sequence {
    /// The history that the newest live file ends. `live`: version and inode of what lies in the live
    /// directory now; `runs`: what is held, oldest first, the present run last.
    pub(super) fn present(
        runs: &[HeldRun],
        database: &str,
        live: &[(LogVersion, u64)],
    ) -> Result<Self, DiskError> {
        let Some(newest) = live.iter().map(|(version, _)| *version).max() else { return Ok(Self::default()) };
        let mut files: Vec<HeldLog> = Vec::new();
        for run in runs.iter().rev() {
            let held = run.files(database);
            // The present run gives the newest file, an earlier one only what lies before a file in both.
            let mut version = match files.last() {
                None if run.present => Some(newest),
                None => break,
                Some(oldest) if held.iter().any(|file| oldest.is_same(file)) => before(oldest.version()),
                Some(_) => continue,
            };
            while let Some(wanted) = version {
                let Some(log) = newest_of(&held, wanted, live)? else {
                    // A newest file in which nothing stands yet is no part of the log.
                    version = before(wanted).filter(|_| wanted == newest && files.is_empty());
                    continue;
                };
                if files.last().is_some_and(|behind| !joins(&log.header, &behind.header)) {
                    break;
                }
                files.push(log);
                version = before(wanted);
            }
        }
        files.reverse();
        Ok(Self { files })
    }

    pub(super) fn file(&self, version: LogVersion) -> Option<&HeldLog> {
        self.files.iter().find(|file| file.version() == version)
    }

    /// The files of this version and behind it.
    pub(super) fn from(&self, version: LogVersion) -> &[HeldLog] {
        &self.files[self.files.partition_point(|file| file.version() < version)..]
    }

    pub(super) fn contains(&self, file: &PinnedFile) -> bool {
        self.files.iter().any(|log| log.is_same(file))
    }

    /// Whether the history holds this very transaction.
    pub(super) fn holds(&self, store_id: &StoreId, end: &TransactionEnd) -> Result<bool, DiskError> {
        self.file(end.position.version).map_or(Ok(false), |file| file.holds(store_id, end))
    }
}

/// What a run holds and the present history does not: sequences, oldest first, each with the file before it
/// where that lay in the source during the same run.
pub(super) fn remains(
    run: &HeldRun,
    database: &str,
    present: &Sequence,
) -> Result<Vec<(Option<HeldLog>, Sequence)>, DiskError> {
    let held = run.files(database);
    let mut found: Vec<(Option<HeldLog>, Sequence)> = Vec::new();
    for file in held.iter().filter(|file| is_log(file) && !present.contains(file)) {
        let Some(log) = HeldLog::read(file)? else { continue };
        let behind = found.iter_mut().rev().find(|(_, sequence)| {
            let last = sequence.files.last();
            last.is_some_and(|last| {
                last.version().next() == log.version() && joins(&last.header, &log.header)
            })
        });
        if let Some((_, sequence)) = behind {
            sequence.files.push(log);
            continue;
        }
        let before =
            before(log.version()).map(|version| newest_of(&held, version, &[])).transpose()?.flatten();
        let before = before.filter(|before| joins(&before.header, &log.header));
        found.push((before, Sequence { files: vec![log] }));
    }
    Ok(found)
}

/// Whether the server gave a file up that is held: it made another one of that name, or goes on in an older
/// one. (A file that it pruned lies before those that it shows.)
pub(super) fn is_stray(file: &PinnedFile, live: &[(LogVersion, u64)]) -> bool {
    let version = file.name.version();
    match live.iter().find(|(shown, _)| *shown == version) {
        Some((_, inode)) => *inode != file.inode,
        None => live.iter().all(|(shown, _)| *shown < version),
    }
}

fn is_log(file: &PinnedFile) -> bool {
    matches!(file.name, LogFileName::Transactions(_))
}

/// The file of a version: the live one, else the one that was pinned last.
fn newest_of(
    held: &[Arc<PinnedFile>],
    version: LogVersion,
    live: &[(LogVersion, u64)],
) -> Result<Option<HeldLog>, DiskError> {
    let mut files = held.iter().filter(|file| file.name == LogFileName::Transactions(version));
    let shown = live.iter().find(|(shown, _)| *shown == version);
    let found = match shown {
        Some((_, inode)) => files.find(|file| file.inode == *inode),
        None => files.next_back(),
    };
    found.map_or(Ok(None), HeldLog::read)
}

/// What headers alone can say; the ids in between are seen when they are read.
fn joins(before: &LogHeader, behind: &LogHeader) -> bool {
    before.store_id == behind.store_id && before.last_id <= behind.last_id
}

fn before(version: LogVersion) -> Option<LogVersion> {
    version.0.checked_sub(1).map(LogVersion)
}
