//! What the clients know: what each transaction meant to do, and what the server said about it.
//!
//! A transaction is recorded **before** it is sent. Where the answer was lost the log decides: the ids of the
//! transactions come from [`Markers`], not from bookmarks (which are upper bounds only).

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::graph::{Effect, Graph, Presence};
use crate::logs::Markers;
use crate::workload::{Marker, Run};

/// What is known about a transaction that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No answer yet, or none that says what happened: the log decides.
    Unknown,
    /// COMMIT was answered with success.
    Acknowledged,
    /// COMMIT was not answered, but the database showed the marker later.
    Confirmed,
    /// The server refused it for good.
    Failed,
    /// Rolled back on purpose.
    RolledBack,
}

/// Position of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordIndex(usize);

#[derive(Debug)]
struct Record {
    marker: Marker,
    effects: Vec<Effect>,
    outcome: Outcome,
    acknowledged: Option<SystemTime>,
}

#[derive(Debug)]
struct SchemaStep {
    name: String,
    statement: String,
    before: Option<Marker>,
    after: Option<Marker>,
    exists_after: bool,
}

/// A schema command that was carried out, between the markers around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaSpan {
    /// As it was sent.
    pub statement: String,
    /// Id of the transaction before it, and of the one behind it.
    pub ids: (u64, u64),
}

/// The record of one workload.
#[derive(Debug)]
pub struct Oracle {
    run: Run,
    records: Mutex<Vec<Record>>,
    schema: Mutex<Vec<SchemaStep>>,
}

impl Oracle {
    pub(crate) fn new(run: Run) -> Self {
        Self { run, records: Mutex::default(), schema: Mutex::default() }
    }

    /// The run whose keys and markers it knows.
    pub fn run(&self) -> Run {
        self.run
    }

    /// Reads the ids of all transactions from the logs in these folders: the live one first, then kept links
    /// ([`LogKeeper`](crate::keeper::LogKeeper)). A gap in the ids is an error.
    pub fn markers(&self, folders: &[&Path]) -> Result<Markers> {
        Markers::read(self.run, &self.known(), folders)
    }

    /// The same for transactions (id and bytes) that someone else has found: an archive, the product's own
    /// scanner.
    pub fn markers_in<T: AsRef<[u8]>>(&self, transactions: impl IntoIterator<Item = (u64, T)>) -> Markers {
        Markers::collect(self.run, &self.known(), transactions)
    }

