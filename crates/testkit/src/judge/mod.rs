//! The judge: Neo4j's own code opens a restored directory and says what is in it.
//!
//! One JVM (embedded API, the jars of the same version) serves many requests, so a judgement costs a fraction
//! of a server's start. **Judging uses the directory up**: Neo4j recovers it, and the write test adds
//! transactions. Give it a copy where the original is still needed ([`tree::copy`](crate::tree::copy)).

mod compile;
mod report;
mod stopped;
mod whole_server;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admin::home_for;
use crate::error::{Error, Result, last_lines};
use crate::graph::Graph;
use crate::install::Distribution;
use crate::server::process_cpu_seconds;

pub use report::{IndexState, Report, Verdict};
pub use stopped::{check_both, check_natively};
pub use whole_server::judge_server;

const PATIENCE: Duration = Duration::from_mins(2);
const HEAP: &str = "2g";

/// A JVM that opens directories.
#[derive(Debug)]
pub struct Judge {
    distribution: Distribution,
    jvm: Mutex<Jvm>,
    patience: Duration,
}

#[derive(Debug)]
struct Jvm {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Judge {
    /// Starts the JVM; it ends with the judge.
    pub fn start(distribution: &Distribution) -> Result<Self> {
        let jar = compile::jar(distribution)?;
        let mut child = distribution
            .jvm(HEAP, Some(&jar))
            .arg("Judge")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::file("start", "java"))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("the pipe was asked for"));
        Ok(Self {
            distribution: distribution.clone(),
            jvm: Mutex::new(Jvm { child, requests, answers }),
            patience: PATIENCE,
        })
    }

    /// The judge of this version that all tests of a process share; its JVM ends with the process.
    pub fn shared(distribution: &Distribution) -> Result<&'static Self> {
        static JUDGES: Mutex<BTreeMap<String, &'static Judge>> = Mutex::new(BTreeMap::new());
        let mut judges = JUDGES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(judge) = judges.get(distribution.version()) {
            return Ok(judge);
        }
        let judge: &'static Self = Box::leak(Box::new(Self::start(distribution)?));
        judges.insert(distribution.version().to_owned(), judge);
        Ok(judge)
    }

    /// How long a database may take to open, and its indexes to come online.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Opens a data directory (`databases/neo4j`, `transactions/neo4j`, ...) and compares everything in it
    /// with the expected graph and transaction id.
    pub fn verdict(&self, data: &Path, expected: &Graph, tx_id: u64) -> Result<Verdict> {
        let (report, graph) = self.open(data)?;
        Ok(Verdict::new(report, &graph, expected, Some(tx_id)))
    }

    /// Opens a data directory and reports what is in it, with the whole graph.
    pub fn open(&self, data: &Path) -> Result<(Report, Graph)> {
        let output = tempfile::NamedTempFile::new().map_err(Error::file("create", "a temporary file"))?;
        let report = self.ask(data, &output.path().display().to_string())?;
        let graph = if report.opened { report::read_graph(output.path())? } else { Graph::default() };
        Ok((report, graph))
    }

    /// The same without the graph, for stores that do not fit into memory: counts, digest, indexes.
    pub fn survey(&self, data: &Path) -> Result<Report> {
        self.ask(data, "-")
    }

    /// CPU seconds that the JVM has used so far.
    pub fn cpu_seconds(&self) -> f64 {
        process_cpu_seconds(self.jvm.lock().unwrap_or_else(PoisonError::into_inner).child.id())
    }

    fn ask(&self, data: &Path, output: &str) -> Result<Report> {
        let home = home_for(&self.distribution, data)?;
        let begun = Instant::now();
        let answer =
            self.exchange(&format!("{}\t{output}\t{}\n", home.path().display(), self.patience.as_secs()))?;
        let mut report: Report =
            serde_json::from_str(&answer).map_err(|error| Error::Judge(format!("{error}: {answer}")))?;
        report.took = begun.elapsed();
        report.left_behind = report::corrupted_folders(data)?;
        if !report.opened {
            report.log = complaints(&home.path().join("logs/debug.log"));
        }
        Ok(report)
    }

    fn exchange(&self, request: &str) -> Result<String> {
        let mut jvm = self.jvm.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = jvm.requests.as_mut().expect("taken by drop only");
        requests.write_all(request.as_bytes()).map_err(Error::file("write to", "the judge"))?;
        requests.flush().map_err(Error::file("write to", "the judge"))?;
        let mut answer = String::new();
        jvm.answers.read_line(&mut answer).map_err(Error::file("read from", "the judge"))?;
        if answer.is_empty() {
            return Err(Error::Judge("its JVM ended".into()));
        }
        Ok(answer)
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let jvm = self.jvm.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(jvm.requests.take());
        let _ = jvm.child.kill();
        let _ = jvm.child.wait();
    }
}

/// The lines of a debug log that say what went wrong.
fn complaints(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let telling =
        |line: &&str| [" ERROR ", " WARN ", "Caused by:", "Exception"].iter().any(|word| line.contains(word));
    last_lines(&text.lines().filter(telling).collect::<Vec<_>>().join("\n"), 15)
}
