//! The rows of a statement, as they come.
//!
//! RUN and the first PULL are sent together; each further PULL when the rows of the one before were taken. An error of
//! an exchange is told as a commit in doubt where the statement may have committed on its own.

use super::connection::{Connection, State, amount, encoded};
use super::statement::Statement;
use crate::error::{Error, Result};
use crate::message::{Request, Response};
use crate::packstream::{Map, Value};

const RUN: &str = "run";

/// Each row is the values of [`Rows::fields`].
#[derive(Debug)]
pub struct Rows<'c> {
    connection: &'c mut Connection,
    fields: Vec<String>,
    fetch: i64,
    /// Whether it commits by itself, and may write.
    in_doubt: bool,
    /// What the connection is when this is over.
    settled: State,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// The answer to a PULL is being read.
    Pulling,
    Done(Summary),
    Failed,
}

/// Everything that a statement answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub fields: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    pub summary: Summary,
}

/// What came behind the last row.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary(pub Map);

impl Summary {
    /// `r`, `w`, `rw` or `s` (schema, administration). Whether something was written is not said by anything but this:
    /// what is not `r` may have.
    pub fn kind(&self) -> &str {
        self.0.text("type").unwrap_or_default()
    }

    /// Of a transaction of its own; see [`crate::Bookmark`].
    pub fn bookmark(&self) -> Option<&str> {
        self.0.text("bookmark")
    }

    /// E.g. `nodes-created`; procedures count nothing.
    pub fn count(&self, name: &str) -> i64 {
        let counts = self.0.get("stats").and_then(Value::as_map);
        counts.and_then(|counts| counts.get(name)).and_then(Value::as_int).unwrap_or(0)
    }
}

impl Answer {
    /// The value of the first column of the first row.
    pub fn single(&self) -> Option<&Value> {
        self.rows.first()?.first()
    }
}

impl<'c> Rows<'c> {
    /// Sends the statement, and waits for the names of its columns.
    pub(super) fn start(
        connection: &'c mut Connection,
        statement: Statement,
        extra: Map,
        in_doubt: bool,
    ) -> Result<Self> {
        let Statement { text, parameters, fetch, limit } = statement;
        if limit.is_some() {
            connection.start_clock(limit);
        }
        let settled = connection.state.clone();
        let run = Request::Run { statement: text, parameters, extra };
        let bytes = encoded(&[run, Request::Pull { extra: amount(fetch) }])?;
        let header = connection.send_encoded(RUN, &bytes, 2).and_then(|()| connection.answer(RUN));
        let header = header.map_err(|error| doubt(error, in_doubt, connection.server()))?;
        let names = header.get("fields").and_then(Value::as_list).unwrap_or_default();
        let fields = names.iter().filter_map(|name| name.as_text().map(str::to_owned)).collect();
        // What is dropped from here on is not read to its end.
        connection.state = State::Unsettled;
        Ok(Self { connection, fields, fetch, in_doubt, settled, progress: Progress::Pulling })
    }

    /// The names of the columns.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Reads all rows.
    pub fn answer(mut self) -> Result<Answer> {
        let rows = self.by_ref().collect::<Result<Vec<_>>>()?;
        let fields = std::mem::take(&mut self.fields);
        Ok(Answer { fields, rows, summary: self.finish()? })
    }

    /// Reads to the end without keeping rows: what the statement does is done then.
    pub fn finish(mut self) -> Result<Summary> {
        // Rows that the server has not sent yet need not be sent.
        self.fetch = 0;
        for row in self.by_ref() {
            row?;
        }
        match std::mem::replace(&mut self.progress, Progress::Failed) {
            Progress::Done(summary) => Ok(summary),
            Progress::Failed | Progress::Pulling => {
                self.connection.refuse_poisoned()?;
                Err(Error::Ignored { doing: RUN, server: self.connection.server().to_owned() })
            }
        }
    }

    fn step(&mut self) -> Result<Option<Vec<Value>>> {
        loop {
            match self.connection.receive(RUN)? {
                Response::Record(values) if values.len() == self.fields.len() => return Ok(Some(values)),
                Response::Record(values) => {
                    let what = format!("a row of {} values for {} columns", values.len(), self.fields.len());
                    let server = self.connection.server().to_owned();
                    return Err(self.connection.poison(Error::Unexpected { doing: RUN, server, what }));
                }
                Response::Success(metadata) if has_more(&metadata) => self.ask_for_more()?,
                Response::Success(metadata) => {
                    self.progress = Progress::Done(Summary(metadata));
                    self.connection.state = self.settled.clone();
                    return Ok(None);
                }
                Response::Failure(failure) => return Err(Error::Server { doing: RUN, failure }),
                other @ Response::Ignored => return Err(self.connection.unexpected(RUN, &other)),
            }
        }
    }

    fn ask_for_more(&mut self) -> Result<()> {
        let more = match self.fetch {
            0 => Request::Discard { extra: amount(-1) },
            rows => Request::Pull { extra: amount(rows) },
        };
        self.connection.send(RUN, &[more])
    }
}

fn has_more(metadata: &Map) -> bool {
    metadata.get("has_more").and_then(Value::as_bool).unwrap_or(false)
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<Value>>;

    fn next(&mut self) -> Option<Self::Item> {
        if !matches!(self.progress, Progress::Pulling) {
            return None;
        }
        match self.step() {
            Ok(row) => row.map(Ok),
            Err(error) => {
                self.progress = Progress::Failed;
                Some(Err(doubt(error, self.in_doubt, self.connection.server())))
            }
        }
    }
}

/// An exchange that was to commit, and ended without the server's word that it did or did not. An error of the database
/// itself (`Neo.DatabaseError`) says neither: what it failed at may have come behind the log.
pub(super) fn doubt(error: Error, in_doubt: bool, server: &str) -> Error {
    let said = match &error {
        Error::Server { failure, .. } => !failure.code().starts_with("Neo.DatabaseError."),
        Error::Ignored { .. } => true,
        _ => false,
    };
    if said || !in_doubt {
        return error;
    }
    Error::CommitInDoubt { server: server.to_owned(), source: Box::new(error) }
}
