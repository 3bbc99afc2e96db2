//! How much of the log the archive has not, measured from the outside: the log's end in the live directory
//! against the last stored segment of the current path.
//!
//! It asks neither the archiver nor anything that the archiver says of itself, so that a silent stall shows. What the
//! server has deleted and an archiver's pins hold is counted as what it is: behind, not lost. It pins nothing and
//! writes nothing: a file that is pruned while it is read is looked for again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use grap_disk::{self as disk, Source};
use grap_neo4j::files::LogFile;
use grap_neo4j::txlog::{
    ChainError, FileHeader, HEADER_LENGTH, HeaderError, LogHeader, ScanStart, Scanner, Tail,
};
use grap_neo4j::{LogVersion, StoreId, TransactionEnd, TxId};
use grap_task::Stop;
use jiff::{SignedDuration, Timestamp};

use super::held::ends_there;
use super::history::path_end;
use super::names::{RunNumber, SegmentName};
use super::parent::transactions;
use super::path::PathReader;
use super::store::Archive;
use crate::error::Result;
use crate::live::{Installation, LogError, held_before};

/// Of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseLag {
    pub database: String,
    /// The last complete transaction of the live log.
    pub live: TxId,
    /// The last one on the current path; `None`: nothing of this database is archived.
    pub archived: Option<TransactionEnd>,
    /// Committed, and not archived.
    pub transactions: u64,
    /// Since the oldest of them was committed, by the clocks of both.
    pub milliseconds: i64,
    pub standing: Standing,
}

/// How the live log and the archive stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The log goes on from what is archived.
    Follows,
    NothingArchived,
    /// The log's files begin behind the end of the archive: what was between is gone.
    Gap,
    /// Another transaction stands where the archive ends, or none: an older state was put back, or a tail was lost.
    Fork,
    OtherStore,
}

/// What is wrong, where something is.
impl fmt::Display for DatabaseLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, transactions, milliseconds, .. } = self;
        write!(f, "{database}: ")?;
        match self.standing {
            Standing::Follows => write!(
                f,
                "the archive is {transactions} transactions behind, the oldest committed {milliseconds} ms ago"
            ),
            Standing::NothingArchived => f.write_str("nothing of its log is archived yet"),
            Standing::Gap => {
                write!(f, "{transactions} transactions are missing between the archive and the live log")
            }
            Standing::Fork => {
                f.write_str("the live log does not go on from what is archived: another history began")
            }
            Standing::OtherStore => f.write_str("the archive is of another store"),
        }
    }
}

/// A file may be pruned or replaced while it is read, so often.
const TRIES: u32 = 5;

/// After a longer pause what was known is asked for anew: objects may have been merged, and their parts deleted.
const KNOWN_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Measures again and again. What is archived is asked for by name, behind what was found the last time: where
/// nothing was stored, one question a database. Only a new run makes it list.
pub struct LagProbe<'a> {
    installation: &'a Installation,
    archive: &'a Archive,
    stop: &'a Stop,
    known: Option<Known>,
}

struct Known {
    at: Timestamp,
    /// The newest start; 0: there is none.
    run: RunNumber,
    databases: BTreeMap<String, PathEnd>,
}

/// Where the current path of a database ends.
struct PathEnd {
    /// What is stored next is stored under this run, beginning with this transaction.
    run: RunNumber,
    next: TxId,
    stored: Option<(StoreId, TransactionEnd)>,
}

impl<'a> LagProbe<'a> {
    pub fn new(installation: &'a Installation, archive: &'a Archive, stop: &'a Stop) -> Self {
        Self { installation, archive, stop, known: None }
    }

    /// Of every database of the installation.
    pub fn measure(&mut self, now: Timestamp) -> Result<Vec<DatabaseLag>> {
        let mut known = match self.known.take() {
            Some(known) if self.is_current(&known, now)? => known,
            _ => self.learn(now)?,
        };
        known.at = now;
        let Known { databases, .. } = self.known.insert(known);
        let mut lags = Vec::new();
        for database in &self.installation.databases {
            let mut stored = None;
            if let Some(end) = databases.get_mut(database) {
                end.go_on(self.archive, database)?;
                stored.clone_from(&end.stored);
            }
            lags.push(database_lag(self.installation, database, stored, now)?);
        }
        Ok(lags)
    }

    /// The newest start of an archiver that the last measurement found.
    pub fn newest_run(&self) -> Option<RunNumber> {
        self.known.as_ref().map(|known| known.run)
    }

    fn is_current(&self, known: &Known, now: Timestamp) -> Result<bool> {
        Ok(now.duration_since(known.at).abs() < KNOWN_MAX && !self.archive.has_begun(known.run.next())?)
    }

