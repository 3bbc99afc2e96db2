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
    _lock: ForeignLock,
}

impl StoresLock {
    /// `None` when a server holds it, or somebody else.
    pub fn try_take(data: &Path) -> Result<Option<Self>, DiskError> {
        Ok(ForeignLock::try_take(&path(data))?.map(|lock| Self { _lock: lock }))
    }

    /// Who holds it; it is not taken.
    pub fn holder(data: &Path) -> Result<Option<Holder>, DiskError> {
        disk::posix_lock_holder(&path(data))
    }
}

fn path(data: &Path) -> PathBuf {
    data.join("databases").join(STORE_LOCK)
}
