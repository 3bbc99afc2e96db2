//! What `latest` is: the end of the current path; or the newest backup's end, where that is known to be newer.
//!
//! A backup beside the path that was taken under another timeline is of what the path has left. Of one that was
//! taken under the same timeline (the archiver was dead for a while, or was restarted meanwhile), or before the
//! archive began, it is known to be newer where it ends later and its own log holds the path's last
//! transaction: then it goes on from there. Where this is not known, nobody can say which of the two is the
//! database: both are offered.

use std::cell::RefCell;
use std::io::{self, Read};

use grap_neo4j::files::LogFile;
use grap_neo4j::txlog::{FileHeader, ScanStart, Scanner};
use grap_neo4j::{LogVersion, TransactionEnd};
use grap_repository::{Node, Reader, RepositoryError};
use grap_task::Stop;

use crate::archive::{BaseEnd, History, KnownBackup, Path, RunNumber, Runs, SurveyOptions, end_of};
use crate::copy::ManifestError;
use crate::error::{Error, Result};

pub(super) enum Newest {
    PathEnd(TransactionEnd),
    Backup,
    Unclear { why: String, ways: Vec<String> },
}

/// `backup`: the newest one. With a named timeline its path's end is meant.
pub(super) fn newest(
    history: &History,
    database: &str,
    path: &Path,
    backup: &KnownBackup,
    named: Option<RunNumber>,
    reader: &Reader,
) -> Result<Newest> {
    let Some(end) = history.path_end(path)? else { return Ok(Newest::Backup) };
    let Some(base) = backup.manifest.database(database).filter(|_| named.is_none()) else {
        return Ok(Newest::PathEnd(end));
    };
    let backup_end = end_of(base);
    let bases = [BaseEnd { store_id: base.store_id.clone(), end: backup_end }];
    let at = Some(backup_end.id);
    let options = SurveyOptions { from: at, to: at, bases: &bases, ..SurveyOptions::default() };
    if !history.survey(path, options)?.view.joins.is_empty() {
        return Ok(Newest::PathEnd(end));
    }
    if of_another_timeline(&history.runs, path, backup)? {
        return Ok(Newest::PathEnd(end));
    }
    if backup_end.id > end.id && log_holds(backup, database, &end, (reader, history.stop()))? {
        return Ok(Newest::Backup);
    }
    Ok(Newest::Unclear {
        why: format!(
            "the newest backup ends with transaction {} beside what is archived, which ends with transaction {}",
            backup_end.id, end.id
        ),
        ways: vec![backup.backup.id.to_string(), format!("tx={database}:{}", end.id)],
    })
}

/// Whether the backup, which lies beside the path, is of a history that the path has left. Run by run this
/// cannot be told: one that goes on without a break is the same timeline.
fn of_another_timeline(runs: &Runs, path: &Path, backup: &KnownBackup) -> Result<bool> {
    let Some(newest_start) = taken_under(backup)? else { return Ok(false) };
    // What a timeline began with must be readable on both sides.
    let unreadable = path.unreadable.is_some() || runs.damaged().contains_key(&newest_start);
    let Some(run) = runs.current_at(&path.database, newest_start).filter(|_| !unreadable) else {
        return Ok(false);
    };
    let then = runs.path(&path.database, run)?;
    Ok(then.unreadable.is_none() && runs.timeline(&then) != runs.timeline(path))
}

/// The newest start of the archive when the backup's end was read.
fn taken_under(backup: &KnownBackup) -> Result<Option<RunNumber>> {
    let Some(found) = &backup.manifest.archive else { return Ok(None) };
    let unknown = |_| Error::Manifest {
        id: backup.backup.id.clone(),
        source: ManifestError::Archive { found: found.clone() },
    };
    Ok(Some(RunNumber(found.parse().map_err(unknown)?)))
}

/// Whether the backup's own log holds exactly this transaction. A log that cannot be fetched is an error.
fn log_holds(
    backup: &KnownBackup,
    database: &str,
    end: &TransactionEnd,
    (reader, stop): (&Reader, &Stop),
) -> Result<bool> {
    let name = LogFile::Transactions(LogVersion(end.position.version.0));
    let nodes = backup.backup.files(reader)?;
    let Some(node) = nodes.get(&format!("transactions/{database}/{name}")) else { return Ok(false) };
    let failed = RefCell::new(None);
    let bytes = StoredFile { reader, node, chunk: 0, buffer: io::Cursor::default(), stop, failed: &failed };
    let holds = holds(bytes, end);
    match failed.into_inner() {
        Some(error) => Err(error.into()),
        None => Ok(holds),
    }
}

fn holds(mut log: StoredFile<'_>, end: &TransactionEnd) -> bool {
    let Some(header) = FileHeader::read(&mut log).ok().and_then(FileHeader::written) else { return false };
    let mut transactions = Scanner::new(log, ScanStart::of_file(&header)).map_while(std::result::Result::ok);
    transactions.any(|transaction| transaction.end_point() == *end)
}

/// Reads a file of a backup, chunk by chunk.
struct StoredFile<'a> {
    reader: &'a Reader,
    node: &'a Node,
    /// The next one.
    chunk: u64,
    buffer: io::Cursor<Vec<u8>>,
    stop: &'a Stop,
    /// Why a chunk could not be fetched: as an error of reading it would look like the end of a log.
    failed: &'a RefCell<Option<RepositoryError>>,
}

impl StoredFile<'_> {
    fn fetch(&self) -> std::result::Result<Vec<u8>, RepositoryError> {
        self.stop.check()?;
        self.reader.read_chunk(self.node, self.chunk)
    }
}

impl Read for StoredFile<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let chunks = self.node.content().len() as u64;
        while self.buffer.position() == self.buffer.get_ref().len() as u64 && self.chunk < chunks {
            let bytes = self.fetch().map_err(|error| {
                let said = io::Error::other(error.to_string());
                self.failed.replace(Some(error));
                said
            })?;
            self.buffer = io::Cursor::new(bytes);
            self.chunk += 1;
        }
        self.buffer.read(into)
    }
}
