//! Snapshot objects. One that exists is complete: it is written last.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{Id, SnapshotId, TreeId};

/// A snapshot without its id, which is the SHA-256 of the stored object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotFile {
    pub time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    pub tree: TreeId,
    #[serde(default)]
    pub paths: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The snapshot that this one replaces, after a change of tags by restic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Id>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program_version: String,
}

/// A snapshot as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub time: Timestamp,
    pub parent: Option<SnapshotId>,
    pub tree: TreeId,
    pub paths: Vec<String>,
    pub hostname: String,
    pub username: String,
    pub tags: Vec<String>,
    pub program_version: String,
}

impl SnapshotFile {
    pub(crate) fn with_id(self, id: SnapshotId) -> Snapshot {
        Snapshot {
            id,
            time: self.time,
            parent: self.parent,
            tree: self.tree,
            paths: self.paths,
            hostname: self.hostname,
            username: self.username,
            tags: self.tags.unwrap_or_default(),
            program_version: self.program_version,
        }
    }
}

/// What a caller says of a new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotDraft {
    pub time: Timestamp,
    pub parent: Option<SnapshotId>,
    /// Where the data came from, as absolute paths; restic groups and filters by them.
    pub paths: Vec<String>,
    pub hostname: String,
    pub username: String,
    pub tags: Vec<String>,
    /// The writing program with its version.
    pub program_version: String,
}

impl SnapshotDraft {
    pub(crate) fn with_tree(self, tree: TreeId) -> SnapshotFile {
        SnapshotFile {
            time: self.time,
            parent: self.parent,
            tree,
            paths: self.paths,
            hostname: self.hostname,
            username: self.username,
            tags: Some(self.tags).filter(|tags| !tags.is_empty()),
            original: None,
            program_version: self.program_version,
        }
    }
}
