//! Folders of dead archivers: whose they are, and what becomes of them.
//!
//! Adopted is what has the same owner, or none (its archiver died before it knew the repository). What
//! belongs to another archive, to a living process, or to a run that cannot be read is left as it is, and
//! told.

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError};

use super::folder::{PREFIX, RunFolder, remove_without_links};
use super::record::{FoundRun, RunRecord, read_owner, write_owner};
use super::{FollowError, Shared};
use crate::live::pin_folder::{PinFolder, wait_for_gate};

/// A folder of an archiver that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftFolder {
    pub path: PathBuf,
    pub reason: LeftReason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftReason {
    /// Its process lives.
    Held,
    OtherOwner(String),
    /// Why it cannot be said of which run its links are.
    RunUnreadable(String),
    /// What went wrong when it was looked at; the next claim tries again.
    Failed(String),
}

/// What a look at one folder came to.
enum Found {
    Adopted(Box<RunFolder>),
    Left(LeftReason),
    /// Nothing of worth in it: removed.
    Rubbish,
}

impl Shared {
    pub(super) fn claim(&self, owner: &str) -> Result<usize, FollowError> {
        let ours = self.note_owner(owner)?;
        let mut found = Examined::default();
        for pins in &self.places {
            found.examine_all(pins, owner, &ours)?;
        }
        let Examined { adopted, mut left } = found;
        let count = adopted.len();
        // Not inside the gate: the thread may wait there for a new folder, with the state locked.
        let mut state = self.lock();
        for folder in adopted {
            state.insert_other(folder);
        }
        left.retain(|left| state.folders().all(|folder| folder.path() != Some(&left.path)));
        left.sort_by(|a, b| a.path.cmp(&b.path));
        state.left = left;
        state.give_up_doubles();
        drop(state);
        self.sweep()?;
        Ok(count)
    }

    /// Note the owner in every folder of ours; folders made from now on get it along. Returns their paths.
    fn note_owner(&self, owner: &str) -> Result<Vec<PathBuf>, FollowError> {
        let mut state = self.lock();
        if let Some(known) = state.owner.as_ref().filter(|known| *known != owner) {
            return Err(FollowError::OtherOwner { owner: known.clone(), wanted: owner.to_owned() });
        }
        state.owner = Some(owner.to_owned());
        let paths: Vec<PathBuf> =
            state.folders().filter_map(|folder| folder.path().map(Path::to_owned)).collect();
        // The syncs take their time; the thread goes on meanwhile.
        drop(state);
        for path in &paths {
            if read_owner(path)?.is_none() {
                match write_owner(path, owner) {
                    // Emptied and removed by the thread meanwhile.
                    Err(error) if error.is_not_found() && disk::stat(path)?.is_none() => {}
                    other => other?,
                }
            }
        }
        Ok(paths)
    }
}

/// What a claim found.
#[derive(Default)]
struct Examined {
    adopted: Vec<RunFolder>,
    left: Vec<LeftFolder>,
}

impl Examined {
    fn examine_all(&mut self, pins: &Path, owner: &str, ours: &[PathBuf]) -> Result<(), FollowError> {
        if disk::stat(pins)?.is_none() {
            return Ok(());
        }
        let mut taken = Vec::new();
        // Others wait at the gate, backups among them: it is held to take the locks only.
        let gate = wait_for_gate(pins)?.ok_or_else(|| FollowError::GateShut { pins: pins.to_owned() })?;
        for name in disk::list(pins)?.unwrap_or_default() {
            let path = pins.join(&name);
            if !name.starts_with(PREFIX) || ours.contains(&path) {
                continue;
            }
            match PinFolder::try_take(path.clone()) {
                Ok(Some(folder)) => taken.push((path, folder)),
                Ok(None) => self.left.push(LeftFolder { path, reason: LeftReason::Held }),
                Err(error) => self.leave_failed(path, &error),
            }
        }
        drop(gate);
        for (path, folder) in taken {
            match examine(folder, pins, owner) {
                Ok(Found::Adopted(folder)) => self.adopted.push(*folder),
                Ok(Found::Left(reason)) => self.left.push(LeftFolder { path, reason }),
                Ok(Found::Rubbish) => {}
                Err(error) => self.leave_failed(path, &error),
            }
        }
        Ok(())
    }

    fn leave_failed(&mut self, path: PathBuf, error: &DiskError) {
        let reason = LeftReason::Failed(format!("{error}: {}", error.source));
        self.left.push(LeftFolder { path, reason });
    }
}

/// A folder whose process is dead; we hold its lock.
fn examine(folder: PinFolder, pins: &Path, owner: &str) -> Result<Found, DiskError> {
    let path = folder.path();
    let record = match RunRecord::read(path) {
        FoundRun::Readable(record) => record,
        found => {
            // Without links nothing is lost with it.
            let _gate = wait_for_gate(pins)?;
            if remove_without_links(path)? {
                return Ok(Found::Rubbish);
            }
            let why = match found {
                FoundRun::Unreadable(why) => why,
                _ => "it is missing".to_owned(),
            };
            return Ok(Found::Left(LeftReason::RunUnreadable(why)));
        }
    };
    match read_owner(path)? {
        Some(other) if other != owner => return Ok(Found::Left(LeftReason::OtherOwner(other))),
        Some(_) => {}
        None => write_owner(path, owner)?,
    }
    let mut adopted = RunFolder::adopt(record, folder)?;
    if adopted.is_empty() {
        let _gate = wait_for_gate(pins)?;
        if adopted.remove()? {
            return Ok(Found::Rubbish);
        }
    }
    Ok(Found::Adopted(Box::new(adopted)))
}
