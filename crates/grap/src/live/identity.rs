//! Is a server running on these files, and is it still the same run of it?
//!
//! Never by taking the lock: a server that meets a held lock refuses to start. `F_GETLK` only asks. The
//! identity of a run is the holder's pid and that process's start time; where the holder lives in another pid
//! namespace (a container), the inode and birth time of `id-buffer.tmp.0`, which the server makes anew at
//! each start (docs/format/transaction-log.md, the live directory).

use std::path::Path;

use grap_disk::{self as disk, DiskError};
use grap_neo4j::files::DATABASE_LOCK;

/// Who holds a database's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerRun {
    /// No lock is seen: stopped, crashed, or behind a file system that does not show locks.
    NotSeen,
    /// A process of this pid namespace. The start time is in clock ticks since boot.
    Process { pid: u32, started: u64 },
    /// A process that we cannot name; its marker's inode and birth time.
    Elsewhere { marker: Option<(u64, Option<i128>)> },
}

impl ServerRun {
    /// The run that holds the store directory of a database now.
    pub fn of(store: &Path) -> Result<Self, DiskError> {
        let Some(holder) = disk::posix_lock_holder(&store.join(DATABASE_LOCK))? else {
            return Ok(Self::NotSeen);
        };
        if let Some(pid) = holder.pid
            && let Some(started) = disk::process_start(pid)?
        {
            return Ok(Self::Process { pid, started });
        }
        let marker = disk::stat(&store.join("id-buffer.tmp.0"))?.map(|stat| (stat.inode, stat.born));
        Ok(Self::Elsewhere { marker })
    }

    pub fn is_running(&self) -> bool {
        *self != Self::NotSeen
    }
}
