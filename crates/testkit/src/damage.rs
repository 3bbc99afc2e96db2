//! Damage as a test axis: {flip, truncate, delete, swap} x every kind of file.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::error::{Error, Result};
use crate::tree;

/// What is done to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// One bit is another: byte offset, bit number.
    Flip { offset: u64, bit: u8 },
    /// The file ends here.
    Truncate { length: u64 },
    /// Some bytes are zero: offset, length.
    Zero { offset: u64, length: u64 },
    /// The file is gone.
    Delete,
    /// The file and another one have changed places.
    Swap { other: PathBuf },
}

/// A damage to one file of a tree; its text says what was done, for the message of a failed test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injury {
    /// Relative to the root of the tree.
    pub file: PathBuf,
    pub damage: Damage,
}

/// Damages a file.
pub fn inflict(root: &Path, injury: &Injury) -> Result<()> {
    let path = root.join(&injury.file);
    match &injury.damage {
        Damage::Flip { offset, bit } => flip(&path, *offset, *bit),
        Damage::Truncate { length } => {
            let file = OpenOptions::new().write(true).open(&path).map_err(Error::file("open", &path))?;
            file.set_len(*length).map_err(Error::file("truncate", &path))
        }
        Damage::Zero { offset, length } => zero(&path, *offset, *length),
        Damage::Delete => fs::remove_file(&path).map_err(Error::file("remove", &path)),
        Damage::Swap { other } => swap(&path, &root.join(other)),
    }
}

/// One injury of each kind that makes a difference for this file, at random places.
pub fn every_kind(root: &Path, file: &Path, random: &mut impl Rng) -> Result<Vec<Injury>> {
    let path = root.join(file);
    let size = fs::metadata(&path).map_err(Error::file("stat", &path))?.len();
    let mut kinds = vec![Damage::Delete];
    if size > 0 {
        kinds.push(Damage::Flip { offset: random.random_range(0..size), bit: random.random_range(0..8) });
        kinds.push(Damage::Truncate { length: random.random_range(0..size) });
    }
    let others: Vec<PathBuf> = tree::files(root)?.into_iter().filter(|other| other != file).collect();
    if let Some(other) = others.choose(random) {
        kinds.push(Damage::Swap { other: other.clone() });
    }
    Ok(kinds.into_iter().map(|damage| Injury { file: file.to_path_buf(), damage }).collect())
}

/// Any one injury to any file below a folder.
pub fn any(root: &Path, random: &mut impl Rng) -> Result<Injury> {
    let files = tree::files(root)?;
    let file = files.choose(random).ok_or_else(|| Error::Workload("nothing there to damage".into()))?;
    let kinds = every_kind(root, file, random)?;
    Ok(kinds.choose(random).expect("deletion is always possible").clone())
}

fn flip(path: &Path, offset: u64, bit: u8) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::file("open", path))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).map_err(Error::file("read", path))?;
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, offset).map_err(Error::file("write", path))
}

fn zero(path: &Path, offset: u64, length: u64) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path).map_err(Error::file("open", path))?;
    let zeros = vec![0; usize::try_from(length).expect("a length in memory")];
    file.write_all_at(&zeros, offset).map_err(Error::file("write", path))
}

fn swap(one: &Path, other: &Path) -> Result<()> {
    let aside = one.with_extension("swapping");
    fs::rename(one, &aside).map_err(Error::file("rename", one))?;
    fs::rename(other, one).map_err(Error::file("rename", other))?;
    fs::rename(&aside, other).map_err(Error::file("rename", &aside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_damage_changes_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let contents = || -> Vec<(PathBuf, Vec<u8>)> {
            let read = |file: PathBuf| (file.clone(), fs::read(root.join(file)).unwrap());
            tree::files(root).unwrap().into_iter().map(read).collect()
        };
        for number in 0..4 {
            fs::write(root.join("a"), [1; 100]).unwrap();
            fs::write(root.join("b"), [2; 100]).unwrap();
            let before = contents();
            let injuries = every_kind(root, Path::new("a"), &mut rand::rng()).unwrap();
            inflict(root, &injuries[number]).unwrap();
            assert_ne!(contents(), before, "{:?}", injuries[number]);
        }
    }
}
