//! Cancelling a recovery that another process is at: a small file, `recovery.cancel` (`drill.cancel`) in the state directory, that holds
//! the id of the recovery. Whoever performs its orders looks for it between two of them, and during each.
//!
//! The file is a wish, no evidence: the event in the journal is what counts. One of another recovery means nothing.

use std::path::PathBuf;

use grap_core::recovery::RecoveryId;
use grap_disk as disk;

use super::Lane;
use crate::error::{Error, Result};
use crate::ops::Session;
use crate::state::StateDirectory;
use crate::substop::stopped_when;

/// An id is shorter.
const SIZE_MAX: u64 = 256;

#[derive(Debug)]
pub(super) struct CancelRequest(PathBuf);

impl CancelRequest {
    pub(super) fn of(directory: &StateDirectory, lane: Lane) -> Self {
        Self(directory.root().join(format!("{}.cancel", lane.name())))
    }

    pub(super) fn put(&self, id: &RecoveryId) -> Result<()> {
        Ok(disk::replace(&self.0, &[id.as_str().as_bytes()])?)
    }

    pub(super) fn is_for(&self, id: &RecoveryId) -> Result<bool> {
        match disk::read(&self.0, SIZE_MAX) {
            Ok(text) => Ok(text == id.as_str().as_bytes()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn remove(&self) -> Result<()> {
        Ok(disk::remove_file(&self.0)?)
    }

    /// Act under a stop that is requested when the session's is, or when the recovery is to be cancelled.
    pub(super) fn watching<T>(
        &self,
        id: &RecoveryId,
        session: &Session<'_>,
        act: impl FnOnce(&Session<'_>) -> Result<T>,
    ) -> Result<T> {
        // What cannot be read now is read, and told, between two orders.
        let wanted = || session.stop.requested() || self.is_for(id).unwrap_or(false);
        stopped_when("recovery cancel", wanted, |stop| act(&Session { stop, ..*session }))
            .map_err(Error::Thread)?
    }
}
