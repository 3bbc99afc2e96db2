//! The only fsync-then-rename of the project.
//!
//! A file appears under its final name whole and durable, or not at all: it is written and synced under a
//! temporary name in the same directory, renamed, and then the directory is synced (a rename alone is not
//! durable: POSIX promises the new directory entry only after an fsync of the directory).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::directory::{create_dir_all, remove_file, rename, set_mode};
use crate::error::{Call, DiskError, Result};
use crate::faults::step;
use crate::file::Sink;
use crate::stat::stat;

/// Publish a new file made of `parts`. An existing one is left alone and is an error (`already_exists`), which
/// comes only when its name is durable: whoever put it may have died, or failed, before the sync.
pub fn publish(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let temporary = write_temporary(path, parts)?;
    match rename_new(&temporary, path) {
        Ok(()) => sync_parent(path),
        Err(error) => {
            let _ = remove_file(&temporary);
            if error.already_exists() {
                sync_parent(path)?;
            }
            Err(error)
        }
    }
}

/// Publish a file made of `parts`, in place of an existing one. Readable by the owner alone.
pub fn replace(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let temporary = write_temporary(path, parts)?;
    rename(&temporary, path).inspect_err(|_| drop(remove_file(&temporary)))?;
    sync_parent(path)
}

/// Temporary names are `tmp-` and 16 random hexadecimal digits, beside the final one. Never the pid: in
/// containers many processes have the same one, and a temporary file that is there already is somebody's.
fn write_temporary(path: &Path, parts: &[&[u8]]) -> Result<PathBuf> {
    let (temporary, mut sink) = loop {
        let temporary = path.with_file_name(format!("tmp-{:016x}", random(path)?));
        match Sink::create_private(&temporary) {
            Err(error) if error.already_exists() => {}
            other => break (temporary, other?),
        }
    };
    let written = parts.iter().try_for_each(|part| sink.write_all(part)).and_then(|()| sink.finish());
    written.inspect_err(|_| drop(remove_file(&temporary)))?;
    Ok(temporary)
}

fn random(path: &Path) -> Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| DiskError::new(Call::Create, path, error))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Rename without replacing. File systems that cannot promise it get a look before the rename.
pub fn rename_new(from: &Path, to: &Path) -> Result<()> {
    step(Call::Rename, to)?;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            if to.symlink_metadata().is_ok() {
                return Err(DiskError::new(Call::Rename, to, io::Error::from(io::ErrorKind::AlreadyExists)));
            }
            std::fs::rename(from, to).map_err(|error| DiskError::new(Call::Rename, to, error))
        }
        Err(error) => Err(DiskError::new(Call::Rename, to, error)),
    }
}

/// Let two names change places, in one step: files, directories, or one of each. Not durable until both directories are
/// synced.
pub fn exchange(one: &Path, other: &Path) -> Result<()> {
    step(Call::Rename, one)?;
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
        .map_err(|error| DiskError::new(Call::Rename, one, error))
}

/// Whether the file system of this directory can exchange: tried with a directory and a file, and with two directories (which an
/// overlay does not rename that lie in a lower layer), that are removed again.
pub fn supports_exchange(directory: &Path) -> Result<bool> {
    let file = write_temporary(&directory.join("one"), &[])?;
    let (one, other) = (beside(&file, "d"), beside(&file, "e"));
    let tried = [&one, &other].into_iter().try_for_each(|path| crate::create_dir_all(path));
    let tried = tried.and_then(|()| exchange(&one, &other)).and_then(|()| exchange(&one, &file));
    // Whatever lies at each of the names now.
    for path in [&file, &one, &other] {
        match crate::stat_link(path)?.map(|stat| stat.kind) {
            Some(crate::Kind::Directory) => crate::remove_dir(path)?,
            Some(_) => remove_file(path)?,
            None => {}
        }
    }
    match tried {
        Ok(()) => Ok(true),
        Err(error) => match error.source.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::CrossesDevices => {
                Ok(false)
            }
            _ => Err(error),
        },
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn sync_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// A directory with every level above it, each that is made with this mode (else as the process makes them), and each durable
/// in the one above it; whether it was made. Whoever has made the last level that is there may have died before it was durable,
/// so that one is synced, too.
pub fn make_dirs(path: &Path, mode: Option<u32>) -> Result<bool> {
    let mut missing = Vec::new();
    for level in path.ancestors().filter(|level| !level.as_os_str().is_empty()) {
        if stat(level)?.is_some() {
            sync_where_we_may(level)?;
            break;
        }
        missing.push(level);
    }
    for level in missing.iter().rev() {
        create_dir_all(level)?;
        if let Some(mode) = mode {
            set_mode(level, mode)?;
        }
        sync_parent(level)?;
    }
    Ok(!missing.is_empty())
}

/// Who may not even read the directory above it has not made it.
fn sync_where_we_may(level: &Path) -> Result<()> {
    match sync_parent(level) {
        Err(error) if error.is_permission_denied() => Ok(()),
        synced => synced,
    }
}

/// Make the entries of a directory durable. A file system that knows no such thing (EINVAL on some network
/// and foreign file systems) is taken at its word; [`supports_directory_sync`] tells, and `doctor` says so.
pub fn sync_dir(path: &Path) -> Result<()> {
    try_sync_dir(path).map(|_| ())
}

/// Whether the file system of this directory can make directory entries durable.
pub fn supports_directory_sync(path: &Path) -> Result<bool> {
    try_sync_dir(path)
}

fn try_sync_dir(path: &Path) -> Result<bool> {
    step(Call::SyncDirectory, path)?;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(false)
        }
        Err(error) => Err(DiskError::new(Call::SyncDirectory, path, error)),
    }
}

/// [`sync_dir`] of `root` and every directory below it, deepest first. Files are synced where they are
/// written.
pub fn sync_tree(root: &Path) -> Result<()> {
    let mut directories: Vec<_> =
        crate::walk(root)?.into_iter().filter(|entry| entry.stat.kind == crate::Kind::Directory).collect();
    directories.reverse();
    directories.iter().try_for_each(|entry| sync_dir(&entry.path))?;
    sync_dir(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_files_of_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let theirs: Vec<PathBuf> =
            (0..64).map(|n| folder.path().join(format!("tmp-{}-{n}", std::process::id()))).collect();
        for path in &theirs {
            std::fs::write(path, "half").unwrap();
        }
        publish(&folder.path().join("a"), &[b"whole"]).unwrap();
        replace(&folder.path().join("b"), &[b"whole"]).unwrap();
        assert!(theirs.iter().all(|path| std::fs::read(path).unwrap() == b"half"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 66);
    }

    #[test]
    fn a_directory_and_a_file_change_places_within_one_mount() {
        let folder = tempfile::tempdir().unwrap();
        let [directory, file] = ["directory", "file"].map(|name| folder.path().join(name));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("a"), "a").unwrap();
        std::fs::write(&file, "barrier").unwrap();
        exchange(&directory, &file).unwrap();
        assert_eq!(std::fs::read(&directory).unwrap(), b"barrier");
        assert_eq!(std::fs::read(file.join("a")).unwrap(), b"a");
        assert!(exchange(&directory, &folder.path().join("nothing")).is_err());
        assert!(supports_exchange(folder.path()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_there_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        publish(&path, &[b"first"]).unwrap();
        assert!(publish(&path, &[b"second"]).unwrap_err().already_exists());
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
