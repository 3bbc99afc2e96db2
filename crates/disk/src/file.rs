//! Open files: [`Source`] to read, [`Sink`] to write. Both keep their path for their errors.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Call, DiskError, Result};
use crate::faults::{Verdict, step};
use crate::stat::Stat;

/// A file open for reading. It stays readable when its name is gone.
#[derive(Debug)]
pub struct Source {
    file: File,
    path: PathBuf,
    position: u64,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self> {
        step(Call::Open, path)?;
        let file = File::open(path).map_err(|error| DiskError::new(Call::Open, path, error))?;
        Ok(Self { file, path: path.to_owned(), position: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `fstat` says of the open file now.
    pub fn stat(&self) -> Result<Stat> {
        step(Call::Stat, &self.path)?;
        Stat::of_file(&self.file).map_err(|error| DiskError::new(Call::Stat, &self.path, error))
    }

    /// Fill as much of `buffer` as the file has from `offset` on; fewer bytes only at its end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        step(Call::Read, &self.path)?;
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DiskError::new(Call::Read, &self.path, error)),
            }
        }
        Ok(filled)
    }

    /// Where the next `read` begins.
    pub fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// A second handle on the same open file, with a position of its own.
    pub fn try_clone(&self) -> Result<Self> {
        let file = self.file.try_clone().map_err(|error| DiskError::new(Call::Open, &self.path, error))?;
        Ok(Self { file, path: self.path.clone(), position: 0 })
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// A whole file, at most `limit` bytes of it (a longer one is an error: small files only).
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let source = Source::open(path)?;
    let size = source.stat()?.size;
    let too_large = || {
        DiskError::new(
            Call::Read,
            path,
            io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")),
        )
    };
    if size > limit {
        return Err(too_large());
    }
    // A pipe (`<(printf secret)`) has no size; read on until its end.
    let mut bytes = Vec::new();
    step(Call::Read, path)?;
    (&source.file)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| DiskError::new(Call::Read, path, error))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// A new file being written. Not durable until [`Sink::finish`].
#[derive(Debug)]
pub struct Sink {
    file: File,
    path: PathBuf,
}

impl Sink {
    /// Create; an existing file is an error.
    pub fn create(path: &Path) -> Result<Self> {
        Self::open(path, OpenOptions::new().write(true).create_new(true))
    }

    /// As [`Sink::create`], readable by the owner alone.
    pub fn create_private(path: &Path) -> Result<Self> {
        Self::open(path, OpenOptions::new().write(true).create_new(true).mode(0o600))
    }

    /// Open for appending; created (for the owner alone) when absent.
    pub fn append(path: &Path) -> Result<Self> {
        Self::open(path, OpenOptions::new().append(true).create(true).mode(0o600))
    }

    fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        step(Call::Create, path)?;
        let file = options.open(path).map_err(|error| DiskError::new(Call::Create, path, error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let verdict = step(Call::Write, &self.path)?;
        let bytes = if verdict == Verdict::Tear { &bytes[..bytes.len() / 2] } else { bytes };
        self.file.write_all(bytes).map_err(|error| DiskError::new(Call::Write, &self.path, error))?;
        if verdict == Verdict::Tear {
            return Err(DiskError::new(Call::Write, &self.path, io::Error::other("torn by the fault plan")));
        }
        Ok(())
    }

    /// Write at `offset`, leaving a hole before it if the file is shorter.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let verdict = step(Call::Write, &self.path)?;
        let bytes = if verdict == Verdict::Tear { &bytes[..bytes.len() / 2] } else { bytes };
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| DiskError::new(Call::Write, &self.path, error))?;
        if verdict == Verdict::Tear {
            return Err(DiskError::new(Call::Write, &self.path, io::Error::other("torn by the fault plan")));
        }
        Ok(())
    }

    /// Cut the file to `length`, or let it grow to it with zeros.
    pub fn set_len(&self, length: u64) -> Result<()> {
        step(Call::Write, &self.path)?;
        self.file.set_len(length).map_err(|error| DiskError::new(Call::Write, &self.path, error))
    }

    /// Permission bits, whatever the umask.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        step(Call::ChangeMode, &self.path)?;
        let permissions = std::fs::Permissions::from_mode(mode);
        self.file
            .set_permissions(permissions)
            .map_err(|error| DiskError::new(Call::ChangeMode, &self.path, error))
    }

    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        step(Call::ChangeOwner, &self.path)?;
        std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid))
            .map_err(|error| DiskError::new(Call::ChangeOwner, &self.path, error))
    }

    pub fn sync(&self) -> Result<()> {
        step(Call::Sync, &self.path)?;
        self.file.sync_all().map_err(|error| DiskError::new(Call::Sync, &self.path, error))
    }

    /// Sync and close.
    pub fn finish(self) -> Result<()> {
        self.sync()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