    fn learn(&self, now: Timestamp) -> Result<Known> {
        let runs = self.archive.runs()?;
        let mut databases = BTreeMap::new();
        for database in &self.installation.databases {
            let Some(run) = runs.current(database) else { continue };
            let path = runs.path(database, run)?;
            let reader = PathReader { archive: self.archive, runs: &runs, path: &path, stop: self.stop };
            let stored = path_end(&reader)?;
            let first = path.pieces.last().map_or(TxId::BASE, |piece| piece.first);
            let next = stored.as_ref().map_or(first, |(_, end)| end.id.next());
            databases.insert(database.clone(), PathEnd { run, next, stored });
        }
        Ok(Known { at: now, run: runs.newest().unwrap_or(RunNumber(0)), databases })
    }
}

impl PathEnd {
    fn go_on(&mut self, archive: &Archive, database: &str) -> Result<()> {
        while let Some(segments) =
            archive.find_segments(self.run, database, SegmentName::single(self.next))?
        {
            let Some((store_id, transactions)) = segments.last().and_then(transactions) else { break };
            let Some(last) = transactions.last() else { break };
            self.next = last.id.next();
            self.stored = Some((store_id, last.end_point()));
        }
        Ok(())
    }
}

/// Of one database, behind what is known to be archived.
pub fn database_lag(
    installation: &Installation,
    database: &str,
    archived: Option<(StoreId, TransactionEnd)>,
    now: Timestamp,
) -> Result<DatabaseLag> {
    let mut tries = 0;
    let live = LiveLog { installation, database };
    loop {
        let measured = match &archived {
            None => live.newest().map(|live| Tally { live, ..Tally::NOTHING }),
            Some((store_id, end)) => live.behind(store_id, end),
        };
        match measured {
            Ok(tally) => return Ok(tally.into_lag(database, archived.map(|(_, end)| end), now)),
            Err(error) if may_pass(&error) && tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn may_pass(error: &LogError) -> bool {
    match error {
        LogError::Disk(error) => error.is_not_found(),
        LogError::Chain { source: ChainError::LastId { .. }, .. } => true,
        _ => false,
    }
}

/// What was counted behind the archive's end.
#[derive(Debug)]
struct Tally {
    live: TxId,
    transactions: u64,
    oldest_ms: Option<i64>,
    /// `None`: it follows.
    standing: Option<Standing>,
}

impl Tally {
    const NOTHING: Self = Self { live: TxId::BASE, transactions: 0, oldest_ms: None, standing: None };

    fn into_lag(self, database: &str, archived: Option<TransactionEnd>, now: Timestamp) -> DatabaseLag {
        let waited = |ms: i64| now.as_millisecond().saturating_sub(ms).max(0);
        let follows = if archived.is_some() { Standing::Follows } else { Standing::NothingArchived };
        DatabaseLag {
            database: database.to_owned(),
            live: self.live,
            archived,
            transactions: self.transactions,
            milliseconds: self.oldest_ms.map_or(0, waited),
            standing: self.standing.unwrap_or(follows),
        }
    }
}

struct LiveLog<'a> {
    installation: &'a Installation,
    database: &'a str,
}

impl LiveLog<'_> {
    /// The last complete transaction.
    fn newest(&self) -> std::result::Result<TxId, LogError> {
        let mut last = TxId::BASE;
        for version in self.versions()?.into_iter().rev() {
            if let Some((header, source)) = self.open((version, &self.path(version)))? {
                let mut scanner = Scanner::new(source, ScanStart::of_file(&header)).glance();
                last = scanner
                    .by_ref()
                    .map_while(std::result::Result::ok)
                    .last()
                    .map_or(header.last_id, |found| found.id);
                break;
            }
        }
        Ok(last)
    }

    /// Count what stands behind the archive's end.
    fn behind(&self, store_id: &StoreId, end: &TransactionEnd) -> std::result::Result<Tally, LogError> {
        let versions = self.versions()?;
        let from = end.position.version;
        let fork = |standing| -> std::result::Result<Tally, LogError> {
            Ok(Tally { live: self.newest()?, standing: Some(standing), ..Tally::NOTHING })
        };
        let files = self.files_from(&versions, from)?;
        let mut files = files.iter();
        let first = files.next().map_or(Ok(None), |(version, path)| self.open((*version, path)))?;
        let Some((header, mut source)) = first else {
            let behind = versions.first().is_some_and(|first| *first > from);
            return if behind { self.behind_gap(&versions, end) } else { fork(Standing::Fork) };
        };
        if header.store_id != *store_id {
            return fork(Standing::OtherStore);
        }
        if !ends_there(&source, end)? {
            return fork(Standing::Fork);
        }
        let mut tally = Tally { live: end.id, ..Tally::NOTHING };
        let mut next = ScanStart::after(end);
        loop {
            let mut part = source.try_clone()?;
            part.seek(next.position.offset);
            next = self.count(&mut tally, part, next)?;
            let Some((version, path)) = files.next() else { break };
            let Some((header, opened)) = self.open((*version, path))? else { break };
            if header.last_id != tally.live {
                // Rotated while it was read, or not one log: the caller looks again.
                return Err(self.not_continuous(*version, header.last_id, tally.live));
            }
            next = next.into_file(&header);
            source = opened;
        }
        Ok(tally)
    }

    /// This file and the later ones: those that the server has deleted are where an archiver holds them. Empty where it
    /// is nowhere.
    fn files_from(
        &self,
        versions: &[LogVersion],
        from: LogVersion,
    ) -> std::result::Result<Vec<(LogVersion, PathBuf)>, LogError> {
        let live = |version: &LogVersion| (*version, self.path(*version));
        if versions.contains(&from) {
            return Ok(versions.iter().filter(|version| **version >= from).map(live).collect());
        }
        let Some(first) = versions.first().filter(|first| **first > from) else { return Ok(Vec::new()) };
        let inode = Source::open(&self.path(*first))?.stat()?.inode;
        let mut files = held_before(self.installation, self.database, (*first, inode))?;
        files.retain(|(version, _)| *version >= from);
        if files.first().is_none_or(|(oldest, _)| *oldest != from) {
            return Ok(Vec::new());
        }
        files.extend(versions.iter().map(live));
        Ok(files)
    }

    /// The oldest file that is left begins behind the archive's end.
    fn behind_gap(
        &self,
        versions: &[LogVersion],
        end: &TransactionEnd,
    ) -> std::result::Result<Tally, LogError> {
        let live = self.newest()?;
        let mut tally = Tally { standing: Some(Standing::Gap), ..Tally::NOTHING };
        if let Some(first) = versions.first()
            && let Some((header, source)) = self.open((*first, &self.path(*first)))?
        {
            self.count(&mut tally, source, ScanStart::of_file(&header))?;
        }
        Ok(Tally { live, transactions: live.0.saturating_sub(end.id.0), ..tally })
    }

    /// Go over the transactions of a file. One that is being written is no error; what is none of those the
    /// archiver cannot read either, and it must not look like the end.
    fn count(
        &self,
        tally: &mut Tally,
        source: Source,
        start: ScanStart,
    ) -> std::result::Result<ScanStart, LogError> {
        let mut scanner = Scanner::new(source, start).glance();
        for transaction in &mut scanner {
            let transaction = transaction.map_err(|error| LogError::Chain {
                database: self.database.to_owned(),
                source: ChainError::Scan(error),
            })?;
            tally.live = transaction.id;
            tally.transactions += 1;
            tally.oldest_ms.get_or_insert(transaction.commit_time.0);
        }
        let resume = scanner.resume();
        match scanner.tail() {
            Some(tail @ Tail::Garbage { .. }) => Err(LogError::Damaged {
                database: self.database.to_owned(),
                version: resume.position.version.0,
                last: tally.live.0,
                tail,
            }),
            _ => Ok(resume),
        }
    }

    fn not_continuous(&self, version: LogVersion, found: TxId, expected: TxId) -> LogError {
        let source = ChainError::LastId { version, expected, found };
        LogError::Chain { database: self.database.to_owned(), source }
    }

    /// The log files that are there, oldest first.
    fn versions(&self) -> std::result::Result<Vec<LogVersion>, LogError> {
        let names = disk::list(&self.installation.log(self.database))?.unwrap_or_default();
        let version = |name: &String| match LogFile::parse(name)? {
            LogFile::Transactions(version) => Some(version),
            LogFile::Checkpoints(_) => None,
        };
        let mut versions: Vec<LogVersion> = names.iter().filter_map(version).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    fn path(&self, version: LogVersion) -> PathBuf {
        self.installation.log(self.database).join(LogFile::Transactions(version).to_string())
    }

    /// A log file behind its header; `None`: nothing was written to it yet.
    fn open(
        &self,
        (version, path): (LogVersion, &Path),
    ) -> std::result::Result<Option<(LogHeader, Source)>, LogError> {
        let mut source = Source::open(path)?;
        let failed =
            |source| LogError::Header { database: self.database.to_owned(), version: version.0, source };
        match FileHeader::read(&mut source) {
            Err(HeaderError::TooShort { .. }) => Ok(None),
            other => Ok(other.map_err(failed)?.written().map(|header| {
                source.seek(HEADER_LENGTH as u64);
                (header, source)
            })),
        }
    }
}
