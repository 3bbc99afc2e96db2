//! What a file is: identity, size, times; and how much room its file system has.

use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::error::{Call, DiskError, Result};
use crate::faults::step;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

/// One reading of a file's metadata. Times in nanoseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    pub device: u64,
    pub inode: u64,
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes that are really allocated.
    pub allocated: u64,
    pub modified: i128,
    /// Birth time, where the file system keeps one.
    pub born: Option<i128>,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Stat {
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Self {
        let kind = if metadata.is_file() {
            Kind::File
        } else if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Symlink
        } else {
            Kind::Other
        };
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            kind,
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            size: metadata.size(),
            allocated: metadata.blocks() * 512,
            modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            born: born.and_then(|time| i128::try_from(time.as_nanos()).ok()),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        }
    }

    /// Inode, size and time of the last change: what tells whether somebody wrote in between.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint { device: self.device, inode: self.inode, size: self.size, modified: self.modified }
    }
}

/// See [`Stat::fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
}

/// `None` where nothing has this name. Follows symbolic links.
pub fn stat(path: &Path) -> Result<Option<Stat>> {
    look(path, |path| std::fs::metadata(path))
}

/// As [`stat`], of the link itself.
pub fn stat_link(path: &Path) -> Result<Option<Stat>> {
    look(path, |path| std::fs::symlink_metadata(path))
}

fn look(path: &Path, call: impl Fn(&Path) -> io::Result<Metadata>) -> Result<Option<Stat>> {
    step(Call::Stat, path)?;
    match call(path) {
        Ok(metadata) => Ok(Some(Stat::of(&metadata))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(DiskError::new(Call::Stat, path, error)),
    }
}

/// Whether a name can move from one of two directories to the other: two mounts of one file system are two places to a
/// rename. Of a directory that is not there the nearest one above it answers.
pub fn is_one_mount(one: &Path, other: &Path) -> Result<bool> {
    Ok(mount(one)? == mount(other)?)
}

/// The device, and the mount, which kernels before 5.8 do not tell.
fn mount(directory: &Path) -> Result<(u64, Option<u64>)> {
    step(Call::Stat, directory)?;
    let failed = |error: io::Error| DiskError::new(Call::Stat, directory, error);
    let existing = directory.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let device = std::fs::metadata(existing).map_err(failed)?.dev();
    let asked = statx(CWD, existing, AtFlags::empty(), StatxFlags::MNT_ID);
    let seen = asked.map_err(|error| failed(error.into()))?;
    let is_told = seen.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    Ok((device, is_told.then_some(seen.stx_mnt_id)))
}

/// The path without symbolic links, from the root. It must exist.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    step(Call::Stat, path)?;
    std::fs::canonicalize(path).map_err(|error| DiskError::new(Call::Stat, path, error))
}

/// Room on a file system, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// For unprivileged users.
    pub available: u64,
    pub total: u64,
}

/// The room on the file system that holds `path` (or would: the nearest ancestor that exists answers).
pub fn space(path: &Path) -> Result<Space> {
    step(Call::MeasureSpace, path)?;
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let name = CString::new(existing.as_os_str().as_bytes())
        .map_err(|error| DiskError::new(Call::MeasureSpace, path, io::Error::other(error)))?;
    let stat = rustix::fs::statvfs(name.as_c_str())
        .map_err(|error| DiskError::new(Call::MeasureSpace, path, error))?;
    Ok(Space { available: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_told_from_another() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        assert!(is_one_mount(&folder.path().join("a"), folder.path()).unwrap());
        assert!(is_one_mount(&folder.path().join("nothing/here"), folder.path()).unwrap());
        assert!(!is_one_mount(folder.path(), Path::new("/proc/self")).unwrap());
    }
}
