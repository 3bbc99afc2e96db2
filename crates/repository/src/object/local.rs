//! Objects as files below a directory, laid out as restic lays them out.
//!
//! All-or-nothing and durable because `grap_disk::publish` is: written and synced under a temporary name
//! beside the final one, renamed without replacing, the directory synced. Temporary names begin with `tmp-`,
//! which neither restic nor `list` takes for an object.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use grap_disk::{DiskError, Kind, Source};
use jiff::Timestamp;
use rand::RngCore;

use super::{CONFIG, ObjectCall, ObjectError, ObjectInfo, ObjectStore, check_name};

const TEMPORARY: &str = "tmp-";
/// Beside the folders of objects: neither restic nor `list` looks there.
const RESERVE: &str = "grap-reserve";
const RESERVE_SIZE_MAX: u64 = 32 << 20;
/// Left free when the reserve is made: for a lock or a record of somebody else.
const RESERVE_SLACK: u64 = 256 << 10;
/// Of the file system: on a small one the reserve is smaller.
const RESERVE_SHARE: u64 = 50;
/// What archivers put, without the repository's lock.
const LOG: &str = "grap/log/";
/// Laid out with every repository.
const MARK: &str = "keys";
const CONFIG_SIZE_MAX: u64 = 1 << 20;
/// Nanoseconds.
const LEFTOVER_AFTER: i128 = 86_400_000_000_000;

#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    /// Of the repository that was opened.
    config: OnceLock<Vec<u8>>,
}

