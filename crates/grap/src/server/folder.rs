//! The directory of one instance: `<scratch>/grap-open-<id>`, with the restored data and the private home in it.
//!
//! It is held under `flock` for as long as its process lives. A folder whose lock is free was left by a dead one: who
//! makes the next folder ends what still runs for it, and removes it. The *gate*, a lock beside the folders, is held for
//! the moment of making or taking one, so that a folder just made is not taken for a dead one.
//!
//! It is readable by its owner alone: a database lies in it that is otherwise encrypted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grap_disk::{self as disk, FileLock};
use grap_task::{Clock, Finding, Monitor};

use super::ServerError;
use super::home::random_hex;
use super::left::end_processes;

const PREFIX: &str = "grap-open-";
const LOCK: &str = "lock";
const GATE: &str = "grap-open.gate";
const GATE_WAIT_MAX: Duration = Duration::from_secs(10);
const PRIVATE: u32 = 0o700;

/// Held until dropped; then it is removed with everything in it.
#[derive(Debug)]
pub struct InstanceFolder {
    id: String,
    path: PathBuf,
    removed: bool,
    _lock: FileLock,
}

impl InstanceFolder {
    /// A new folder, after what dead processes left was removed.
    pub fn make(scratch: &Path, clock: &Clock, monitor: &dyn Monitor) -> Result<Self, ServerError> {
        disk::create_dir_all(scratch)?;
        // The server wants absolute paths.
        let scratch = disk::absolute(scratch)?;
        let (made, dead) = {
            let gate = FileLock::wait_exclusive(&scratch.join(GATE), GATE_WAIT_MAX)?;
            let _gate = gate.ok_or_else(|| ServerError::Contended { path: scratch.clone() })?;
            let dead = take_dead(&scratch)?;
            (Self::make_inside(&scratch)?, dead)
        };
        // Removing may take long: the gate is open again.
        for folder in dead {
            let path = folder.path.clone();
            let ended = end_processes(&folder.id, &path, clock)?;
            folder.remove()?;
            let text =
                format!("removed {}, which a killed run left ({ended} processes ended)", path.display());
            monitor.finding(&Finding::warning(text));
        }
        Ok(made)
    }

    fn make_inside(scratch: &Path) -> Result<Self, ServerError> {
        let id = random_hex()?;
        let path = scratch.join(format!("{PREFIX}{id}"));
        disk::make_dirs(&path, Some(PRIVATE))?;
        Self::try_take(id, path.clone())?.ok_or(ServerError::Contended { path })
    }

    /// `None` when its process lives. Inside the gate only.
    fn try_take(id: String, path: PathBuf) -> Result<Option<Self>, ServerError> {
        let lock = FileLock::try_exclusive(&path.join(LOCK))?;
        Ok(lock.map(|lock| Self { id, path, removed: false, _lock: lock }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database goes.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub fn remove(mut self) -> Result<(), ServerError> {
        self.removed = true;
        Ok(disk::remove_tree(&self.path)?)
    }
}

impl Drop for InstanceFolder {
    fn drop(&mut self) {
        if !self.removed {
            // Else the next run does it.
            let _ = disk::remove_tree(&self.path);
        }
    }
}

fn take_dead(scratch: &Path) -> Result<Vec<InstanceFolder>, ServerError> {
    let mut dead = Vec::new();
    for name in disk::list(scratch)?.unwrap_or_default() {
        let Some(id) = name.strip_prefix(PREFIX).filter(|id| is_id(id)) else { continue };
        match InstanceFolder::try_take(id.to_owned(), scratch.join(&name)) {
            Ok(folder) => dead.extend(folder),
            // Another run has just removed it.
            Err(ServerError::Disk(error)) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(dead)
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use grap_task::Silent;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = disk::list(folder).unwrap().unwrap();
        names.into_iter().filter(|name| name.starts_with(PREFIX)).collect()
    }

    #[test]
    fn the_dead_are_removed_and_the_living_and_the_strange_are_left() {
        let scratch = tempfile::tempdir().unwrap();
        let make = || InstanceFolder::make(scratch.path(), &Clock::System, &Silent).unwrap();
        let living = make();
        let dead = scratch.path().join(format!("{PREFIX}{}", "0".repeat(32)));
        let strange = scratch.path().join(format!("{PREFIX}mine"));
        for folder in [&dead, &strange] {
            disk::create_dir_all(&folder.join("data/databases")).unwrap();
        }
        let second = make();
        let kept = |path: &Path| disk::stat(path).unwrap().is_some();
        assert!(!kept(&dead) && kept(&strange) && kept(living.path()) && kept(second.path()));
        assert_eq!(disk::stat(second.path()).unwrap().unwrap().mode, PRIVATE);
        drop(living);
        second.remove().unwrap();
        assert_eq!(names(scratch.path()), [format!("{PREFIX}mine")]);
    }
}
