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

use super::assemble::AssembleError;
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

/// Bytes that are written at once.
const WRITE_LENGTH: usize = 1 << 20;

/// The log files of one database, growing.
pub(super) struct LogFiles<'a> {
    /// `transactions/<db>`
    pub(super) folder: &'a Path,
    pub(super) mode: u32,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) open: Option<OpenFile>,
}

pub(super) struct OpenFile {
    version: LogVersion,
    sink: Sink,
    /// With what is buffered.
    length: u64,
    buffer: Vec<u8>,
}

impl LogFiles<'_> {
    pub(super) fn write(&mut self, piece: &LogPiece<'_>) -> Result<(), AssembleError> {
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
    pub(super) fn finish(&mut self) -> Result<(), AssembleError> {
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
