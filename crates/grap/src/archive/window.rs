//! What can be reached: for each path the spans from the first backup that joins to the end of the stretch.
//! Shown is exactly what a restore would be granted for, because both ask the same survey.

use grap_core::{BackupId, Reach};
use grap_neo4j::{TransactionEnd, TxId};

use super::expired::ExpiredLog;
use super::history::{History, end_of};
use super::names::RunNumber;
use super::path::{Path, Stretch};
use super::survey::SurveyOptions;
use crate::error::{Error, Result};

/// All of one database.
#[derive(Debug, Clone)]
pub struct DatabaseWindow {
    pub database: String,
    /// The newest run, whose start cannot be read, and why: which timeline is the current one is not known.
    pub unreadable: Option<(RunNumber, String)>,
    /// By the number of their run.
    pub timelines: Vec<TimelineWindow>,
    /// Every backup's own end, oldest first.
    pub backups: Vec<(BackupId, TransactionEnd)>,
}

/// One path.
#[derive(Debug, Clone)]
pub struct TimelineWindow {
    /// What `--timeline` takes.
    pub run: RunNumber,
    /// Where its history began: the newest run on the path that recorded a break.
    pub begins: RunNumber,
    pub current: bool,
    /// Why it began.
    pub broken: Option<String>,
    pub stretches: Vec<Stretch>,
    /// At most one a stretch.
    pub spans: Vec<SpanWindow>,
}

#[derive(Debug, Clone)]
pub struct SpanWindow {
    /// Number of the stretch.
    pub stretch: usize,
    /// The end of the first backup that joins.
    pub first: TransactionEnd,
    pub last: TransactionEnd,
    pub bases: Vec<(BackupId, TransactionEnd)>,
}

/// Of every database that has a backup or an archive.
pub fn windows(history: &History) -> Result<Vec<DatabaseWindow>> {
    let mut names = history.runs.databases();
    let manifests = history.backups.iter().map(|known| &known.manifest);
    names.extend(manifests.flat_map(|manifest| &manifest.databases).map(|database| database.name.clone()));
    let expired = ExpiredLog::load(&history.archive)?;
    names.iter().map(|database| database_window(history, &expired, database)).collect()
}

fn database_window(history: &History, expired: &ExpiredLog, database: &str) -> Result<DatabaseWindow> {
    let mut timelines = Vec::new();
    let current = history.runs.current(database);
    for tip in own_tips(history, database)? {
        timelines.push(timeline_window(history, expired, &tip.path, current == Some(tip.path.run))?);
    }
    let end = |known: &super::history::KnownBackup| {
        known.manifest.database(database).map(|found| (known.backup.id.clone(), end_of(found)))
    };
    let backups = history.backups.iter().filter_map(end).collect();
    let unreadable = history.runs.unreadable_newer(database).map(|(run, why)| (run, why.to_owned()));
    Ok(DatabaseWindow { database: database.to_owned(), unreadable, timelines, backups })
}

/// A path, and where it ends: under which run, with which transaction.
#[derive(Debug, Clone)]
pub(super) struct Tip {
    pub(super) path: Path,
    pub(super) end: Option<(RunNumber, TxId)>,
}

/// The current one, and each that holds something of its own.
pub(super) fn own_tips(history: &History, database: &str) -> Result<Vec<Tip>> {
    let current = history.runs.current(database);
    let tips = tips(history, database)?;
    let own = |tip: &&Tip| {
        current == Some(tip.path.run) || !tips.iter().any(|other| tip.is_part_of(other, current))
    };
    Ok(tips.iter().filter(own).cloned().collect())
}

/// Of every run that covers the database.
fn tips(history: &History, database: &str) -> Result<Vec<Tip>> {
    let mut tips = Vec::new();
    for (run, _) in history.runs.iter() {
        let Ok(path) = history.runs.path(database, run) else { continue };
        let end = match history.path_end(&path) {
            // What is damaged there is shown, for what lies before it.
            Err(error) if is_damage(&error) => Some((run, TxId(u64::MAX))),
            other => other?.and_then(|end| {
                let holds = path.pieces.iter().rev().find(|piece| piece.first <= end.id);
                holds.map(|piece| (piece.run, end.id))
            }),
        };
        tips.push(Tip { path, end });
    }
    Ok(tips)
}

fn is_damage(error: &crate::Error) -> bool {
    matches!(error, crate::Error::Archive(error) if error.is_damage())
}

