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
use grap_neo4j::txlog::{FileHeader, HEADER_LENGTH, LogHeader, ScanStart, Scanner, Transaction};
use grap_neo4j::{LogVersion, StoreId, TransactionEnd, TxId};

use crate::live::{HeldRun, PinnedFile, RunIdentity};

/// Bytes, and nanoseconds since 1970.
pub(super) type FileState = (u64, i128);

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

    /// Why a file that something was written to cannot be read as a log file of its name: it is kept, and told.
    fn unreadable(file: &PinnedFile) -> Result<Option<String>, DiskError> {
        let mut bytes = [0; HEADER_LENGTH];
        if file.open()?.read_at(&mut bytes, 0)? < HEADER_LENGTH {
            return Ok(None);
        }
        Ok(match FileHeader::parse(&bytes) {
            Err(error) => Some(error.to_string()),
            Ok(FileHeader::Preallocated) => None,
            Ok(FileHeader::Written(header)) => (header.version != file.name.version())
                .then(|| format!("it calls itself log file {}", header.version)),
        })
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

    /// Size and time of the last change: equal, nobody has written.
    pub(super) fn state(&self) -> Result<FileState, DiskError> {
        let stat = self.open()?.stat()?;
        Ok((stat.size, stat.modified))
    }

    pub(super) fn size(&self) -> Result<u64, DiskError> {
        Ok(self.open()?.stat()?.size)
    }

    /// Of the last whole transaction in it, else of the one before the file.
    fn last_id(&self) -> Result<TxId, DiskError> {
        let mut source = self.open()?;
        source.seek(HEADER_LENGTH as u64);
        let scanner = Scanner::new(source, ScanStart::of_file(&self.header)).glance();
        let last = scanner.map_while(Result::ok).last();
        Ok(last.map_or(self.header.last_id, |transaction| transaction.id))
    }

    fn is_same(&self, other: &PinnedFile) -> bool {
        (self.version(), self.inode()) == (other.name.version(), other.inode)
    }

    /// Whether this very transaction ends there: its COMMIT, under its id, with its checksum.
    pub(super) fn holds(&self, store_id: &StoreId, end: &TransactionEnd) -> Result<bool, DiskError> {
        if self.header.store_id != *store_id || self.version() != end.position.version {
            return Ok(false);
        }
        ends_there(&self.open()?, end)
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

/// Whether this very transaction's COMMIT is at its place in the file.
pub(crate) fn ends_there(source: &Source, end: &TransactionEnd) -> Result<bool, DiskError> {
    let Some(begin) = end.position.offset.checked_sub(Transaction::COMMIT_LENGTH as u64) else {
        return Ok(false);
    };
    let mut commit = [0; Transaction::COMMIT_LENGTH];
    Ok(source.read_at(&mut commit, begin)? == commit.len() && Transaction::is_commit(&commit, end))
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

/// Files that a run of the server left and the present history does not hold: one history, oldest first.
#[derive(Debug)]
pub(super) struct Remnant {
    pub(super) server: RunIdentity,
    /// Whether that run is there now.
    pub(super) present: bool,
    /// The file before the first, where it lay in the source during the same run; it may have been cut, and
    /// written on, since.
    pub(super) before: Option<HeldLog>,
    pub(super) files: Vec<HeldLog>,
}

/// What the first of `held` left. Behind it come the runs since.
pub(super) fn remains(
    held: &[HeldRun],
    database: &str,
    present: &Sequence,
    live: &[(LogVersion, u64)],
) -> Result<Vec<Remnant>, DiskError> {
    let Some((run, since)) = held.split_first() else { return Ok(Vec::new()) };
    let files = run.files(database);
    let mut found: Vec<Remnant> = Vec::new();
    for file in files.iter().filter(|file| is_log(file) && !present.contains(file)) {
        let Some(log) = HeldLog::read(file)? else { continue };
        let before = match before(log.version()) {
            Some(version) => newest_of(&files, version, &[])?,
            None => None,
        };
        let before = before.filter(|before| joins(&before.header, &log.header));
        if let Some(before) = &before
            && let Some(remnant) = found.iter_mut().find(|remnant| remnant.ends_with(before))
            && before.last_id()? == log.header.last_id
            && !written_on(before, &log, (run, since), database, live)
        {
            remnant.files.push(log);
            continue;
        }
        found.push(Remnant { server: run.identity.clone(), present: run.present, before, files: vec![log] });
    }
    Ok(found)
}

impl Remnant {
    fn ends_with(&self, log: &HeldLog) -> bool {
        self.files.last().is_some_and(|last| (last.version(), last.inode()) == (log.version(), log.inode()))
    }
}

/// Whether the server may have gone on in `before` after it gave up `log`.
fn written_on(
    before: &HeldLog,
    log: &HeldLog,
    (run, since): (&HeldRun, &[HeldRun]),
    database: &str,
    live: &[(LogVersion, u64)],
) -> bool {
    let files = run.files(database);
    let anew = files.iter().rfind(|file| file.name.version() == log.version() && is_log(file));
    let is_newest = anew.is_some_and(|file| file.inode == log.inode());
    let in_a_later_run = since.iter().any(|run| run.files(database).iter().any(|file| before.is_same(file)));
    let given_up = run.present && is_stray(&log.file, live);
    !is_newest || in_a_later_run || given_up
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

/// What a run holds and nobody can read: its pins stay.
pub(super) fn unreadable(run: &HeldRun, databases: &[String]) -> Result<Vec<String>, DiskError> {
    let mut found = Vec::new();
    for database in databases {
        for file in run.files(database).iter().filter(|file| is_log(file)) {
            if let Some(why) = HeldLog::unreadable(file)? {
                found.push(format!("log file {} of `{database}`: {why}", file.name.version()));
            }
        }
    }
    Ok(found)
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
