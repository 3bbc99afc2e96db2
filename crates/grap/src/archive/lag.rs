//! How much of the log the archive has not, measured from the outside: the log's end in the live directory
//! against the last stored segment of the current path.
//!
//! It asks neither the archiver nor anything that the archiver keeps, so that a silent stall shows. It pins
//! nothing and writes nothing: a file that is pruned while it is read is looked for again.

use grap_disk::{self as disk, DiskError, Source};
use grap_neo4j::files::LogFile;
use grap_neo4j::txlog::{FileHeader, HEADER_LENGTH, LogHeader, ScanStart, Scanner, Transaction};
use grap_neo4j::{LogVersion, StoreId, TransactionEnd, TxId};
use jiff::Timestamp;

use super::history::path_end;
use super::store::Archive;
use crate::error::Result;
use crate::live::{Installation, LogError};

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

/// A file may be pruned or replaced while it is read, so often.
const TRIES: u32 = 5;

/// Of every database of an installation.
pub fn lag(installation: &Installation, archive: &Archive, now: Timestamp) -> Result<Vec<DatabaseLag>> {
    let runs = archive.runs()?;
    let mut lags = Vec::new();
    for database in &installation.databases {
        let archived = match runs.current(database) {
            Some(run) => path_end(archive, &runs, &runs.path(database, run)?)?,
            None => None,
        };
        lags.push(database_lag(installation, database, archived, now)?);
    }
    Ok(lags)
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
            Err(LogError::Disk(error)) if error.is_not_found() && tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
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
            if let Some((header, source)) = self.open(version)? {
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
        let Some((header, mut source)) = (if versions.contains(&from) { self.open(from)? } else { None })
        else {
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
        let later = versions.iter().copied().filter(|version| *version > from);
        for version in [from].into_iter().chain(later) {
            if version != from {
                let Some((header, opened)) = self.open(version)? else { break };
                next = next.into_file(&header);
                source = opened;
            }
            let mut part = source.try_clone()?;
            part.seek(next.position.offset);
            next = tally.count(part, next);
        }
        Ok(tally)
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
            && let Some((header, source)) = self.open(*first)?
        {
            tally.count(source, ScanStart::of_file(&header));
        }
        Ok(Tally { live, transactions: live.0.saturating_sub(end.id.0), ..tally })
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

    /// A log file behind its header; `None`: nothing was written to it yet.
    fn open(&self, version: LogVersion) -> std::result::Result<Option<(LogHeader, Source)>, LogError> {
        let path = self.installation.log(self.database).join(LogFile::Transactions(version).to_string());
        let mut source = Source::open(&path)?;
        let failed =
            |source| LogError::Header { database: self.database.to_owned(), version: version.0, source };
        match FileHeader::read(&mut source) {
            Err(grap_neo4j::txlog::HeaderError::TooShort { .. }) => Ok(None),
            other => Ok(other.map_err(failed)?.written().map(|header| {
                source.seek(HEADER_LENGTH as u64);
                (header, source)
            })),
        }
    }
}

impl Tally {
    /// Go over the transactions of a file. What cannot be read yet is being written.
    fn count(&mut self, source: Source, start: ScanStart) -> ScanStart {
        let mut scanner = Scanner::new(source, start).glance();
        for transaction in scanner.by_ref().map_while(std::result::Result::ok) {
            self.live = transaction.id;
            self.transactions += 1;
            self.oldest_ms.get_or_insert(transaction.commit_time.0);
        }
        scanner.resume()
    }
}

/// Whether the archived transaction's COMMIT is still at its place.
fn ends_there(source: &Source, end: &TransactionEnd) -> std::result::Result<bool, DiskError> {
    let Some(begin) = end.position.offset.checked_sub(Transaction::COMMIT_LENGTH as u64) else {
        return Ok(false);
    };
    let mut commit = [0; Transaction::COMMIT_LENGTH];
    Ok(source.read_at(&mut commit, begin)? == commit.len() && Transaction::is_commit(&commit, end))
}
