//! The questions of the canary: the only ones that write data. What it writes carries a nonce, so that it finds, and
//! removes, its own.

use grap_bolt::client::Statement;
use grap_bolt::{Bookmark, Result, Value};

use super::Asker;

/// Both nodes that it writes.
pub const CANARY_LABEL: &str = "GrapCanary";
/// The relationship between them.
pub const CANARY_TYPE: &str = "GRAP_CANARY";

impl Asker {
    /// Two nodes and the relationship between them; gives the transaction, or one shortly behind it.
    pub fn write_canary(&mut self, nonce: &str, now_ms: i64) -> Result<u64> {
        let text = format!(
            "CREATE (:{CANARY_LABEL} {{nonce: $nonce, at_ms: $now}})-[:{CANARY_TYPE} {{nonce: $nonce}}]->(:{CANARY_LABEL} {{nonce: $nonce, at_ms: $now}})"
        );
        let summary = self.change(Statement::new(text).with("nonce", nonce).with("now", now_ms))?;
        let transaction = summary.bookmark().and_then(Bookmark::parse).map(|bookmark| bookmark.transaction);
        transaction.ok_or_else(|| self.unexpected("the bookmark of a write names no transaction"))
    }

    /// How many of them are there.
    pub fn read_canary(&mut self, nonce: &str) -> Result<i64> {
        let text = format!(
            "MATCH (:{CANARY_LABEL} {{nonce: $nonce}})-[r:{CANARY_TYPE} {{nonce: $nonce}}]->(:{CANARY_LABEL} {{nonce: $nonce}}) RETURN count(r)"
        );
        let answer = self.ask(Statement::new(text).with("nonce", nonce))?;
        answer.single().and_then(Value::as_int).ok_or_else(|| self.unexpected("a count is no number"))
    }

    /// Its own, and what others left that were written before this instant.
    pub fn remove_canaries(&mut self, nonce: &str, before_ms: i64) -> Result<()> {
        let text =
            format!("MATCH (n:{CANARY_LABEL}) WHERE n.nonce = $nonce OR n.at_ms < $before DETACH DELETE n");
        self.change(Statement::new(text).with("nonce", nonce).with("before", before_ms)).map(drop)
    }
}
