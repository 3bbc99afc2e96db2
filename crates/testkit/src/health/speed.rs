//! How long `grap health` takes on a million nodes and a million relationships, idle and under writers; and what it says
//! while a large index is being made.

use std::path::Path;
use std::time::Duration;

use super::{Answer, Asking};
use crate::data::{DataOptions, big_store};
use crate::error::{Error, Result};
use crate::pitr::{Spread, Tell, eventually, load, require};
use crate::workload::Indexes;
use crate::{Distribution, Grap, Server, Workload, WorkloadOptions, tree};

const SCHEMA: &str = "schema_consistency";
/// What it must not take longer than.
const DETAILED: Duration = Duration::from_secs(5);
const CONNECTIVITY_MS: f64 = 100.0;

pub fn speed(grap: &Grap, distribution: &Distribution, rounds: usize, tell: Tell<'_>) -> Result<String> {
    let folder =
        tempfile::tempdir_in(distribution.folder()).map_err(Error::file("create", "a temporary folder"))?;
    let server = million(distribution, &folder.path().join("home"))?;
    let asking = Asking::of(grap, &server);
    let cold = asking.ask(&["--detailed"])?;
    tell(&format!("the first call: {:?}\n{}", cold.took, cold.said));
    let idle = measured(&asking, rounds)?;
    tell(&table("idle", &idle));
    let options =
        WorkloadOptions { indexes: Indexes::Trees, operations: Some(5), ..WorkloadOptions::default() };
    let workload = Workload::start(&server, options)?;
    let busy = measured(&asking, rounds)?;
    tell(&table("four writers", &busy));
    workload.stop()?;
    let populating = a_large_index(&asking, &server)?;
    let (whole, connectivity) = (spread(&idle, |answer| answer.took), checks(&idle, "connectivity"));
    let goal = |met: bool| if met { "met" } else { "MISSED" };
    Ok(format!(
        "speed: Neo4j {}, {} nodes, {} relationships, load {}: the whole program with --detailed {whole} (goal < 5 s: {}); connectivity {connectivity} (goal < 100 ms: {}); the first call {:.2} s; {populating}",
        distribution.version(),
        idle[0].report["counts"]["nodes"],
        idle[0].report["counts"]["relationships"],
        load(),
        goal(whole.max < DETAILED.as_secs_f64() * 1e3),
        goal(connectivity.p50 < CONNECTIVITY_MS),
        cold.took.as_secs_f64(),
    ))
}

fn million(distribution: &Distribution, home: &Path) -> Result<Server> {
    std::fs::create_dir_all(home).map_err(Error::file("create", home))?;
    tree::copy(&big_store(distribution, DataOptions::MEDIUM)?, &home.join("data"))?;
    Server::builder(distribution).setting("server.memory.pagecache.size", "1g").heap("1g").start(home)
}

fn measured(asking: &Asking, rounds: usize) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for _ in 0..rounds.max(1) {
        let answer = asking.ask(&["--detailed"])?;
        require(answer.is_healthy() && !answer.report["counts"].is_null(), || answer.said.clone())?;
        answers.push(answer);
    }
    Ok(answers)
}

fn spread(answers: &[Answer], time: impl Fn(&Answer) -> Duration) -> Spread {
    Spread::of(answers.iter().map(time).collect())
}

fn checks(answers: &[Answer], check: &str) -> Spread {
    spread(answers, |answer| Duration::from_secs_f64(answer.milliseconds(check) / 1e3))
}

fn table(when: &str, answers: &[Answer]) -> String {
    let mut text = format!("{when}, load {}\n| what | time |\n|---|---|\n", load());
    for check in ["connectivity", SCHEMA, "orphan_detection"] {
        text += &format!("| {check} | {} |\n", checks(answers, check));
    }
    text + &format!("| the whole program, with --detailed | {} |", spread(answers, |answer| answer.took))
}

/// Declared, and longer in the making than the check waits: told as that within the limit. Made, it is no fault any more.
fn a_large_index(asking: &Asking, server: &Server) -> Result<String> {
    const CREATE: &str = "CREATE FULLTEXT INDEX large FOR (n:Imported) ON EACH [n.s, n.t];";
    let file = tempfile::NamedTempFile::new().map_err(Error::file("create", "a temporary file"))?;
    std::fs::write(file.path(), CREATE).map_err(Error::file("write", file.path()))?;
    let arguments = ["--schema", &file.path().display().to_string()];
    server.query(CREATE.trim_end_matches(';'))?;
    let answer = asking.ask(&arguments)?;
    answer.require("an index in the making", SCHEMA, "UNHEALTHY")?;
    answer.require_word("an index in the making", SCHEMA, "POPULATING")?;
    answer.require_within("an index in the making", SCHEMA, Duration::from_secs(10))?;
    // Who has declared nothing is not told of it.
    let undeclared = asking.ask(&[])?;
    require(undeclared.is_healthy(), || format!("an index nobody declared: {}", undeclared.said))?;
    eventually("the index is made", Duration::from_mins(5), || {
        Ok(asking.ask(&arguments)?.is_healthy().then_some(()))
    })?;
    Ok(format!(
        "a declared index still POPULATING told after {:.1} s, healthy when it was made",
        answer.took.as_secs_f64()
    ))
}
