//! `key`: the passwords of a repository.

use grap_repository::{Id, InitOptions, KdfCost, KeyInfo, Lock, LockHolder, Repository};
use grap_task::Clock;
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
    change((access, state, session), Repository::lock_shared, |repository, _| {
        Ok((Some(repository.add_key(new, &options(cost, session))?), None))
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
    change((access, state, session), Repository::lock_exclusive, |repository, lock| {
        let (added, removed) = repository.change_key(new, &options(cost, session), lock)?;
        Ok((Some(added), Some(removed)))
    })
}

/// Remove the key whose id begins so.
pub fn remove_key(
    access: Access,
    id: &str,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<KeyReport> {
    change((access, state, session), Repository::lock_exclusive, |repository, lock| {
        Ok((None, Some(repository.remove_key(id, lock)?.id)))
    })
}

/// How a lock is taken: shared or alone.
type Locking = fn(&Repository, &LockHolder, &Clock) -> grap_repository::Result<Lock>;

/// Do this to the keys, under a lock. It says which was added and which removed.
fn change(
    (access, state, session): (Access, &StateDirectory, &Session<'_>),
    lock: Locking,
    act: impl FnOnce(&Repository, &Lock) -> grap_repository::Result<(Option<Id>, Option<Id>)>,
) -> Result<KeyReport> {
    state.run(Job::Maintain, "key", session.clock, || {
        let repository = access.open()?;
        let lock = lock(&repository, session.holder, session.clock)?;
        let (added, removed) = act(&repository, &lock)?;
        session.release(lock);
        Ok(KeyReport { keys: repository.keys()?, added, removed })
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
