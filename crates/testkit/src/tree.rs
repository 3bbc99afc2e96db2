//! Whole directory trees: copy, list, remove.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Copies a tree (regular files and folders) to a new place; `to` is created.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::file("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("list", from))? {
        let entry = entry.map_err(Error::file("list", from))?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(Error::file("stat", entry.path()))?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map_err(Error::file("copy", entry.path()))?;
        }
    }
    Ok(())
}

/// All regular files below a folder, relative to it, sorted.
pub fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(root, Path::new(""), &mut found)?;
    found.sort();
    Ok(found)
}

/// Removes a folder or a file; nothing there is fine.
pub fn remove_if_there(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Sum of the sizes of all files below a folder, in bytes.
pub fn size(root: &Path) -> Result<u64> {
    files(root)?
        .iter()
        .map(|file| {
            let path = root.join(file);
            Ok(fs::metadata(&path).map_err(Error::file("stat", &path))?.len())
        })
        .sum()
}

fn collect(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).map_err(Error::file("list", &folder))? {
        let entry = entry.map_err(Error::file("list", &folder))?;
        let name = below.join(entry.file_name());
        let kind = entry.file_type().map_err(Error::file("stat", entry.path()))?;
        if kind.is_dir() {
            collect(root, &name, found)?;
        } else if kind.is_file() {
            found.push(name);
        }
    }
    Ok(())
}
