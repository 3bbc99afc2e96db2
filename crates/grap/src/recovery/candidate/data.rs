//! The candidate's files: restored to the planned ends, and read again.
//!
//! A restore notes last of all what it has restored: so where that note is there, all of it is. What was struck before
//! is ours, and begins anew.

use std::path::PathBuf;

use grap_core::Target;
use grap_core::recovery::Recovery;
use grap_disk as disk;
use rustix::process::{getgid, getuid};
use serde::Deserialize;

use super::Candidate;
use super::judge::require_repository;
use super::place::Place;
use crate::check::last_transaction;
use crate::error::{Error, Result};
use crate::live::SYSTEM;
use crate::ops::{RestoreOptions, Session, restore_to_ends};

const NOTE_SIZE_MAX: u64 = 1 << 20;

/// What a restore leaves in what it has restored, as far as it is of interest here.
#[derive(Debug, Deserialize)]
pub(super) struct Restored {
    /// An older one than planned, where that was damaged.
    pub(super) backup: grap_core::BackupId,
    pub(super) databases: Vec<RestoredDatabase>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RestoredDatabase {
    pub(super) name: String,
    pub(super) tx_id: u64,
    #[serde(rename = "neo4j_min")]
    pub(super) server_min: String,
}

impl Candidate<'_> {
    pub(super) fn restore_data(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let place = Place::of(recovery);
        place.require_ours()?;
        if disk::stat(&note(&place))?.is_none() {
            disk::remove_tree(&place.data())?;
            let handed = self.repository.take();
            let tools = self.tools()?;
            let repository = handed.map_or_else(|| (tools.open)()?.open_told(session), Ok)?;
            let (wish, ends) = (wish(recovery, &place), &recovery.plan.ends);
            let restored = restore_to_ends(&wish, ends, &repository, tools.state, session)?;
            require_repository(recovery, &restored.repository)?;
        }
        place.set_system_aside()
    }
}

fn wish(recovery: &Recovery, place: &Place) -> RestoreOptions {
    let plan = &recovery.plan;
    let end = plan.ends.iter().find(|end| end.database == place.database());
    let target = match (plan.timeline, end) {
        (Some(_), Some(end)) => Target::Transaction { database: Some(end.database.clone()), id: end.tx_id },
        _ => Target::Backup { source: Some(plan.source.clone()), id: plan.backup.clone() },
    };
    RestoreOptions {
        target,
        source: Some(plan.source.clone()),
        timeline: plan.timeline,
        to: place.data(),
        databases: plan.ends.iter().map(|end| end.database.clone()).collect(),
        // The server is ours, and so are its files.
        owner: Some((getuid().as_raw(), getgid().as_raw())),
        keep_going: false,
        no_lock: false,
    }
}

fn note(place: &Place) -> PathBuf {
    place.data().join(".grap/restored.json")
}

/// What was noted of the restore.
pub(super) fn restored(place: &Place) -> Result<Restored> {
    let path = note(place);
    let text = disk::read(&path, NOTE_SIZE_MAX)?;
    serde_json::from_slice(&text).map_err(|error| Error::CandidateWrong { why: error.to_string(), path })
}

/// Each log ends with the planned transaction, by its bytes. (That each file is what was stored the restore has seen.)
pub(super) fn reread(recovery: &Recovery) -> Result<()> {
    let place = Place::of(recovery);
    let noted = restored(&place)?;
    for end in &recovery.plan.ends {
        let log = place.data_of(&end.database).join("transactions").join(&end.database);
        let wrong = |why: String| Err(Error::CandidateWrong { path: log.clone(), why });
        let Some(noted) = noted.databases.iter().find(|noted| noted.name == end.database) else {
            return wrong(format!("database `{}` was not restored", end.database));
        };
        let found = last_transaction(&log, &end.database)?.id;
        // `system` goes with the user database: an older backup may not reach as far back.
        let is_planned = found == end.tx_id || (end.database == SYSTEM && found.0 == noted.tx_id);
        if found.0 != noted.tx_id || !is_planned {
            return wrong(format!("it ends with transaction {found}, and {} was planned", end.tx_id));
        }
    }
    Ok(())
}
