//! The folders that pins lie in: `<root>/.grap/pins/<name>/`, each held under `flock` by its process.
//!
//! The *gate*, a lock beside the folders, is held for the moment of making or removing folders, so that a
//! folder just made is not taken for a dead one. A folder whose own lock is free belongs to a dead process;
//! what that means is said by who made it: folders of backups are removed by the next run, those of archivers
//! may be the only copy of unshipped log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grap_disk::{self as disk, DiskError, FileLock};
use grap_neo4j::files::LogFile;

use super::Installation;

/// In each folder: the file whose lock its process holds.
pub(super) const LOCK: &str = "lock";
/// In each folder for a moment: the link that shows that links can be made.
pub(super) const PROBE: &str = "probe";

/// The gate is asked for so long.
const GATE_WAIT_MAX: Duration = Duration::from_secs(2);

/// A folder of ours, for as long as its lock is held.
#[derive(Debug)]
pub(super) struct PinFolder {
    path: PathBuf,
    _lock: FileLock,
}

/// Where pins may lie: beside the data, or beside the logs where those have a mount of their own.
pub(super) fn places(installation: &Installation) -> [PathBuf; 2] {
    [&installation.data, &installation.transactions].map(|root| root.join(".grap").join("pins"))
}

/// `None` when others held it for too long.
pub(super) fn wait_for_gate(pins: &Path) -> Result<Option<FileLock>, DiskError> {
    FileLock::wait_exclusive(&gate(pins), GATE_WAIT_MAX)
}

/// `None` when somebody is in it now.
pub(super) fn try_gate(pins: &Path) -> Result<Option<FileLock>, DiskError> {
    FileLock::try_exclusive(&gate(pins))
}

fn gate(pins: &Path) -> PathBuf {
    pins.join("gate")
}

impl PinFolder {
    /// Make a folder under `pins`. `choose` is called inside the gate, may clean up, and gives a name that is
    /// free. `None` when the gate was shut for too long.
    pub(super) fn make(
        pins: &Path,
        choose: impl FnOnce(&Path) -> Result<String, DiskError>,
    ) -> Result<Option<Self>, DiskError> {
        // A data directory that is away is not made anew: the volume that holds it may be mounted there later.
        if let Some(data) = pins.ancestors().nth(2) {
            disk::absolute(data)?;
        }
        disk::create_dir_all(pins)?;
        let Some(_gate) = wait_for_gate(pins)? else { return Ok(None) };
        let path = pins.join(choose(pins)?);
        disk::create_dir_all(&path)?;
        Self::try_take(path)
    }

    /// The folder of a dead process; `None` when its process lives. Inside the gate only.
    pub(super) fn try_take(path: PathBuf) -> Result<Option<Self>, DiskError> {
        let lock = FileLock::try_exclusive(&path.join(LOCK))?;
        Ok(lock.map(|lock| Self { path, _lock: lock }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Prove that a log file of every database can be linked into it.
    pub(super) fn probe(&self, databases: &[(String, PathBuf)]) -> Result<(), DiskError> {
        databases.iter().try_for_each(|(_, directory)| probe_link(directory, &self.path))
    }

    /// The links, the lock file, the folder: and nothing else, should anything else lie there.
    pub(super) fn remove(self) -> Result<(), DiskError> {
        remove_folder(&self.path)
    }
}

/// See [`PinFolder::remove`].
pub(super) fn remove_folder(folder: &Path) -> Result<(), DiskError> {
    for name in disk::list(folder)?.unwrap_or_default() {
        disk::remove_file(&folder.join(name))?;
    }
    disk::remove_dir(folder)
}

/// Link one log file and remove the link again.
fn probe_link(directory: &Path, folder: &Path) -> Result<(), DiskError> {
    let names = disk::list(directory)?.unwrap_or_default();
    let Some(name) = names.into_iter().find(|name| LogFile::parse(name).is_some()) else { return Ok(()) };
    let probe = folder.join(PROBE);
    match disk::link(&directory.join(name), &probe) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => disk::remove_file(&probe),
    }
}
