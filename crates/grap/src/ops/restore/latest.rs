//! What `latest` is: the end of the current path; or the newest backup's end, where that is known to be newer.
//!
//! Known it is only where the backup was taken under the current run of the archiver, ends later, and its own
//! log holds the path's last transaction: then it goes on from there. Where the newest backup lies beside the
//! path and this is not known, nobody can say which of the two is the database: both are offered.

use std::io::{self, Read};

use grap_neo4j::files::LogFile;
use grap_neo4j::txlog::{FileHeader, ScanStart, Scanner};
use grap_neo4j::{LogVersion, TransactionEnd};
use grap_repository::{Node, Reader};

use crate::archive::{BaseEnd, History, KnownBackup, Path, RunNumber, SurveyOptions, end_of};
use crate::error::Result;

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
    // Beside the path. One that was taken before the path's own run began is of what the path has left.
    let taken_under = backup.manifest.archive.as_deref().and_then(|run| run.parse().ok()).map(RunNumber);
    if taken_under.and_then(|run| history.runs.current_at(database, run)) != Some(path.run) {
        return Ok(Newest::PathEnd(end));
    }
    if backup_end.id > end.id && log_holds(backup, database, &end, reader)? {
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

/// Whether the backup's own log holds exactly this transaction.
fn log_holds(backup: &KnownBackup, database: &str, end: &TransactionEnd, reader: &Reader) -> Result<bool> {
    let name = LogFile::Transactions(LogVersion(end.position.version.0));
    let nodes = backup.backup.files(reader)?;
    let Some(node) = nodes.get(&format!("transactions/{database}/{name}")) else { return Ok(false) };
    let mut bytes = StoredFile { reader, node, chunk: 0, buffer: io::Cursor::default() };
    let Some(header) = FileHeader::read(&mut bytes).ok().and_then(FileHeader::written) else {
        return Ok(false);
    };
    let mut transactions = Scanner::new(bytes, ScanStart::of_file(&header));
    Ok(transactions.any(|transaction| transaction.is_ok_and(|found| found.end_point() == *end)))
}

/// Reads a file of a backup, chunk by chunk.
struct StoredFile<'a> {
    reader: &'a Reader,
    node: &'a Node,
    /// The next one.
    chunk: u64,
    buffer: io::Cursor<Vec<u8>>,
}

impl Read for StoredFile<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let chunks = self.node.content().len() as u64;
        while self.buffer.position() == self.buffer.get_ref().len() as u64 && self.chunk < chunks {
            let bytes = self.reader.read_chunk(self.node, self.chunk).map_err(io::Error::other)?;
            self.buffer = io::Cursor::new(bytes);
            self.chunk += 1;
        }
        self.buffer.read(into)
    }
}
