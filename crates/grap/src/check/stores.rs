//! The files of the record stores, open.

use std::path::{Path, PathBuf};

use grap_disk::{Fingerprint, Source};
use grap_neo4j::record::{Geometry, PAGE_SIZE, RecordStore, dynamic_record_size};

use super::error::CheckError;
use super::findings::{Findings, Problem, Record};

/// One store.
pub(super) struct StoreFile {
    pub(super) store: RecordStore,
    pub(super) geometry: Geometry,
    /// Whole pages.
    pub(super) pages: u64,
    size: u64,
    source: Source,
}

/// All of them, in the order of [`RecordStore::ALL`].
pub(super) struct Stores {
    files: Vec<StoreFile>,
}

impl Stores {
    pub(super) fn open(directory: &Path, findings: &mut Findings) -> Result<Self, CheckError> {
        let files = RecordStore::ALL.iter().map(|store| StoreFile::open(directory, *store, findings));
        Ok(Self { files: files.collect::<Result<_, _>>()? })
    }

    pub(super) fn get(&self, store: RecordStore) -> &StoreFile {
        &self.files[store as usize]
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// What tells whether somebody wrote.
    pub(super) fn fingerprints(&self) -> Result<Vec<Fingerprint>, CheckError> {
        self.files.iter().map(|file| Ok(file.source.stat()?.fingerprint())).collect()
    }
}

impl StoreFile {
    fn open(directory: &Path, store: RecordStore, findings: &mut Findings) -> Result<Self, CheckError> {
        let path = directory.join(store.file_name());
        let source = match Source::open(&path) {
            Err(error) if error.is_not_found() => return Err(CheckError::Missing { path }),
            other => other?,
        };
        let size = source.stat()?.size;
        let geometry = geometry(&source, store)?.ok_or(CheckError::Header { path })?;
        let page = PAGE_SIZE as u64;
        if !size.is_multiple_of(page) {
            let last = size / page * geometry.per_page();
            findings.add(Problem::FileLength, Record(store, last), || {
                format!("{} has {size} bytes: it does not end with a whole page of {page}", store.file_name())
            });
        }
        Ok(Self { store, geometry, pages: size / page, size, source })
    }

    /// There is room for so many.
    pub(super) fn records(&self) -> u64 {
        self.pages * self.geometry.per_page()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.pages * PAGE_SIZE as u64
    }

    /// Whole pages, from `first` on, as many as there are and the buffer holds; how many bytes.
    pub(super) fn read_pages(&self, buffer: &mut [u8], first: u64) -> Result<usize, CheckError> {
        let read = self.source.read_at(buffer, first * PAGE_SIZE as u64)?;
        Ok(read / PAGE_SIZE * PAGE_SIZE)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.source.path().to_owned()
    }
}

/// `None`: a dynamic store whose first record is not what it should be.
fn geometry(source: &Source, store: RecordStore) -> Result<Option<Geometry>, CheckError> {
    if let Some(size) = store.record_size() {
        return Ok(Geometry::new(size));
    }
    let mut first = [0; 4];
    let read = source.read_at(&mut first, 0)?;
    Ok(dynamic_record_size(&first[..read]).and_then(Geometry::new))
}
