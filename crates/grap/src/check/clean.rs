//! Whether a database may be checked: nobody runs on it, its format is known, and its log says that all of it is in the
//! stores.
//!
//! The stores of a database that was not shut down cleanly are torn: only recovery makes them whole. What is behind the last
//! checkpoint tells.

use std::path::Path;

use grap_disk::{self as disk, Source};
use grap_neo4j::StoreId;
use grap_neo4j::checkpoint::{CheckpointError, CheckpointLog, CheckpointRecord};
use grap_neo4j::files::{LogFile, METADATA, STORE_LOCK};
use grap_neo4j::ids::{LogVersion, TransactionEnd};
use grap_neo4j::metadata::Metadata;
use grap_neo4j::txlog::{FileRole, Tail};

use super::error::CheckError;
use crate::live::{LogError, LogSpan, LogWalk, ServerRun};

/// The server allocates 1 MiB and rotates there.
const CHECKPOINT_FILE_MAX: u64 = 64 << 20;
const METADATA_MAX: u64 = 1 << 20;

/// Refuses a database that is running, of another format, or not shut down cleanly. `log` is where its log is.
pub fn require_clean(store: &Path, log: &Path, database: &str) -> Result<(), CheckError> {
    not_running(store)?;
    known_format(store)?;
    let Some(files) =
        disk::list(log)?.filter(|names| names.iter().any(|name| LogFile::parse(name).is_some()))
    else {
        return Err(CheckError::NoLog { store: store.to_owned(), log: log.to_owned() });
    };
    let mut versions: Vec<LogFile> = files.iter().filter_map(|name| LogFile::parse(name)).collect();
    versions.sort_by_key(|file| file.version());
    let checkpoint = newest_checkpoint(log, &versions, database)?;
    nothing_behind(log, &versions, &checkpoint, database)
}

/// The last transaction of a log, which was gone over from its newest checkpoint. Zeros may stand behind it, nothing else.
pub(crate) fn last_transaction(log: &Path, database: &str) -> Result<TransactionEnd, CheckError> {
    let (_, span, tail) = behind_newest_checkpoint(log, database)?;
    match tail {
        Tail::Eof { .. } | Tail::Zeros { .. } => Ok(span.end),
        tail => Err(torn(database, &tail)),
    }
}

/// The newest checkpoint of a log that nobody writes, what stands behind it, and what behind that.
pub(crate) fn behind_newest_checkpoint(
    log: &Path,
    database: &str,
) -> Result<(CheckpointRecord, LogSpan, Tail), CheckError> {
    let files = disk::list(log)?.unwrap_or_default();
    let mut versions: Vec<LogFile> = files.iter().filter_map(|name| LogFile::parse(name)).collect();
    versions.sort_by_key(|file| file.version());
    let checkpoint = newest_checkpoint(log, &versions, database)?;
    let (span, tail) = walk_behind(log, &versions, &checkpoint, database)?;
    Ok((checkpoint, span, tail))
}

/// Nobody holds the locks of a server. (They are asked for, never taken.)
pub(crate) fn not_running(store: &Path) -> Result<(), CheckError> {
    if ServerRun::of(store)?.is_running() {
        return Err(CheckError::Running { path: store.to_owned() });
    }
    let lock = store.parent().map(|databases| databases.join(STORE_LOCK));
    match lock {
        Some(lock) if disk::posix_lock_holder(&lock)?.is_some() => Err(CheckError::Running { path: lock }),
        _ => Ok(()),
    }
}

fn known_format(store: &Path) -> Result<(), CheckError> {
    let id = store_id(store)?;
    if (id.engine.as_str(), id.format.as_str()) == ("record", "aligned") {
        return Ok(());
    }
    Err(CheckError::Format { path: store.join(METADATA), format: format!("{}-{}", id.engine, id.format) })
}

/// What the store says that it is.
pub(crate) fn store_id(store: &Path) -> Result<StoreId, CheckError> {
    Ok(metadata(store)?.store_id)
}

pub(crate) fn metadata(store: &Path) -> Result<Metadata, CheckError> {
    let path = store.join(METADATA);
    let bytes = match disk::read(&path, METADATA_MAX) {
        Err(error) if error.is_not_found() => return Err(CheckError::Missing { path }),
        other => other?,
    };
    Metadata::parse(&bytes).map_err(|source| CheckError::Metadata { path, source })
}

/// The last record of the newest file that holds one.
fn newest_checkpoint(log: &Path, files: &[LogFile], database: &str) -> Result<CheckpointRecord, CheckError> {
    for file in files.iter().rev().filter(|file| matches!(file, LogFile::Checkpoints(_))) {
        let path = log.join(file.to_string());
        let parsed = match CheckpointLog::parse(&disk::read(&path, CHECKPOINT_FILE_MAX)?) {
            Err(CheckpointError::Preallocated) => continue,
            other => other.map_err(|source| CheckError::Checkpoint { path, source })?,
        };
        if let Some(record) = parsed.records.into_iter().next_back() {
            return Ok(record);
        }
    }
    Err(LogError::NoCheckpoint { database: database.to_owned() }.into())
}

fn nothing_behind(
    log: &Path,
    files: &[LogFile],
    checkpoint: &CheckpointRecord,
    database: &str,
) -> Result<(), CheckError> {
    let not_clean = |reason: String| Err(CheckError::NotClean { database: database.to_owned(), reason });
    match walk_behind(log, files, checkpoint, database)? {
        (LogSpan { transactions: 0, .. }, Tail::Eof { .. } | Tail::Zeros { .. }) => Ok(()),
        (LogSpan { transactions: 0, .. }, tail) => Err(torn(database, &tail)),
        (span, _) => {
            not_clean(format!("{} transactions stand behind the last checkpoint", span.transactions))
        }
    }
}

fn torn(database: &str, tail: &Tail) -> CheckError {
    let reason = format!("behind the last transaction of its log stands {tail}");
    CheckError::NotClean { database: database.to_owned(), reason }
}

fn walk_behind(
    log: &Path,
    files: &[LogFile],
    checkpoint: &CheckpointRecord,
    database: &str,
) -> Result<(LogSpan, Tail), CheckError> {
    let from = checkpoint.position.version;
    let versions: Vec<LogVersion> = files
        .iter()
        .filter(|file| matches!(file, LogFile::Transactions(version) if *version >= from))
        .map(|file| file.version())
        .collect();
    if versions.first() != Some(&from) {
        return Err(LogError::Missing { database: database.to_owned(), version: from.0, from: from.0 }.into());
    }
    let mut walk = LogWalk::new(database, checkpoint);
    for (index, version) in versions.iter().enumerate() {
        let role = if index + 1 == versions.len() { FileRole::Newest } else { FileRole::Rotated };
        let source = Source::open(&log.join(LogFile::Transactions(*version).to_string()))?;
        walk.file(*version, source, role)?;
    }
    Ok(walk.finish()?)
}
