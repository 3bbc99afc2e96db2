//! The files of a database by their names: which must be copied, which may be, which must not.
//!
//! A database is two directories. `transactions/<db>/` holds the log ([`LogFile`]). `databases/<db>/` holds
//! record stores, which the log can replay and which are mandatory, and files derived from them, which the
//! server rebuilds when they are missing ([`Role`]). A derived file that changed while it was copied must be
//! left out: kept across a checkpoint it ruins the restored database. What changes together is a
//! [`DerivedUnit`].
//!
//! Names: `docs/format/transaction-log.md`, section 7. A name that is not in the tables is [`Role::Unknown`],
//! never guessed.

use std::fmt;

use crate::ids::LogVersion;

/// The files of `databases/<db>/` without which there is no database. All of them exist, even when empty.
pub const RECORD_STORES: [&str; 15] = [
    METADATA,
    "neostore.nodestore.db",
    "neostore.nodestore.db.labels",
    "neostore.relationshipstore.db",
    "neostore.relationshipgroupstore.db",
    "neostore.propertystore.db",
    "neostore.propertystore.db.strings",
    "neostore.propertystore.db.arrays",
    "neostore.propertystore.db.index",
    "neostore.propertystore.db.index.keys",
    "neostore.labeltokenstore.db",
    "neostore.labeltokenstore.db.names",
    "neostore.relationshiptypestore.db",
    "neostore.relationshiptypestore.db.names",
    "neostore.schemastore.db",
];

/// The metadata store, one of [`RECORD_STORES`]; see [`crate::metadata`].
pub const METADATA: &str = "neostore";

/// The file whose lock a running server holds.
pub const DATABASE_LOCK: &str = "database_lock";

/// In `databases/`: the file whose lock a running server holds, for all its databases.
pub const STORE_LOCK: &str = "store_lock";

/// Left in a database that its server has given up on.
const QUARANTINE_MARKER: &str = "quarantine_marker";

const TRANSACTION_LOG: &str = "neostore.transaction.db.";
const CHECKPOINT_LOG: &str = "checkpoint.";
const ID_BUFFER: &str = "id-buffer.tmp.";
const INDEX_FOLDER: &str = "schema/index/";

/// A file of `transactions/<db>/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFile {
    /// `neostore.transaction.db.<N>`
    Transactions(LogVersion),
    /// `checkpoint.<N>`
    Checkpoints(LogVersion),
}

/// What a file of `databases/<db>/` is to a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Mandatory; torn pages are fine, the log replays them.
    RecordStore,
    /// May be kept if its unit did not change while it was copied; rebuilt at start if it is missing.
    Derived(DerivedUnit),
    /// Never copied, and why.
    Skip(SkipReason),
    /// Not a name that Grap knows.
    Unknown,
}

/// Files that are consistent only together, and only as they were at one instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DerivedUnit {
    pub kind: DerivedKind,
    /// Relative to `databases/<db>/`: the file of a tree, the directory of a Lucene index.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DerivedKind {
    /// `*.id`: free ids of a store.
    Ids,
    /// `neostore.counts.db`
    Counts,
    /// `neostore.relationshipgroupstore.degrees.db`
    Degrees,
    /// `neostore.indexstats.db`
    IndexStatistics,
    /// A token lookup, range or point index.
    IndexTree,
    /// A text, full-text or vector index.
    Lucene,
}

/// How one sees that a unit did not change while it was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitForm {
    /// One file, a GBP tree: its state pages (0 to 2) are equal before and after.
    Tree,
    /// A directory: names, sizes, times and inodes of all files are equal before and after.
    Directory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Locks, scratch files and marks of the server that runs on it.
    OfTheRunningServer,
    /// Below `schema/index/`, but no unit that may be kept; the server rebuilds the index.
    IndexRemainder,
}

impl LogFile {
    /// Reads a file name (no directory). Only the form that the server writes: no sign, no leading zeros.
    pub fn parse(name: &str) -> Option<LogFile> {
        if let Some(number) = name.strip_prefix(TRANSACTION_LOG) {
            return version(number).map(LogFile::Transactions);
        }
        version(name.strip_prefix(CHECKPOINT_LOG)?).map(LogFile::Checkpoints)
    }

    pub fn version(self) -> LogVersion {
        let (LogFile::Transactions(version) | LogFile::Checkpoints(version)) = self;
        version
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogFile::Transactions(version) => write!(f, "{TRANSACTION_LOG}{version}"),
            LogFile::Checkpoints(version) => write!(f, "{CHECKPOINT_LOG}{version}"),
        }
    }
}

impl Role {
    /// Classifies a file by its path relative to `databases/<db>/`, with `/` between names.
    pub fn of(path: &str) -> Role {
        if RECORD_STORES.contains(&path) {
            return Role::RecordStore;
        }
        if [DATABASE_LOCK, QUARANTINE_MARKER].contains(&path) || path.starts_with(ID_BUFFER) {
            return Role::Skip(SkipReason::OfTheRunningServer);
        }
        if let Some(below) = path.strip_prefix(INDEX_FOLDER) {
            return index(below).map_or(Role::Skip(SkipReason::IndexRemainder), Role::Derived);
        }
        tree(path).map_or(Role::Unknown, |kind| Role::Derived(DerivedUnit { kind, path: path.to_owned() }))
    }
}

impl DerivedKind {
    pub fn form(self) -> UnitForm {
        match self {
            DerivedKind::Lucene => UnitForm::Directory,
            DerivedKind::Ids
            | DerivedKind::Counts
            | DerivedKind::Degrees
            | DerivedKind::IndexStatistics
            | DerivedKind::IndexTree => UnitForm::Tree,
        }
    }
}

