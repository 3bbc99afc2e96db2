//! A path, and the way over it.
//!
//! Nothing is believed that was not checked: an object's seal and hash, its scan to the last byte, and between
//! two segments the store id, the ids, and the positions in the log. Where one does not go on from the other a
//! new [`Stretch`] begins, with the reason: a restore never crosses it.

use grap_neo4j::ids::LogPosition;
use grap_neo4j::txlog::{HEADER_LENGTH, LogHeader, ScanStart, Transaction};
use grap_neo4j::{StoreId, TransactionEnd, TxId};
use grap_task::Stop;

use super::names::{RunNumber, SegmentName};
use super::runs::Runs;
use super::segment::Segment;
use super::start::Parent;
use super::store::{Archive, ArchiveError};
use crate::error::in_one_line;

/// What one run gives to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub run: RunNumber,
    pub first: TxId,
    /// Where the next run left it; the last piece is open.
    pub last: Option<TxId>,
    /// What the piece goes on from.
    pub parent: Option<Parent>,
}

/// From the oldest run to the one it is named by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub database: String,
    pub run: RunNumber,
    pub pieces: Vec<Piece>,
    /// The run before the first piece, which cannot be read.
    pub unreadable: Option<RunNumber>,
}

impl Path {
    /// Under which run a transaction of this id stands on the path, if one does.
    pub fn run_of(&self, id: TxId) -> Option<RunNumber> {
        let holds = |piece: &&Piece| piece.first <= id && piece.last.is_none_or(|last| id <= last);
        self.pieces.iter().rfind(holds).map(|piece| piece.run)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("run {run} of the archive does not cover database `{database}`, or cannot be read")]
    NoSuchPath { run: RunNumber, database: String },
    #[error("run {run} of the archive names run {parent} as its parent for database `{database}`")]
    Loop { run: RunNumber, parent: RunNumber, database: String },
}

/// A part of a path without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub store_id: StoreId,
    /// Where its first transaction begins.
    pub begins: LogPosition,
    pub first: TransactionEnd,
    pub last: TransactionEnd,
    pub transactions: u64,
    /// Of log.
    pub bytes: u64,
    /// Why it does not go on from what is before it; `None` for the first one of a path that begins there.
    pub hole: Option<String>,
}

/// One transaction on its path.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    pub run: RunNumber,
    /// The segment that holds it.
    pub segment: &'a Segment,
    pub store_id: &'a StoreId,
    pub transaction: &'a Transaction,
    /// From its START to the end of its COMMIT.
    pub bytes: &'a [u8],
    /// Number of the stretch, from 0.
    pub stretch: usize,
}

/// Goes over one path.
pub struct PathReader<'a> {
    pub archive: &'a Archive,
    pub runs: &'a Runs,
    pub path: &'a Path,
    /// Looked at before every object.
    pub stop: &'a Stop,
}

impl PathReader<'_> {
    /// Show every transaction from `from` on (the whole path without it) to `to`, in log order. Damaged or
    /// missing objects make holes; only a storage that does not answer is an error.
    pub fn visit<E: From<ArchiveError>>(
        &self,
        from: Option<TxId>,
        to: Option<TxId>,
        each: &mut dyn FnMut(&Visit<'_>) -> Result<(), E>,
    ) -> Result<Vec<Stretch>, E> {
        let mut walk = Walk { stretches: Vec::new(), scan: None, hole: None, each };
        if let Some(run) = self.path.unreadable {
            walk.hole = Some(format!("run {run}, which it goes on from, cannot be read"));
        }
        for piece in &self.path.pieces {
            let first = from.map_or(piece.first, |from| from.max(piece.first));
            let last = [piece.last, to].into_iter().flatten().min();
            if last.is_some_and(|last| last < first) {
                continue;
            }
            walk.enter(piece);
            self.piece(piece, first, last, &mut walk)?;
        }
        Ok(walk.stretches)
    }

    fn piece<E: From<ArchiveError>>(
        &self,
        piece: &Piece,
        first: TxId,
        last: Option<TxId>,
        walk: &mut Walk<'_, E>,
    ) -> Result<(), E> {
        let mut next = first;
        while last.is_none_or(|last| next <= last) {
            self.stop.check().map_err(ArchiveError::from)?;
            let Some(name) = self.read_at(piece.run, next, walk)? else {
                // Nothing holds the next one: what comes behind it?
                let Some(behind) = self.listed_behind(piece.run, next) else { return Ok(()) };
                walk.hole = Some(format!("transaction {next} is not stored under run {}", piece.run));
                next = behind;
                continue;
            };
            for segment in name {
                if segment.header.last.0 >= next && last.is_none_or(|last| segment.header.first.0 <= last) {
                    let upto = last.unwrap_or(TxId(u64::MAX));
                    walk.segment(piece.run, &segment, (next, upto))?;
                    next = segment.header.last.0.next();
                }
            }
        }
        Ok(())
    }

    /// The segments of an object that holds transaction `next`, whichever reads well; `None` where there is
    /// none.
    fn read_at<E: From<ArchiveError>>(
        &self,
        run: RunNumber,
        next: TxId,
        walk: &mut Walk<'_, E>,
    ) -> Result<Option<Vec<Segment>>, E> {
        let mut damage = None;
        for name in self.candidates(run, next) {
            match self.archive.find_segments(run, &self.path.database, name) {
                Ok(Some(segments)) if holds(&segments, next) => return Ok(Some(segments)),
                Ok(_) => {}
                Err(error) if error.is_damage() => damage = Some(in_one_line(&error)),
                Err(error) => return Err(error.into()),
            }
        }
        // Where another object holds it whole, nothing is missing.
        walk.hole = damage.or(walk.hole.take());
        Ok(None)
    }

    /// Merged ones that hold it, the single one that begins with it (asked for even if it was not listed), the
    /// nearest single one before it.
    fn candidates(&self, run: RunNumber, next: TxId) -> Vec<SegmentName> {
        let listed: Vec<SegmentName> =
            self.runs.get(run).map(|run| run.segments(&self.path.database).collect()).unwrap_or_default();
        let mut names: Vec<SegmentName> = listed
            .iter()
            .copied()
            .filter(|name| name.first <= next && name.last.is_some_and(|last| last >= next))
            .collect();
        names.push(SegmentName::single(next));
        let before = listed.iter().rev().find(|name| name.first < next && name.last.is_none());
        names.extend(before.copied());
        names
    }

    fn listed_behind(&self, run: RunNumber, next: TxId) -> Option<TxId> {
        self.runs.get(run)?.segments(&self.path.database).map(|name| name.first).find(|first| *first > next)
    }
}

