//! Whether a path can be restored up to its end, for whoever asks again and again.
//!
//! What was gone over once without a hole is not read again: stored objects are never modified, and what a path
//! holds up to a transaction of a run follows from the starts up to that run, for ever. So a later question costs
//! what was stored since. (An object that is damaged afterwards is for `verify` to find.)

use std::collections::BTreeMap;

use grap_neo4j::{TransactionEnd, TxId};

use super::history::History;
use super::names::RunNumber;
use super::path::Path;
use super::survey::{BaseEnd, SurveyOptions};
use crate::error::Result;

/// How far a restore goes on a path, from the newest backup that joins it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    pub last: TransactionEnd,
    /// Why it goes no further, where the path does.
    pub hole: Option<String>,
}

/// What is known already, by database.
#[derive(Debug, Default)]
pub struct Proofs {
    whole: BTreeMap<String, Whole>,
}

/// From the backup's end to this transaction, which is stored under this run, there is no hole.
#[derive(Debug)]
struct Whole {
    base: BaseEnd,
    run: RunNumber,
    upto: TransactionEnd,
}

impl Proofs {
    /// `None`: no backup joins the path.
    pub fn reach(&mut self, history: &History, path: &Path) -> Result<Option<Reachable>> {
        let bases = history.bases(&path.database).ends;
        let known = self.whole.remove(&path.database);
        if let Some(Whole { base, run, upto }) = known
            && bases.contains(&base)
            && path.run_of(upto.id) == Some(run)
            && let Some(reachable) = self.go_on(history, path, base, &|first| *first == upto, upto.id)?
        {
            return Ok(Some(reachable));
        }
        let mut ends: Vec<TxId> = bases.iter().map(|base| base.end.id).collect();
        ends.sort_unstable();
        ends.dedup();
        for from in ends.into_iter().rev() {
            let at = Some(from);
            let options = SurveyOptions { from: at, to: at, bases: &bases, ..SurveyOptions::default() };
            let joins = history.survey(path, options)?.view.joins;
            let Some(base) = joins.first().and_then(|join| bases.get(join.base)) else { continue };
            return self.go_on(history, path, base.clone(), &|first| first.id == from, from);
        }
        Ok(None)
    }

    /// From a transaction that is reached from the base; `None`: it is not that one.
    fn go_on(
        &mut self,
        history: &History,
        path: &Path,
        base: BaseEnd,
        is: &dyn Fn(&TransactionEnd) -> bool,
        from: TxId,
    ) -> Result<Option<Reachable>> {
        let mut stored_under = None;
        let options = SurveyOptions {
            from: Some(from),
            each: Some(&mut |visit| stored_under = Some(visit.run)),
            ..SurveyOptions::default()
        };
        let stretches = history.survey(path, options)?.stretches;
        let Some(reached) = stretches.first().filter(|stretch| is(&stretch.first)) else { return Ok(None) };
        let behind = stretches.get(1);
        let why = |hole: &Option<String>| hole.clone().unwrap_or_else(|| "it does not go on".to_owned());
        let hole = behind.map(|behind| why(&behind.hole));
        if let (None, Some(run)) = (&hole, stored_under) {
            self.whole.insert(path.database.clone(), Whole { base, run, upto: reached.last });
        }
        Ok(Some(Reachable { last: reached.last, hole }))
    }
}
