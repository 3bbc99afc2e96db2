//! How the objects of the archive are called.
//! ```text
//! grap/log/<source>/<n>/start                             n in 10 digits
//! grap/log/<source>/<n>/<database>/<first id>             ids in 20 digits
//! grap/log/<source>/<n>/<database>/<first id>-<last id>   merged
//! ```
//! A database called `start` would hide the start record of a directory; it lies under `start_`, which no
//! database can be called.

use std::fmt;

use grap_core::SourceName;
use grap_neo4j::TxId;
use serde::{Deserialize, Serialize};

pub(super) const FOLDER: &str = "grap/log";
const START: &str = "start";

/// n: which run of an archiver, from 1 on without a hole, one sequence a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(pub u64);

impl RunNumber {
    pub const FIRST: Self = Self(1);

    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a segment within its run and database. Ordered by its first id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    pub first: TxId,
    /// Of a merged one.
    pub last: Option<TxId>,
}

impl SegmentName {
    /// A single segment that begins with this transaction.
    pub fn single(first: TxId) -> Self {
        Self { first, last: None }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once('-') {
            None => Some(Self::single(id(text)?)),
            Some((first, last)) => Some(Self { first: id(first)?, last: Some(id(last)?) }),
        }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.first.0)?;
        self.last.map_or(Ok(()), |last| write!(f, "-{:020}", last.0))
    }
}

/// What an object of a source's archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Start(RunNumber),
    Segment(RunNumber, String, SegmentName),
}

/// The folder of a source.
pub(super) fn folder(source: &SourceName) -> String {
    format!("{FOLDER}/{source}")
}

pub(super) fn start(source: &SourceName, run: RunNumber) -> String {
    format!("{FOLDER}/{source}/{:010}/{START}", run.0)
}

pub(super) fn segment(source: &SourceName, run: RunNumber, database: &str, name: SegmentName) -> String {
    format!("{}/{name}", database_folder(source, run, database))
}

/// The folder of a run's segments of one database.
pub(super) fn database_folder(source: &SourceName, run: RunNumber, database: &str) -> String {
    let folder = if database == START { "start_" } else { database };
    format!("{FOLDER}/{source}/{:010}/{folder}", run.0)
}

impl Object {
    /// `None`: not a name that an archiver gives.
    pub(super) fn parse(source: &SourceName, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_prefix(source.as_str())?;
        let (run, rest) = rest.strip_prefix('/')?.split_once('/')?;
        let run = digits(run, 10).map(RunNumber)?;
        match rest.split_once('/') {
            None => (rest == START).then_some(Self::Start(run)),
            Some((folder, name)) => {
                let database = if folder == "start_" { START } else { folder };
                Some(Self::Segment(run, database.to_owned(), SegmentName::parse(name)?))
            }
        }
    }
}

fn id(text: &str) -> Option<TxId> {
    digits(text, 20).map(TxId)
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let source: SourceName = "prod".parse().unwrap();
        let run = RunNumber(7);
        assert_eq!(Object::parse(&source, &start(&source, run)), Some(Object::Start(run)));
        for database in ["neo4j", "start"] {
            for last in [None, Some(TxId(9))] {
                let name = SegmentName { first: TxId(5), last };
                let object = segment(&source, run, database, name);
                let parsed = Object::parse(&source, &object);
                assert_eq!(parsed, Some(Object::Segment(run, database.to_owned(), name)), "{object}");
            }
        }
        for other in
            ["grap/log/prod2/0000000007/start", "grap/log/prod/7/start", "grap/log/prod/0000000007/x"]
        {
            assert_eq!(Object::parse(&source, other), None, "{other}");
        }
    }
}
