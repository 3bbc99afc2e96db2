//! The only opener, writer, syncer, renamer, linker and locker of local files.
//!
//! Invariants:
//! - Every error carries the operation and the path.
//! - What is published under a final name was written under another name and synced before, and its directory
//!   is synced after: [`publish`](fn@publish) and [`replace`] do all of it.
//! - Every call passes `faults::step` first, so that a test can count the calls of an operation and then
//!   fail, tear or kill each of them (feature `faults`; without it the step costs nothing).

mod directory;
mod error;
pub mod faults;
mod file;
mod journal;
mod lock;
mod publish;
mod stat;

pub use directory::{
    Entry, chown, create_dir_all, link, list, remove_dir, remove_file, remove_tree, rename, set_mode,
    set_times, walk,
};
pub use error::{Call, DiskError, Result};
pub use file::{Sink, Source, read};
pub use journal::{Journal, JournalError};
pub use lock::{FileLock, ForeignLock, Holder, holds_open, posix_lock_holder, process_start};
pub use publish::{
    exchange, make_dirs, publish, rename_new, replace, supports_directory_sync, supports_exchange, sync_dir,
    sync_tree,
};
pub use stat::{Fingerprint, Kind, Space, Stat, absolute, is_one_mount, space, stat, stat_link};
