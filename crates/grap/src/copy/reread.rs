//! What was written is parsed again before anyone starts a server on it, because **the server does not notice
//! a hole**: it replays a log with a zeroed or shortened middle file without a word, drops everything behind
//! it, and comes ONLINE; its own `check` finds nothing.
//!
//! Required here, from the bytes on disk: the files of the manifest and no other log file; the metadata store
//! of this store id; the log without a gap from the checkpoint's file, ending with exactly the promised
//! transaction and not one byte later; one checkpoint file that ends at C0.

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError, Source};
use grap_neo4j::checkpoint::{CheckpointError, CheckpointLog, CheckpointRecord, CheckpointTail};
use grap_neo4j::files::{LogFile, METADATA};
use grap_neo4j::ids::LogVersion;
use grap_neo4j::metadata::{Metadata, MetadataError};
use grap_neo4j::txlog::{FileRole as Place, Tail};

use super::manifest::{DatabaseManifest, FileRole, Point};
use crate::live::{LogError, LogWalk};

#[derive(Debug, thiserror::Error)]
pub enum RereadError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{} has {found} bytes instead of {expected}", path.display())]
    Size { path: PathBuf, found: u64, expected: u64 },
    #[error("{} is missing", path.display())]
    Missing { path: PathBuf },
    #[error("{} does not belong to this backup", path.display())]
    Unexpected { path: PathBuf },
    #[error("{} cannot be read", path.display())]
    Metadata { path: PathBuf, source: MetadataError },
    #[error("{} belongs to another store than the backup", path.display())]
    OtherStore { path: PathBuf },
    #[error("{} cannot be read", path.display())]
    Checkpoint { path: PathBuf, source: CheckpointError },
    #[error("{} does not end with the checkpoint of the backup", path.display())]
    OtherCheckpoint { path: PathBuf },
    #[error("the log of database `{database}` ends with transaction {} instead of {}", found.tx_id, promised.tx_id)]
    End { database: String, found: Box<Point>, promised: Box<Point> },
    #[error("behind the last transaction of the log of database `{database}` stands {tail}")]
    Tail { database: String, tail: Tail },
}

/// Judge `<root>/databases/<db>` and `<root>/transactions/<db>` against the manifest.
pub fn reread(root: &Path, database: &DatabaseManifest) -> Result<(), RereadError> {
    sizes(root, database)?;
    metadata(root, database)?;
    let log = root.join("transactions").join(&database.name);
    no_other_logs(&log, database)?;
    let checkpoint = checkpoint(&log, database)?;
    log_ends_where_promised(&log, database, &checkpoint)
}

fn sizes(root: &Path, database: &DatabaseManifest) -> Result<(), RereadError> {
    for file in &database.files {
        let path = root.join(&file.path);
        let found = disk::stat(&path)?.ok_or_else(|| RereadError::Missing { path: path.clone() })?.size;
        if found != file.size {
            return Err(RereadError::Size { path, found, expected: file.size });
        }
    }
    Ok(())
}

fn metadata(root: &Path, database: &DatabaseManifest) -> Result<(), RereadError> {
    let path = root.join("databases").join(&database.name).join(METADATA);
    let bytes = disk::read(&path, 1 << 20)?;
    let metadata =
        Metadata::parse(&bytes).map_err(|source| RereadError::Metadata { path: path.clone(), source })?;
    if metadata.store_id == database.store_id { Ok(()) } else { Err(RereadError::OtherStore { path }) }
}

fn no_other_logs(log: &Path, database: &DatabaseManifest) -> Result<(), RereadError> {
    for name in disk::list(log)?.unwrap_or_default() {
        let expected = format!("transactions/{}/{name}", database.name);
        if !database.files.iter().any(|file| file.path == expected) {
            return Err(RereadError::Unexpected { path: log.join(name) });
        }
    }
    Ok(())
}

fn checkpoint(log: &Path, database: &DatabaseManifest) -> Result<CheckpointRecord, RereadError> {
    let expected = &database.checkpoint;
    let path = log.join(LogFile::Checkpoints(LogVersion(expected.version)).to_string());
    let bytes = disk::read(&path, 64 << 20)?;
    let parsed = CheckpointLog::parse(&bytes)
        .map_err(|source| RereadError::Checkpoint { path: path.clone(), source })?;
    let at_end = matches!(parsed.tail, CheckpointTail::Eof { at } if at == expected.end_offset);
    let last = parsed.records.into_iter().next_back();
    last.filter(|record| at_end && record.store_id == database.store_id)
        .filter(|record| {
            Point::from(record.end_point()) == expected.point && record.position == database.replay_from
        })
        .ok_or(RereadError::OtherCheckpoint { path })
}

fn log_ends_where_promised(
    log: &Path,
    database: &DatabaseManifest,
    checkpoint: &CheckpointRecord,
) -> Result<(), RereadError> {
    let mut versions = versions(database);
    versions.sort_unstable();
    let mut walk = LogWalk::new(&database.name, checkpoint);
    for (index, version) in versions.iter().enumerate() {
        let place = if index + 1 == versions.len() { Place::Newest } else { Place::Rotated };
        let source = Source::open(&log.join(LogFile::Transactions(*version).to_string()))?;
        walk.file(*version, source, place)?;
    }
    let (span, tail) = walk.finish()?;
    let found = Point::from(span.end);
    if found != database.end {
        let (found, promised) = (Box::new(found), Box::new(database.end));
        return Err(RereadError::End { database: database.name.clone(), found, promised });
    }
    match tail {
        Tail::Eof { .. } => Ok(()),
        tail => Err(RereadError::Tail { database: database.name.clone(), tail }),
    }
}

fn versions(database: &DatabaseManifest) -> Vec<LogVersion> {
    let logs = database.files.iter().filter(|file| file.role == FileRole::TransactionLog);
    let names = logs.filter_map(|file| LogFile::parse(file.path.rsplit('/').next()?));
    names.map(LogFile::version).collect()
}
