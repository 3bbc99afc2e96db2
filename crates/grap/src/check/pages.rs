//! Records by their id, through a small cache of pages: one thread's own, of one store.
//!
//! Each page has one place where it may be. Records that belong together mostly lie together, so what is wanted next is
//! mostly there; where one page is wanted right behind another, a whole run of them is read at once.

use grap_neo4j::record::{PAGE_SIZE, RecordStore};

use super::error::CheckError;
use super::stores::StoreFile;

/// 4 MiB a store and thread.
const PLACES_MAX: u64 = 512;
/// Pages that are read at once, where pages are wanted in order.
const RUN: u64 = 16;
const EMPTY: u64 = u64::MAX;

pub(super) struct Pages<'a> {
    file: &'a StoreFile,
    /// Which page is in a place.
    held: Vec<u64>,
    memory: Vec<u8>,
    /// Behind the last page that was read.
    behind: u64,
}

impl<'a> Pages<'a> {
    pub(super) fn new(file: &'a StoreFile) -> Self {
        let places = file.pages.min(PLACES_MAX);
        let memory = usize::try_from(places).expect("few") * PAGE_SIZE;
        Self { file, held: vec![EMPTY; memory / PAGE_SIZE], memory: vec![0; memory], behind: EMPTY }
    }

    pub(super) fn store(&self) -> RecordStore {
        self.file.store
    }

    /// The bytes of a record; `None` beyond the end of the store.
    pub(super) fn record(&mut self, id: u64) -> Result<Option<&[u8]>, CheckError> {
        let (page, at) = self.file.geometry.place(id);
        if page >= self.file.pages {
            return Ok(None);
        }
        let place = self.place_of(page);
        if self.held[place] != page {
            self.load(page, place)?;
        }
        let begin = place * PAGE_SIZE + at;
        Ok(self.memory.get(begin..begin + self.file.geometry.record_size()))
    }

    fn place_of(&self, page: u64) -> usize {
        usize::try_from(page % self.held.len() as u64).expect("less than there are places")
    }

    fn load(&mut self, page: u64, place: usize) -> Result<(), CheckError> {
        let in_order = page == self.behind;
        let wanted = if in_order { RUN.min(self.file.pages - page) } else { 1 };
        let run = usize::try_from(wanted).expect("few").min(self.held.len() - place);
        self.held[place..place + run].fill(EMPTY);
        let memory = &mut self.memory[place * PAGE_SIZE..(place + run) * PAGE_SIZE];
        let read = self.file.read_pages(memory, page)? / PAGE_SIZE;
        if read == 0 {
            return Err(CheckError::Changed { path: self.file.path() });
        }
        for (held, page) in self.held[place..place + read].iter_mut().zip(page..) {
            *held = page;
        }
        self.behind = page + read as u64;
        Ok(())
    }
}
