//! `unlock`: remove the locks of the dead.

use grap_repository::LockInfo;

use super::{Access, Session};
use crate::error::Result;
use crate::state::StateDirectory;

#[derive(Debug)]
pub struct UnlockReport {
    /// Held by processes that are provably dead; removed.
    pub removed: Vec<LockInfo>,
    /// Live, or not provably dead; left alone.
    pub kept: Vec<LockInfo>,
}

pub fn unlock(access: Access, state: &StateDirectory, session: &Session<'_>) -> Result<UnlockReport> {
    state.journaled("unlock", session.clock, || remove_stale(access, session))
}

fn remove_stale(access: Access, session: &Session<'_>) -> Result<UnlockReport> {
    let repository = access.open()?;
    let removed = repository.unlock_stale(&session.holder.hostname, session.clock)?;
    let kept = repository.locks(&session.holder.hostname, session.clock)?;
    Ok(UnlockReport { removed, kept })
}
