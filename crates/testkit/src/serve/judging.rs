//! What a repository shows, restored and judged: random points of its windows, and its backups.

use std::path::Path;

use rand::Rng;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::logs::Markers;
use crate::oracle::Oracle;
use crate::pitr::world::require_no_contradiction;
use crate::pitr::{Tell, World, claim, require};
use crate::program::{Grap, tx_id};
use crate::{Judge, admin, tree};

const DATABASE: &str = "neo4j";

/// A stopped server, what was written to it, and who judges.
pub struct Judging<'a> {
    pub world: &'a World,
    oracle: std::sync::Arc<Oracle>,
    markers: Markers,
    judge: Judge,
}

/// A stretch of a timeline that can be restored.
#[derive(Debug, Clone)]
struct Span {
    timeline: String,
    first: u64,
    last: u64,
}

impl<'a> Judging<'a> {
    /// Nobody writes any more, and the server has stopped.
    pub fn of(world: &'a World, oracle: std::sync::Arc<Oracle>) -> Result<Self> {
        let log = world.log()?;
        let markers = oracle.markers_in(log.iter().map(|(id, bytes)| (*id, bytes)));
        require_no_contradiction(&oracle, &markers)?;
        Ok(Self { world, oracle, markers, judge: Judge::start(world.server.distribution())? })
    }

    /// So many random points of what the window shows: how many there were to choose from.
    pub fn random_targets(&self, grap: &Grap, wanted: usize, tell: Tell<'_>) -> Result<u64> {
        let spans = spans(&grap.json(&["window"])?)?;
        let shown: u64 = spans.iter().map(|span| span.last - span.first + 1).sum();
        require(shown > 0, || "nothing is shown".to_owned())?;
        let mut random = rand::rng();
        for number in 0..wanted {
            let mut at = random.random_range(0..shown);
            let mut chosen = None;
            for span in &spans {
                let length = span.last - span.first + 1;
                if at < length {
                    chosen = Some((span, span.first + at));
                    break;
                }
                at -= length;
            }
            let Some((span, target)) = chosen else { continue };
            let arguments = [format!("tx={target}"), "--timeline".to_owned(), span.timeline.clone()];
            self.restored(grap, &arguments, Some(target))?;
            tell(&format!("transaction {target} of timeline {}, {} of {wanted}", span.timeline, number + 1));
        }
        Ok(shown)
    }

    /// Every backup that is listed as complete, or as many as `most` of them.
    pub fn backups(&self, grap: &Grap, most: usize) -> Result<usize> {
        let list = grap.json(&["list"])?;
        let rows = list["backups"].as_array().ok_or_else(|| Error::Claim("no list".into()))?;
        let complete: Vec<&str> = rows
            .iter()
            .filter(|row| row["manifest"] != Value::Null && row["databases"].is_array())
            .filter_map(|row| row["id"].as_str())
            .collect();
        let step = complete.len().div_ceil(most.max(1)).max(1);
        let chosen: Vec<&&str> = complete.iter().rev().step_by(step).collect();
        for id in &chosen {
            self.restored(grap, &[(**id).to_owned()], None)?;
        }
        Ok(chosen.len())
    }

    /// Equal to the oracle, and clean to Neo4j's own check.
    fn restored(&self, grap: &Grap, arguments: &[String], expected: Option<u64>) -> Result<()> {
        let to = self.world.folder.path().join("judged");
        tree::remove_if_there(&to)?;
        let shown = to.display().to_string();
        let mut all = vec!["restore"];
        all.extend(arguments.iter().map(String::as_str));
        all.extend(["--to", &shown]);
        let report = grap.json(&all)?;
        let end = tx_id(&report, DATABASE).ok_or_else(|| Error::Claim(format!("no end: {report}")))?;
        require(expected.is_none_or(|expected| expected == end), || format!("{arguments:?}: {report}"))?;
        self.judged(&to, end, arguments)?;
        tree::remove_if_there(&to)
    }

    fn judged(&self, data: &Path, end: u64, arguments: &[String]) -> Result<()> {
        let verdict = self.judge.verdict(data, &self.oracle.expected_at(end, &self.markers), end)?;
        require(verdict.is_clean(), || format!("{arguments:?}: {verdict}"))?;
        if verdict.schema_in_flux {
            return Ok(());
        }
        let check = admin::check(self.world.server.distribution(), data)?;
        require(check.is_clean(), || format!("{arguments:?}: {}", check.text))
    }
}

fn spans(window: &Value) -> Result<Vec<Span>> {
    let databases = window["sources"][0]["databases"].as_array().into_iter().flatten();
    let mut found = Vec::new();
    for timeline in databases
        .filter(|database| database["name"] == DATABASE)
        .flat_map(|database| database["timelines"].as_array().into_iter().flatten())
    {
        for span in timeline["spans"].as_array().into_iter().flatten() {
            let ends = span["first"]["tx_id"].as_u64().zip(span["last"]["tx_id"].as_u64());
            let Some((first, last)) = ends else { return claim(format!("a span without ends: {span}")) };
            found.push(Span { timeline: timeline["timeline"].to_string(), first, last });
        }
    }
    Ok(found)
}
