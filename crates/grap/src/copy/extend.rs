//! Log behind a backup's end: what the archive has of it, written as the files that the server would have.
//!
//! The backup's last log file goes on right behind its end; each further file begins with the 128 header bytes
//! that the server gave it. The last file ends right behind the COMMIT of the target, with not a byte more.
//! What was written is proved by [`reread`](super::reread), against [`LogExtension::promised`].

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, Sink};
use grap_neo4j::files::LogFile;
use grap_neo4j::txlog::{HEADER_LENGTH, Transaction};
use grap_neo4j::{KernelVersion, LogPosition, LogVersion, TransactionEnd};
use grap_repository::Node;
use grap_task::{Monitor, Stop, Unit};

use super::assemble::{AssembleError, AssembleOptions, Assembled, Continuation};
use super::manifest::{DatabaseManifest, FileRole, ManifestFile, Point};

/// The files of the log behind a backup's end, as they will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExtension {
    pub end: TransactionEnd,
    /// Of the last transaction; `None`: there is none behind the backup's end.
    pub kernel: Option<KernelVersion>,
    pub transactions: u64,
    pub bytes: u64,
    /// Each file that is written to, and its length afterwards.
    pub files: Vec<(LogVersion, u64)>,
}

impl LogExtension {
    /// Nothing behind a backup's end.
    pub fn behind(end: TransactionEnd) -> Self {
        Self { end, kernel: None, transactions: 0, bytes: 0, files: Vec::new() }
    }

    /// The next transaction.
    pub fn add(&mut self, transaction: &Transaction) {
        let LogPosition { version, offset } = transaction.end;
        match self.files.last_mut() {
            Some((last, length)) if *last == version => *length = offset,
            _ => self.files.push((version, offset)),
        }
        self.end = transaction.end_point();
        self.kernel = Some(transaction.kernel);
        self.transactions += 1;
        self.bytes += offset.saturating_sub(transaction.start.offset);
    }

    pub fn is_empty(&self) -> bool {
        self.transactions == 0
    }

    /// What the database must be when this is written behind the backup's files. The oldest server that opens
    /// it follows from the target's kernel, not the backup's.
    pub fn promised(&self, base: &DatabaseManifest) -> DatabaseManifest {
        let mut promised = base.clone();
        promised.end = Point::from(self.end);
        promised.transactions += self.transactions;
        if let Some(kernel) = self.kernel {
            promised.kernel = kernel.byte();
            kernel.name().clone_into(&mut promised.server_min);
        }
        for (version, length) in &self.files {
            let path = format!("transactions/{}/{}", base.name, LogFile::Transactions(*version));
            match promised.files.iter_mut().find(|file| file.path == path) {
                Some(file) => file.size = *length,
                None => promised.files.push(ManifestFile {
                    path,
                    role: FileRole::TransactionLog,
                    size: *length,
                    // Not of the backup: no digest was noted.
                    digest: String::new(),
                }),
            }
        }
        promised
    }
}

/// A transaction to be written, with the header of the log file that holds it.
#[derive(Debug, Clone, Copy)]
pub struct LogPiece<'a> {
    pub start: LogPosition,
    pub file_header: &'a [u8; HEADER_LENGTH],
    pub bytes: &'a [u8],
}

/// Where the transactions come from.
pub trait ArchivedLog {
    /// Show those behind the backup's end, up to the target, in log order.
    fn pour(
        &self,
        write: &mut dyn FnMut(&LogPiece<'_>) -> Result<(), AssembleError>,
    ) -> Result<(), AssembleError>;
}

/// Write the archived log behind the backup's own, into what is being built.
pub(super) fn extend(
    options: &AssembleOptions<'_>,
    partial: &Path,
    stop: &Stop,
    monitor: &dyn Monitor,
    assembled: &mut Assembled,
) -> Result<(), AssembleError> {
    for Continuation { promised, log } in &options.continuations {
        monitor.begin(&format!("writing the archived log of {}", promised.name), Unit::Bytes, None);
        let folder = partial.join("transactions").join(&promised.name);
        let before = disk::list(&folder)?.map_or(0, |names| names.len());
        let mode = log_mode(options, promised);
        let mut files = LogFiles { folder: &folder, mode, owner: options.owner, open: None };
        log.pour(&mut |piece| {
            stop.check()?;
            files.write(piece)?;
            assembled.bytes += piece.bytes.len() as u64;
            monitor.advance(piece.bytes.len() as u64);
            Ok(())
        })?;
        files.finish()?;
        let after = disk::list(&folder)?.map_or(0, |names| names.len());
        assembled.files += after.saturating_sub(before) as u64;
    }
    Ok(())
}

/// Permissions of a new log file: those that the backup's had.
fn log_mode(options: &AssembleOptions<'_>, database: &DatabaseManifest) -> u32 {
    let logs = database.files.iter().filter(|file| file.role == FileRole::TransactionLog);
    let mode = logs.filter_map(|file| options.nodes.get(&file.path)).map(Node::permissions).next();
    mode.unwrap_or(0o640) & 0o777 | 0o600
}

/// Bytes that are written at once.
const WRITE_LENGTH: usize = 1 << 20;

/// The log files of one database, growing.
struct LogFiles<'a> {
    /// `transactions/<db>`
    folder: &'a Path,
    mode: u32,
    owner: Option<(u32, u32)>,
    open: Option<OpenFile>,
}

struct OpenFile {
    version: LogVersion,
    sink: Sink,
    /// With what is buffered.
    length: u64,
    buffer: Vec<u8>,
}

impl LogFiles<'_> {
    fn write(&mut self, piece: &LogPiece<'_>) -> Result<(), AssembleError> {
        let version = piece.start.version;
        let mut file = if let Some(file) = self.open.take_if(|file| file.version == version) {
            file
        } else {
            self.finish()?;
            self.open(version, piece.file_header)?
        };
        if file.length != piece.start.offset {
            let (path, ends) = (file.sink.path().to_owned(), file.length);
            return Err(AssembleError::LogGap { path, ends, next: piece.start.offset });
        }
        file.append(piece.bytes)?;
        self.open = Some(file);
        Ok(())
    }

    /// Sync the file that is open.
    fn finish(&mut self) -> Result<(), AssembleError> {
        if let Some(mut file) = self.open.take() {
            file.flush()?;
            file.sink.finish()?;
        }
        Ok(())
    }

    /// The backup's own file, or a new one with its header.
    fn open(&self, version: LogVersion, header: &[u8]) -> Result<OpenFile, AssembleError> {
        let path: PathBuf = self.folder.join(LogFile::Transactions(version).to_string());
        let (buffer, length) = (Vec::new(), disk::stat(&path)?.map(|stat| stat.size));
        if let Some(length) = length {
            return Ok(OpenFile { version, sink: Sink::append(&path)?, length, buffer });
        }
        let sink = Sink::create(&path)?;
        sink.set_mode(self.mode)?;
        if let Some((uid, gid)) = self.owner {
            sink.set_owner(uid, gid)?;
        }
        let mut file = OpenFile { version, sink, length: 0, buffer };
        file.append(header)?;
        Ok(file)
    }
}

impl OpenFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), AssembleError> {
        self.buffer.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        if self.buffer.len() >= WRITE_LENGTH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), AssembleError> {
        if !self.buffer.is_empty() {
            self.sink.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
