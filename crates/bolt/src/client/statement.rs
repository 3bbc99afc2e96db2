//! What is asked, and under which conditions.

use std::time::Duration;

use crate::packstream::{Map, Value};

/// A statement of Cypher.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub text: String,
    pub parameters: Map,
    /// Rows that the server sends at once; -1: all. A consumer that is slow is not sent more.
    pub fetch: i64,
    /// From the statement to its last row, in place of the connection's limit.
    pub limit: Option<Duration>,
}

const FETCH: i64 = 1000;

impl Statement {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), parameters: Map::new(), fetch: FETCH, limit: None }
    }

    /// With a parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.push(name, value);
        self
    }

    #[must_use]
    pub fn fetch(mut self, rows: i64) -> Self {
        self.fetch = rows;
        self
    }

    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl<T: Into<String>> From<T> for Statement {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Whether a transaction may write. The server refuses writes in a transaction that may not, procedures included; it
/// does not refuse LOAD CSV, which reads whatever the server can read, and the ending of others' transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    #[default]
    Read,
    Write,
}

/// In which transaction a statement runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// `None`: the user's home database.
    pub database: Option<String>,
    pub access: Access,
    /// It sees what these did.
    pub bookmarks: Vec<String>,
    /// The server itself ends it after so long.
    pub timeout: Option<Duration>,
    /// Shown by SHOW TRANSACTIONS.
    pub metadata: Map,
}

impl Scope {
    pub fn read(database: impl Into<String>) -> Self {
        Self { database: Some(database.into()), ..Self::default() }
    }

    pub fn write(database: impl Into<String>) -> Self {
        Self { access: Access::Write, ..Self::read(database) }
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    #[must_use]
    pub fn bookmark(mut self, bookmark: impl Into<String>) -> Self {
        self.bookmarks.push(bookmark.into());
        self
    }

    pub(super) fn to_map(&self) -> Map {
        let mut extra = Map::new();
        if let Some(database) = &self.database {
            extra.push("db", database.as_str());
        }
        if self.access == Access::Read {
            extra.push("mode", "r");
        }
        if !self.bookmarks.is_empty() {
            let bookmarks: Vec<Value> = self.bookmarks.iter().map(|text| text.as_str().into()).collect();
            extra.push("bookmarks", bookmarks);
        }
        if let Some(timeout) = self.timeout {
            // 0 would be no limit at all.
            let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1);
            extra.push("tx_timeout", milliseconds);
        }
        if !self.metadata.is_empty() {
            extra.push("tx_metadata", self.metadata.clone());
        }
        extra
    }
}
