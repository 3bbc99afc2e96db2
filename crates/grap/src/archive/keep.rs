//! Which segments stay for a window that begins at S.
//!
//! For each path that holds a transaction at or after S, and for the current one always: the newest **verified** backup
//! whose end stands in the log before the path's first transaction at or after S stays, and every segment that holds
//! that end or anything behind it on that path. Where there is no such backup everything of the path stays, the backups
//! on it too. A segment goes only if no path keeps it.
//!
//! A restore takes every database from the same backup. So of the other databases stays what lies behind the ends of
//! that backup, too, even where they would do with a newer one: on the path that a restore would take them along, which
//! need not hold anything of its own.
//!
//! "First" is in log order: the path decides, commit times do not (clocks step). A path that goes on from all of another
//! one keeps what that one would, so only paths with something of their own are gone over. Starts are never deleted, so
//! what a path is follows from the starts even when its beginning is gone. Whatever cannot be told (a start that cannot
//! be read, an end that cannot be read) keeps.

use std::collections::BTreeMap;

use grap_core::BackupId;
use grap_neo4j::TxId;
use jiff::Timestamp;

use super::expired::ExpiredRange;
use super::history::History;
use super::names::{RunNumber, SegmentName};
use super::path::Path;
use super::survey::SurveyOptions;
use super::window::{Tip, own_tips};
use crate::copy::DatabaseManifest;
use crate::error::Result;

/// The decision over one source's archive.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// Those with something of their own.
    pub paths: Vec<KeptPath>,
    /// From the oldest run on.
    pub going: Vec<Going>,
    /// Of all that was listed: so many segments stay.
    pub kept: usize,
    /// Why nothing goes, whatever the paths say.
    pub doubt: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPath {
    pub database: String,
    /// What it is called by.
    pub run: RunNumber,
    pub current: bool,
    pub begins: Begins,
}

/// From where on a path is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begins {
    /// From the end of this backup, which stays.
    Backup { id: BackupId, end: TxId },
    /// No verified backup ends before the window: all of it stays, and these backups, which join it.
    Everything { why: &'static str, backups: Vec<BackupId> },
    /// It holds nothing at or after the window's begin.
    Nothing,
}

/// Segments of one run and database that no path keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    pub run: RunNumber,
    pub database: String,
    /// By first id; each with its bytes, as stored.
    pub names: Vec<(SegmentName, u64)>,
    /// The transactions in them.
    pub ranges: Vec<ExpiredRange>,
}

