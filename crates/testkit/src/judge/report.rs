//! What the judge found, and whether it is what was expected.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Presence, Properties, Relationship};
use crate::tree;

const DIFFERENCES_SHOWN: usize = 20;

/// What Neo4j found in a directory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// The default database came online.
    pub opened: bool,
    /// Why it did not.
    pub refusal: String,
    /// Newest committed transaction id right after opening.
    pub tx_id: u64,
    /// Number of nodes and relationships.
    pub nodes: u64,
    pub relationships: u64,
    /// Sum over all nodes and relationships of a hash of their content: equal graphs have equal digests.
    pub digest: String,
    /// All indexes after waiting for them.
    pub indexes: Vec<IndexState>,
    /// Names of all constraints.
    pub constraints: Vec<String>,
    /// Wrong answers of indexes, counts, chains; a failed write.
    pub failures: Vec<String>,
    /// Time until the database was online, recovery included.
    pub open_millis: u64,
    /// Folders with corrupted files that Neo4j put aside.
    #[serde(skip)]
    pub left_behind: Vec<String>,
    /// The end of the debug log, when it was refused.
    #[serde(skip)]
    pub log: String,
    /// Wall time of the whole request.
    #[serde(skip)]
    pub took: Duration,
}

/// One index as the judge found it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IndexState {
    pub name: String,
    /// `RANGE`, `LOOKUP`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// `ONLINE`, `POPULATING`, `FAILED`.
    pub state: String,
    #[serde(default)]
    pub failure: String,
}

/// A report compared with what was expected.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub report: Report,
    /// The point in time lies within the creation or the drop of an index or constraint.
    pub schema_in_flux: bool,
    /// Everything that is not as expected, readable, the first 20 of the graph.
    pub problems: Vec<String>,
}

impl Verdict {
    pub(crate) fn new(report: Report, found: &Graph, expected: &Graph, tx_id: Option<u64>) -> Self {
        let mut problems = Vec::new();
        if !report.opened {
            problems.push(format!("the database was refused: {}\n{}", report.refusal, report.log));
            return Self { report, schema_in_flux: false, problems };
        }
        if let Some(tx_id) = tx_id.filter(|id| *id != report.tx_id) {
            problems.push(format!("newest transaction: expected {tx_id}, found {}", report.tx_id));
        }
        problems
            .extend(report.left_behind.iter().map(|folder| format!("{folder} was put aside as corrupted")));
        problems.extend(schema_problems(&report, expected));
        problems.extend(report.failures.iter().take(DIFFERENCES_SHOWN).cloned());
        problems.extend(expected.differences(found, DIFFERENCES_SHOWN));
        let schema_in_flux = expected.schema.values().any(|presence| *presence == Presence::InFlux);
        Self { report, schema_in_flux, problems }
    }

    /// Exactly what was expected.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// For tests: panics with everything that is wrong.
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { tx_id, nodes, relationships, took, .. } = &self.report;
        write!(f, "tx {tx_id}, {nodes} nodes, {relationships} relationships, judged in {took:?}: ")?;
        if self.is_clean() {
            return write!(f, "as expected");
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Indexes and constraints by name: each expected one is there and online, nothing else is there.
fn schema_problems(report: &Report, expected: &Graph) -> Vec<String> {
    let presence = |name: &String| expected.schema.get(name).copied();
    let mut problems = Vec::new();
    for index in &report.indexes {
        let lookup = index.kind == "LOOKUP";
        match presence(&index.name) {
            Some(Presence::InFlux) => {}
            None if !lookup => problems.push(format!("index {} should not be there", index.name)),
            _ if index.state != "ONLINE" => {
                problems.push(format!("index {} is {} {}", index.name, index.state, index.failure));
            }
            _ => {}
        }
    }
    let found: BTreeSet<&String> = report.indexes.iter().map(|index| &index.name).collect();
    for (name, presence) in &expected.schema {
        if *presence == Presence::Present && !found.contains(name) {
            problems.push(format!("index {name} is missing"));
        }
    }
    let orphans = report.constraints.iter().filter(|name| !found.contains(name));
    problems.extend(orphans.map(|name| format!("constraint {name} has no index")));
    problems
}

/// The lines that the judge writes for nodes and relationships.
#[derive(Deserialize)]
struct Line {
    k: Key,
    p: Properties,
    #[serde(default)]
    l: BTreeSet<String>,
    t: Option<String>,
    a: Option<Key>,
    b: Option<Key>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Key {
    Own(u64),
    Stranger(serde::de::IgnoredAny),
}

pub(crate) fn read_graph(path: &Path) -> Result<Graph> {
    let file = BufReader::new(File::open(path).map_err(Error::file("open", path))?);
    let mut graph = Graph::default();
    for text in file.lines() {
        let text = text.map_err(Error::file("read", path))?;
        let line: Line =
            serde_json::from_str(&text).map_err(|error| Error::Judge(format!("{error}: {text}")))?;
        if !add(&mut graph, line) {
            graph.strangers.push(text);
        }
    }
    Ok(graph)
}

/// Whether the line was an entity of a workload with a key of its own.
fn add(graph: &mut Graph, line: Line) -> bool {
    match line {
        Line {
            k: Key::Own(key), t: Some(kind), a: Some(Key::Own(from)), b: Some(Key::Own(to)), p, ..
        } => {
            let relationship = Relationship { kind, from, to, properties: p };
            graph.relationships.insert(key, relationship).is_none()
        }
        Line { k: Key::Own(key), t: None, l, p, .. } => {
            graph.nodes.insert(key, Node { labels: l, properties: p }).is_none()
        }
        _ => false,
    }
}

/// Folders named `corrupted-*` anywhere in a data directory.
pub(crate) fn corrupted_folders(data: &Path) -> Result<Vec<String>> {
    let parts = tree::files(data)?
        .into_iter()
        .flat_map(|file| {
            file.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>()
        })
        .filter(|part| part.starts_with("corrupted-"))
        .collect::<BTreeSet<_>>();
    Ok(parts.into_iter().collect())
}
