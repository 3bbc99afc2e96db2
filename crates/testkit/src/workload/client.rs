//! Sends one writer's transactions and records what is known of their outcome.

use std::thread;
use std::time::{Duration, Instant};

use neo4j::{Neo4jError, ValueReceive};

use super::Context;
use super::key::Marker;
use super::statement::{Statement, statements};
use crate::bolt::Bolt;
use crate::error::{Error, Result};
use crate::graph::Effect;
use crate::oracle::Outcome;
use crate::value::Value;

const RETRY_PAUSE: Duration = Duration::from_millis(5);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// The connection of one writer.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    context: &'a Context,
    bolt: Bolt,
    writer: u8,
    count: u32,
}

/// What became of a transaction, as far as its writer must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Committed(Marker),
    NotCommitted,
}

enum Failure {
    /// Not committed; the server asks to repeat (a deadlock).
    Repeat,
    /// The connection is gone, or the server is going: committed or not.
    Lost,
    /// A defect: of the workload, or of the server.
    Defect(Error),
}

impl<'a> Client<'a> {
    pub(crate) fn new(context: &'a Context, writer: u8) -> Self {
        Self { context, bolt: context.bolt(), writer, count: 0 }
    }

    /// Runs statements that are no part of the record (schema commands, questions).
    pub(crate) fn bolt(&self) -> &Bolt {
        &self.bolt
    }

    /// Commits these effects and a new marker; repeats while the server asks for it. After a lost connection
    /// it waits for the server to come back (or for the end of the workload) and asks what was committed.
    pub(crate) fn commit(&mut self, effects: Vec<Effect>) -> Result<Fate> {
        let operations = effects.len();
        let marker = self.next_marker();
        let mut effects = effects;
        effects.push(self.mark(marker));
        self.commit_recorded(marker, effects, operations)
    }

    /// The same for effects that write the marker themselves.
    pub(crate) fn commit_recorded(
        &self,
        marker: Marker,
        effects: Vec<Effect>,
        operations: usize,
    ) -> Result<Fate> {
        let statements = statements(&effects);
        let record = self.context.oracle.sending(marker, effects);
        let outcome = self.send(&statements, marker, operations)?;
        self.context.oracle.resolved(record, outcome);
        Ok(match outcome {
            Outcome::Acknowledged | Outcome::Confirmed => Fate::Committed(marker),
            Outcome::Unknown | Outcome::Failed | Outcome::RolledBack => Fate::NotCommitted,
        })
    }

    /// Sends the effects and a marker, then rolls back.
    pub(crate) fn roll_back(&mut self, mut effects: Vec<Effect>) -> Result<()> {
        let marker = self.next_marker();
        effects.push(self.mark(marker));
        let statements = statements(&effects);
        let record = self.context.oracle.sending(marker, effects);
        match self.attempt(&statements, false) {
            Err(Failure::Defect(error)) => return Err(error),
            Err(Failure::Lost) => self.await_server(),
            Err(Failure::Repeat) | Ok(()) => self.context.stats.rolled_back(),
        }
        self.context.oracle.resolved(record, Outcome::RolledBack);
        Ok(())
    }

    pub(crate) fn next_marker(&mut self) -> Marker {
        self.count += 1;
        self.context.run.marker(self.writer, self.count)
    }

    /// Waits until the server answers again, or the workload ends.
    pub(crate) fn await_server(&mut self) {
        while !self.context.stopped() {
            thread::sleep(RECONNECT_PAUSE);
            self.bolt = self.context.bolt();
            if self.bolt.begin_works().is_ok() {
                return;
            }
        }
    }

    fn mark(&self, marker: Marker) -> Effect {
        let key = self.context.run.marker_node(self.writer);
        Effect::SetNode { key, changes: vec![("m", Some(Value::Int(marker.0)))] }
    }

    fn send(&self, statements: &[Statement], marker: Marker, operations: usize) -> Result<Outcome> {
        let begun = Instant::now();
        loop {
            match self.attempt(statements, true) {
                Ok(()) => {
                    self.context.stats.committed(operations, begun.elapsed());
                    return Ok(Outcome::Acknowledged);
                }
                Err(Failure::Repeat) if self.context.stopped() => return Ok(Outcome::Failed),
                Err(Failure::Repeat) => {
                    self.context.stats.retried();
                    thread::sleep(RETRY_PAUSE);
                }
                Err(Failure::Lost) => return Ok(self.ask(marker)),
                Err(Failure::Defect(error)) => return Err(error),
            }
        }
    }

    /// After a lost connection: does the marker node hold this marker?
    fn ask(&self, marker: Marker) -> Outcome {
        let key = self.context.run.marker_node(self.writer);
        let question = format!("MATCH (n:N {{k: {key}}}) RETURN n.m");
        while !self.context.stopped() {
            thread::sleep(RECONNECT_PAUSE);
            if let Ok(rows) = self.context.bolt().run(&question) {
                let there = rows.first().and_then(|row| row.int(0)) == Some(marker.0);
                return if there { Outcome::Confirmed } else { Outcome::Unknown };
            }
        }
        Outcome::Unknown
    }

    #[expect(clippy::result_large_err, reason = "the driver's error type")]
    fn attempt(&self, statements: &[Statement], commit: bool) -> std::result::Result<(), Failure> {
        let mut wrong = None;
        let sent = self.bolt.session().transaction().run(|transaction| {
            for statement in statements {
                let mut answer =
                    transaction.query(&statement.text).with_parameters(&statement.parameters).run()?;
                let record = answer.single().map_err(Neo4jError::from)??;
                answer.consume()?;
                let rows = record.into_values().next().and_then(|value: ValueReceive| value.as_int());
                if rows != Some(statement.rows) {
                    wrong = Some(format!("{} changed {rows:?} of {} rows", statement.text, statement.rows));
                    return transaction.rollback();
                }
            }
            if commit { transaction.commit() } else { transaction.rollback() }
        });
        match (sent, wrong) {
            (_, Some(what)) => Err(Failure::Defect(Error::Workload(what))),
            (Ok(()), None) => Ok(()),
            (Err(error), None) => Err(classify(error)),
        }
    }
}

fn classify(error: Neo4jError) -> Failure {
    match &error {
        Neo4jError::ServerError { error: server, .. } => {
            let code = server.code();
            let going = ["Unavailable", "Terminated", "Stopped", "Shutdown", "TransactionCommitFailed"];
            if going.iter().any(|word| code.contains(word)) {
                Failure::Lost
            } else if code.contains("TransientError") {
                Failure::Repeat
            } else {
                Failure::Defect(Error::bolt("a transaction of the workload")(error))
            }
        }
        Neo4jError::Disconnect { .. } | Neo4jError::Timeout { .. } => Failure::Lost,
        _ => Failure::Defect(Error::bolt("a transaction of the workload")(error)),
    }
}
