//! The writer: one archiver's hand on the archive of a source.
//!
//! It keeps no position of its own: where it stands follows from what is stored and what the source holds
//! ([`Writer::begin`]). A round ships what came since, in this order, which must not change: note the clock; ask
//! whether the next run has begun; read; **after the read** see that the last stored COMMIT still stands in its
//! place, in the same inode, during the same run of the server; put. What was read before an older state was
//! put back is then history of the log it was read from, and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use grap_disk::DiskError;
use grap_neo4j::files::LogFile;
use grap_neo4j::txlog::ScanStart;
use grap_neo4j::{CommitTime, LogVersion, StoreId, TransactionEnd, TxId};
use grap_task::Clock;

use super::ahead::{Ahead, Behind, Limits, read_ahead};
use super::begin::Floor;
use super::held::{HeldLog, Sequence, is_stray};
use super::names::{RunNumber, SegmentName};
use super::owner::Nonces;
use super::parent::transactions;
use super::segment::Segment;
use super::store::{Archive, Put};
use super::write_error::WriteError;
use crate::live::{Follower, HeldRun, PinnedFile, RunIdentity};

/// How long an odd state of a log that is being written may last.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Then a transaction without an end is read on behind its zeros.
const PATIENCE: Duration = Duration::from_millis(200);

/// Writes for one source, from one installation.
pub struct Writer<'a> {
    pub archive: &'a Archive,
    pub follower: &'a Follower,
    pub databases: &'a [String],
    pub clock: &'a Clock,
    pub host: String,
    /// Whose pins these are: a text that names the repository and the source.
    pub owner: String,
    /// Of log in one segment, as long as a transaction is not longer.
    pub segment_bytes: usize,
    pub nonces: Nonces,
    /// An operator said that this installation writes from now on.
    pub takeover: bool,
    pub active: Option<Active>,
}

/// A run that has begun.
#[derive(Debug)]
pub struct Active {
    pub run: RunNumber,
    /// The run of the server that it reads.
    pub(super) server: RunIdentity,
    pub(super) logs: BTreeMap<String, LogCursor>,
    /// Earlier runs of the server whose remains are stored.
    pub(super) stored: Vec<RunIdentity>,
    /// Inodes that this run of the server had given up when this began.
    pub(super) known: HashSet<u64>,
}

/// Where the archive stands in one log.
#[derive(Debug)]
pub(super) struct LogCursor {
    /// As it was found at the begin; files that came since are asked for one by one.
    sequence: Sequence,
    log: HeldLog,
    scan: ScanStart,
    /// The last stored transaction.
    last: Option<(StoreId, TransactionEnd)>,
    /// Nothing was stored under this run yet, and it goes on from nothing.
    begins: bool,
    /// Read, proved, and not known to be stored.
    pending: Option<Pending>,
    /// Since when something odd stands there, and what.
    odd: Option<(Duration, String)>,
}

#[derive(Debug)]
struct Pending {
    segment: Segment,
    resume: ScanStart,
    /// The first and the last transaction.
    ends: (TransactionEnd, TransactionEnd),
    at_end: bool,
}

/// What a round did for one database.
#[derive(Debug)]
pub enum Round {
    /// Nothing new.
    Idle,
    Stored(Stored),
    /// The next file; ask again at once.
    Turned,
    /// A run must begin anew; with a floor where the history must begin there.
    Lost {
        why: String,
        floor: Option<Floor>,
    },
    /// Another run has begun.
    Overtaken {
        run: RunNumber,
    },
}

/// A segment that is now in the repository.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    pub name: SegmentName,
    pub first: TxId,
    pub last: TxId,
    /// Of log.
    pub bytes: u64,
    /// When the first of them was committed.
    pub first_commit: CommitTime,
    /// When it was read, nothing more stood behind it.
    pub at_end: bool,
}

impl LogCursor {
    pub(super) fn new(
        sequence: Sequence,
        log: HeldLog,
        scan: ScanStart,
        last: Option<(StoreId, TransactionEnd)>,
    ) -> Self {
        let begins = last.is_none();
        Self { sequence, log, scan, last, begins, pending: None, odd: None }
    }

    /// The last transaction that is in the repository.
    pub(super) fn stored(&self) -> Option<&TransactionEnd> {
        self.last.as_ref().map(|(_, end)| end)
    }