    /// How many transactions were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        let told = [Outcome::Acknowledged, Outcome::Confirmed];
        self.records().iter().filter(|record| told.contains(&record.outcome)).count()
    }

    /// How many transactions have an outcome that only the log knows.
    pub fn unknown(&self) -> usize {
        self.records().iter().filter(|record| record.outcome == Outcome::Unknown).count()
    }

    /// Every transaction whose COMMIT was answered with success, and when its client had the answer.
    pub fn acknowledgements(&self) -> Vec<(Marker, SystemTime)> {
        self.records().iter().filter_map(|record| Some((record.marker, record.acknowledged?))).collect()
    }

    /// The schema commands of the workload that were carried out, by the transactions around them.
    pub fn schema_spans(&self, markers: &Markers) -> Vec<SchemaSpan> {
        let id = |marker: Option<Marker>| marker.and_then(|marker| markers.id(marker));
        let span = |step: &SchemaStep| {
            Some(SchemaSpan { statement: step.statement.clone(), ids: (id(step.before)?, id(step.after)?) })
        };
        self.schema().iter().filter_map(span).collect()
    }

    /// The largest id among the transactions acknowledged so far: a backup that begins now must hold it.
    pub fn acknowledged_up_to(&self, markers: &Markers) -> u64 {
        let records = self.records();
        let acknowledged = records.iter().filter(|record| record.outcome == Outcome::Acknowledged);
        acknowledged.filter_map(|record| markers.id(record.marker)).max().unwrap_or(0)
    }

    /// The graph after the transaction with this id: all transactions up to it, in the order of the log.
    pub fn expected_at(&self, tx_id: u64, markers: &Markers) -> Graph {
        self.expected_on(Graph::default(), tx_id, markers)
    }

    /// The same on top of what was in the database before this workload.
    pub fn expected_on(&self, mut graph: Graph, tx_id: u64, markers: &Markers) -> Graph {
        let records = self.records();
        let mut committed: Vec<(u64, &Record)> = records
            .iter()
            .filter_map(|record| Some((markers.id(record.marker)?, record)))
            .filter(|(id, _)| *id <= tx_id)
            .collect();
        committed.sort_by_key(|(id, _)| *id);
        for (_, record) in committed {
            record.effects.iter().for_each(|effect| graph.apply(effect));
        }
        self.add_schema(&mut graph, tx_id, markers);
        graph
    }

    /// The graph as it is when all writers have stopped, without a look into the log: possible where no
    /// outcome is unknown, because writers do not touch each other's entities.
    pub fn expected_now(&self) -> Result<Graph> {
        let unknown = self.unknown();
        if unknown > 0 {
            return Err(Error::Workload(format!("{unknown} outcomes are unknown: the log must be asked")));
        }
        let markers = Markers::assumed(self.records().iter().filter_map(|record| {
            matches!(record.outcome, Outcome::Acknowledged | Outcome::Confirmed).then_some(record.marker)
        }));
        Ok(self.expected_at(u64::MAX, &markers))
    }

    /// Contradictions between the log and the clients' knowledge: none, or the log (or its reader) is wrong.
    /// (After a kill right behind a rotation Neo4j itself can lose an acknowledged transaction with a log
    /// file.)
    pub fn contradictions(&self, markers: &Markers) -> Vec<String> {
        let mut found = Vec::new();
        for record in self.records().iter() {
            let id = markers.id(record.marker);
            match (record.outcome, id) {
                (Outcome::Acknowledged | Outcome::Confirmed, None) => {
                    found.push(format!("{:?} was acknowledged and is not in the log", record.marker));
                }
                (Outcome::Failed | Outcome::RolledBack, Some(id)) => {
                    found.push(format!("{:?} was not committed and is in the log as {id}", record.marker));
                }
                _ => {}
            }
        }
        found
    }

    pub(crate) fn sending(&self, marker: Marker, effects: Vec<Effect>) -> RecordIndex {
        let mut records = self.records();
        records.push(Record { marker, effects, outcome: Outcome::Unknown, acknowledged: None });
        RecordIndex(records.len() - 1)
    }

    pub(crate) fn resolved(&self, index: RecordIndex, outcome: Outcome) {
        let acknowledged = (outcome == Outcome::Acknowledged).then(SystemTime::now);
        let record = &mut self.records()[index.0];
        record.outcome = outcome;
        record.acknowledged = acknowledged;
    }

    /// A schema object that was there before the transaction with this marker.
    pub(crate) fn schema_made(&self, name: &str, after: Marker) {
        self.schema().push(SchemaStep {
            name: name.to_owned(),
            statement: String::new(),
            before: None,
            after: Some(after),
            exists_after: true,
        });
    }

    pub(crate) fn schema_begun(&self, name: &str, statement: &str, before: Option<Marker>) -> RecordIndex {
        let mut schema = self.schema();
        schema.push(SchemaStep {
            name: name.to_owned(),
            statement: statement.to_owned(),
            before,
            after: None,
            exists_after: false,
        });
        RecordIndex(schema.len() - 1)
    }

    pub(crate) fn schema_done(&self, index: RecordIndex, after: Marker, exists: bool) {
        let step = &mut self.schema()[index.0];
        step.after = Some(after);
        step.exists_after = exists;
    }

    fn add_schema(&self, graph: &mut Graph, tx_id: u64, markers: &Markers) {
        for step in self.schema().iter() {
            let reached =
                |marker: Option<Marker>| marker.and_then(|one| markers.id(one)).is_some_and(|id| id <= tx_id);
            if reached(step.after) {
                if step.exists_after {
                    graph.schema.insert(step.name.clone(), Presence::Present);
                } else {
                    graph.schema.remove(&step.name);
                }
            } else if step.before.is_none() || reached(step.before) {
                graph.schema.insert(step.name.clone(), Presence::InFlux);
            }
        }
    }

    fn known(&self) -> HashSet<Marker> {
        self.records().iter().map(|record| record.marker).collect()
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn schema(&self) -> MutexGuard<'_, Vec<SchemaStep>> {
        self.schema.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