impl Going {
    /// As stored.
    pub fn bytes(&self) -> u64 {
        self.names.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// From one transaction to another, both included.
type Range = (TxId, TxId);
/// Of a database, under a run.
type Piece = (String, RunNumber, Range);
const END: TxId = TxId(u64::MAX);

impl Keeping {
    /// Whether a path begins from this backup.
    pub fn needs(&self, id: &BackupId) -> bool {
        self.paths.iter().any(|path| match &path.begins {
            Begins::Backup { id: base, .. } => base == id,
            Begins::Everything { backups, .. } => backups.contains(id),
            Begins::Nothing => false,
        })
    }

    /// Let nothing go after all.
    pub fn keep_all(&mut self, why: String) {
        self.kept += self.going.drain(..).map(|going| going.names.len()).sum::<usize>();
        self.doubt.get_or_insert(why);
    }

    pub fn ranges(&self) -> Vec<ExpiredRange> {
        self.going.iter().flat_map(|going| going.ranges.iter().cloned()).collect()
    }
}

/// Decide over the archive of a source. Reads every path with something of its own.
pub fn keep(history: &History, verified: &dyn Fn(&BackupId) -> bool, since: Timestamp) -> Result<Keeping> {
    let mut keeping = Keeping { doubt: doubt(history), ..Keeping::default() };
    let mut judged = Vec::new();
    for database in history.runs.databases() {
        for tip in own_tips(history, &database)? {
            history.stop().check()?;
            let current = history.runs.current(&database) == Some(tip.path.run);
            judged.push(judge(history, tip, current, verified, since)?);
        }
    }
    let kept = kept_ranges(history, &judged);
    keeping.paths = judged.into_iter().map(|judged| judged.kept).collect();
    let sizes = history.archive.sizes()?;
    for (number, run) in history.runs.iter() {
        for database in run.stored_databases() {
            let all: Vec<SegmentName> = run.segments(database).collect();
            // What lies under a run that does not cover the database belongs to no path: not ours to judge.
            let covered = run.start.covers(database) && keeping.doubt.is_none();
            let ranges = kept.get(&(number, database.to_owned())).map(Vec::as_slice).unwrap_or_default();
            let names = if covered { going(&all, ranges) } else { Vec::new() };
            keeping.kept += all.len() - names.len();
            if names.is_empty() {
                continue;
            }
            let ranges = ranges_of(history, (number, database), &all, &names)?;
            let size = |name| sizes.get(&(number, database.to_owned(), name)).copied().unwrap_or(0);
            let names = names.into_iter().map(|name| (name, size(name))).collect();
            keeping.going.push(Going { run: number, database: database.to_owned(), names, ranges });
        }
    }
    Ok(keeping)
}

/// What makes the paths themselves uncertain.
fn doubt(history: &History) -> Option<String> {
    if let Some((run, why)) = history.runs.damaged().first_key_value() {
        return Some(format!("the start of run {run} cannot be read: {why}"));
    }
    for database in history.runs.databases() {
        for (number, run) in history.runs.iter().filter(|(_, run)| run.start.covers(&database)) {
            match history.runs.path(&database, number) {
                Ok(path) if path.unreadable.is_none() => {}
                Ok(_) => {
                    return Some(format!("run {number} goes on from a run that does not cover {database}"));
                }
                Err(error) => return Some(format!("run {number} of {}: {error}", run.start.host)),
            }
        }
    }
    None
}

/// A path with what it keeps.
struct Judged {
    path: Path,
    kept: KeptPath,
}

/// What the paths keep, by run and database.
fn kept_ranges(history: &History, judged: &[Judged]) -> BTreeMap<(RunNumber, String), Vec<Range>> {
    let mut kept: BTreeMap<(RunNumber, String), Vec<Range>> = BTreeMap::new();
    for one in judged {
        let from = match &one.kept.begins {
            Begins::Backup { end, .. } => Some(*end),
            Begins::Everything { .. } => Some(TxId(0)),
            Begins::Nothing => None,
        };
        let own = from.map(|from| behind(&one.path, from)).unwrap_or_default();
        for (database, run, range) in own.into_iter().chain(beside(history, &one.kept)) {
            kept.entry((run, database)).or_default().push(range);
        }
    }
    kept
}

/// What a restore along a path takes along of the other databases, behind their ends in the backups that it begins from.
fn beside(history: &History, kept: &KeptPath) -> Vec<Piece> {
    let bases = match &kept.begins {
        Begins::Backup { id, .. } => std::slice::from_ref(id),
        Begins::Everything { backups, .. } => backups.as_slice(),
        Begins::Nothing => &[],
    };
    let known = bases.iter().filter_map(|id| history.backup(id));
    let others =
        known.flat_map(|known| &known.manifest.databases).filter(|other| other.name != kept.database);
    let along = |other: &DatabaseManifest| {
        let paths = paths_beside(history, kept, &other.name);
        paths.iter().flat_map(|path| behind(path, TxId(other.end.tx_id))).collect::<Vec<_>>()
    };
    others.flat_map(along).collect()
}

/// As a restore chooses it: the path under the same run, the current one where that run does not cover the database or
/// none is named.
fn paths_beside(history: &History, kept: &KeptPath, database: &str) -> Vec<Path> {
    let path = |run| history.runs.path(database, run).ok();
    let named = path(kept.run);
    let current = if kept.current || named.is_none() { history.runs.current(database) } else { None };
    named.into_iter().chain(current.filter(|run| *run != kept.run).and_then(path)).collect()
}

fn judge(
    history: &History,
    tip: Tip,
    current: bool,
    verified: &dyn Fn(&BackupId) -> bool,
    since: Timestamp,
) -> Result<Judged> {
    let bases = history.bases(&tip.path.database);
    let since_ms = since.as_millisecond();
    let mut first_inside: Option<TxId> = None;
    let options = SurveyOptions {
        bases: &bases.ends,
        each: Some(&mut |visit| {
            if first_inside.is_none() && visit.transaction.commit_time.0 >= since_ms {
                first_inside = Some(visit.transaction.id);
            }
        }),
        ..SurveyOptions::default()
    };
    let joins = history.survey(&tip.path, options)?.view.joins;
    let named = joins.iter().filter_map(|join| Some((join.at.end.id, bases.plan.get(join.base)?.id.clone())));
    let joins: Vec<(TxId, BackupId)> = named.collect();
    let end_unread = tip.end.is_some_and(|(_, id)| id == END);
    let begins = if !current && first_inside.is_none() && !end_unread {
        Begins::Nothing
    } else {
        let before = joins.iter().filter(|(end, _)| first_inside.is_none_or(|inside| *end < inside));
        let all_of_it = |why| {
            let backups = joins.iter().map(|(_, id)| id.clone()).collect();
            Begins::Everything { why, backups }
        };
        match before.filter(|(_, id)| verified(id)).max() {
            _ if end_unread => all_of_it("its end cannot be read"),
            Some((end, id)) => Begins::Backup { id: id.clone(), end: *end },
            None => all_of_it("no verified backup ends before the window"),
        }
    };
    let kept = KeptPath { database: tip.path.database.clone(), run: tip.path.run, current, begins };
    Ok(Judged { path: tip.path, kept })
}

/// What a path holds from a transaction on, run by run.
fn behind(path: &Path, from: TxId) -> Vec<Piece> {
    let of = |piece: &super::path::Piece| {
        let range = (piece.first.max(from), piece.last.unwrap_or(END));
        (range.0 <= range.1).then(|| (path.database.clone(), piece.run, range))
    };
    path.pieces.iter().filter_map(of).collect()
}

/// Those of a run's segments that hold nothing of the kept ranges.
fn going(all: &[SegmentName], kept: &[Range]) -> Vec<SegmentName> {
    let holds = |name: &SegmentName| {
        let last = name.last.unwrap_or_else(|| before_next(all, name.first).unwrap_or(END));
        kept.iter().any(|(from, to)| name.first <= *to && *from <= last)
    };
    all.iter().copied().filter(|name| !holds(name)).collect()
}

/// What the single segment that begins with this transaction can hold at most: up to where the next one begins, which
/// may be there only as the first part of a merged one.
fn before_next(all: &[SegmentName], first: TxId) -> Option<TxId> {
    let next = all.iter().find(|name| name.first > first)?;
    Some(TxId(next.first.0 - 1))
}

/// The transactions of segments that go. How far the last one of a run reaches it says itself.
fn ranges_of(
    history: &History,
    (run, database): (RunNumber, &str),
    all: &[SegmentName],
    names: &[SegmentName],
) -> Result<Vec<ExpiredRange>> {
    let mut ranges: Vec<ExpiredRange> = Vec::new();
    for name in names {
        let last = match name.last.or_else(|| before_next(all, name.first)) {
            Some(last) => last,
            None => last_in(history, run, database, *name)?,
        };
        match ranges.last_mut() {
            Some(before) if name.first <= before.last.next() => before.last = before.last.max(last),
            _ => ranges.push(ExpiredRange { run, database: database.to_owned(), first: name.first, last }),
        }
    }
    Ok(ranges)
}

fn last_in(history: &History, run: RunNumber, database: &str, name: SegmentName) -> Result<TxId> {
    match history.archive.segments(run, database, name) {
        Ok(segments) => Ok(segments.last().map_or(name.first, |segment| segment.header.last.0)),
        // Of what cannot be read only its name is known.
        Err(error) if error.is_damage() => Ok(name.first),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(first: u64) -> SegmentName {
        SegmentName::single(TxId(first))
    }

    fn merged(first: u64, last: u64) -> SegmentName {
        SegmentName { first: TxId(first), last: Some(TxId(last)) }
    }

    #[test]
    fn a_segment_stays_for_anything_in_it() {
        let all = [single(2), merged(2, 29), single(10), single(20), single(30), merged(30, 49), single(40)];
        let going = |ranges: &[(u64, u64)]| {
            let ranges: Vec<Range> = ranges.iter().map(|(from, to)| (TxId(*from), TxId(*to))).collect();
            going(&all, &ranges)
        };
        assert_eq!(going(&[]), all);
        assert_eq!(going(&[(0, u64::MAX)]), []);
        assert_eq!(going(&[(19, 19)]), [single(2), single(20), single(30), merged(30, 49), single(40)]);
        assert_eq!(going(&[(20, u64::MAX)]), [single(2), single(10)]);
        assert_eq!(going(&[(2, 9), (30, 30)]), [single(10), single(20), single(40)]);
        // How far the last one reaches its name does not say.
        assert_eq!(going(&[(1000, 1000)]), all[..6]);
        // Parts that gc took: the single one before reaches up to the merged one, and no further.
        let all = [single(2), merged(10, 39), single(40)];
        assert_eq!(super::going(&all, &[(TxId(10), TxId(39))]), [single(2), single(40)]);
    }
}