    /// The oldest file that must stay: that of the last stored transaction, also where everything in it is
    /// stored. The next run of an archiver finds its parent there; while a backlog is shipped it is not among
    /// the newest files.
    fn needed_from(&self) -> LogVersion {
        let here = self.log.version();
        self.stored().map_or(here, |end| end.position.version.min(here))
    }

    fn advance(&mut self, resume: ScanStart, last: TransactionEnd) {
        self.scan = resume;
        self.last = Some((self.log.header.store_id.clone(), last));
        self.begins = false;
        self.odd = None;
    }

    /// Two bytes tell: zeros, or the end of the file.
    fn nothing_there(&self) -> Result<bool, DiskError> {
        let bytes = self.log.bytes(self.scan.position.offset, 2)?;
        Ok(bytes.iter().all(|byte| *byte == 0))
    }

    /// Why the last stored COMMIT does not stand where it stood, if so.
    fn moved(&self) -> Result<Option<String>, DiskError> {
        let Some((store_id, end)) = &self.last else { return Ok(None) };
        let version = end.position.version;
        let here = version == self.log.version();
        let log = if here { Some(&self.log) } else { self.sequence.file(version) };
        // A file that we have left, and whose pin went since, was not read in this round.
        let Some(log) = log else { return Ok(None) };
        match log.holds(store_id, end) {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(format!("transaction {} is no longer where it was read", end.id))),
            Err(error) if error.is_not_found() && !here => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Note something odd; after a while it is taken for good.
    fn settle(&mut self, now: Duration, why: &str) -> Duration {
        match &self.odd {
            Some((since, before)) if before == why => now.saturating_sub(*since),
            _ => {
                self.odd = Some((now, why.to_owned()));
                Duration::ZERO
            }
        }
    }
}

impl Active {
    /// The last transaction of a database that is in the repository.
    pub fn stored(&self, database: &str) -> Option<&TransactionEnd> {
        self.logs.get(database)?.stored()
    }
}

impl Writer<'_> {
    /// Ship what came since, for one database: at most one segment.
    pub fn round(&mut self, database: &str) -> Result<Round, WriteError> {
        let Some(mut active) = self.active.take() else { return Ok(lost("no run has begun", None)) };
        let round = match active.logs.get_mut(database) {
            Some(_) => self.round_of(&mut active, database),
            None => Ok(lost("the run does not cover the database", None)),
        };
        self.active = Some(active);
        round
    }

    fn round_of(&self, active: &mut Active, database: &str) -> Result<Round, WriteError> {
        let run = active.run;
        let cursor = active.logs.get_mut(database).expect("the caller saw it");
        if cursor.pending.is_none() {
            if cursor.nothing_there()? && !self.may_turn(cursor, database)? {
                return Ok(Round::Idle);
            }
            let clock_ms = self.clock.now().as_millisecond();
            if self.archive.has_begun(run.next())? {
                return Ok(Round::Overtaken { run: run.next() });
            }
            let ahead = self.ahead(cursor, clock_ms)?;
            let Ahead { segment: Some(segment), resume, ends: Some(ends), .. } = ahead else {
                let round = self.behind(cursor, database, ahead.behind)?;
                let moved = match round {
                    Round::Lost { .. } => self.displaced(active, database)?,
                    _ => None,
                };
                return Ok(moved.map_or(round, |why| lost(&why, None)));
            };
            if let Some(why) = self.displaced(active, database)? {
                return Ok(lost(&why, None));
            }
            let cursor = active.logs.get_mut(database).expect("the caller saw it");
            let ends_here = matches!(ahead.behind, Behind::End | Behind::Incomplete);
            let at_end = ends_here && self.next_file(cursor, database)?.is_none();
            cursor.pending = Some(Pending { segment, resume, ends, at_end });
        } else if self.archive.has_begun(run.next())? {
            return Ok(Round::Overtaken { run: run.next() });
        }
        self.put(active, database)
    }

    fn ahead(&self, cursor: &LogCursor, clock_ms: i64) -> Result<Ahead, DiskError> {
        let waited = cursor.odd.as_ref().map(|(since, _)| self.clock.since_boot().saturating_sub(*since));
        let to_end = waited.is_some_and(|waited| waited >= PATIENCE);
        let limits = Limits { bytes: self.segment_bytes, last: None, begins: cursor.begins, to_end };
        read_ahead(&cursor.log, &cursor.scan, limits, clock_ms)
    }

