//! The record that begins a run of an archiver: who writes, where, and what each database's run goes on from.
//!
//! JSON, version 1, sealed as `grap/log/<source>/<n>/start` (docs/format/archive.md).

use std::collections::BTreeMap;

use grap_neo4j::{Checksum, LogPosition, TransactionEnd, TxId};
use grap_task::Clock;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::RunNumber;
use crate::live::Place;

const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    pub version: u32,
    /// Random, of this start alone: its process knows by it that it won, and the next one that it is the same
    /// installation's.
    pub nonce: String,
    /// Of the directory `databases`.
    pub place: Place,
    /// For messages; proves nothing.
    pub host: String,
    /// The run of the server in whose files this was found, as an opaque text.
    pub server_run: String,
    /// The wall clock when this was put.
    pub at: Timestamp,
    /// Time since boot, milliseconds.
    pub since_boot_ms: u64,
    /// An operator said that this place takes over.
    pub takeover: bool,
    /// Every database that this run covers.
    pub databases: BTreeMap<String, DatabaseStart>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseStart {
    /// What the run goes on from; null: from nothing that was stored before.
    pub parent: Option<Parent>,
    /// Of the run's first transaction.
    pub first_id: TxId,
    /// Why a new timeline begins here; null where the history goes on without a hole.
    #[serde(rename = "break")]
    pub broken: Option<String>,
    /// Remains of an earlier run of the server, stored beside the history: never the current path.
    pub side: bool,
}

/// A stored transaction with commands, named so that no other can be mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run under which it is stored.
    pub run: RunNumber,
    #[serde(rename = "tx_id")]
    pub id: TxId,
    pub checksum: Checksum,
    /// Right behind its COMMIT.
    #[serde(flatten)]
    pub position: LogPosition,
}

impl Parent {
    pub fn new(run: RunNumber, end: &TransactionEnd) -> Self {
        Self { run, id: end.id, checksum: end.checksum, position: end.position }
    }

    /// Whether this is that transaction. (The store id is compared by whoever holds it.)
    pub fn is(&self, end: &TransactionEnd) -> bool {
        (self.id, self.checksum, self.position) == (end.id, end.checksum, end.position)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("it cannot be read as JSON")]
    Malformed(#[source] serde_json::Error),
    #[error("it has version {found}; this program knows {VERSION}")]
    Newer { found: u32 },
}

impl StartRecord {
    pub const VERSION: u32 = VERSION;

    /// Who begins where, by which clock; in which run of the server, whether over another, and with what.
    pub fn new(
        (nonce, place, host, clock): (&str, Place, &str, &Clock),
        (server_run, takeover, databases): (String, bool, BTreeMap<String, DatabaseStart>),
    ) -> Self {
        Self {
            version: VERSION,
            nonce: nonce.to_owned(),
            place,
            host: host.to_owned(),
            server_run,
            at: clock.now(),
            since_boot_ms: u64::try_from(clock.since_boot().as_millis()).unwrap_or(u64::MAX),
            takeover,
            databases,
        }
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, StartError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(StartError::Malformed)?;
        if head.version != VERSION {
            return Err(StartError::Newer { found: head.version });
        }
        serde_json::from_slice(bytes).map_err(StartError::Malformed)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a start is plain data")
    }

    pub fn covers(&self, database: &str) -> bool {
        self.databases.contains_key(database)
    }
}
