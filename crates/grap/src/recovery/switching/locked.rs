//! Whose the live database is while it is changed: no other Grap is in the middle of a switch of it, the lock of its stores is
//! ours, of the file that a server would lock, and nobody is at the database itself.
//!
//! The first is a lock of ours in the data directory, for two Graps may have two state directories: `.grap/retired/switch.lock`,
//! from the look on until the process ends. The others are looked at right before anything is exchanged.

use std::path::Path;

use grap_core::recovery::Switch;
use grap_disk::{self as disk, FileLock};

use super::retired::{place, root_of_retired};
use super::{LiveSwitch, seconds};
use crate::error::{Error, Result};
use crate::live::ServerRun;
use crate::ops::Session;
use crate::recovery::halves::{PRIVATE, parent};
use crate::server::control::StoppedServer;

const LOCK: &str = "switch.lock";

impl LiveSwitch<'_> {
    /// No other Grap changes what is live in this data directory.
    pub(super) fn claim(&mut self, switch: &Switch) -> Result<()> {
        if self.claim.is_some() {
            return Ok(());
        }
        let root = parent(place(&switch.user.retired));
        disk::make_dirs(root, Some(PRIVATE))?;
        self.claim = Some(claimed(root)?);
        Ok(())
    }

    /// Whether the lock of the stores is ours, and keeps servers out.
    pub(super) fn has_lock(&mut self) -> Result<bool> {
        if let Some(stopped) = &self.stopped
            && !stopped.is_locked()?
        {
            self.stopped = None;
        }
        Ok(self.stopped.is_some())
    }

    /// Stopped, and its lock ours, when this returns; whoever has started a server meanwhile.
    pub(super) fn require_lock(&mut self, switch: &Switch, session: &Session<'_>) -> Result<()> {
        self.claim(switch)?;
        if !self.has_lock()? {
            let installation = self.installation(switch)?;
            let limit = seconds(switch.limits.stop_s);
            let stopped = self.live()?.control.stop(&installation, limit, session);
            self.stop_failed = stopped.is_err();
            self.stopped = Some(stopped?);
        }
        require_nobody(switch)
    }

    /// What is noted of the server that we have stopped.
    pub(super) fn was_running(&self) -> bool {
        self.stopped.as_ref().is_some_and(StoppedServer::was_running)
    }
}

/// Of what is live and what is retired in a data directory, until it is dropped. None: nothing was ever retired there.
pub(crate) fn claim_if_retired(data: &Path) -> Result<Option<FileLock>> {
    let root = root_of_retired(data);
    let is_there = disk::stat(&root)?.is_some();
    is_there.then(|| claimed(&root)).transpose()
}

/// Whether some Grap is in the middle of something there.
pub(crate) fn is_claimed(data: &Path) -> Result<bool> {
    Ok(FileLock::is_held(&root_of_retired(data).join(LOCK))?)
}

fn claimed(root: &Path) -> Result<FileLock> {
    let path = root.join(LOCK);
    FileLock::try_exclusive(&path)?.ok_or(Error::ClaimHeld { path })
}

/// While no server has it open: neither has anybody else (`neo4j-admin database load`, `migrate` or `check` takes the lock of
/// the database alone, and goes on by path).
pub(super) fn require_nobody(switch: &Switch) -> Result<()> {
    switch.parts().try_for_each(|part| nobody_is_at(Path::new(&part.live.store)))
}

fn nobody_is_at(store: &Path) -> Result<()> {
    match ServerRun::of(store)? {
        ServerRun::NotSeen => Ok(()),
        run => {
            let who = match run {
                ServerRun::Process { pid, .. } => format!("process {pid}"),
                _ => "a process that is not seen from here".to_owned(),
            };
            let why =
                format!("{who} works on {}, which no server has open: is it neo4j-admin?", store.display());
            Err(Error::PromotionRefused { why })
        }
    }
}