impl LocalStore {
    /// Lay out the directories as `restic init` does. What is there already is left alone.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, ObjectError> {
        let store = Self::open(root);
        let lay_out = || {
            Self::create_directory(&store.root)?;
            for name in [MARK, "locks", "index", "snapshots", "grap"] {
                grap_disk::create_dir_all(&store.root.join(name))?;
            }
            for first in 0..=255_u8 {
                grap_disk::create_dir_all(&store.root.join(format!("data/{first:02x}")))?;
            }
            grap_disk::sync_dir(&store.root.join("data"))?;
            grap_disk::sync_dir(&store.root)
        };
        lay_out().map_err(|error| failed(ObjectCall::Put, "data", error))?;
        Ok(store)
    }

    /// The store in `root`. Nothing is looked at yet.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), config: OnceLock::new() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Remove what processes that died were writing. A temporary name older than a day is nobody's: no put
    /// takes that long, and clocks are not that wrong; if it were somebody's, his put would fail, no more.
    pub fn remove_leftovers(&self, now: Timestamp) -> Result<usize, ObjectError> {
        let failed = |error| failed(ObjectCall::Delete, "tmp-*", error);
        self.require_repository_for(ObjectCall::Delete, "tmp-*")?;
        let mut removed = 0;
        for entry in grap_disk::walk(&self.root).map_err(failed)? {
            let name = entry.path.file_name().map(|name| name.to_string_lossy().into_owned());
            let is_temporary = name.is_some_and(|name| name.starts_with(TEMPORARY));
            let age = now.as_nanosecond() - entry.stat.modified;
            if is_temporary && entry.stat.kind == Kind::File && age > LEFTOVER_AFTER {
                grap_disk::remove_file(&entry.path).map_err(failed)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Set room aside for the day on which the file system is full: who gives room back has to write first (a
    /// lock, an index). Really written, of bytes that no file system can make smaller. Where there is little room
    /// it is smaller, and made anew when there is more. `false`: there is too little for any.
    pub fn make_reserve(&self) -> Result<bool, ObjectError> {
        let failed = |error| failed(ObjectCall::Put, RESERVE, error);
        self.require_repository_for(ObjectCall::Put, RESERVE)?;
        let path = self.root.join(RESERVE);
        let had = grap_disk::stat(&path).map_err(failed)?.map_or(0, |stat| stat.size);
        let space = grap_disk::space(&self.root).map_err(failed)?;
        let wanted = reserve_of(space.total);
        // The old one stays until the new one is there.
        let size = space.available.saturating_sub(RESERVE_SLACK).min(wanted);
        if had >= wanted || size <= had || size < wanted / 8 {
            return Ok(had > 0);
        }
        let mut noise = vec![0; 4 << 20];
        rand::rng().fill_bytes(&mut noise);
        let whole = usize::try_from(size).unwrap_or(0);
        let mut parts = vec![noise.as_slice(); whole / noise.len()];
        parts.push(&noise[..whole % noise.len()]);
        grap_disk::replace(&path, &parts).map_err(failed)?;
        Ok(true)
    }

    /// Give the reserve back to the file system, where there is hardly other room: what is given back others may take.
    /// Whoever does calls [`Self::make_reserve`] when he is done.
    pub fn release_reserve(&self) -> Result<(), ObjectError> {
        let failed = |error| failed(ObjectCall::Delete, RESERVE, error);
        self.require_repository_for(ObjectCall::Delete, RESERVE)?;
        let space = grap_disk::space(&self.root).map_err(failed)?;
        if space.available >= 2 * reserve_of(space.total) {
            return Ok(());
        }
        grap_disk::remove_file(&self.root.join(RESERVE)).map_err(failed)
    }

    /// Of the reserve, where it is released or was never made: so much of what is free belongs to those who give room
    /// back, and nothing else may be begun with it.
    pub fn reserve_missing(&self) -> Result<u64, ObjectError> {
        self.require_repository_for(ObjectCall::Size, RESERVE)?;
        self.missing().map_err(|error| failed(ObjectCall::Size, RESERVE, error))
    }

    fn missing(&self) -> Result<u64, DiskError> {
        match grap_disk::stat(&self.root.join(RESERVE))? {
            Some(_) => Ok(0),
            None => Ok(reserve_of(grap_disk::space(&self.root)?.total)),
        }
    }

    /// An archiver that waits for room would take what was released for `expire` and `gc` the moment it is free, and
    /// they could not end. (Backups and copies are kept out by the repository's lock, which archivers do not take.)
    fn leave_reserve(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        let put_failed = |error| failed(ObjectCall::Put, name, error);
        let missing = self.missing().map_err(put_failed)?;
        if missing == 0 {
            return Ok(());
        }
        let available = grap_disk::space(&self.root).map_err(put_failed)?.available;
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if available >= missing + RESERVE_SLACK + size as u64 {
            return Ok(());
        }
        let why =
            format!("the reserve is released, and the {available} bytes that are free are for expire and gc");
        Err(ObjectError::Full { call: ObjectCall::Put, name: name.to_owned(), source: why.into() })
    }

    fn path(&self, name: &str) -> Result<PathBuf, ObjectError> {
        check_name(name)?;
        Ok(self.root.join(name))
    }

    /// Where a mount went away, or the directory was renamed, nothing says anything about an object; nor where another repository
    /// lies there then.
    fn require_repository(&self) -> Result<(), DiskError> {
        let (config, mark) = (self.root.join(CONFIG), self.root.join(MARK));
        match self.config.get() {
            Some(known) if grap_disk::read(&config, CONFIG_SIZE_MAX)? == *known => Ok(()),
            Some(_) => {
                let another =
                    std::io::Error::other("another repository lies there than the one that was opened");
                Err(DiskError::reading(&config, another))
            }
            // What every repository has: an error names it.
            None if grap_disk::stat(&mark)?.is_some() || grap_disk::stat(&config)?.is_some() => Ok(()),
            None => Err(DiskError::reading(&mark, std::io::ErrorKind::NotFound.into())),
        }
    }

    fn require_repository_for(&self, call: ObjectCall, name: &str) -> Result<(), ObjectError> {
        self.require_repository().map_err(|gone| ObjectError::failed(call, name, gone))
    }

    /// What was not found is missing, if the repository itself is there. The config is how that is found out.
    fn missing_of(&self, call: ObjectCall, error: ObjectError) -> ObjectError {
        match &error {
            ObjectError::NotFound { name } if name != CONFIG => {
                self.require_repository_for(call, name).err().unwrap_or(error)
            }
            _ => error,
        }
    }

    /// Create a directory, with every level synced into the one above it.
    fn create_directory(directory: &Path) -> Result<(), DiskError> {
        // Each object asks for one, and mostly it is there.
        if grap_disk::stat(directory)?.is_none() {
            grap_disk::make_dirs(directory, None)?;
        }
        Ok(())
    }

    fn list_into(
        &self,
        name: &str,
        children: &[String],
        found: &mut Vec<ObjectInfo>,
    ) -> Result<(), DiskError> {
        for child in children {
            let name = format!("{name}/{child}");
            let path = self.root.join(&name);
            let Some(stat) = grap_disk::stat(&path)? else { continue };
            match stat.kind {
                Kind::Directory => {
                    // Nobody removes one.
                    let gone = || DiskError::reading(&path, std::io::ErrorKind::NotFound.into());
                    let children = grap_disk::list(&path)?.ok_or_else(gone)?;
                    self.list_into(&name, &children, found)?;
                }
                Kind::File if !child.starts_with(TEMPORARY) => found.push(ObjectInfo {
                    name,
                    size: stat.size,
                    modified: Timestamp::from_nanosecond(stat.modified).ok(),
                }),
                _ => {}
            }
        }
        Ok(())
    }
}

impl ObjectStore for LocalStore {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        let path = self.path(name)?;
        let directory = path.parent().unwrap_or(&self.root);
        // Else it would be stored beside the repository, and lost with the next mount.
        self.require_repository_for(ObjectCall::Put, name)?;
        Self::create_directory(directory).map_err(|error| failed(ObjectCall::Put, name, error))?;
        if name.starts_with(LOG) {
            self.leave_reserve(name, parts)?;
        }
        let published =
            grap_disk::publish(&path, parts).map_err(|error| failed(ObjectCall::Put, name, error));
        if matches!(published, Ok(()) | Err(ObjectError::AlreadyExists { .. })) {
            // Behind it, too: what went away meanwhile does not have it. What was stored in its place is not taken back:
            // by now the repository may lie there again, and the object be somebody's.
            self.require_repository_for(ObjectCall::Put, name)?;
        }
        published
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        let path = self.path(name)?;
        let read = || {
            let source = Source::open(&path)?;
            let length = source.stat()?.size;
            read_range(&source, 0, usize::try_from(length).unwrap_or(usize::MAX))
        };
        let read =
            read().map_err(|error| self.missing_of(ObjectCall::Get, failed(ObjectCall::Get, name, error)));
        if let (CONFIG, Ok(config)) = (name, &read) {
            self.config.get_or_init(|| config.clone());
        }
        read
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        let path = self.path(name)?;
        let read = || read_range(&Source::open(&path)?, offset, length);
        read()
            .map_err(|error| self.missing_of(ObjectCall::GetRange, failed(ObjectCall::GetRange, name, error)))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        check_name(prefix)?;
        let mut found = Vec::new();
        let children = grap_disk::list(&self.root.join(prefix));
        let children = children.map(Option::unwrap_or_default);
        children
            .and_then(|children| self.list_into(prefix, &children, &mut found))
            .map_err(|error| ObjectError::failed(ObjectCall::List, prefix, error))?;
        // Behind it: of what goes away meanwhile only a part is listed.
        self.require_repository_for(ObjectCall::List, prefix)?;
        Ok(found)
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        let path = self.path(name)?;
        match grap_disk::stat(&path) {
            Ok(Some(stat)) => Ok(stat.size),
            Ok(None) => {
                Err(self.missing_of(ObjectCall::Size, ObjectError::NotFound { name: name.to_owned() }))
            }
            Err(error) => Err(failed(ObjectCall::Size, name, error)),
        }
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        let path = self.path(name)?;
        let directory = path.parent().unwrap_or(&self.root);
        // Another repository that lies there may have an object of that name.
        self.require_repository_for(ObjectCall::Delete, name)?;
        grap_disk::remove_file(&path)
            .and_then(|()| match grap_disk::stat(directory)? {
                Some(_) => grap_disk::sync_dir(directory),
                None => Ok(()),
            })
            .map_err(|error| failed(ObjectCall::Delete, name, error))?;
        // Behind it, too: of what went away meanwhile nothing was removed.
        self.require_repository_for(ObjectCall::Delete, name)
    }
}

/// How much is set aside on a file system of so many bytes.
fn reserve_of(total: u64) -> u64 {
    (total / RESERVE_SHARE).min(RESERVE_SIZE_MAX)
}

fn read_range(source: &Source, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
    let mut bytes = vec![0; length];
    let count = source.read_at(&mut bytes, offset)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn failed(call: ObjectCall, name: &str, error: DiskError) -> ObjectError {
    let name = name.to_owned();
    if error.already_exists() && error.call == grap_disk::Call::Rename {
        ObjectError::AlreadyExists { name }
    } else if error.is_not_found() && call != ObjectCall::Put {
        ObjectError::NotFound { name }
    } else if error.is_permission_denied() && call == ObjectCall::Delete {
        ObjectError::Denied { call, name, source: Box::new(error) }
    } else {
        ObjectError::Failed { call, name, source: Box::new(error) }
    }
}
