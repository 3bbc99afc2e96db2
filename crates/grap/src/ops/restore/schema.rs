//! Targets inside a schema change. A constraint is several transactions (its index, tokens, the constraint
//! itself); between them the restored database would have an index that is populated for ever, and its name
//! taken.
//!
//! Judged from the log between the backup and the target, and from some behind it: a creation that began before
//! the backup's end is known by how it ends. One that never ends, because the server was killed in it, is
//! said and not refused: the source itself is in that state at every later point.

use grap_neo4j::TxId;
use grap_neo4j::txlog::{Creation, SchemaWatch, WatchError, whole_points};

use crate::archive::{ArchiveError, History, Path, PathReader};
use crate::error::{Error, Result};

/// So many transactions behind the target are looked at for the end of a creation.
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
            Err(error) => self.unknown = Some(said(&error)),
        }
    }

    /// What is half made at the target, which is the last transaction that was seen.
    pub(super) fn verdict(mut self, history: &History, path: &Path, target: TxId) -> Result<SchemaVerdict> {
        let until = TxId(target.0.saturating_add(LOOK_BEHIND));
        let reader = PathReader { archive: &history.archive, runs: &history.runs, path };
        let walked = reader.visit(Some(target.next()), Some(until), &mut |visit| {
            // What lies behind a hole says nothing about the target.
            if visit.stretch > 0 || visit.transaction.id != self.watch.seen_to().next() {
                return Err(Halt::Done);
            }
            self.see(visit.bytes);
            if self.unknown.is_some() { Err(Halt::Done) } else { Ok(()) }
        });
        match walked {
            Ok(_) | Err(Halt::Done) => {}
            Err(Halt::Failed(error)) => return Err(error.into()),
        }
        let mut creations = self.ended;
        creations.extend(self.watch.open().cloned());
        let enclosing = creations.iter().filter(|creation| creation.encloses(target));
        let names = enclosing.map(|creation| creation.name.clone()).collect();
        let whole = whole_points(target, &creations);
        Ok(SchemaVerdict { names, before: whole.before, behind: whole.behind, unknown: self.unknown })
    }
}

fn said(error: &WatchError) -> String {
    std::iter::once(error.to_string()).chain(crate::causes(error)).collect::<Vec<_>>().join(": ")
}

/// Why a walk ends.
enum Halt {
    Done,
    Failed(ArchiveError),
}

impl From<ArchiveError> for Halt {
    fn from(error: ArchiveError) -> Self {
        Self::Failed(error)
    }
}
