//! Names: list, link, rename, remove, own.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::error::{Call, DiskError, Result};
use crate::faults::step;
use crate::stat::{Kind, Stat, stat_link};

/// Something found in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: PathBuf,
    pub stat: Stat,
}

/// The names in a directory, sorted; `None` where there is no such directory. A name that vanishes while we
/// look is left out by callers when they open it; names that are not UTF-8 are not Neo4j's and not ours: an
/// error.
pub fn list(directory: &Path) -> Result<Option<Vec<String>>> {
    step(Call::List, directory)?;
    let failed = |error| DiskError::new(Call::List, directory, error);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let name = name.into_string().map_err(|name| {
            failed(io::Error::new(io::ErrorKind::InvalidFilename, format!("{} is not UTF-8", name.display())))
        })?;
        names.push(name);
    }
    names.sort_unstable();
    Ok(Some(names))
}

/// Everything below `root` (which must exist), parents before children, sorted by name within each directory.
/// What vanishes meanwhile is left out. Symbolic links are named, not followed.
pub fn walk(root: &Path) -> Result<Vec<Entry>> {
    let missing = || DiskError::new(Call::List, root, io::Error::from(io::ErrorKind::NotFound));
    let mut found = Vec::new();
    let names = list(root)?.ok_or_else(missing)?;
    let mut open: Vec<PathBuf> = names.into_iter().rev().map(|name| root.join(name)).collect();
    while let Some(path) = open.pop() {
        let Some(stat) = stat_link(&path)? else { continue };
        if stat.kind == Kind::Directory {
            let names = list(&path)?.unwrap_or_default();
            open.extend(names.into_iter().rev().map(|name| path.join(name)));
        }
        found.push(Entry { path, stat });
    }
    Ok(found)
}

pub fn create_dir_all(path: &Path) -> Result<()> {
    step(Call::CreateDirectory, path)?;
    std::fs::create_dir_all(path).map_err(|error| DiskError::new(Call::CreateDirectory, path, error))
}

/// A second name for the file at `from`.
pub fn link(from: &Path, to: &Path) -> Result<()> {
    step(Call::Link, from)?;
    std::fs::hard_link(from, to).map_err(|error| DiskError::new(Call::Link, from, error))
}

/// Replaces a file at `to`. Not durable until both directories are synced.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    step(Call::Rename, from)?;
    std::fs::rename(from, to).map_err(|error| DiskError::new(Call::Rename, from, error))
}

/// A file that is gone already is no error.
pub fn remove_file(path: &Path) -> Result<()> {
    removed(path, |path| std::fs::remove_file(path))
}

/// An empty directory; one that is gone already is no error.
pub fn remove_dir(path: &Path) -> Result<()> {
    removed(path, |path| std::fs::remove_dir(path))
}

/// A directory with everything in it; one that is gone already is no error. Does not follow symbolic links.
pub fn remove_tree(path: &Path) -> Result<()> {
    removed(path, |path| std::fs::remove_dir_all(path))
}

fn removed(path: &Path, call: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
    step(Call::Remove, path)?;
    match call(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::new(Call::Remove, path, error))
        }
        _ => Ok(()),
    }
}

pub fn chown(path: &Path, uid: u32, gid: u32) -> Result<()> {
    step(Call::ChangeOwner, path)?;
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
        .map_err(|error| DiskError::new(Call::ChangeOwner, path, error))
}

pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    step(Call::ChangeMode, path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| DiskError::new(Call::ChangeMode, path, error))
}

/// Set the time of the last change, nanoseconds since 1970.
pub fn set_times(path: &Path, modified: i128) -> Result<()> {
    step(Call::SetTimes, path)?;
    let seconds = i64::try_from(modified.div_euclid(1_000_000_000)).unwrap_or(0);
    let nanos = i64::try_from(modified.rem_euclid(1_000_000_000)).unwrap_or(0);
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())
        .map_err(|error| DiskError::new(Call::SetTimes, path, error))
}
