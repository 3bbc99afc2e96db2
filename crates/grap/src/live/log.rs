//! The transaction and checkpoint logs of one database, read through its pins.
//!
//! What is decided here: which checkpoint a copy begins from, and where the log behind it ends. Both come
//! from the bytes alone; the server is never asked. A log that is being written passes through states that
//! look odd for a moment (a transaction half there, a rotated file not yet cut, a header not yet written):
//! those get ten seconds to settle. What has not settled then is damage, and is refused.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use grap_disk::{DiskError, Source};
use grap_neo4j::checkpoint::{CheckpointError, CheckpointLog, CheckpointRecord};
use grap_neo4j::files::LogFile;
use grap_neo4j::ids::LogVersion;
use grap_neo4j::txlog::{FileRole, Tail};
use grap_repository::{Id, digest_of};
use grap_task::{Clock, Stop, Stopped};

use super::log_error::LogError;
use super::pin::Pinner;
use super::pinned::PinnedFile;
use super::walk::{LogSpan, LogWalk, SpanFile};

/// How long an odd state of a log may last.
const SETTLE_MAX: Duration = Duration::from_secs(10);
const SETTLE_INTERVAL: Duration = Duration::from_millis(100);
/// A checkpoint whose log was pruned under us is given up for a newer one so often.
const BEGIN_TRIES: u32 = 5;
/// The server allocates 1 MiB and rotates there; a larger file is not a checkpoint log.
const CHECKPOINT_FILE_MAX: u64 = 64 << 20;

/// A checkpoint record and the file it stands in.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub version: u64,
    pub record: CheckpointRecord,
}

/// Reads the logs of one database.
#[derive(Debug, Clone, Copy)]
pub struct LogReader<'a> {
    pub database: &'a str,
    pub pinner: &'a Pinner,
    pub stop: &'a Stop,
    pub clock: &'a Clock,
}

