//! What was deleted from an archive on purpose, so that it is never taken for lost: sealed records
//! `grap/log-expired/<source>/<n>` (docs/format/archive.md), put **before** the segments go.
//!
//! A record names ranges of transactions, by run and database. Nothing outside of all ranges was ever deleted, so what
//! is missing there is lost. A range may still be stored: a run that was killed, or that the storage refused to delete,
//! left it to the next.

use std::collections::BTreeMap;

use grap_neo4j::TxId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::RunNumber;
use super::path::{Path, Stretch};
use super::store::{Archive, ArchiveError};
use crate::notes::Author;
use crate::series::Series;

const FOLDER: &str = "grap/log-expired";
/// Of a record.
const VERSION: u32 = 1;

/// Transactions of one run and database, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExpiredRange {
    pub run: RunNumber,
    pub database: String,
    #[serde(rename = "first_id")]
    pub first: TxId,
    #[serde(rename = "last_id")]
    pub last: TxId,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    at: Timestamp,
    host: String,
    program: String,
    /// The begin of the window that was kept.
    window_begins: Timestamp,
    ranges: Vec<ExpiredRange>,
}

/// Every record of a source.
#[derive(Debug, Default)]
pub struct ExpiredLog {
    /// Without overlaps, by first id.
    ranges: BTreeMap<(RunNumber, String), Vec<(TxId, TxId)>>,
    /// Records that cannot be read, each with its name and why.
    pub unreadable: Vec<String>,
    newest: u64,
}

impl ExpiredLog {
    pub fn load(archive: &Archive) -> Result<Self, ArchiveError> {
        let series = series(archive);
        let records = series.read::<Record>(series.listed()?)?;
        let mut log = Self { unreadable: records.unreadable, newest: records.newest, ..Self::default() };
        records.readable.into_iter().flat_map(|record| record.ranges).for_each(|range| log.add(range));
        Ok(log)
    }

    /// Say that these ranges go. What was said before is not said again.
    pub fn put(
        &self,
        archive: &Archive,
        author: &Author,
        window_begins: Timestamp,
        ranges: &[ExpiredRange],
    ) -> Result<(), ArchiveError> {
        let known = |range: &ExpiredRange| self.covers(range.run, &range.database, range.first, range.last);
        let ranges: Vec<ExpiredRange> = ranges.iter().filter(|range| !known(range)).cloned().collect();
        if ranges.is_empty() {
            return Ok(());
        }
        let record = |_| Record {
            version: VERSION,
            at: author.at,
            host: author.host.clone(),
            program: author.program.clone(),
            window_begins,
            ranges: ranges.clone(),
        };
        series(archive).put(self.newest, record)?;
        Ok(())
    }

    /// Whether all of these transactions were deleted on purpose.
    pub fn covers(&self, run: RunNumber, database: &str, first: TxId, last: TxId) -> bool {
        let ranges = self.ranges.get(&(run, database.to_owned()));
        ranges.into_iter().flatten().any(|(from, to)| *from <= first && last <= *to)
    }

    /// All that was deleted on purpose.
    pub(super) fn ranges(&self) -> impl Iterator<Item = ExpiredRange> + '_ {
        self.ranges.iter().flat_map(|((run, database), ranges)| {
            let range = move |(first, last): &(TxId, TxId)| ExpiredRange {
                run: *run,
                database: database.clone(),
                first: *first,
                last: *last,
            };
            ranges.iter().map(range)
        })
    }

    /// Whether all transactions of a path in this range were, whichever runs they stood under.
    pub(super) fn covers_path(&self, path: &Path, first: TxId, last: TxId) -> bool {
        let mut next = first;
        while next <= last {
            let Some(run) = path.run_of(next) else { return false };
            let ranges = self.ranges.get(&(run, path.database.clone()));
            let holds = |(from, to): &&(TxId, TxId)| *from <= next && next <= *to;
            let Some((_, to)) = ranges.into_iter().flatten().find(holds) else { return false };
            let piece = path.pieces.iter().rfind(|piece| piece.run == run);
            let upto = piece.and_then(|piece| piece.last).map_or(*to, |left| left.min(*to));
            next = upto.next();
        }
        true
    }

    /// Where a stretch does not go on from the one before only because what lay between has expired: say so.
    pub(super) fn explain(&self, path: &Path, stretches: &mut [Stretch]) {
        for number in 1..stretches.len() {
            let (before, behind) = (stretches[number - 1].last.id.next(), stretches[number].first.id);
            if before < behind && self.covers_path(path, before, TxId(behind.0 - 1)) {
                stretches[number].hole = Some("it has expired".to_owned());
            }
        }
    }

    fn add(&mut self, range: ExpiredRange) {
        let ranges = self.ranges.entry((range.run, range.database)).or_default();
        ranges.push((range.first, range.last));
        ranges.sort_unstable();
        let mut joined: Vec<(TxId, TxId)> = Vec::new();
        for (first, last) in ranges.drain(..) {
            match joined.last_mut() {
                Some(before) if first <= before.1.next() => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        *ranges = joined;
    }
}

fn series(archive: &Archive) -> Series<'_> {
    let folder = format!("{FOLDER}/{}", archive.source());
    Series { repository: archive.repository(), folder, version: VERSION }
}

#[cfg(test)]
mod tests {
    use super::super::path::Piece;
    use super::*;

    fn range(run: u64, first: u64, last: u64) -> ExpiredRange {
        ExpiredRange {
            run: RunNumber(run),
            database: "neo4j".to_owned(),
            first: TxId(first),
            last: TxId(last),
        }
    }

    #[test]
    fn ranges_that_touch_are_one_and_a_path_is_asked_run_by_run() {
        let mut log = ExpiredLog::default();
        for one in [range(1, 10, 19), range(1, 2, 9), range(1, 15, 20), range(1, 31, 40), range(2, 26, 30)] {
            log.add(one);
        }
        let covers = |run, first, last| log.covers(RunNumber(run), "neo4j", TxId(first), TxId(last));
        assert!(covers(1, 2, 20) && covers(1, 31, 40) && covers(2, 26, 26));
        assert!(!covers(1, 2, 21) && !covers(1, 20, 31) && !covers(2, 2, 3) && !covers(3, 26, 26));
        // Run 2 left run 1 behind 20.
        let piece = |run, first, last: Option<u64>| Piece {
            run: RunNumber(run),
            first: TxId(first),
            last: last.map(TxId),
            parent: None,
        };
        let path = |left| Path {
            database: "neo4j".to_owned(),
            run: RunNumber(2),
            pieces: vec![piece(1, 2, Some(left)), piece(2, left + 1, None)],
            unreadable: None,
        };
        assert!(!log.covers_path(&path(20), TxId(5), TxId(28)), "21 to 25 of run 2 are not in it");
        log.add(range(2, 21, 25));
        assert!(log.covers_path(&path(20), TxId(5), TxId(28)));
        assert!(!log.covers_path(&path(20), TxId(5), TxId(31)));
        assert!(!log.covers_path(&path(21), TxId(5), TxId(28)), "21 stands under run 1");
    }
}
