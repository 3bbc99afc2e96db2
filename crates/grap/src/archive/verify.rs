//! Looks for damage in a source's archive: every object, then every path.
//!
//! An object is read whole: seal, name, hashes, every transaction. A path is gone over run by run, each from the
//! transaction that it goes on from, as a restore goes over it: so a window, which is what such a pass shows as
//! one stretch, is whole where nothing is told here. A place where a path does not go on is a problem: a break
//! that the archiver recorded begins a path of its own, and is none; nor is what a record says was deleted on purpose.

use grap_neo4j::TxId;
use grap_task::Stop;

use super::expired::ExpiredLog;
use super::history::History;
use super::names::{self, SegmentName};
use super::path::{Path, Stretch};
use super::store::ArchiveError;
use super::survey::SurveyOptions;
use crate::error::{Result, in_one_line};

#[derive(Debug, Default)]
pub struct Verified {
    pub objects: usize,
    pub timelines: usize,
    /// Each names the object.
    pub problems: Vec<String>,
}

pub fn verify(history: &History, stop: &Stop, verified: &mut Verified) -> Result<()> {
    starts(history, verified);
    objects(history, stop, verified)?;
    paths(history, stop, verified)
}

fn starts(history: &History, verified: &mut Verified) {
    let source = history.archive.source();
    verified.objects += history.runs.iter().count();
    for (run, why) in history.runs.damaged() {
        verified.problems.push(format!("{}: {why}", names::start(source, *run)));
    }
}

fn objects(history: &History, stop: &Stop, verified: &mut Verified) -> Result<()> {
    let source = history.archive.source();
    for (number, run) in history.runs.iter() {
        for database in run.stored_databases() {
            for name in run.segments(database) {
                stop.check()?;
                verified.objects += 1;
                match history.archive.check(number, database, name) {
                    Ok(()) => {}
                    Err(error) if error.is_damage() || error.is_newer() => {
                        let object = names::segment(source, number, database, name);
                        verified.problems.push(told(&object, &error));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if !run.start.covers(database)
                && let Some(name) = run.segments(database).next()
            {
                let object = names::segment(source, number, database, name);
                verified.problems.push(format!("{object}: its run does not cover the database"));
            }
        }
    }
    Ok(())
}

fn told(object: &str, error: &ArchiveError) -> String {
    let text = in_one_line(error);
    if text.contains(object) { text } else { format!("{object}: {text}") }
}

fn paths(history: &History, stop: &Stop, verified: &mut Verified) -> Result<()> {
    let expired = ExpiredLog::load(&history.archive)?;
    verified.problems.extend(expired.unreadable.iter().cloned());
    for database in history.runs.databases() {
        for (run, _) in history.runs.iter().filter(|(_, run)| run.start.covers(&database)) {
            stop.check()?;
            let place = format!("{}, timeline {run}, database {database}", history.archive.source());
            match history.runs.path(&database, run) {
                Ok(path) => {
                    verified.timelines += 1;
                    let told = own_part(history, &path, &expired)?;
                    verified.problems.extend(told.into_iter().map(|why| format!("{place}{why}")));
                }
                Err(error) => verified.problems.push(format!("{place}: {error}")),
            }
        }
    }
    Ok(())
}

/// What is wrong with a run's own part, from the transaction that it goes on from; what is before is another run's to
/// tell. What was deleted on purpose is not missed.
fn own_part(history: &History, path: &Path, expired: &ExpiredLog) -> Result<Vec<String>> {
    let mut told = Vec::new();
    let Some(piece) = path.pieces.last() else { return Ok(told) };
    let from = piece.parent.map(|parent| parent.id);
    let survey = history.survey(path, SurveyOptions { from, ..SurveyOptions::default() })?;
    let is_parent = |stretch: &Stretch| piece.parent.is_some_and(|parent| parent.is(&stretch.first));
    let begins_with_parent = survey.stretches.first().is_some_and(is_parent);
    if let Some(parent) = piece.parent
        && !begins_with_parent
        && !expired.covers_path(path, parent.id, parent.id)
    {
        told.push(format!(": transaction {}, which it goes on from, is not stored whole", parent.id));
    }
    let is_gone = |first: TxId, behind: TxId| {
        first < behind && expired.covers(piece.run, &path.database, first, TxId(behind.0 - 1))
    };
    if let Some(first) = survey.stretches.first().map(|stretch| stretch.first.id)
        && !begins_with_parent
        && first > piece.first
        && !is_gone(piece.first, first)
    {
        told.push(format!(": it began with transaction {}, what is before {first} is gone", piece.first));
    }
    for pair in survey.stretches.windows(2) {
        let (before, behind) = (pair[0].last.id.next(), pair[1].first.id);
        if !is_gone(before, behind) {
            let why = pair[1].hole.as_deref().unwrap_or("it does not go on");
            told.push(format!(", before transaction {behind}: {why}"));
        }
    }
    let end = survey.stretches.last().map(|stretch| stretch.last.id);
    if let Some(lost) = lost_end(history, path, end) {
        told.push(format!(": {lost} is not whole, the path ends before it"));
    }
    Ok(told)
}

/// The first own segment behind the end that could be reached.
fn lost_end(history: &History, path: &Path, end: Option<TxId>) -> Option<String> {
    let run = history.runs.get(path.run)?;
    let behind = |name: &SegmentName| end.is_none_or(|end| name.first > end);
    let name = run.segments(&path.database).find(behind)?;
    Some(names::segment(history.archive.source(), path.run, &path.database, name))
}
