//! What is held of one run of the server by one process: a folder of links, or descriptors in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grap_disk::{self as disk, DiskError};
use grap_neo4j::files::LogFile;
use jiff::Timestamp;

use super::record::{OWNER, RUN, RunRecord, write_owner};
use super::{FollowError, RunIdentity};
use crate::live::pin_folder::{LOCK, PROBE, PinFolder};
use crate::live::pinned::{Grip, PinnedFile};

pub(super) const PREFIX: &str = "archive-";

/// Where new folders are made.
#[derive(Debug)]
pub(super) enum Ground {
    /// In this directory.
    Links(PathBuf),
    /// Nowhere, for this reason: descriptors.
    Descriptors(String),
}

#[derive(Debug)]
pub(super) struct RunFolder {
    pub(super) record: RunRecord,
    /// `None`: descriptors.
    pub(super) folder: Option<PinFolder>,
    /// In the order of pinning.
    pub(super) files: BTreeMap<String, Vec<Arc<PinnedFile>>>,
}

/// The folder for the run that is there at the start, where links can be made; else descriptors.
pub(super) fn first_folder(
    places: &[PathBuf; 2],
    databases: &[(String, PathBuf)],
    identity: RunIdentity,
    now: Timestamp,
) -> (RunFolder, Ground) {
    let mut reason = String::new();
    for pins in places {
        match try_first(pins, places, databases, &identity, now) {
            Ok(folder) => return (folder, Ground::Links(pins.clone())),
            Err(FollowError::Disk(error)) => reason = format!("{error}: {}", error.source),
            Err(error) => reason = error.to_string(),
        }
    }
    (RunFolder::of_descriptors(1, now, identity), Ground::Descriptors(reason))
}

fn try_first(
    pins: &Path,
    places: &[PathBuf; 2],
    databases: &[(String, PathBuf)],
    identity: &RunIdentity,
    now: Timestamp,
) -> Result<RunFolder, FollowError> {
    let mut made = RunFolder::make(pins, places, identity.clone(), now, None)?;
    let probed = made.folder.as_ref().map_or(Ok(()), |folder| folder.probe(databases));
    if let Err(error) = probed {
        let _ = made.remove();
        return Err(error.into());
    }
    Ok(made)
}

/// As [`RunFolder::settle`], without holding it: pinning goes on meanwhile.
pub(super) fn settle(path: &Path, record: &RunRecord) -> Result<(), DiskError> {
    record.write(path)?;
    path.parent().map_or(Ok(()), disk::sync_dir)
}

impl RunFolder {
    /// Make a folder under `pins`, with its `run` in it. A process killed in between leaves a folder without
    /// links, which a later one removes.
    pub(super) fn make(
        pins: &Path,
        places: &[PathBuf; 2],
        identity: RunIdentity,
        now: Timestamp,
        owner: Option<&str>,
    ) -> Result<Self, FollowError> {
        let mut number = 0;
        let made = PinFolder::make(pins, |_| {
            number = next_number(places)?;
            Ok(format!("{PREFIX}{number}"))
        })?;
        let folder = made.ok_or_else(|| FollowError::GateShut { pins: pins.to_owned() })?;
        let record = RunRecord::new(number, now, identity);
        let placed = record
            .place(folder.path())
            .and_then(|()| owner.map_or(Ok(()), |owner| write_owner(folder.path(), owner)));
        let mut made = Self { record, folder: Some(folder), files: BTreeMap::new() };
        if let Err(error) = placed {
            let _ = made.remove();
            return Err(error.into());
        }
        Ok(made)
    }

    /// Make it durable that the folder is there, and whose it is.
    pub(super) fn settle(&self) -> Result<(), DiskError> {
        self.path().map_or(Ok(()), |path| settle(path, &self.record))
    }

    pub(super) fn of_descriptors(number: u64, now: Timestamp, identity: RunIdentity) -> Self {
        Self { record: RunRecord::new(number, now, identity), folder: None, files: BTreeMap::new() }
    }

