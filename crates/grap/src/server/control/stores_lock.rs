//! The lock of all stores of a data directory, `databases/store_lock`: a server holds it for as long as it has one of them
//! open.
//!
//! Only a promotion takes it, while it has the server stopped: a server that meets it ends with status 1, before it has
//! opened a store or a log.

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError, ForeignLock, Holder};
use grap_neo4j::files::STORE_LOCK;

/// Held until dropped.
#[derive(Debug)]
pub struct StoresLock {
    lock: ForeignLock,
    path: PathBuf,
}

impl StoresLock {
    /// `None` when a server holds it, or somebody else.
    pub fn try_take(data: &Path) -> Result<Option<Self>, DiskError> {
        let path = path(data);
        Ok(ForeignLock::try_take(&path)?.map(|lock| Self { lock, path }))
    }

    /// Whether it keeps servers out: a file that was removed, and made anew, is another one's lock.
    pub fn is_in_place(&self) -> Result<bool, DiskError> {
        self.lock.is_in_place(&self.path)
    }

    /// Who holds it; it is not taken.
    pub fn holder(data: &Path) -> Result<Option<Holder>, DiskError> {
        disk::posix_lock_holder(&path(data))
    }
}

fn path(data: &Path) -> PathBuf {
    data.join("databases").join(STORE_LOCK)
}
