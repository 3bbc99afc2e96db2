//! A small writer of store records, for planting faults: it knows offsets, and nothing of the code that is to find them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};

const PAGE: u64 = 8192;

/// One store file of a stopped database.
#[derive(Debug)]
pub struct RecordFile {
    file: File,
    path: std::path::PathBuf,
    record: u64,
}

impl RecordFile {
    /// `name` behind `neostore.`; `record`: bytes of a record.
    pub fn open(store: &Path, name: &str, record: u64) -> Result<Self> {
        let path = store.join(format!("neostore.{name}"));
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(Error::file("open", &path))?;
        Ok(Self { file, path, record })
    }

    pub fn nodes(store: &Path) -> Result<Self> {
        Self::open(store, "nodestore.db", 15)
    }

    pub fn relationships(store: &Path) -> Result<Self> {
        Self::open(store, "relationshipstore.db", 34)
    }

    pub fn groups(store: &Path) -> Result<Self> {
        Self::open(store, "relationshipgroupstore.db", 25)
    }

    pub fn properties(store: &Path) -> Result<Self> {
        Self::open(store, "propertystore.db", 41)
    }

    pub fn strings(store: &Path) -> Result<Self> {
        Self::open(store, "propertystore.db.strings", 128)
    }

    /// How many records there is room for.
    pub fn len(&self) -> Result<u64> {
        let size = self.file.metadata().map_err(Error::file("stat", &self.path))?.len();
        Ok(size / PAGE * (PAGE / self.record))
    }

    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    pub fn read(&self, id: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.record).expect("a record is small")];
        self.file.read_exact_at(&mut bytes, self.offset(id)).map_err(Error::file("read", &self.path))?;
        Ok(bytes)
    }

    /// Changes a record.
    pub fn change(&self, id: u64, change: impl FnOnce(&mut [u8])) -> Result<()> {
        let mut bytes = self.read(id)?;
        change(&mut bytes);
        self.file.write_all_at(&bytes, self.offset(id)).map_err(Error::file("write", &self.path))
    }

    /// The first record for which this holds, from `from` on.
    pub fn find(&self, from: u64, wanted: impl Fn(&[u8]) -> bool) -> Result<u64> {
        for id in from..self.len()? {
            if wanted(&self.read(id)?) {
                return Ok(id);
            }
        }
        Err(Error::Claim(format!("{} has no such record", self.path.display())))
    }

    fn offset(&self, id: u64) -> u64 {
        let per_page = PAGE / self.record;
        id / per_page * PAGE + id % per_page * self.record
    }
}

/// A big-endian number within a record.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Puts one there.
pub fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