    /// Whether the file ends where we stand and a newer one is held.
    fn may_turn(&self, cursor: &LogCursor, database: &str) -> Result<bool, WriteError> {
        let at_end = cursor.log.size()? <= cursor.scan.position.offset;
        Ok(at_end && self.next_file(cursor, database)?.is_some())
    }

    /// What to do where no whole transaction comes next.
    fn behind(&self, cursor: &mut LogCursor, database: &str, behind: Behind) -> Result<Round, WriteError> {
        let now = self.clock.since_boot();
        let next = self.next_file(cursor, database)?;
        let why = match behind {
            Behind::Mark(scan) => {
                let why = "an import or a migration began another history".to_owned();
                return Ok(lost(&why.clone(), Some(Floor { scan, why })));
            }
            Behind::End | Behind::More => {
                let Some(next) = next else { return Ok(Round::Idle) };
                let at_end = cursor.log.size()? == cursor.scan.position.offset;
                let joins = next.header.last_id == cursor.scan.last_id
                    && next.header.store_id == cursor.log.header.store_id;
                if at_end && joins {
                    cursor.scan = cursor.scan.into_file(&next.header);
                    cursor.log = next;
                    cursor.odd = None;
                    return Ok(Round::Turned);
                }
                format!("log file {} does not go on from the one before it", next.version())
            }
            Behind::Incomplete => "a transaction without its end".to_owned(),
            Behind::Odd(why) => why,
        };
        let waited = cursor.settle(now, &why);
        let Some(next) = self.next_file(cursor, database)? else { return Ok(Round::Idle) };
        if waited < SETTLE_MAX {
            return Ok(Round::Idle);
        }
        // Nobody writes in this file any more: what follows it is a history of its own.
        let version = cursor.log.version();
        let why = format!("log file {version} is damaged behind transaction {}: {why}", cursor.scan.last_id);
        let scan = ScanStart::of_file(&next.header);
        Ok(lost(&why.clone(), Some(Floor { scan, why })))
    }

    /// The file behind the one we stand in: of the history as it was found, else of the present run.
    fn next_file(&self, cursor: &LogCursor, database: &str) -> Result<Option<HeldLog>, WriteError> {
        let wanted = cursor.log.version().next();
        if let Some(known) = cursor.sequence.file(wanted) {
            return Ok(Some(known.clone()));
        }
        let runs = self.follower.runs();
        let files = runs.last().map(|present| present.files(database)).unwrap_or_default();
        let is_wanted = |file: &&Arc<PinnedFile>| file.name == LogFile::Transactions(wanted);
        if !files.iter().any(|file| is_wanted(&file)) {
            return Ok(None);
        }
        let live = self.follower.live(database)?;
        let next = files.iter().filter(is_wanted).rfind(|file| !is_stray(file, &live));
        Ok(next.map(HeldLog::read).transpose()?.flatten())
    }

    /// Why the source is no longer the one that was read, if it is not.
    pub fn displaced(&self, active: &Active, database: &str) -> Result<Option<String>, WriteError> {
        if self.follower.present_run()? != active.server {
            return Ok(Some("another run of the server".to_owned()));
        }
        let Some(cursor) = active.logs.get(database) else { return Ok(None) };
        let live = self.follower.live(database)?;
        let here = cursor.log.version();
        if live.iter().all(|(version, _)| *version < here) {
            return Ok(Some(format!("log file {here} vanished, and there is none behind it")));
        }
        for (version, inode) in live.iter().filter(|(version, _)| *version <= here) {
            let known = if *version == here { Some(&cursor.log) } else { cursor.sequence.file(*version) };
            if known.is_some_and(|known| known.inode() != *inode) {
                return Ok(Some(format!("log file {version} is another file")));
            }
        }
        let runs = self.follower.runs();
        let held = runs.last().map(|present| present.files(database)).unwrap_or_default();
        let abandoned = held.iter().find(|file| !active.known.contains(&file.inode) && is_stray(file, &live));
        if let Some(file) = abandoned {
            return Ok(Some(format!("log file {} was given up", file.name.version())));
        }
        let at_end = cursor.log.size()? <= cursor.scan.position.offset;
        if at_end && live.iter().all(|(version, _)| *version > here.next()) {
            let gap = || format!("a gap: log file {} is gone and was not pinned", here.next());
            return Ok(self.next_file(cursor, database)?.is_none().then(gap));
        }
        Ok(cursor.moved()?)
    }