fn version(number: &str) -> Option<LogVersion> {
    let version = LogVersion(number.parse().ok()?);
    (version.to_string() == number).then_some(version)
}

/// A derived file that lies beside the stores.
fn tree(name: &str) -> Option<DerivedKind> {
    match name {
        "neostore.counts.db" => Some(DerivedKind::Counts),
        "neostore.relationshipgroupstore.degrees.db" => Some(DerivedKind::Degrees),
        "neostore.indexstats.db" => Some(DerivedKind::IndexStatistics),
        _ => {
            let store = name.strip_suffix(".id")?;
            let has_ids = store != METADATA && RECORD_STORES.contains(&store);
            has_ids.then_some(DerivedKind::Ids)
        }
    }
}

/// The unit of a file below `schema/index/`: `<provider>-<version>/<id>/...`.
fn index(below: &str) -> Option<DerivedUnit> {
    let mut names = below.splitn(3, '/');
    let (provider, id, rest) = (names.next()?, names.next()?, names.next()?);
    let folder = format!("{INDEX_FOLDER}{provider}/{id}");
    match provider.rsplit_once('-')?.0 {
        "token-lookup" | "range" | "point" if rest == format!("index-{id}") => {
            Some(DerivedUnit { kind: DerivedKind::IndexTree, path: format!("{folder}/{rest}") })
        }
        "text" | "fulltext" | "vector" => Some(DerivedUnit { kind: DerivedKind::Lucene, path: folder }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str) -> Option<(DerivedKind, String)> {
        match Role::of(path) {
            Role::Derived(unit) => Some((unit.kind, unit.path)),
            _ => None,
        }
    }

    #[test]
    fn log_files_have_one_spelling() {
        for (name, file) in [
            ("neostore.transaction.db.0", LogFile::Transactions(LogVersion(0))),
            ("neostore.transaction.db.1234567890123", LogFile::Transactions(LogVersion(1_234_567_890_123))),
            ("checkpoint.10", LogFile::Checkpoints(LogVersion(10))),
        ] {
            assert_eq!(LogFile::parse(name), Some(file));
            assert_eq!(file.to_string(), name);
        }
        for other in [
            "checkpoint.",
            "checkpoint.01",
            "checkpoint.+1",
            "checkpoint.-1",
            "checkpoint.1.tmp",
            "checkpoint",
            "neostore.transaction.db",
            "neostore.transaction.db.x",
            "neostore.transaction.db.99999999999999999999",
        ] {
            assert_eq!(LogFile::parse(other), None, "{other}");
        }
    }

    #[test]
    fn every_store_is_mandatory_and_has_ids() {
        for store in RECORD_STORES {
            assert_eq!(Role::of(store), Role::RecordStore);
            let ids = format!("{store}.id");
            let expected = (store != METADATA).then(|| (DerivedKind::Ids, ids.clone()));
            assert_eq!(unit(&ids), expected);
        }
    }

    #[test]
    fn trees_beside_the_stores_are_units_of_their_own() {
        for (name, kind) in [
            ("neostore.counts.db", DerivedKind::Counts),
            ("neostore.relationshipgroupstore.degrees.db", DerivedKind::Degrees),
            ("neostore.indexstats.db", DerivedKind::IndexStatistics),
        ] {
            assert_eq!(unit(name), Some((kind, name.to_owned())));
            assert_eq!(kind.form(), UnitForm::Tree);
            assert_eq!(Role::of(&format!("{name}.id")), Role::Unknown);
        }
        assert_eq!(DerivedKind::Lucene.form(), UnitForm::Directory);
    }

    #[test]
    fn an_index_is_one_tree_or_one_directory() {
        for (path, kind, expected) in [
            ("schema/index/range-1.0/3/index-3", DerivedKind::IndexTree, "schema/index/range-1.0/3/index-3"),
            (
                "schema/index/token-lookup-1.0/2/index-2",
                DerivedKind::IndexTree,
                "schema/index/token-lookup-1.0/2/index-2",
            ),
            ("schema/index/text-2.0/6/1/_0_1.liv", DerivedKind::Lucene, "schema/index/text-2.0/6"),
            (
                "schema/index/fulltext-1.0/7/failure-message",
                DerivedKind::Lucene,
                "schema/index/fulltext-1.0/7",
            ),
            ("schema/index/vector-2.0/12/1/segments_3", DerivedKind::Lucene, "schema/index/vector-2.0/12"),
        ] {
            assert_eq!(unit(path), Some((kind, expected.to_owned())), "{path}");
        }
        for remainder in [
            "schema/index/range-1.0/3/index-4",
            "schema/index/range-1.0/3/scan",
            "schema/index/new-1.0/3/x",
            "schema/index/x",
        ] {
            assert_eq!(Role::of(remainder), Role::Skip(SkipReason::IndexRemainder), "{remainder}");
        }
    }

    #[test]
    fn the_servers_own_files_are_skipped_and_others_unknown() {
        for name in [DATABASE_LOCK, "quarantine_marker", "id-buffer.tmp.0", "id-buffer.tmp.12"] {
            assert_eq!(Role::of(name), Role::Skip(SkipReason::OfTheRunningServer));
        }
        for name in [
            "",
            "neostore.",
            "neostore.nodestore.db.id.id",
            "database_lock2",
            "x/neostore",
            "schema",
            "block.db",
        ] {
            assert_eq!(Role::of(name), Role::Unknown, "{name}");
        }
    }
}
