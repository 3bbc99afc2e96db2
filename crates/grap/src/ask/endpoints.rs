//! Do relationships end at nodes that are there?
//!
//! Relationships are taken by their internal id, and both ends are looked up by theirs: no scan, no index, and no lock;
//! a statement looks at [`BATCH`] ids. A small database is looked at whole, a large one at random places until enough was
//! seen or the time is over.
//!
//! A relationship can be deleted, nodes and all, between two looks of one statement. So whatever seems to dangle is asked
//! for again; only what still dangles then is told.

use std::time::Duration;

use grap_bolt::client::Statement;
use grap_bolt::{Result, Value};
use grap_task::{Clock, Stop};

use super::asker::Asker;

const BATCH: i64 = 1000;
/// Ids that are looked at in a database too large to be looked at whole.
const SAMPLE: i64 = 20_000;
/// Between the two looks at what seems to dangle.
const PAUSE: Duration = Duration::from_millis(200);

/// A relationship without one of its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    pub relationship: i64,
    pub kind: String,
    pub start: i64,
    pub end: i64,
    pub start_missing: bool,
    pub end_missing: bool,
}

impl std::fmt::Display for Dangling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = |missing: bool| if missing { ", which is not there" } else { "" };
        let Self { relationship, kind, start, end, .. } = self;
        write!(
            f,
            "relationship {relationship} of type {kind}: from node {start}{}",
            mark(self.start_missing)
        )?;
        write!(f, ", to node {end}{}", mark(self.end_missing))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointsSeen {
    /// By the count store.
    pub relationships: i64,
    /// Whose ends were looked at. At random places one can be met twice.
    pub seen: i64,
    /// Every id that a relationship is to be expected at was looked at.
    pub whole: bool,
    pub dangling: Vec<Dangling>,
}

/// Of each relationship `r` its ends, counted, and those that lack a node in a list.
const LOOK: &str = "WITH r, id(startNode(r)) AS s, id(endNode(r)) AS e \
    OPTIONAL MATCH (a) WHERE id(a) = s \
    OPTIONAL MATCH (b) WHERE id(b) = e \
    WITH r, s, e, a, b \
    RETURN count(r), collect(CASE WHEN a IS NULL OR b IS NULL \
    THEN [id(r), type(r), s, e, a IS NULL, b IS NULL] END)[..1000]";
/// That with the id `i`.
const OF_ID: &str = "MATCH ()-[r]->() WHERE id(r) = i";

impl Asker {
    /// Ends when enough was seen, or when `budget` is over: then with what was seen until then.
    pub fn endpoints(&mut self, budget: Duration, clock: &Clock, stop: &Stop) -> Result<EndpointsSeen> {
        let over = clock.since_boot() + budget;
        let relationships = self.relationship_count()?;
        // Ids of deleted relationships are used again, so that not many more are in use than were at most at once.
        let ids = relationships.saturating_mul(2).saturating_add(BATCH);
        let whole = ids <= 2 * SAMPLE;
        let mut seen = EndpointsSeen { relationships, whole, ..EndpointsSeen::default() };
        let mut suspects = Vec::new();
        let batches = if whole { ids / BATCH + 1 } else { SAMPLE / BATCH };
        for batch in 0..batches {
            if clock.since_boot() >= over || stop.requested() {
                seen.whole = false;
                break;
            }
            let (met, found) = if whole { self.look_from(batch * BATCH)? } else { self.look_around(ids)? };
            seen.seen += met;
            suspects.extend(found);
        }
        if whole && seen.seen < relationships && !stop.requested() {
            // Few are left of many, with high ids; or others write: all of them at once, as few as they are.
            let (met, found) = self.look_at_all()?;
            seen.seen = met;
            suspects.extend(found);
        }
        if !suspects.is_empty() {
            clock.wait(PAUSE, stop);
            seen.dangling = self.look_again(&suspects)?;
        }
        Ok(seen)
    }

    /// Of every relationship, whatever its id: for a database that nobody writes to.
    pub fn all_endpoints(&mut self) -> Result<EndpointsSeen> {
        let relationships = self.relationship_count()?;
        let (seen, dangling) = self.look_at_all()?;
        Ok(EndpointsSeen { relationships, seen, whole: true, dangling })
    }

    fn look_at_all(&mut self) -> Result<(i64, Vec<Dangling>)> {
        self.look(Statement::new(format!("MATCH ()-[r]->() {LOOK}")))
    }

    fn look_from(&mut self, first: i64) -> Result<(i64, Vec<Dangling>)> {
        let statement = Statement::new(format!("UNWIND range($first, $last) AS i {OF_ID} {LOOK}"));
        self.look(statement.with("first", first).with("last", first + BATCH - 1))
    }

    fn look_around(&mut self, ids: i64) -> Result<(i64, Vec<Dangling>)> {
        let statement = Statement::new(format!(
            "UNWIND range(1, $n) AS k WITH toInteger(rand() * $ids) AS i {OF_ID} {LOOK}"
        ));
        self.look(statement.with("n", BATCH).with("ids", ids))
    }

    fn look_again(&mut self, suspects: &[Dangling]) -> Result<Vec<Dangling>> {
        let ids: Vec<Value> = suspects.iter().take(1000).map(|suspect| suspect.relationship.into()).collect();
        let again = self.look(Statement::new(format!("UNWIND $ids AS i {OF_ID} {LOOK}")).with("ids", ids))?.1;
        let mut again: Vec<Dangling> = again.into_iter().filter(|one| suspects.contains(one)).collect();
        again.sort_by_key(|one| one.relationship);
        again.dedup();
        Ok(again)
    }

    fn look(&mut self, statement: Statement) -> Result<(i64, Vec<Dangling>)> {
        let answer = self.ask(statement)?;
        let parsed = answer.rows.first().and_then(|row| {
            let found = row.get(1)?.as_list()?;
            Some((row.first()?.as_int()?, found.iter().map(dangling).collect::<Option<Vec<_>>>()?))
        });
        parsed.ok_or_else(|| self.unexpected("not what was asked for"))
    }
}

fn dangling(value: &Value) -> Option<Dangling> {
    let [relationship, kind, start, end, start_missing, end_missing] = value.as_list()? else { return None };
    Some(Dangling {
        relationship: relationship.as_int()?,
        kind: kind.as_text()?.to_owned(),
        start: start.as_int()?,
        end: end.as_int()?,
        start_missing: start_missing.as_bool()?,
        end_missing: end_missing.as_bool()?,
    })
}
