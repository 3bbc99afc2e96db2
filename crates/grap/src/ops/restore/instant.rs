//! The databases beside the target's: each goes to the same instant, as far as its own log allows.

use grap_neo4j::{TransactionEnd, TxId};

use super::decide::DatabaseDecision;
use super::schema::{Halt, SchemaLook};
use crate::archive::{BaseEnd, History, Path, RunNumber, Visit, end_of, joins};
use crate::copy::{DatabaseManifest, LogExtension};
use crate::error::Result;

/// From a backup's end to the last transaction, in log order, before the first that was committed after the
/// instant (to the end of what is archived, without one), and not behind `last`; never before the backup's own end. With it what there
/// is to say about where it lands.
pub(super) fn go_on_to(
    history: &History,
    base: &DatabaseManifest,
    timeline: Option<RunNumber>,
    (instant_ms, last): (Option<i64>, Option<TxId>),
) -> Result<(DatabaseDecision, Vec<String>)> {
    let named = timeline.filter(|run| history.runs.path(&base.name, *run).is_ok());
    let (mut decision, said) = on_path(history, base, history.path(&base.name, named)?, (instant_ms, last))?;
    let doubts =
        which_timeline(history, &base.name, timeline, named).into_iter().chain(decision.short.take());
    let doubts: Vec<String> = doubts.collect();
    decision.short = (!doubts.is_empty()).then(|| doubts.join("; "));
    Ok((decision, said))
}

/// Why it may be another timeline than the target's.
fn which_timeline(
    history: &History,
    database: &str,
    asked: Option<RunNumber>,
    named: Option<RunNumber>,
) -> Vec<String> {
    if named.is_some() {
        return Vec::new();
    }
    let uncovered = asked.map(|run| format!("timeline {run} does not cover it, its current one is taken"));
    let unreadable = history.runs.unreadable_newer(database);
    let unreadable =
        unreadable.map(|(run, _)| format!("the start of run {run}, which is newer, cannot be read"));
    uncovered.into_iter().chain(unreadable).collect()
}

fn on_path(
    history: &History,
    base: &DatabaseManifest,
    path: Option<Path>,
    (instant_ms, last): (Option<i64>, Option<TxId>),
) -> Result<(DatabaseDecision, Vec<String>)> {
    let stays = |why: &str| Ok((DatabaseDecision::at_end(base, Some(why.to_owned())), Vec::new()));
    let Some(path) = path else { return stays("its log was never archived") };
    let end = end_of(base);
    if instant_ms.is_some_and(|instant| end.commit_time.0 > instant) || last.is_some_and(|last| end.id > last)
    {
        return stays("the backup's own end is later already");
    }
    let mut way = Way {
        base: BaseEnd { store_id: base.store_id.clone(), end },
        instant_ms,
        last,
        extension: LogExtension::behind(end),
        schema: SchemaLook::behind(end.id),
        joined: false,
        later_is_known: false,
        hole: false,
    };
    match history.reader(&path).visit(Some(end.id), None, &mut |visit| way.step(visit)) {
        Ok(_) | Err(Halt::Done) => {}
        Err(Halt::Failed(error)) => return Err(error.into()),
    }
    if !way.joined {
        return stays("the backup's end does not lie on what is archived of its log");
    }
    let landing = way.extension.end.id;
    let verdict = way.schema.clone().verdict(history, &path, landing)?;
    // Nobody chose this point: half-made constraints are said, never refused.
    Ok((way.decide(base, path), verdict.judge(&base.name, landing, None)?))
}

struct Way {
    base: BaseEnd,
    instant_ms: Option<i64>,
    last: Option<TxId>,
    extension: LogExtension,
    schema: SchemaLook,
    joined: bool,
    /// A transaction that was committed later was seen: nothing is missing before the instant.
    later_is_known: bool,
    hole: bool,
}

impl Way {
    fn step(&mut self, visit: &Visit<'_>) -> std::result::Result<(), Halt> {
        let TransactionEnd { commit_time, .. } = visit.transaction.end_point();
        if !self.joined {
            self.joined = joins(&self.base, visit);
            return if self.joined { Ok(()) } else { Err(Halt::Done) };
        }
        if visit.stretch > 0 {
            self.hole = true;
            return Err(Halt::Done);
        }
        let is_behind = self.last.is_some_and(|last| visit.transaction.id > last);
        if is_behind || self.instant_ms.is_some_and(|instant| commit_time.0 > instant) {
            self.later_is_known = true;
            return Err(Halt::Done);
        }
        self.extension.add(visit.transaction);
        self.schema.see(visit.bytes);
        Ok(())
    }

    fn decide(self, base: &DatabaseManifest, path: Path) -> DatabaseDecision {
        let short = if self.hole {
            Some("the archive of its log has a hole behind it".to_owned())
        } else if self.later_is_known || self.instant_ms.is_none() || self.last == Some(self.extension.end.id)
        {
            None
        } else {
            Some("it is the last one that is archived; what was committed later is not known".to_owned())
        };
        DatabaseDecision { short, ..DatabaseDecision::going_on(base, self.extension, path) }
    }
}
