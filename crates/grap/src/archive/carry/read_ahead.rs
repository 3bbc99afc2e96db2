//! The objects of one run and database, read ahead of their turn, many at once. What is not expected is read when it is
//! asked for: nothing but the time that it takes depends on what was expected.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;

use super::super::names::{RunNumber, SegmentName};
use super::super::segment::Segment;
use super::super::store::{Archive, ArchiveError};
use super::{WINDOW, WINDOW_BYTES};
use crate::abreast::abreast;

type Loaded = std::result::Result<(Vec<u8>, Vec<Segment>), ArchiveError>;

pub(super) struct ReadAhead<'a> {
    archive: &'a Archive,
    pub(super) number: RunNumber,
    pub(super) database: &'a str,
    /// Those that will be asked for if nothing is damaged, in that order, with their bytes.
    expected: VecDeque<(SegmentName, u64)>,
    loaded: HashMap<SegmentName, Loaded>,
}

impl<'a> ReadAhead<'a> {
    pub(super) fn new(
        archive: &'a Archive,
        number: RunNumber,
        database: &'a str,
        expected: VecDeque<(SegmentName, u64)>,
    ) -> Self {
        Self { archive, number, database, expected, loaded: HashMap::new() }
    }

    pub(super) fn load(&mut self, name: SegmentName) -> Loaded {
        if let Some(at) = self.expected.iter().position(|(expected, _)| *expected == name) {
            self.expected.drain(..at);
            self.fill();
        }
        let loaded = self.loaded.remove(&name);
        loaded.unwrap_or_else(|| self.archive.load(self.number, self.database, name))
    }

    fn fill(&mut self) {
        let (mut window, mut bytes) = (Vec::new(), 0);
        while window.len() < WINDOW
            && bytes < WINDOW_BYTES
            && let Some((name, size)) = self.expected.pop_front()
        {
            window.push(name);
            bytes += size;
        }
        let load = |name: &SegmentName| {
            Ok::<_, Infallible>((*name, self.archive.load(self.number, self.database, *name)))
        };
        let Ok(loaded) = abreast(&window, load);
        self.loaded = loaded.into_iter().collect();
    }
}