impl LogReader<'_> {
    /// The last valid record of the highest checkpoint file that holds one. Files with a header only are
    /// normal behind a migration, and between a kernel upgrade and its first checkpoint.
    pub fn newest_checkpoint(&self) -> Result<Checkpoint, LogError> {
        self.pinner.look()?;
        for file in self.checkpoint_files_newest_first() {
            let mut bytes = Vec::new();
            let source = file.open()?;
            let path = source.path().to_owned();
            let read = source.take(CHECKPOINT_FILE_MAX).read_to_end(&mut bytes);
            read.map_err(|error| DiskError::reading(&path, error))?;
            let log = match CheckpointLog::parse(&bytes) {
                Err(CheckpointError::Preallocated) => continue,
                other => other.map_err(|source| LogError::Checkpoint {
                    database: self.database.to_owned(),
                    version: file.version(),
                    source,
                })?,
            };
            if let Some(record) = log.records.into_iter().next_back() {
                return Ok(Checkpoint { version: file.version(), record });
            }
        }
        Err(LogError::NoCheckpoint { database: self.database.to_owned() })
    }

    /// A checkpoint to copy from, and the log behind it, whole and pinned. Should its first file have been
    /// pruned before it was pinned, a newer checkpoint is there.
    pub fn begin(&self) -> Result<(Checkpoint, LogSpan), LogError> {
        let mut tries = 0;
        loop {
            let checkpoint = self.newest_checkpoint()?;
            match self.span(&checkpoint) {
                Ok(span) => return Ok((checkpoint, span)),
                Err(LogError::Missing { .. }) if tries < BEGIN_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The log from the checkpoint to its last complete transaction, as it is now.
    ///
    /// Behind the end must stand the end of the file, zeros, or a transaction that is seen to complete: only
    /// that tells one being written from one that is damaged. It gets ten seconds from its last growth.
    pub fn span(&self, checkpoint: &Checkpoint) -> Result<LogSpan, LogError> {
        let mut began = self.clock.since_boot();
        let mut half_written: Option<(LogSpan, Tail)> = None;
        loop {
            self.pinner.look()?;
            let odd = match self.try_span(checkpoint) {
                Ok((span, Tail::Eof { .. } | Tail::Zeros { .. })) => return Ok(span),
                Ok((span, tail)) => {
                    match half_written.take() {
                        // What was half written is complete now: what stood before it is proved whole.
                        Some((earlier, _)) if earlier.end.id < span.end.id => return Ok(earlier),
                        Some((_, before)) if before == tail => {}
                        _ => began = self.clock.since_boot(),
                    }
                    let odd = self.damaged(&span, tail);
                    half_written = Some((span, tail));
                    odd
                }
                Err(odd) if odd.may_pass() => odd,
                Err(error) => return Err(error),
            };
            if self.clock.since_boot().saturating_sub(began) >= SETTLE_MAX {
                return Err(odd);
            }
            if self.clock.wait(SETTLE_INTERVAL, self.stop) {
                return Err(Stopped.into());
            }
        }
    }

    fn damaged(&self, span: &LogSpan, tail: Tail) -> LogError {
        let version = span.end.position.version.0;
        LogError::Damaged { database: self.database.to_owned(), version, last: span.end.id.0, tail }
    }

    /// Read the span once more, and require of each file, byte by byte, what was stored of it.
    pub fn reread(&self, span: &LogSpan, digests: &[Id]) -> Result<(), LogError> {
        for (part, digest) in span.files.iter().zip(digests) {
            let mut source = self.open(part)?;
            let found = digest_of(&mut source, part.length);
            if found.map_err(|error| DiskError::reading(source.path(), error))? != Some(*digest) {
                return Err(LogError::Changed { database: self.database.to_owned(), version: part.version });
            }
        }
        Ok(())
    }

    /// Open the file that holds a checkpoint's record.
    pub fn open_checkpoint(&self, checkpoint: &Checkpoint) -> Result<Source, LogError> {
        let mut files = self.checkpoint_files_newest_first().into_iter();
        let found = files.find(|file| file.version() == checkpoint.version);
        let missing = || LogError::NoCheckpoint { database: self.database.to_owned() };
        Ok(found.ok_or_else(missing)?.open()?)
    }

    /// Open a file of the span.
    pub fn open(&self, part: &SpanFile) -> Result<Source, LogError> {
        Ok(self.pinned(part)?.open()?)
    }

    fn pinned(&self, part: &SpanFile) -> Result<Arc<PinnedFile>, LogError> {
        let files = self.pinner.files(self.database);
        let found = files.into_iter().find(|file| {
            file.name == LogFile::Transactions(LogVersion(part.version)) && file.inode == part.inode
        });
        found.ok_or_else(|| LogError::Replaced { database: self.database.to_owned(), version: part.version })
    }

    fn try_span(&self, checkpoint: &Checkpoint) -> Result<(LogSpan, Tail), LogError> {
        let files = self.contiguous(checkpoint.record.position.version.0)?;
        let mut walk = LogWalk::new(self.database, &checkpoint.record);
        for (index, file) in files.iter().enumerate() {
            let role = if index + 1 == files.len() { FileRole::Newest } else { FileRole::Rotated };
            walk.file(file.name.version(), file.open()?, role)?;
        }
        walk.finish()
    }

    /// The pinned log files from version `from` on, without a gap.
    fn contiguous(&self, from: u64) -> Result<Vec<Arc<PinnedFile>>, LogError> {
        let mut files = self.pinner.files(self.database);
        files.retain(|file| matches!(file.name, LogFile::Transactions(version) if version.0 >= from));
        files.sort_by_key(|file| file.version());
        let missing = |version| LogError::Missing { database: self.database.to_owned(), version, from };
        if files.is_empty() {
            return Err(missing(from));
        }
        for (expected, file) in (from..).zip(&files) {
            if file.version() < expected {
                return Err(LogError::Replaced {
                    database: self.database.to_owned(),
                    version: file.version(),
                });
            }
            if file.version() > expected {
                return Err(missing(expected));
            }
        }
        Ok(files)
    }

    fn checkpoint_files_newest_first(&self) -> Vec<Arc<PinnedFile>> {
        let mut files = self.pinner.files(self.database);
        files.retain(|file| matches!(file.name, LogFile::Checkpoints(_)));
        // Of two files of one version the later pinned is the newer; the sort is stable.
        files.reverse();
        files.sort_by_key(|file| std::cmp::Reverse(file.version()));
        files
    }
}
