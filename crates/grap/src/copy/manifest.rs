//! The manifest: what a backup says about itself. Format version 1, JSON, the file `grap-manifest.json` at
//! the root of the snapshot.
//!
//! A reader refuses a manifest of a newer version; fields are only ever added within one.

use grap_core::{BackupId, SourceName};
use grap_neo4j::checkpoint::CheckpointRecord;
use grap_neo4j::ids::{LogPosition, TransactionEnd};
use grap_neo4j::store_id::StoreId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub const MANIFEST_NAME: &str = "grap-manifest.json";
const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub manifest_version: u32,
    pub id: BackupId,
    pub source: SourceName,
    /// When the backup began and when its last byte was read, UTC.
    pub started: Timestamp,
    pub finished: Timestamp,
    /// `grap 0.1.0`
    pub program: String,
    pub host: String,
    pub server: ServerManifest,
    pub databases: Vec<DatabaseManifest>,
    pub tags: Vec<String>,
    pub note: Option<String>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that were new to the repository, after compression, without the snapshot itself.
    pub bytes_added: u64,
    /// The newest start record of the archive when the ends were read; null without an archive.
    pub archive: Option<String>,
    /// Files under `configuration/`.
    pub configuration: Vec<String>,
}

/// What was known of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerManifest {
    /// Whether a server held the database while it was copied.
    pub running: bool,
    /// The release, where its jars could be seen.
    pub version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseManifest {
    pub name: String,
    pub store_id: StoreId,
    /// `SHOW DATABASES` calls it `databaseID`.
    pub database_id: String,
    /// `aligned`, `standard`.
    pub format: String,
    /// Kernel version byte of the last transaction, and the release that introduced it: the oldest server
    /// that opens this backup.
    pub kernel: u8,
    pub server_min: String,
    /// C0: the checkpoint that the restored database starts from.
    pub checkpoint: CheckpointRef,
    /// P0: where replay begins.
    pub replay_from: LogPosition,
    /// E: the last transaction of this backup.
    pub end: Point,
    /// Committed behind C0 and replayed by a restore.
    pub transactions: u64,
    /// Null until a validation has counted them: a hot copy cannot know.
    pub nodes: Option<u64>,
    pub relationships: Option<u64>,
    pub files: Vec<ManifestFile>,
    pub omitted: Vec<Omitted>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRef {
    /// `checkpoint.<version>`
    pub version: u64,
    /// Right behind its record.
    pub end_offset: u64,
    pub reason: String,
    pub point: Point,
}

/// A transaction and where it ends in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub log_version: u64,
    pub offset: u64,
    pub tx_id: u64,
    /// CRC32C.
    pub checksum: u32,
    /// Milliseconds since 1970, UTC.
    pub commit_ms: i64,
}

impl From<TransactionEnd> for Point {
    fn from(end: TransactionEnd) -> Self {
        Self {
            log_version: end.position.version.0,
            offset: end.position.offset,
            tx_id: end.id.0,
            checksum: end.checksum.0,
            commit_ms: end.commit_time.0,
        }
    }
}

impl CheckpointRef {
    pub fn new(version: u64, record: &CheckpointRecord) -> Self {
        Self {
            version,
            end_offset: record.end,
            reason: record.reason.clone(),
            point: record.end_point().into(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    Store,
    /// Rebuilt by the server when absent.
    Derived,
    TransactionLog,
    CheckpointLog,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// From the snapshot's root, `/` between names.
    pub path: String,
    pub role: FileRole,
    pub size: u64,
    /// The SHA-256 of the SHA-256s of its chunks, hexadecimal (docs/format/repository.md).
    pub digest: String,
}

/// A derived file that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    pub path: String,
    pub reason: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest cannot be read as JSON")]
    Malformed(#[source] serde_json::Error),
    #[error("the manifest has version {found}; this program knows {VERSION}")]
    Newer { found: u32 },
    #[error("the manifest names the file `{path}`, which no backup holds")]
    Path { path: String },
    #[error("the manifest names `{found}` as the newest run of the archive, which is no number")]
    Archive { found: String },
}

impl Manifest {
    pub const VERSION: u32 = VERSION;

    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            manifest_version: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(ManifestError::Malformed)?;
        if head.manifest_version != VERSION {
            return Err(ManifestError::Newer { found: head.manifest_version });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Malformed)?;
        manifest.check_paths()?;
        Ok(manifest)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a manifest is plain data")
    }

    pub fn database(&self, name: &str) -> Option<&DatabaseManifest> {
        self.databases.iter().find(|database| database.name == name)
    }

    /// Paths become file names of a restore: plain names under `databases/<db>/` and `transactions/<db>/` and
    /// nothing else.
    fn check_paths(&self) -> Result<(), ManifestError> {
        let plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
        for database in &self.databases {
            if !plain(&database.name) || database.name.contains('/') {
                return Err(ManifestError::Path { path: database.name.clone() });
            }
            for file in &database.files {
                let parts: Vec<&str> = file.path.split('/').collect();
                let rooted = parts.len() >= 3
                    && ["databases", "transactions"].contains(&parts[0])
                    && parts[1] == database.name;
                if !rooted || !parts.iter().all(|part| plain(part)) {
                    return Err(ManifestError::Path { path: file.path.clone() });
                }
            }
        }
        Ok(())
    }
}
