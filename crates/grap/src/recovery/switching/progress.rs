//! What is going on, beside the barrier: `.grap/retired/<recovery>/in-progress.json`, from the barrier until it is gone again.
//!
//! The journal says the same. This is for when the journal is lost in the middle: it is enough to exchange everything back.

use std::path::{Path, PathBuf};

use grap_core::recovery::{Guard, Plan, Recovery, RecoveryId, Switch};
use grap_disk::{self as disk, Kind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::retired::{place, root_of_retired};
use crate::error::Result;
use crate::live::Installation;
use crate::recovery::swap::{identity, is};

const NAME: &str = "in-progress.json";
const SIZE_MAX: u64 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    recovery: RecoveryId,
    at: Timestamp,
    plan: Plan,
    switch: Switch,
    guard: Guard,
}

/// Where a log should lie there is a file.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) barrier: PathBuf,
    /// As far as it is known.
    pub(crate) switch: Option<Box<Recovery>>,
}

pub(super) fn note(recovery: &Recovery, switch: &Switch, guard: &Guard, now: Timestamp) -> Result<()> {
    let progress = Progress {
        recovery: recovery.id.clone(),
        at: now,
        plan: recovery.plan.clone(),
        switch: switch.clone(),
        guard: guard.clone(),
    };
    let text = serde_json::to_vec_pretty(&progress).unwrap_or_default();
    Ok(disk::replace(&place(&switch.retired).join(NAME), &[&text])?)
}

pub(super) fn forget(switch: &Switch) -> Result<()> {
    Ok(disk::remove_file(&place(&switch.retired).join(NAME))?)
}

/// Whether a switch of this data directory is between its barrier and its end, or was left there: what Grap itself writes
/// then would be taken for a client's, and keep a database that is not what it should be.
pub fn switch_in_progress(data: &Path) -> Result<bool> {
    let root = root_of_retired(data);
    for name in disk::list(&root)?.unwrap_or_default() {
        if disk::stat(&root.join(name).join(NAME))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A switch that was interrupted between its first exchange and its last.
pub(crate) fn interrupted(installation: &Installation) -> Result<Option<Interrupted>> {
    for name in disk::list(&installation.transactions)?.unwrap_or_default() {
        let barrier = installation.transactions.join(name);
        if disk::stat_link(&barrier)?.is_some_and(|stat| stat.kind == Kind::File) {
            let switch = known(installation, &barrier)?;
            return Ok(Some(Interrupted { barrier, switch }));
        }
    }
    Ok(None)
}

/// Whoever has written this barrier. One whose words cannot be read is nobody.
fn known(installation: &Installation, barrier: &Path) -> Result<Option<Box<Recovery>>> {
    let found = identity(barrier)?;
    let root = root_of_retired(&installation.data);
    for name in disk::list(&root)?.unwrap_or_default() {
        let Ok(text) = disk::read(&root.join(name).join(NAME), SIZE_MAX) else { continue };
        let Ok(noted) = serde_json::from_slice::<Progress>(&text) else { continue };
        if is(found, Some(noted.guard.barrier)) {
            let Progress { recovery, at, plan, switch, guard } = noted;
            return Ok(Some(Box::new(Recovery::interrupted(&recovery, &plan, &switch, &guard, at))));
        }
    }
    Ok(None)
}

/// A barrier that nobody has noted anything about: of a live database that is given up it counts as no log.
pub(super) fn is_unknown_barrier(switch: &Switch) -> Result<bool> {
    let live = Path::new(&switch.live.log);
    if disk::stat_link(live)?.is_none_or(|stat| stat.kind != Kind::File) {
        return Ok(false);
    }
    let found = identity(live)?;
    let root = place(&switch.retired).parent().unwrap_or(Path::new("/"));
    for name in disk::list(root)?.unwrap_or_default() {
        let Ok(text) = disk::read(&root.join(name).join(NAME), SIZE_MAX) else { continue };
        if serde_json::from_slice::<Progress>(&text).is_ok_and(|noted| is(found, Some(noted.guard.barrier))) {
            return Ok(false);
        }
    }
    Ok(true)
}
