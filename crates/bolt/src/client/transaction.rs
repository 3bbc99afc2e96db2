//! A transaction of several statements. Dropped before its commit it is rolled back.

use std::time::Duration;

use super::connection::{Connection, State, encoded};
use super::rows::{Rows, doubt};
use super::statement::Statement;
use crate::error::{Error, Result};
use crate::message::Request;
use crate::packstream::Map;

#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c mut Connection,
}

impl<'c> Transaction<'c> {
    pub(super) fn new(connection: &'c mut Connection) -> Self {
        Self { connection }
    }

    /// As [`Connection::set_budget`].
    pub fn set_budget(&mut self, budget: Option<Duration>) {
        self.connection.set_budget(budget);
    }

    /// Its rows have to be read to their end before the next statement; else the transaction is over.
    pub fn run(&mut self, statement: impl Into<Statement>) -> Result<Rows<'_>> {
        self.goes_on("run")?;
        Rows::start(self.connection, statement.into(), Map::new(), false)
    }

    /// Commits; gives the bookmark. [`Error::CommitInDoubt`] is the one error after which it may be committed.
    pub fn commit(mut self) -> Result<Option<String>> {
        self.goes_on("commit")?;
        let commit = encoded(&[Request::Commit])?;
        let connection = &mut *self.connection;
        let answer = connection.send_encoded("commit", &commit, 1).and_then(|()| connection.answer("commit"));
        let metadata = answer.map_err(|error| doubt(error, true, connection.server()))?;
        connection.state = State::Ready;
        Ok(metadata.text("bookmark").map(str::to_owned))
    }

    pub fn rollback(mut self) -> Result<()> {
        self.goes_on("rollback")?;
        self.connection.send("rollback", &[Request::Rollback])?;
        self.connection.answer("rollback")?;
        self.connection.state = State::Ready;
        Ok(())
    }

    /// Nothing may be sent for a transaction that is no more: it would run in one of its own.
    fn goes_on(&mut self, doing: &'static str) -> Result<()> {
        self.connection.refuse_poisoned()?;
        if self.connection.state != State::InTransaction {
            return Err(Error::TransactionOver { doing, server: self.connection.server().to_owned() });
        }
        self.connection.start_clock(None);
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.connection.state == State::InTransaction {
            self.connection.state = State::Unsettled;
        }
    }
}