    /// The folder of a dead archiver, with what lies in it. Where two inodes have one name, the one born first
    /// was pinned first.
    pub(super) fn adopt(record: RunRecord, folder: PinFolder) -> Result<Self, DiskError> {
        let mut found = Vec::new();
        for name in disk::list(folder.path())?.unwrap_or_default() {
            let link = folder.path().join(name);
            if PinnedFile::found(&link, 0).is_some()
                && let Some(stat) = disk::stat(&link)?
                && let Some((database, file)) = PinnedFile::found(&link, stat.inode)
            {
                found.push((file.version(), stat.born.unwrap_or(stat.modified), database, Arc::new(file)));
            }
        }
        found.sort_by_key(|(version, born, ..)| (*version, *born));
        let mut files: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (_, _, database, file) in found {
            files.entry(database).or_default().push(file);
        }
        Ok(Self { record, folder: Some(folder), files })
    }

    pub(super) fn identity(&self) -> &RunIdentity {
        &self.record.identity
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.folder.as_ref().map(PinFolder::path)
    }

    pub(super) fn grip(&self) -> Grip<'_> {
        self.path().map_or(Grip::Descriptor, Grip::Link)
    }

    pub(super) fn holds(&self, database: &str, name: LogFile, inode: u64) -> bool {
        let files = self.files.get(database);
        files.is_some_and(|files| files.iter().any(|file| (file.name, file.inode) == (name, inode)))
    }

    pub(super) fn add(&mut self, database: &str, file: Arc<PinnedFile>) {
        self.files.entry(database.to_owned()).or_default().push(file);
    }

    pub(super) fn all_files(&self) -> impl Iterator<Item = (&str, &Arc<PinnedFile>)> {
        self.files.iter().flat_map(|(database, files)| files.iter().map(|file| (database.as_str(), file)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.values().all(Vec::is_empty)
    }

    /// Hold also what `file` holds.
    pub(super) fn hold_too(&mut self, database: &str, file: &Arc<PinnedFile>) -> Result<(), DiskError> {
        if self.holds(database, file.name, file.inode) {
            return Ok(());
        }
        match file.link() {
            None => self.add(database, Arc::clone(file)),
            Some(link) => {
                let taken = PinnedFile::take(link, (database, file.name, file.inode), self.grip())?;
                if let Some(taken) = taken {
                    self.add(database, Arc::new(taken));
                }
            }
        }
        Ok(())
    }

    /// Remove a folder without links; `false` if it has some. `run` goes before the lock and behind the links:
    /// a process killed in between leaves a folder that is whole or rubbish.
    pub(super) fn remove(&mut self) -> Result<bool, DiskError> {
        let Some(path) = self.path().map(Path::to_owned) else { return Ok(true) };
        let removed = remove_without_links(&path)?;
        if removed {
            self.folder = None;
        }
        Ok(removed)
    }
}

/// See [`RunFolder::remove`]. Other names than ours are left, and then the directory is.
pub(super) fn remove_without_links(folder: &Path) -> Result<bool, DiskError> {
    let names = disk::list(folder)?.unwrap_or_default();
    if names.iter().any(|name| PinnedFile::found(Path::new(name), 0).is_some()) {
        return Ok(false);
    }
    for name in names.iter().filter(|name| name.starts_with("tmp-") || *name == PROBE) {
        disk::remove_file(&folder.join(name))?;
    }
    for name in [OWNER, RUN, LOCK] {
        disk::remove_file(&folder.join(name))?;
    }
    disk::remove_dir(folder)?;
    Ok(true)
}

/// One more than the highest number of a folder in any place.
fn next_number(places: &[PathBuf; 2]) -> Result<u64, DiskError> {
    let mut highest: u64 = 0;
    for pins in places {
        for name in disk::list(pins)?.unwrap_or_default() {
            let number = name.strip_prefix(PREFIX).and_then(|number| number.parse().ok());
            highest = highest.max(number.unwrap_or(0));
        }
    }
    Ok(highest.saturating_add(1))
}
