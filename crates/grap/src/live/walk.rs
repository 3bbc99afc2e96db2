//! One pass over the files of a log: live, stored or restored ones alike.

use grap_disk::Source;
use grap_neo4j::checkpoint::CheckpointRecord;
use grap_neo4j::ids::{LogVersion, TransactionEnd};
use grap_neo4j::kernel::KernelVersion;
use grap_neo4j::txlog::{Chain, FileHeader, FileRole, HEADER_LENGTH, HeaderError, Tail};

use super::log_error::LogError;

/// The log from the file that holds a checkpoint's position to its last complete transaction.
#[derive(Debug, Clone)]
pub struct LogSpan {
    pub files: Vec<SpanFile>,
    /// The last complete transaction: where a copy ends.
    pub end: TransactionEnd,
    /// Of that transaction: the oldest server that can read the copy.
    pub kernel: KernelVersion,
    /// Transactions behind the checkpoint.
    pub transactions: u64,
}

/// One log file of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanFile {
    pub version: u64,
    pub inode: u64,
    /// Bytes that belong to the span, from the file's start: all of it, in the last one up to the end.
    pub length: u64,
}

impl LogSpan {
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }
}

/// Walks the files in order of their versions, beginning with the one that holds the checkpoint's position.
pub(crate) struct LogWalk<'a> {
    database: &'a str,
    checkpoint: &'a CheckpointRecord,
    chain: Option<Chain>,
    files: Vec<SpanFile>,
    kernel: KernelVersion,
    transactions: u64,
    /// A transaction ends where replay begins.
    boundary: bool,
    /// The transaction that the checkpoint names was found. It may end behind the position where replay begins: under
    /// concurrent writers a checkpoint names a transaction that is newer than its position (seen on 5.26.30).
    met: bool,
    tail: Option<Tail>,
}

impl<'a> LogWalk<'a> {
    pub(crate) fn new(database: &'a str, checkpoint: &'a CheckpointRecord) -> Self {
        Self {
            database,
            checkpoint,
            chain: None,
            files: Vec::new(),
            kernel: checkpoint.kernel,
            transactions: 0,
            boundary: false,
            met: false,
            tail: None,
        }
    }

    /// Go through the next file, from its header to its end.
    pub(crate) fn file(
        &mut self,
        name: LogVersion,
        mut source: Source,
        role: FileRole,
    ) -> Result<(), LogError> {
        let database = || self.database.to_owned();
        let version = name.0;
        let inode = source.stat()?.inode;
        let header = match FileHeader::read(&mut source) {
            Ok(FileHeader::Written(header)) => header,
            // Allocated, nothing written yet: it holds nothing.
            Ok(FileHeader::Preallocated) => return Ok(()),
            Err(HeaderError::TooShort { found }) => {
                return Err(LogError::TooShort { database: database(), version, size: found as u64 });
            }
            Err(source) => return Err(LogError::Header { database: database(), version, source }),
        };
        if header.version != name {
            return Err(LogError::Misnamed { database: database(), version, found: header.version.0 });
        }
        source.seek(HEADER_LENGTH as u64);
        if self.chain.is_none() {
            // A checkpoint right behind a header may name the transaction before the file.
            let position = self.checkpoint.position;
            self.boundary = position.offset == HEADER_LENGTH as u64 && position.version == header.version;
            self.met = self.boundary && header.last_id == self.checkpoint.tx_id;
        }
        let chain = self.chain.get_or_insert_with(|| Chain::begin_with(&header));
        let (boundary, met) = (&mut self.boundary, &mut self.met);
        let (kernel, transactions) = (&mut self.kernel, &mut self.transactions);
        let (wanted, replay_from) = (self.checkpoint.end_point(), self.checkpoint.position);
        let scanned = chain.file(&header, source, role, |transaction| {
            let point = transaction.end_point();
            *kernel = transaction.kernel;
            *transactions += u64::from(point.position > replay_from);
            *boundary |= point.position == replay_from;
            *met |= point.id == wanted.id && point.checksum == wanted.checksum;
        });
        let scan =
            scanned.map_err(|source| LogError::Chain { database: self.database.to_owned(), source })?;
        self.files.push(SpanFile { version, inode, length: scan.tail.from() });
        self.tail = Some(scan.tail);
        Ok(())
    }

    /// The span, and what stands behind its end. The checkpoint's own transaction must have been met.
    pub(crate) fn finish(mut self) -> Result<(LogSpan, Tail), LogError> {
        let checkpoint = self.checkpoint.end_point();
        let on_log = |found: Option<Tail>| {
            found.ok_or_else(|| LogError::CheckpointNotOnLog {
                database: self.database.to_owned(),
                id: checkpoint.id.0,
                position: checkpoint.position,
            })
        };
        let tail = on_log(self.tail.filter(|_| self.met && self.boundary))?;
        // Nothing behind the checkpoint, and it stands right behind the header: its own transaction is in the
        // file before.
        let end = self.chain.and_then(|chain| chain.end()).unwrap_or(checkpoint);
        // A newer file that holds no transaction yet is no part of the span.
        self.files.retain(|file| file.version <= end.position.version.0);
        Ok((LogSpan { files: self.files, end, kernel: self.kernel, transactions: self.transactions }, tail))
    }
}

#[cfg(test)]
mod tests {
    use grap_neo4j::synthetic::{LogWriter, checkpoint, first_header, store_id};
    use grap_neo4j::{Checksum, CommitTime, LogPosition};

    use super::*;

    /// The walk over a log of four transactions from a checkpoint that names the third, changed by `change`.
    fn walk(change: impl FnOnce(&mut CheckpointRecord, LogPosition)) -> Result<(LogSpan, Tail), LogError> {
        let kernel = KernelVersion::known(20).unwrap();
        let mut log = LogWriter::new(kernel, first_header(kernel, store_id(1)));
        let written: Vec<_> =
            (0..4).map(|_| log.transaction(b"command", CommitTime(1)).end_point()).collect();
        let mut record = checkpoint(kernel, store_id(1), &written[2], "test");
        change(&mut record, written[1].position);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut sink = grap_disk::Sink::create(&path).unwrap();
        sink.write_all(log.bytes()).unwrap();
        let mut walk = LogWalk::new("neo4j", &record);
        walk.file(LogVersion(0), Source::open(&path).unwrap(), FileRole::Newest)?;
        walk.finish()
    }

    #[test]
    fn replay_may_begin_before_the_transaction_that_the_checkpoint_names() {
        assert_eq!(walk(|_, _| {}).unwrap().0.transactions, 1);
        let (span, _) = walk(|record, earlier| record.position = earlier).unwrap();
        assert_eq!((span.transactions, span.end.id.0), (2, 5));
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused() {
        let refused =
            |walked: Result<_, LogError>| matches!(walked, Err(LogError::CheckpointNotOnLog { .. }));
        assert!(refused(walk(|record, _| record.tx_checksum = Checksum(7))));
        assert!(refused(walk(
            |record, earlier| record.position = LogPosition { offset: earlier.offset + 1, ..earlier }
        )));
    }
}
