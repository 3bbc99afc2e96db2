//! Keeps every transaction log file that ever existed, whatever the server's retention is.
//!
//! A thread lists the log folder every 50 ms and hard-links each new file (by inode) under `<name>.<inode>`.
//! Neo4j unlinks files when it prunes, it never truncates them, so a link keeps what the file held. Use it
//! where a test needs `keep_none` and the oracle must still see all.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};

const POLL: Duration = Duration::from_millis(50);

/// A thread that links log files.
#[derive(Debug)]
pub struct LogKeeper {
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LogKeeper {
    /// Links the files of the folder `logs` into `folder` (created; it must lie on the same file system).
    pub fn start(logs: &Path, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (from, to, stopped) = (logs.to_path_buf(), folder.to_path_buf(), Arc::clone(&stop));
        let mut linked = HashSet::new();
        link_new(&from, &to, &mut linked)?;
        let work = move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(POLL);
                // What cannot be linked now is tried again; what is missed for good, the oracle finds as a
                // gap.
                let _ = link_new(&from, &to, &mut linked);
            }
        };
        let thread = thread::Builder::new()
            .name("log-keeper".into())
            .spawn(work)
            .map_err(Error::file("start", "a thread"))?;
        Ok(Self { folder: folder.to_path_buf(), stop, thread: Some(thread) })
    }

    /// Where the links are; to be given to [`Oracle::markers`](crate::oracle::Oracle::markers) behind the
    /// live folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for LogKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A file that vanishes between the listing and the link was seen too late.
fn link_new(from: &Path, to: &Path, linked: &mut HashSet<u64>) -> Result<()> {
    for entry in fs::read_dir(from).map_err(Error::file("list", from))?.flatten() {
        if linked.contains(&entry.ino()) {
            continue;
        }
        let name = format!("{}.{}", entry.file_name().to_string_lossy(), entry.ino());
        match fs::hard_link(entry.path(), to.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("link", entry.path())(error)),
            Ok(()) => {
                linked.insert(entry.ino());
            }
        }
    }
    Ok(())
}
