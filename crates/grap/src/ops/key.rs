//! `key`: the passwords of a repository.

use grap_repository::{Id, InitOptions, KdfCost, KeyInfo};
use secrecy::SecretString;

use super::{Access, Session};
use crate::error::Result;
use crate::state::{Job, StateDirectory};

#[derive(Debug)]
pub struct KeyReport {
    /// Every key that there is now.
    pub keys: Vec<KeyInfo>,
    pub added: Option<Id>,
    pub removed: Option<Id>,
}

pub fn list_keys(access: Access) -> Result<KeyReport> {
    Ok(KeyReport { keys: access.open()?.keys()?, added: None, removed: None })
}

/// One more password for the repository.
pub fn add_key(
    access: Access,
    new: &SecretString,
    cost: KdfCost,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<KeyReport> {
    state.run(Job::Maintain, "key", session.clock, || {
        let repository = access.open()?;
        let lock = repository.lock_shared(session.holder, session.clock)?;
        let added = repository.add_key(new, &options(cost, session))?;
        session.release(lock);
        Ok(KeyReport { keys: repository.keys()?, added: Some(added), removed: None })
    })
}

/// Another password in place of the one that opens the repository now.
pub fn change_key(
    access: Access,
    new: &SecretString,
    cost: KdfCost,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<KeyReport> {
    state.run(Job::Maintain, "key", session.clock, || {
        let repository = access.open()?;
        let lock = repository.lock_exclusive(session.holder, session.clock)?;
        let (added, removed) = repository.change_key(new, &options(cost, session), &lock)?;
        session.release(lock);
        Ok(KeyReport { keys: repository.keys()?, added: Some(added), removed: Some(removed) })
    })
}

/// Remove the key whose id begins so.
pub fn remove_key(
    access: Access,
    id: &str,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<KeyReport> {
    state.run(Job::Maintain, "key", session.clock, || {
        let repository = access.open()?;
        let lock = repository.lock_exclusive(session.holder, session.clock)?;
        let removed = repository.remove_key(id, &lock)?;
        session.release(lock);
        Ok(KeyReport { keys: repository.keys()?, added: None, removed: Some(removed.id) })
    })
}

fn options(cost: KdfCost, session: &Session<'_>) -> InitOptions {
    InitOptions {
        hostname: session.holder.hostname.clone(),
        username: session.holder.username.clone(),
        created: session.clock.now(),
        cost,
    }
}