fn holds(segments: &[Segment], id: TxId) -> bool {
    segments.first().is_some_and(|segment| segment.header.first.0 <= id)
        && segments.last().is_some_and(|segment| segment.header.last.0 >= id)
}

/// Where the walk stands.
struct Walk<'e, E> {
    stretches: Vec<Stretch>,
    /// What the next segment must go on from.
    scan: Option<ScanStart>,
    /// Why the next segment begins a stretch of its own.
    hole: Option<String>,
    each: &'e mut dyn FnMut(&Visit<'_>) -> Result<(), E>,
}

impl<E> Walk<'_, E> {
    /// The piece must go on from exactly the transaction that its start names.
    fn enter(&mut self, piece: &Piece) {
        let (Some(parent), Some(stretch)) = (piece.parent, self.stretches.last()) else { return };
        if !parent.is(&stretch.last) {
            let why = format!("run {} goes on from another transaction {}", piece.run, parent.id);
            self.hole.get_or_insert(why);
        }
    }

    /// Show the transactions of a segment that lie within `range`.
    fn segment(&mut self, run: RunNumber, segment: &Segment, range: (TxId, TxId)) -> Result<(), E> {
        let header = match segment.log_header() {
            Ok(header) => header,
            Err(error) => {
                self.hole = Some(in_one_line(&error));
                return Ok(());
            }
        };
        if let Some(why) = self.does_not_follow(segment, &header, range.0) {
            self.hole.get_or_insert(why);
        }
        let fresh = self.hole.is_some() || self.stretches.is_empty();
        let before = if fresh { None } else { self.scan.filter(|_| segment.header.first.0 == range.0) };
        // First all of it is proved, then it is shown.
        let mut found = Vec::new();
        let resume = match segment.scan(before.as_ref(), |transaction, _| found.push(*transaction)) {
            Ok(resume) => resume,
            Err(error) => {
                self.hole = Some(in_one_line(&error));
                return Ok(());
            }
        };
        found.retain(|transaction| range.0 <= transaction.id && transaction.id <= range.1);
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(()) };
        // Another run may leave this one within a segment: it goes on from what was shown, not from its end.
        let resume = if last.id == resume.last_id { resume } else { after(last) };
        if fresh {
            self.stretches.push(Stretch {
                store_id: header.store_id.clone(),
                begins: first.start,
                first: first.end_point(),
                last: first.end_point(),
                transactions: 0,
                bytes: 0,
                hole: self.hole.take(),
            });
        }
        for transaction in &found {
            let bytes = segment.bytes_of(transaction);
            let stretch = self.stretches.len() - 1;
            (self.each)(&Visit { run, segment, store_id: &header.store_id, transaction, bytes, stretch })?;
            if let Some(stretch) = self.stretches.last_mut() {
                stretch.last = transaction.end_point();
                stretch.transactions += 1;
                stretch.bytes += bytes.len() as u64;
            }
        }
        // The segment may go on behind what belongs to this path.
        self.scan = Some(match found.last() {
            Some(last) if last.id < segment.header.last.0 => {
                ScanStart { last_append_index: last.append_index, ..ScanStart::after(&last.end_point()) }
            }
            _ => resume,
        });
        Ok(())
    }

    /// Why the segment does not go on from what was shown last.
    fn does_not_follow(&self, segment: &Segment, header: &LogHeader, next: TxId) -> Option<String> {
        let before = self.stretches.last()?;
        let last = before.last;
        if header.store_id != before.store_id {
            return Some("another store begins".to_owned());
        }
        if last.id.next() != next {
            return Some(format!("behind transaction {} comes {next}", last.id));
        }
        // A segment that was begun in the middle holds what was shown before: its bytes decide.
        if segment.header.first.0 < next {
            return inside(segment, &last);
        }
        let begins = segment.header.position;
        let same_file = begins == last.position;
        let next_file = begins.version == last.position.version.next()
            && begins.offset == HEADER_LENGTH as u64
            && header.last_id == last.id;
        (!same_file && !next_file).then(|| {
            format!("transaction {} ends at {}, the next begins at {begins}", last.id, last.position)
        })
    }
}

/// What follows a transaction that is not the last of its segment.
fn after(transaction: &Transaction) -> ScanStart {
    ScanStart { last_append_index: transaction.append_index, ..ScanStart::after(&transaction.end_point()) }
}

/// Whether the segment holds that transaction where it was seen.
fn inside(segment: &Segment, end: &TransactionEnd) -> Option<String> {
    let mut found = false;
    let scanned = segment.scan(None, |transaction, _| found |= transaction.end_point() == *end);
    (scanned.is_err() || !found).then(|| format!("transaction {} is another one there", end.id))
}
