//! The runs of a source's archive, and what follows from their starts alone: paths, the current one, the
//! timelines. Pure.

use std::collections::{BTreeMap, BTreeSet};

use grap_neo4j::TxId;

use super::names::{RunNumber, SegmentName};
use super::path::{Path, PathError, Piece};
use super::start::{DatabaseStart, StartRecord};

/// One run and what was listed of it.
#[derive(Debug, Clone)]
pub struct Run {
    pub start: StartRecord,
    segments: BTreeMap<String, BTreeSet<SegmentName>>,
}

/// Every run of a source.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    runs: BTreeMap<RunNumber, Run>,
    /// Numbers that are taken, and whose start cannot be read.
    damaged: BTreeMap<RunNumber, String>,
}

impl Run {
    pub fn database(&self, database: &str) -> Option<&DatabaseStart> {
        self.start.databases.get(database)
    }

    /// Databases of which something is stored.
    pub fn stored_databases(&self) -> impl Iterator<Item = &str> {
        self.segments.keys().map(String::as_str)
    }

    /// Names of a database's segments, by first id; a merged one behind the single one of the same first id.
    pub fn segments(&self, database: &str) -> impl DoubleEndedIterator<Item = SegmentName> + '_ {
        self.segments.get(database).into_iter().flatten().copied()
    }
}

impl Runs {
    pub fn add(&mut self, number: RunNumber, start: StartRecord) {
        self.runs.insert(number, Run { start, segments: BTreeMap::new() });
    }

    pub(super) fn add_damaged(&mut self, number: RunNumber, why: String) {
        self.damaged.insert(number, why);
    }

    /// Note a segment. One of a run without a readable start belongs to nothing.
    pub fn add_segment(&mut self, number: RunNumber, database: &str, name: SegmentName) {
        if let Some(run) = self.runs.get_mut(&number) {
            run.segments.entry(database.to_owned()).or_default().insert(name);
        }
    }

    pub fn get(&self, number: RunNumber) -> Option<&Run> {
        self.runs.get(&number)
    }

    /// By number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (RunNumber, &Run)> {
        self.runs.iter().map(|(number, run)| (*number, run))
    }

    pub fn damaged(&self) -> &BTreeMap<RunNumber, String> {
        &self.damaged
    }

    /// The highest number that is taken.
    pub fn newest(&self) -> Option<RunNumber> {
        let readable = self.runs.last_key_value().map(|(number, _)| *number);
        readable.max(self.damaged.last_key_value().map(|(number, _)| *number))
    }

    /// Names of every database that any run covers.
    pub fn databases(&self) -> BTreeSet<String> {
        self.runs.values().flat_map(|run| run.start.databases.keys().cloned()).collect()
    }

    /// The run whose path is the current one: the highest that covers the database and is no side run for it.
    pub fn current(&self, database: &str) -> Option<RunNumber> {
        self.newest().and_then(|newest| self.current_at(database, newest))
    }

    /// The same when `newest` was the newest start.
    pub fn current_at(&self, database: &str, newest: RunNumber) -> Option<RunNumber> {
        let main = |run: &Run| run.database(database).is_some_and(|start| !start.side);
        self.runs.range(..=newest).rev().find(|(_, run)| main(run)).map(|(number, _)| *number)
    }

    /// A run that is newer than the current one and whose start cannot be read, and why: it may be the current
    /// one itself.
    pub fn unreadable_newer(&self, database: &str) -> Option<(RunNumber, &str)> {
        let (run, why) = self.damaged.last_key_value()?;
        let newer = self.current(database).is_none_or(|current| *run > current);
        newer.then_some((*run, why.as_str()))
    }

    /// The parent's path up to the parent, then the run's own transactions.
    pub fn path(&self, database: &str, number: RunNumber) -> Result<Path, PathError> {
        let mut pieces = Vec::new();
        let mut unreadable = None;
        let (mut run, mut last) = (number, None::<TxId>);
        loop {
            let start = self.get(run).and_then(|run| run.database(database));
            let Some(start) = start else {
                if pieces.is_empty() {
                    return Err(PathError::NoSuchPath { run, database: database.to_owned() });
                }
                unreadable = Some(run);
                break;
            };
            pieces.push(Piece { run, first: start.first_id, last, parent: start.parent });
            match start.parent {
                Some(parent) if parent.run < run => {
                    // A run may have been left before its own first transaction.
                    last = Some(last.map_or(parent.id, |last| last.min(parent.id)));
                    run = parent.run;
                }
                Some(parent) => {
                    return Err(PathError::Loop { run, parent: parent.run, database: database.to_owned() });
                }
                None => break,
            }
        }
        pieces.reverse();
        Ok(Path { database: database.to_owned(), run: number, pieces, unreadable })
    }

    /// Which timeline a run belongs to: it begins with the newest run on its path that recorded a break.
    pub fn timeline(&self, path: &Path) -> RunNumber {
        let begins = |piece: &&Piece| {
            let start = self.get(piece.run).and_then(|run| run.database(&path.database));
            start.is_none_or(|start| start.broken.is_some() || start.parent.is_none())
        };
        path.pieces.iter().rev().find(begins).map_or(path.run, |piece| piece.run)
    }
}
