//! The note of a promotion: what was made of a backup has become the live database; or, by a rollback, it is no more.
//!
//! One recovery leaves one note, however often it is told to: host, id and beginning name it.

use grap_core::recovery::{Cause, Recovery, RecoveryId};
use grap_core::{BackupId, SourceName};
use grap_repository::Repository;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Author, Note, NoteKind, VERSION, series};
use crate::error::Result;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    pub recovery: RecoveryId,
    pub begun: Timestamp,
    /// As it was asked for.
    pub target: String,
    pub database: String,
    /// A rollback: whose promotion was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<RecoveryId>,
    /// It was given up, whatever it was.
    pub live_was_lost: bool,
    /// Why the archive has not all of what was replaced.
    pub unarchived: Option<String>,
    /// Why it is not known to be what it should be.
    pub unconfirmed: Option<String>,
}

impl Promotion {
    pub fn of(recovery: &Recovery) -> Self {
        let switch = recovery.switch.as_deref();
        let told = |cause: &Cause| match cause {
            Cause::Cancelled => "it was cancelled".to_owned(),
            Cause::Failed { order, failure } => format!("{order}: {}", failure.message),
        };
        Self {
            recovery: recovery.id.clone(),
            begun: recovery.begun,
            target: recovery.plan.target.clone(),
            database: switch.map(|switch| switch.database.clone()).unwrap_or_default(),
            undoes: recovery.plan.undoes.clone(),
            live_was_lost: switch.is_some_and(|switch| switch.live_is_lost),
            unarchived: recovery.archive_missed.as_ref().map(|missed| missed.message.clone()),
            unconfirmed: recovery.unconfirmed.as_ref().map(told),
        }
    }
}

/// Put it, unless this recovery has put its own already; whether it was put.
pub fn put_promotion(
    repository: &Repository,
    source: &SourceName,
    id: &BackupId,
    author: &Author,
    promotion: &Promotion,
) -> Result<bool> {
    let series = series(repository, source, id);
    let records = series.read::<Note>(series.listed()?)?;
    let is_ours = |note: &Note| match &note.kind {
        NoteKind::Promotion(noted) => {
            note.host == author.host && noted.recovery == promotion.recovery && noted.begun == promotion.begun
        }
        _ => false,
    };
    if records.readable.iter().any(is_ours) {
        return Ok(false);
    }
    let note = |_| Note {
        version: VERSION,
        at: author.at,
        host: author.host.clone(),
        program: author.program.clone(),
        kind: NoteKind::Promotion(Box::new(promotion.clone())),
    };
    series.put(records.newest, note)?;
    Ok(true)
}
