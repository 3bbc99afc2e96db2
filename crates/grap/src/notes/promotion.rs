//! The note of a promotion: what was made of a backup has become the live database; or, by a rollback, it is no more.
//!
//! One recovery leaves one note, however often it is told to: host, id and beginning name it.

use grap_core::recovery::{Recovery, RecoveryId};
use grap_core::{BackupId, SourceName};
use grap_repository::Repository;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Author, NoteKind, put_once};
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

/// One that is noted beside a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    pub at: Timestamp,
    pub host: String,
    pub promotion: Promotion,
}

impl Promotion {
    pub fn of(recovery: &Recovery) -> Self {
        let switch = recovery.switch.as_deref();
        Self {
            recovery: recovery.id.clone(),
            begun: recovery.begun,
            target: recovery.plan.target.clone(),
            database: switch.map(|switch| switch.user.database.clone()).unwrap_or_default(),
            undoes: recovery.plan.undoes.clone(),
            live_was_lost: switch.is_some_and(|switch| switch.live_is_lost),
            unarchived: recovery.archive_missed.as_ref().map(|missed| missed.message.clone()),
            unconfirmed: recovery.unconfirmed.as_ref().map(ToString::to_string),
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
    let is_its = |kind: &NoteKind| {
        matches!(kind, NoteKind::Promotion(noted)
            if noted.recovery == promotion.recovery && noted.begun == promotion.begun)
    };
    let kind = || NoteKind::Promotion(Box::new(promotion.clone()));
    put_once((repository, source, id), author, is_its, kind)
}
