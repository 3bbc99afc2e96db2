//! `list`: the backups of a repository, and the tries that came to nothing.

use std::collections::BTreeMap;

use grap_core::SourceName;
use grap_repository::RepositoryError;
use jiff::Timestamp;

use super::{Access, Session};
use crate::catalog::{Backup, Catalog};
use crate::copy::Manifest;
use crate::error::{Error, Result};
use crate::notes::{Notes, Standing};
use crate::state::{Attempt, AttemptStatus, StateDirectory};

#[derive(Debug)]
pub struct ListReport {
    /// Oldest first.
    pub rows: Vec<BackupRow>,
    /// Snapshots that cannot be read.
    pub damaged: Vec<RepositoryError>,
}

#[derive(Debug)]
pub struct BackupRow {
    pub id: String,
    pub source: Option<SourceName>,
    pub started: Timestamp,
    pub status: BackupStatus,
    /// Of a complete backup whose manifest can be read.
    pub manifest: Option<Manifest>,
    /// Of what is in the repository: whether it was verified, who holds it.
    pub standing: Standing,
}

/// The states that a backup goes through.
#[derive(Debug)]
pub enum BackupStatus {
    InProgress,
    Complete,
    /// Complete, and its newest validation passed.
    Validated,
    Failed {
        code: String,
        message: String,
    },
    /// Complete, but its manifest cannot be read.
    Damaged(Error),
}

pub fn list(
    access: Access,
    source: Option<&SourceName>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<ListReport> {
    let attempts = state.attempts()?;
    let repository = access.open()?;
    let catalog = Catalog::load(&repository)?;
    let reader = repository.reader(session.monitor)?;
    let mut rows: Vec<BackupRow> = Vec::new();
    let mut notes: BTreeMap<&SourceName, Notes<'_>> = BTreeMap::new();
    for backup in catalog.of(source) {
        if !notes.contains_key(&backup.source) {
            notes.insert(&backup.source, Notes::list(&repository, &backup.source)?);
        }
        let standing = notes.get(&backup.source).map(|notes| notes.standing(&backup.id)).transpose()?;
        rows.push(row_of(backup, backup.manifest(&reader), standing.unwrap_or_default()));
    }
    let known = |attempt: &Attempt| rows.iter().any(|row| row.id == attempt.id.as_str());
    let failed: Vec<BackupRow> = attempts
        .into_iter()
        .filter(|attempt| source.is_none() || attempt.source.as_ref() == source || attempt.source.is_none())
        .filter(|attempt| !known(attempt))
        .filter_map(row_of_attempt)
        .collect();
    rows.extend(failed);
    rows.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
    Ok(ListReport { rows, damaged: catalog.damaged })
}

fn row_of(backup: &Backup, manifest: Result<Manifest>, standing: Standing) -> BackupRow {
    let (status, manifest) = match manifest {
        Ok(manifest) if standing.is_validated() => (BackupStatus::Validated, Some(manifest)),
        Ok(manifest) => (BackupStatus::Complete, Some(manifest)),
        Err(error) => (BackupStatus::Damaged(error), None),
    };
    BackupRow {
        id: backup.id.to_string(),
        source: Some(backup.source.clone()),
        started: backup.snapshot.time,
        status,
        manifest,
        standing,
    }
}

/// An attempt that succeeded and is not in the repository was deleted there: nothing to show.
fn row_of_attempt(attempt: Attempt) -> Option<BackupRow> {
    let status = match attempt.status {
        AttemptStatus::InProgress => BackupStatus::InProgress,
        AttemptStatus::Failed { code, message } => BackupStatus::Failed { code, message },
        AttemptStatus::Succeeded => return None,
    };
    Some(BackupRow {
        id: attempt.id.to_string(),
        source: attempt.source,
        started: attempt.started,
        status,
        manifest: None,
        standing: Standing::default(),
    })
}
