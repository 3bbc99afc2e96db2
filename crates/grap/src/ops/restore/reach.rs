//! How a transaction of a path is reached: the newest backup on the path at or below it, then the path.
//!
//! Read is only the target's own place, and then from that backup's end to the target; a backup that does not join is given up for the next
//! older one.

use grap_core::{PlanRefusal, RestorePlan};
use grap_neo4j::{TransactionEnd, TxId};

use super::schema::SchemaLook;
use crate::archive::{Bases, History, KnownBackup, Path, SurveyOptions};
use crate::copy::LogExtension;
use crate::error::{Error, Result};

/// A transaction that can be reached.
pub(crate) struct PointOnPath<'h> {
    pub(super) database: String,
    pub(crate) known: &'h KnownBackup,
    pub(super) path: Path,
    pub(crate) plan: RestorePlan,
    pub(super) extension: LogExtension,
    /// What the log up to it says about the schema.
    pub(super) schema: SchemaLook,
}

/// What the repository answered, or why there is no way.
pub(crate) type Way<T> = Result<std::result::Result<T, PlanRefusal>>;

pub(crate) fn reach<'h>(
    history: &'h History,
    database: &str,
    path: &Path,
    target: TxId,
    now_ms: i64,
) -> Way<PointOnPath<'h>> {
    // First whether it is there at all: a mistyped one must not cost a pass over everything.
    let at = Some(target);
    let options = SurveyOptions { from: at, to: at, target: at, ..Default::default() };
    if history.survey(path, options)?.target.is_none() {
        return Ok(Err(PlanRefusal::NotOnPath { target }));
    }
    let bases = history.bases(database);
    for from in candidates(&bases, target) {
        let options =
            SurveyOptions { from: Some(from), to: Some(from), bases: &bases.ends, ..Default::default() };
        if history.survey(path, options)?.view.joins.is_empty() {
            continue;
        }
        let (plan, extension, schema) = match plan(history, &bases, path, (from, target), now_ms)? {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(known) = history.backup(&plan.backup) else { break };
        let (database, path) = (database.to_owned(), path.clone());
        return Ok(Ok(PointOnPath { database, known, path, plan, extension, schema }));
    }
    Ok(Err(PlanRefusal::NoBase { target }))
}

fn plan(
    history: &History,
    bases: &Bases,
    path: &Path,
    (from, target): (TxId, TxId),
    now_ms: i64,
) -> Way<(RestorePlan, LogExtension, SchemaLook)> {
    let Some(base) = bases.ends.iter().find(|base| base.end.id == from) else {
        return Ok(Err(PlanRefusal::NoBase { target }));
    };
    let mut extension = LogExtension::behind(base.end);
    let mut schema = SchemaLook::behind(from);
    let survey = history.survey(
        path,
        SurveyOptions {
            from: Some(from),
            to: Some(target),
            bases: &bases.ends,
            target: Some(target),
            each: Some(&mut |visit| {
                if visit.transaction.id > from {
                    extension.add(visit.transaction);
                    schema.see(visit.bytes);
                }
            }),
            ..SurveyOptions::default()
        },
    )?;
    let (met, end) = (survey.target.as_ref(), known_end(history, path)?);
    let plan = RestorePlan::make(&bases.plan, &survey.view, target, met, end.as_ref(), now_ms);
    Ok(plan.map(|plan| {
        if extension.is_empty() {
            extension.end = plan.base_end;
        }
        (plan, extension, schema)
    }))
}

/// Only to say what will be lost: damage there is no reason to refuse what lies before.
fn known_end(history: &History, path: &Path) -> Result<Option<TransactionEnd>> {
    match history.path_end(path) {
        Err(Error::Archive(error)) if error.is_damage() => Ok(None),
        other => other,
    }
}

/// Ends of backups at or below the target, the newest first, each once.
fn candidates(bases: &Bases, target: TxId) -> Vec<TxId> {
    let mut ends: Vec<TxId> = bases.ends.iter().map(|base| base.end.id).filter(|id| *id <= target).collect();
    ends.sort_unstable();
    ends.dedup();
    ends.reverse();
    ends
}
