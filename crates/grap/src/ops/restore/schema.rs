//! Targets inside a schema change. A constraint is several transactions (its index, tokens, the constraint
//! itself); between them the restored database would have an index that is populated for ever, and its name
//! taken.
//!
//! Judged from the log between the backup and the target, and from some behind it: a creation that began before
//! the backup's end is known by how it ends. Where one that began behind it is still open at the target, the log
//! is read on to the next whole point, or to the end. One that never ends, because the server was killed in it,
//! is said and not refused: the source itself is in that state at every later point.

use grap_neo4j::TxId;
use grap_neo4j::txlog::{Creation, SchemaWatch, whole_points};

use crate::archive::{ArchiveError, History, Path};
use crate::error::{Error, Result, in_one_line};

/// So many transactions behind the target are looked at for the end of a creation whose beginning is not known.
const LOOK_BEHIND: u64 = 20_000;

/// What the log says about a target.
#[derive(Debug, Default)]
pub(super) struct SchemaVerdict {
    /// Of every constraint that is half made there.
    names: Vec<String>,
    before: Option<TxId>,
    behind: Option<TxId>,
    /// Why it cannot be judged.
    unknown: Option<String>,
}

impl SchemaVerdict {
    /// Refuse a target that was chosen and has whole points on both sides; else say what is known of it.
    pub(super) fn judge(self, database: &str, target: TxId, chosen: Option<&str>) -> Result<Vec<String>> {
        let mut said = Vec::new();
        if let Some(why) = self.unknown {
            said.push(format!(
                "whether transaction {target} lies inside a schema change cannot be judged: {why}"
            ));
        }
        if self.names.is_empty() {
            return Ok(said);
        }
        let what = format!("constraint `{}` is half made", self.names.join("`, `"));
        let points = [self.before, self.behind].into_iter().flatten();
        let ways: Vec<String> = points.map(|id| format!("tx={database}:{id}")).collect();
        if let (Some(chosen), Some(_)) = (chosen, self.behind) {
            return Err(Error::TargetInSchemaChange { target: chosen.to_owned(), id: target, what, ways });
        }
        said.push(format!(
            "at transaction {target} {what}: its index will be POPULATING until it is dropped (DROP INDEX) and the constraint made anew{}",
            ways.first().map_or_else(String::new, |way| format!("; the whole point before it: {way}"))
        ));
        Ok(said)
    }
}

/// Goes over the log of a path from a backup's end to a target, and then on.
#[derive(Debug, Clone)]
pub(super) struct SchemaLook {
    watch: SchemaWatch,
    ended: Vec<Creation>,
    /// Why it ended before its time.
    unknown: Option<String>,
}

impl SchemaLook {
    /// From right behind a backup's end.
    pub(super) fn behind(base_end: TxId) -> Self {
        Self { watch: SchemaWatch::behind(base_end), ended: Vec::new(), unknown: None }
    }

    /// Take the next transaction of the path.
    pub(super) fn see(&mut self, transaction: &[u8]) {
        if self.unknown.is_some() {
            return;
        }
        match self.watch.see(transaction) {
            Ok(mut ended) => self.ended.append(&mut ended),
            Err(error) => self.unknown = Some(in_one_line(&error)),
        }
    }

    fn creations(&self) -> Vec<Creation> {
        self.ended.iter().chain(self.watch.open()).cloned().collect()
    }

    /// Whether what comes next could still say something about the target.
    fn wants_more(&self, target: TxId) -> bool {
        let near = self.watch.seen_to().0 < target.0.saturating_add(LOOK_BEHIND);
        let undecided = || whole_points(target, &self.creations()).behind.is_none();
        self.unknown.is_none() && (near || undecided())
    }

    /// What is half made at the target, which is the last transaction that was seen.
    pub(super) fn verdict(mut self, history: &History, path: &Path, target: TxId) -> Result<SchemaVerdict> {
        let walked = history.reader(path).visit(Some(target.next()), None, &mut |visit| {
            // What lies behind a hole says nothing about the target.
            let follows = visit.stretch == 0 && visit.transaction.id == self.watch.seen_to().next();
            if !follows || !self.wants_more(target) {
                return Err(Halt::Done);
            }
            self.see(visit.bytes);
            Ok(())
        });
        match walked {
            Ok(_) | Err(Halt::Done) => {}
            Err(Halt::Failed(error)) => return Err(error.into()),
        }
        let creations = self.creations();
        let enclosing = creations.iter().filter(|creation| creation.encloses(target));
        let names = enclosing.map(|creation| creation.name.clone()).collect();
        let whole = whole_points(target, &creations);
        Ok(SchemaVerdict { names, before: whole.before, behind: whole.behind, unknown: self.unknown })
    }
}

/// Why a walk over a path ends before the path does.
pub(super) enum Halt {
    Done,
    Failed(ArchiveError),
}

impl From<ArchiveError> for Halt {
    fn from(error: ArchiveError) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use grap_neo4j::txlog::{CreationEnd, RuleId};

    use super::*;

    fn creation(began: u64, ended: Option<u64>) -> Creation {
        let ended = ended.map(|at| CreationEnd { at: TxId(at), constraint: None });
        Creation { index: RuleId(7), name: "c".to_owned(), began: Some(TxId(began)), ended }
    }

    /// Far behind the target the log is read on only for what is half made at it.
    #[test]
    fn a_creation_that_is_open_at_the_target_is_followed_to_its_end() {
        let target = TxId(100);
        let look = |seen_to: u64, ended: Vec<Creation>| SchemaLook {
            watch: SchemaWatch::behind(TxId(seen_to)),
            ended,
            unknown: None,
        };
        assert!(look(99 + LOOK_BEHIND, Vec::new()).wants_more(target));
        let far = 200 + LOOK_BEHIND;
        assert!(!look(far, Vec::new()).wants_more(target));
        assert!(!look(far, vec![creation(90, Some(120))]).wants_more(target));
        assert!(!look(far, vec![creation(110, None)]).wants_more(target), "it began behind the target");
        assert!(look(far, vec![creation(90, None)]).wants_more(target));
        let overlapping = vec![creation(90, Some(120)), creation(110, None)];
        assert!(look(far, overlapping).wants_more(target), "at its end another one is half made");
    }
}
