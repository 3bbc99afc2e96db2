//! How the log of a stopped database ends.

use grap_neo4j::ids::TransactionEnd;
use grap_neo4j::txlog::Tail;

use crate::check::{CheckError, behind_newest_checkpoint};
use crate::error::in_one_line;
use crate::live::Installation;

/// In the reason of the checkpoint that a database writes when it is closed.
const SHUTDOWN: &str = "\"Database shutdown\"";

/// A database of a stopped server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedDatabase {
    pub name: String,
    pub end: LogEnd,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEnd {
    /// It was closed: everything up to this transaction is in the stores.
    Clean(TransactionEnd),
    /// It was not: only recovery makes its stores whole. The transaction is the last complete one of the log.
    Crashed { end: TransactionEnd, why: String },
    /// There is no log, or it cannot be read to its end.
    Unreadable { why: String },
}

impl LogEnd {
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Clean(_))
    }
}

/// Of each database of the installation. Nobody may write meanwhile.
pub(super) fn log_ends(live: &Installation) -> Vec<StoppedDatabase> {
    let end = |name: &String| {
        log_end(live, name).unwrap_or_else(|error| LogEnd::Unreadable { why: in_one_line(&error) })
    };
    live.databases.iter().map(|name| StoppedDatabase { name: name.clone(), end: end(name) }).collect()
}

fn log_end(live: &Installation, database: &str) -> Result<LogEnd, CheckError> {
    let (checkpoint, span, tail) = behind_newest_checkpoint(&live.log(database), database)?;
    let why = match (span.transactions, tail) {
        (0, Tail::Eof { .. } | Tail::Zeros { .. }) if checkpoint.reason.contains(SHUTDOWN) => {
            return Ok(LogEnd::Clean(span.end));
        }
        (0, Tail::Eof { .. } | Tail::Zeros { .. }) => {
            format!("its log ends in a checkpoint that is not a shutdown's: {}", checkpoint.reason)
        }
        (0, tail) => format!("behind its last checkpoint stands {tail}"),
        (behind, _) => format!("{behind} transactions stand behind its last checkpoint"),
    };
    Ok(LogEnd::Crashed { end: span.end, why })
}
