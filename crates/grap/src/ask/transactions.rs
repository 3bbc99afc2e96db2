//! Which transactions are open.

use std::fmt;
use std::time::Duration;

use grap_bolt::client::Statement;
use grap_bolt::{Result, Value};

use super::asker::Asker;

/// A transaction that a client has open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransaction {
    pub id: String,
    pub user: String,
    pub elapsed: Duration,
}

const OPEN: &str = "SHOW TRANSACTIONS YIELD transactionId, database, username, elapsedTime \
                    WHERE database = $database \
                    RETURN transactionId, username, elapsedTime.milliseconds";

impl Asker {
    /// On this database, whoever asks.
    pub fn transactions(&mut self, database: &str) -> Result<Vec<OpenTransaction>> {
        let rows = self.ask(Statement::new(OPEN).with("database", database))?.rows;
        let text = |row: &[Value], column: usize| {
            row.get(column).and_then(Value::as_text).unwrap_or_default().to_owned()
        };
        let open = |row: &Vec<Value>| {
            let elapsed = row.get(2).and_then(Value::as_int).and_then(|ms| u64::try_from(ms).ok());
            OpenTransaction {
                id: text(row, 0),
                user: text(row, 1),
                elapsed: Duration::from_millis(elapsed.unwrap_or_default()),
            }
        };
        Ok(rows.iter().map(open).collect())
    }
}

impl fmt::Display for OpenTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, user, elapsed } = self;
        let user = if user.is_empty() { "somebody" } else { user };
        write!(f, "transaction {id} of {user} is open for {} s", elapsed.as_secs())
    }
}