    /// Put what is pending. Without an answer it stays pending, and the next round puts it under the same name.
    fn put(&self, active: &mut Active, database: &str) -> Result<Round, WriteError> {
        let run = active.run;
        let cursor = active.logs.get_mut(database).expect("the caller saw it");
        let Some(pending) = &cursor.pending else { return Ok(Round::Idle) };
        let put = self.archive.put_segment(run, database, &pending.segment)?;
        let pending = cursor.pending.take().expect("it was there a line above");
        let header = &pending.segment.header;
        let stored = Stored {
            name: SegmentName::single(header.first.0),
            first: header.first.0,
            last: header.last.0,
            bytes: pending.segment.content.len() as u64,
            first_commit: pending.ends.0.commit_time,
            at_end: pending.at_end,
        };
        if put == Put::Taken {
            return self.ours_already(run, cursor, database, &pending.segment);
        }
        cursor.advance(pending.resume, pending.ends.1);
        Ok(Round::Stored(stored))
    }

    /// An object stands under our name: our own, of which the answer was lost, or another's.
    fn ours_already(
        &self,
        run: RunNumber,
        cursor: &mut LogCursor,
        database: &str,
        wanted: &Segment,
    ) -> Result<Round, WriteError> {
        let name = SegmentName::single(wanted.header.first.0);
        let found = match self.archive.find_segments(run, database, name) {
            Err(error) if error.is_damage() => None,
            other => other?,
        };
        let foreign = || lost(&format!("another object stands under the name of segment {name}"), None);
        let Some([segment]) = found.as_deref() else { return Ok(foreign()) };
        let Some((store_id, transactions)) = transactions(segment) else { return Ok(foreign()) };
        let (Some(first), Some(last)) = (transactions.first(), transactions.last()) else {
            return Ok(foreign());
        };
        let last = last.end_point();
        let ours = segment.header.first == wanted.header.first
            && segment.header.position == wanted.header.position
            && cursor.log.holds(&store_id, &last)?;
        let Ok(resume) = segment.scan(Some(&cursor.scan), |_, _| {}) else { return Ok(foreign()) };
        if !ours {
            return Ok(foreign());
        }
        cursor.advance(resume, last);
        Ok(Round::Stored(Stored {
            name,
            first: segment.header.first.0,
            last: last.id,
            bytes: segment.content.len() as u64,
            first_commit: first.commit_time,
            at_end: false,
        }))
    }

    /// Drop the pins of what is stored.
    pub fn tidy(&self) -> Result<(), WriteError> {
        let Some(active) = &self.active else { return Ok(()) };
        let runs = self.follower.runs();
        // What a newer run of the server holds was not read yet.
        let Some(present) = runs.last().filter(|present| present.identity == active.server) else {
            return Ok(());
        };
        for (database, cursor) in &active.logs {
            self.follower.stored_below(&active.server, database, cursor.needed_from())?;
        }
        for run in runs.iter().filter(|run| !run.present && active.stored.contains(&run.identity)) {
            if self.databases.iter().all(|database| is_stored(active, run, present, database)) {
                self.follower.drop_run(&run.identity)?;
            }
        }
        Ok(())
    }
}

fn lost(why: &str, floor: Option<Floor>) -> Round {
    Round::Lost { why: why.to_owned(), floor }
}

/// Whether the files of an earlier run are needed no longer: its remains are stored, and of the present history
/// each is either read to its end or held by the present run as well.
fn is_stored(active: &Active, run: &HeldRun, present: &HeldRun, database: &str) -> bool {
    let Some(cursor) = active.logs.get(database) else { return false };
    let held = present.files(database);
    run.files(database).iter().all(|file| {
        !cursor.sequence.contains(file)
            || file.name.version() < cursor.needed_from()
            || held.iter().any(|other| (other.name, other.inode) == (file.name, file.inode))
    })
}