impl Tip {
    /// Whether all of this path is shown with another: that goes on from its end, or ends there too and is the
    /// current one or the newer.
    fn is_part_of(&self, other: &Self, current: Option<RunNumber>) -> bool {
        if self.path.run == other.path.run {
            return false;
        }
        let same = self.end == other.end;
        let newer = other.path.run > self.path.run || current == Some(other.path.run);
        self.end.is_none_or(|end| other.holds(end)) && (!same || newer)
    }

    fn holds(&self, (run, id): (RunNumber, TxId)) -> bool {
        let reaches = self.end.is_some_and(|(_, last)| id <= last);
        reaches
            && self
                .path
                .pieces
                .iter()
                .any(|piece| piece.run == run && piece.last.is_none_or(|last| id <= last))
    }
}

fn timeline_window(
    history: &History,
    expired: &ExpiredLog,
    path: &Path,
    current: bool,
) -> Result<TimelineWindow> {
    let bases = history.bases(&path.database);
    let mut survey =
        history.survey(path, SurveyOptions { bases: &bases.ends, ..SurveyOptions::default() })?;
    let name = |base: usize| bases.plan.get(base).map(|base| (base.id.clone(), base.end));
    let span = |reach: Reach| SpanWindow {
        stretch: reach.span,
        first: reach.first,
        last: reach.last,
        bases: reach.bases.into_iter().filter_map(name).collect(),
    };
    expired.explain(path, &mut survey.stretches);
    let begins = history.runs.timeline(path);
    let start = history.runs.get(begins).and_then(|run| run.database(&path.database));
    Ok(TimelineWindow {
        run: path.run,
        begins,
        // Granted without its name is only what is known to be the current one.
        current: current && history.runs.unreadable_newer(&path.database).is_none(),
        broken: start.and_then(|start| start.broken.clone()),
        spans: survey.view.reaches().into_iter().map(span).collect(),
        stretches: survey.stretches,
    })
}

impl DatabaseWindow {
    pub fn current(&self) -> Option<&TimelineWindow> {
        self.timelines.iter().find(|timeline| timeline.current)
    }
}

/// What is archived, or was, and cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub from: TxId,
    pub to: TxId,
    pub reason: String,
}

impl TimelineWindow {
    /// What lies between the spans, and before the first one, in log order.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut before: Option<TxId> = None;
        for (number, stretch) in self.stretches.iter().enumerate() {
            if let (Some(before), Some(reason)) = (before, &stretch.hole) {
                let missing = before.next();
                let to = TxId(stretch.first.id.0.saturating_sub(1)).max(missing);
                gaps.push(Gap { from: missing, to, reason: reason.clone() });
            }
            before = Some(stretch.last.id);
            let reached = self.spans.iter().find(|span| span.stretch == number);
            let behind = reached.map(|span| span.first.id);
            if behind == Some(stretch.first.id) {
                continue;
            }
            let to = behind.map_or(stretch.last.id, |first| TxId(first.0.saturating_sub(1)));
            gaps.push(Gap { from: stretch.first.id, to, reason: "no backup joins there".to_owned() });
        }
        gaps
    }
}

/// What there is of a database, for messages: where its backups end, and how far a path goes. The log is not
/// read for it, so what is between may have holes; `grap window` tells those.
pub fn outline(history: &History, database: &str, path: Option<&Path>) -> Result<String> {
    let mut ends = history.bases(database).ends;
    ends.sort_by_key(|base| base.end.id);
    let backups = match ends.as_slice() {
        [] => "there is no backup of it".to_owned(),
        [only] => format!("its only backup ends with {}", point(&only.end)),
        [oldest, .., newest] => {
            format!("its backups end with {} to {}", point(&oldest.end), point(&newest.end))
        }
    };
    let end = match path.map(|path| history.path_end(path)) {
        Some(Err(Error::Archive(error))) if error.is_damage() => None,
        end => end.transpose()?.flatten(),
    };
    Ok(match (path, end) {
        (Some(path), Some(end)) => {
            format!("{backups}; timeline {} is archived up to {}", path.run, point(&end))
        }
        _ => format!("{backups}; of its log nothing is archived there"),
    })
}

fn point(end: &TransactionEnd) -> String {
    let time = jiff::Timestamp::from_millisecond(end.commit_time.0);
    format!("transaction {} ({})", end.id, time.map_or_else(|_| "?".to_owned(), |time| time.to_string()))
}
