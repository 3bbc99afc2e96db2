//! Looks for damage in a source's archive: every object, then every path.
//!
//! An object is read whole: seal, name, hashes, every transaction. A path is gone over run by run, each from the
//! transaction that it goes on from, as a restore goes over it: so a window, which is what such a pass shows as
//! one stretch, is whole where nothing is told here. A place where a path does not go on is a problem: a break
//! that the archiver recorded begins a path of its own, and is none.

use grap_task::Stop;

use super::history::History;
use super::names::{self, SegmentName};
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
    for database in history.runs.databases() {
        for (run, _) in history.runs.iter().filter(|(_, run)| run.start.covers(&database)) {
            stop.check()?;
            let place = format!("{}, timeline {run}, database {database}", history.archive.source());
            let path = match history.runs.path(&database, run) {
                Ok(path) => path,
                Err(error) => {
                    verified.problems.push(format!("{place}: {error}"));
                    continue;
                }
            };
            // Its own part, from the transaction that it goes on from; what is before is another run's to tell.
            let parent = path.pieces.last().and_then(|piece| piece.parent);
            let from = parent.map(|parent| parent.id);
            let survey = history.survey(&path, SurveyOptions { from, ..SurveyOptions::default() })?;
            verified.timelines += 1;
            if let Some(parent) = parent
                && !survey.stretches.first().is_some_and(|stretch| parent.is(&stretch.first))
            {
                let why =
                    format!("{place}: transaction {}, which it goes on from, is not stored whole", parent.id);
                verified.problems.push(why);
            }
            // Nothing deletes from an archive yet: what a run begins with is there.
            if let (None, Some(piece), Some(stretch)) = (parent, path.pieces.last(), survey.stretches.first())
                && stretch.first.id > piece.first
            {
                let (from, to) = (piece.first, stretch.first.id);
                verified
                    .problems
                    .push(format!("{place}: it began with transaction {from}, what is before {to} is gone"));
            }
            for stretch in survey.stretches.iter().skip(1) {
                let why = stretch.hole.as_deref().unwrap_or("it does not go on");
                verified.problems.push(format!("{place}, before transaction {}: {why}", stretch.first.id));
            }
            let end = survey.stretches.last().map(|stretch| stretch.last.id);
            if let Some(lost) = lost_end(history, &path, end) {
                verified.problems.push(format!("{place}: {lost} is not whole, the path ends before it"));
            }
        }
    }
    Ok(())
}

/// The first own segment behind the end that could be reached.
fn lost_end(history: &History, path: &super::path::Path, end: Option<grap_neo4j::TxId>) -> Option<String> {
    let run = history.runs.get(path.run)?;
    let behind = |name: &SegmentName| end.is_none_or(|end| name.first > end);
    let name = run.segments(&path.database).find(behind)?;
    Some(names::segment(history.archive.source(), path.run, &path.database, name))
}
