//! Advisory locks between Grap's own processes (`flock`). The lock goes with the process: a dead holder holds nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::error::{Call, DiskError, Result};
use crate::faults::step;

/// Held until dropped. Never used on Neo4j's own files.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
    path: PathBuf,
}

impl FileLock {
    /// Take the lock on `path`, creating the file if need be; `None` when another process holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        step(Call::Lock, path)?;
        let failed = |error: io::Error| DiskError::new(Call::Lock, path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file, path: path.to_owned() })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
