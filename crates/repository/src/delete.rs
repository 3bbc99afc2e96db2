//! Deleting what a repository no longer needs: the only ways to.
//!
//! Each call sees, right before it deletes, that the caller's lock is exclusive, of this repository, still there and
//! fresh: others may take a stale lock for dead and begin to rely on what is about to go. An object that is gone already is no error,
//! so that an interrupted run can be run again.

use crate::error::{RepositoryError, Result};
use crate::format::id::SnapshotId;
use crate::lock::Lock;
use crate::repository::{Repository, object_name};
use crate::sealed::check_sealed_name;

impl Repository {
    /// Delete a record below `grap/`.
    pub fn delete_sealed(&self, name: &str, lock: &Lock) -> Result<()> {
        check_sealed_name(name)?;
        self.delete(name, lock)
    }

    /// Delete a snapshot: the backup in it is no more. Its packs stay until a prune.
    pub fn delete_snapshot(&self, id: SnapshotId, lock: &Lock) -> Result<()> {
        self.delete(&object_name("snapshots", id.0), lock)
    }

    pub(crate) fn delete(&self, name: &str, lock: &Lock) -> Result<()> {
        if !lock.is_exclusive() || !lock.is_of(&self.inner) {
            return Err(RepositoryError::LockNotExclusive { object: name.to_owned() });
        }
        lock.assert_fresh()?;
        Ok(self.inner.store.delete(name)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grap_task::{Clock, ManualClock};
    use jiff::Timestamp;

    use super::*;
    use crate::format::key::KdfCost;
    use crate::lock::LockHolder;
    use crate::object::memory::MemoryStore;
    use crate::repository::InitOptions;

    const NAME: &str = "grap/log/a/1";

    fn repository(clock: &Clock) -> Repository {
        let options = InitOptions {
            hostname: "host".to_owned(),
            username: "user".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            cost: KdfCost::cheapest(),
        };
        let store = Box::new(MemoryStore::new(clock.clone()));
        let repository = Repository::init(store, &"password".into(), &options).unwrap().0;
        repository.put_sealed(NAME, b"record").unwrap();
        repository
    }

    #[test]
    fn nothing_is_deleted_without_a_fresh_exclusive_lock_of_the_repository() {
        let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
        let clock = Clock::Manual(manual.clone());
        let (repository, other) = (repository(&clock), repository(&clock));
        let holder = LockHolder { hostname: "h".to_owned(), username: String::new(), uid: 0, gid: 0 };
        let refused = |lock: &Lock| {
            let error = repository.delete_sealed(NAME, lock).unwrap_err();
            assert!(repository.has_sealed(NAME).unwrap());
            error
        };
        let shared = repository.lock_shared(&holder, &clock).unwrap();
        assert!(matches!(refused(&shared), RepositoryError::LockNotExclusive { .. }));
        shared.release().unwrap();
        let foreign = other.lock_exclusive(&holder, &clock).unwrap();
        assert!(matches!(refused(&foreign), RepositoryError::LockNotExclusive { .. }));
        let lock = repository.lock_exclusive(&holder, &clock).unwrap();
        manual.advance(Duration::from_mins(26));
        assert!(matches!(refused(&lock), RepositoryError::LockStale { .. }));
        lock.refresh().unwrap();
        repository.delete_sealed(NAME, &lock).unwrap();
        repository.delete_sealed(NAME, &lock).unwrap();
        assert!(!repository.has_sealed(NAME).unwrap());
        let name = lock.name();
        repository.inner.store.delete(&name).unwrap();
        repository.put_sealed(NAME, b"again").unwrap();
        assert!(matches!(refused(&lock), RepositoryError::LockGone { .. }));
    }
}
