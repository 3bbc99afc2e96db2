//! Numbers that must not be mixed up, each a type of its own.
//!
//! All of them are plain data that goes into manifests: they serialise as bare numbers, positions as named
//! fields.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Transaction id. A Community database gives them out without a hole, in log order, from 2 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TxId(pub u64);

impl TxId {
    /// The id that a fresh store stands at, before its first transaction.
    pub const BASE: TxId = TxId(1);

    #[must_use]
    pub fn next(self) -> TxId {
        TxId(self.0.saturating_add(1))
    }
}

/// Place in the order of appends (kernel 17 on). Equal to the transaction id in Community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppendIndex(pub u64);

impl AppendIndex {
    #[must_use]
    pub fn next(self) -> AppendIndex {
        AppendIndex(self.0.saturating_add(1))
    }
}

/// The number N of `neostore.transaction.db.N` or `checkpoint.N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogVersion(pub u64);

impl LogVersion {
    #[must_use]
    pub fn next(self) -> LogVersion {
        LogVersion(self.0.saturating_add(1))
    }
}

/// A byte of the log: which file, and the offset in it (header included).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPosition {
    #[serde(rename = "log_version")]
    pub version: LogVersion,
    pub offset: u64,
}

/// CRC32C of a transaction, from the first byte of START to the byte before the checksum in COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checksum(pub u32);

impl Checksum {
    /// What stands as "previous checksum" where there is no previous transaction: a fresh, imported or
    /// migrated store.
    pub const BASE: Checksum = Checksum(0xDEAD_5EED);
}

/// When a transaction was committed, in milliseconds since 1970 (UTC). Not ordered like the ids: it steps
/// back by hundreds of milliseconds under concurrent writers, and it is 0 after an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitTime(pub i64);

/// A point between two transactions: the end of the one that is named.
///
/// This is what manifests keep. Two points are the same state of one database only if **all** fields are
/// equal: a fork reuses ids, and differs in the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TransactionEnd {
    /// Right behind the last byte of its COMMIT.
    #[serde(flatten)]
    pub position: LogPosition,
    #[serde(rename = "tx_id")]
    pub id: TxId,
    pub checksum: Checksum,
    #[serde(rename = "commit_ms")]
    pub commit_time: CommitTime,
}

macro_rules! show_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
show_number!(TxId, AppendIndex, LogVersion, CommitTime);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log file {}, offset {}", self.version, self.offset)
    }
}

impl fmt::Display for TransactionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction {} (checksum {}, {})", self.id, self.checksum, self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_serialises_as_flat_named_fields() {
        let point = TransactionEnd {
            position: LogPosition { version: LogVersion(3), offset: 4711 },
            id: TxId(42),
            checksum: Checksum(0xDEAD_5EED),
            commit_time: CommitTime(-1),
        };
        let text = serde_json::to_string(&point).unwrap();
        assert_eq!(
            text,
            r#"{"log_version":3,"offset":4711,"tx_id":42,"checksum":3735903981,"commit_ms":-1}"#
        );
        assert_eq!(serde_json::from_str::<TransactionEnd>(&text).unwrap(), point);
    }

    #[test]
    fn positions_are_ordered_by_file_first() {
        let at = |version, offset| LogPosition { version: LogVersion(version), offset };
        assert!(at(1, 900) < at(2, 128) && at(2, 128) < at(2, 129));
    }
}
