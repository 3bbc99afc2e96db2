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
use grap_neo4j::{CommitTime, TransactionEnd, TxId};
use grap_task::Clock;

use super::ahead::{Ahead, Behind, Limits, read_ahead};
use super::begin::Floor;
use super::cursor::{LogCursor, Pending};
use super::held::{FileState, HeldLog, is_stray};
use super::names::{RunNumber, SegmentName};
use super::owner::Nonces;
use super::parent::transactions;
use super::segment::Segment;
use super::store::{Archive, Put};
use super::write_error::WriteError;
use crate::live::{Follower, PinnedFile, RunIdentity};

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
    /// Held files that nobody can read; their pins stay.
    pub unread: Vec<String>,
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
            let state = cursor.log.state()?;
            if cursor.fruitless == Some(state) && self.next_file(cursor, database)?.is_none() {
                return Ok(Round::Idle);
            }
            let clock_ms = self.clock.now().as_millisecond();
            if self.archive.has_begun(run.next())? {
                return Ok(Round::Overtaken { run: run.next() });
            }
            let ahead = self.ahead(cursor, clock_ms)?;
            let Ahead { segment: Some(segment), resume, ends: Some(ends), .. } = ahead else {
                let round = self.behind(cursor, database, (ahead.behind, state))?;
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
    fn behind(
        &self,
        cursor: &mut LogCursor,
        database: &str,
        (behind, state): (Behind, FileState),
    ) -> Result<Round, WriteError> {
        let now = self.clock.since_boot();
        let next = self.next_file(cursor, database)?;
        let why = match behind {
            Behind::Mark(scan) => {
                let why = "an import or a migration began another history".to_owned();
                return Ok(lost(&why.clone(), Some(Floor { scan, inode: cursor.log.inode(), why })));
            }
            Behind::End | Behind::More => {
                let Some(next) = &next else { return Ok(Round::Idle) };
                let at_end = cursor.log.size()? == cursor.scan.position.offset;
                let joins = next.header.last_id == cursor.scan.last_id
                    && next.header.store_id == cursor.log.header.store_id;
                if at_end && joins {
                    cursor.scan = cursor.scan.into_file(&next.header);
                    cursor.log = next.clone();
                    cursor.odd = None;
                    return Ok(Round::Turned);
                }
                format!("log file {} does not go on from the one before it", next.version())
            }
            Behind::Incomplete => "a transaction without its end".to_owned(),
            Behind::Odd(why) => why,
        };
        let waited = cursor.settle(now, &why);
        let Some(next) = next else {
            // Read to its end once; until somebody writes there is nothing to be had.
            cursor.fruitless = (waited >= PATIENCE).then_some(state);
            return Ok(Round::Idle);
        };
        if waited < SETTLE_MAX {
            return Ok(Round::Idle);
        }
        // Nobody writes in this file any more: what follows it is a history of its own.
        let version = cursor.log.version();
        let why = format!("log file {version} is damaged behind transaction {}: {why}", cursor.scan.last_id);
        let scan = ScanStart::of_file(&next.header);
        Ok(lost(&why.clone(), Some(Floor { scan, inode: next.inode(), why })))
    }

    /// The file behind the one we stand in: of the history as it was found, else of the present run.
    pub(super) fn next_file(
        &self,
        cursor: &LogCursor,
        database: &str,
    ) -> Result<Option<HeldLog>, WriteError> {
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
}

fn lost(why: &str, floor: Option<Floor>) -> Round {
    Round::Lost { why: why.to_owned(), floor }
}
