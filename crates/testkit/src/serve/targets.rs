//! Random points of what `grap window` shows, restored by the shipped program and judged by Neo4j itself against the
//! oracle: what is shown is what is granted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rand::Rng;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::judge::{check_both, check_natively};
use crate::oracle::Oracle;
use crate::pitr::world::DATABASE;
use crate::pitr::{Tell, World, claim, require};
use crate::program::{Grap, tx_id};
use crate::{Judge, logs, tree};

/// A stretch of points that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub timeline: u64,
    pub current: bool,
    /// Transaction and commit time.
    pub first: (u64, i64),
    pub last: (u64, i64),
}

/// A point that was shown once, and what must be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub text: String,
    pub timeline: u64,
    pub transaction: u64,
}

/// Everything that is shown of the database.
pub fn shown(grap: &Grap) -> Result<Vec<Span>> {
    let window = when_free(grap, &["window"])?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let databases = list(&window["sources"]).into_iter().flat_map(|source| list(&source["databases"]));
    let mut spans = Vec::new();
    for database in databases.filter(|database| database["name"] == DATABASE) {
        for timeline in list(&database["timelines"]) {
            for span in list(&timeline["spans"]) {
                let end = |name: &str| span[name]["tx_id"].as_u64().zip(span[name]["commit_ms"].as_i64());
                let all = timeline["timeline"].as_u64().zip(end("first")).zip(end("last"));
                let ((number, first), last) =
                    all.ok_or_else(|| Error::Claim(format!("a span without its ends: {window}")))?;
                spans.push(Span { timeline: number, current: timeline["current"] == true, first, last });
            }
        }
    }
    Ok(spans)
}

/// Every backup that is listed, the oldest first.
pub fn backups(world: &World) -> Result<Vec<String>> {
    let list = when_free(&world.grap, &["list"])?;
    let rows = list["backups"].as_array().cloned().unwrap_or_default();
    let mut ids: Vec<String> = rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect();
    ids.sort();
    Ok(ids)
}

/// Run with `--json`; who finds the repository held by expire or gc comes again.
pub fn when_free(grap: &Grap, arguments: &[&str]) -> Result<Value> {
    for _ in 0..120 {
        match grap.json(arguments) {
            Err(Error::Program { said, .. }) if said.contains("REPOSITORY_LOCKED") => {
                sleep(Duration::from_millis(500));
            }
            answer => return answer,
        }
    }
    claim(format!("the repository is locked for a minute: {arguments:?}"))
}

/// What was restored so far.
pub struct Inspection<'a> {
    judge: &'a Judge,
    pub by_id: usize,
    pub by_time: usize,
    pub timelines: BTreeSet<u64>,
    pub checked: usize,
    /// Shown when it was chosen, and let go of before it was restored.
    pub went: usize,
}

impl<'a> Inspection<'a> {
    pub fn new(judge: &'a Judge) -> Self {
        Self { judge, by_id: 0, by_time: 0, timelines: BTreeSet::new(), checked: 0, went: 0 }
    }

    pub fn restored(&self) -> usize {
        self.by_id + self.by_time
    }

    /// Restores and judges so many random points; the writers may go on meanwhile.
    pub fn random(&mut self, world: &World, oracle: &Oracle, wanted: usize, tell: Tell<'_>) -> Result<()> {
        let until = self.restored() + wanted;
        while self.restored() < until {
            let spans = shown(&world.grap)?;
            let log = world.log()?;
            let target = choose(&spans, &log)?;
            if self.judged(world, oracle, &log, &target)? {
                self.timelines.insert(target.timeline);
                let count = if target.text.starts_with("tx=") { &mut self.by_id } else { &mut self.by_time };
                *count += 1;
                tell(&format!(
                    "target {} of timeline {} (transaction {})",
                    target.text, target.timeline, target.transaction
                ));
            }
        }
        Ok(())
    }

    /// Whether the target was restored, and is exactly as the clients know it.
    pub fn judged(
        &mut self,
        world: &World,
        oracle: &Oracle,
        log: &BTreeMap<u64, Vec<u8>>,
        target: &Target,
    ) -> Result<bool> {
        let Some(data) = self.restore(world, target)? else { return Ok(false) };
        let markers = oracle.markers_in(log.iter().map(|(id, bytes)| (*id, bytes)));
        let graph = oracle.expected_at(target.transaction, &markers);
        let verdict = self.judge.verdict(&data, &graph, target.transaction)?;
        require(verdict.is_clean(), || format!("{target:?}: {verdict}"))?;
        if self.restored() >= self.checked * 5 && !verdict.schema_in_flux {
            check_both(&world.grap, world.server.distribution(), &data)?;
            self.checked += 1;
        } else {
            check_natively(&world.grap, &data)?;
        }
        tree::remove_if_there(&data)?;
        Ok(true)
    }

    fn restore(&mut self, world: &World, target: &Target) -> Result<Option<PathBuf>> {
        let to = world.folder.path().join("restored");
        tree::remove_if_there(&to)?;
        let (place, timeline) = (to.display().to_string(), target.timeline.to_string());
        let arguments = ["restore", &target.text, "--timeline", &timeline, "--to", &place];
        match when_free(&world.grap, &arguments) {
            Ok(report) => {
                let reached = tx_id(&report, DATABASE);
                require(reached == Some(target.transaction), || format!("{target:?} was wanted: {report}"))?;
                Ok(Some(to))
            }
            Err(Error::Program { said, .. }) if said.contains("TARGET_IN_SCHEMA_CHANGE") => Ok(None),
            // The clock was set around it.
            Err(Error::Program { said, .. }) if said.contains("TIME_UNSURE") => Ok(None),
            Err(error) => {
                let still = shown(&world.grap)?.iter().any(|span| {
                    span.timeline == target.timeline
                        && (span.first.0..=span.last.0).contains(&target.transaction)
                });
                require(!still, || format!("{target:?} is shown: {error}"))?;
                self.went += 1;
                Ok(None)
            }
        }
    }
}

/// A transaction or an instant of a span; the current timeline half of the time.
pub fn choose(spans: &[Span], log: &BTreeMap<u64, Vec<u8>>) -> Result<Target> {
    let mut random = rand::rng();
    let current: Vec<Span> = spans.iter().copied().filter(|span| span.current).collect();
    let from = if random.random_bool(0.5) && !current.is_empty() { current.as_slice() } else { spans };
    if from.is_empty() {
        return claim("nothing is shown that can be restored");
    }
    let span = from[random.random_range(0..from.len())];
    if span.first.1 < span.last.1 && random.random_bool(0.5) {
        let ms = random.random_range(span.first.1..span.last.1);
        let at = jiff::Timestamp::from_millisecond(ms).map_err(|error| Error::Claim(error.to_string()))?;
        if let Some(transaction) = before(log, &span, ms) {
            return Ok(Target { text: format!("time={at}"), timeline: span.timeline, transaction });
        }
    }
    let transaction = random.random_range(span.first.0..=span.last.0);
    Ok(Target { text: format!("tx={transaction}"), timeline: span.timeline, transaction })
}

/// The last transaction of the span before the first one that was committed later.
fn before(log: &BTreeMap<u64, Vec<u8>>, span: &Span, ms: i64) -> Option<u64> {
    let later = |bytes: &Vec<u8>| logs::commit_ms(bytes).is_some_and(|at| at > ms);
    let first = log.range(span.first.0..=span.last.0).find(|(_, bytes)| later(bytes))?.0;
    log.range(span.first.0..*first).next_back().map(|(id, _)| *id)
}
