//! Locks that restic and Grap both obey.
//!
//! A shared lock lets others read and add; an exclusive one lets nobody else in. A lock is an object in
//! `locks/`; it is taken by putting one, waiting a moment, and looking whether a conflicting one is there,
//! too: of two that come at once, at least one sees the other and gives way. It is refreshed every five
//! minutes: first the new object, then the old one deleted, so that there always is one.
//!
//! Why a live lock of ours is never lost unnoticed: whoever removes a lock deletes its object. A refresh sees
//! that the old object is still there *after* the new one was put, or gives the lock up; and what matters
//! ([`Lock::assert_fresh`]) is asked again right before it matters. The age is measured by the boot clock, so
//! a machine that slept knows that others may have taken its lock for dead.
//!
//! `restic unlock` asks whether the process of a lock lives by sending it SIGHUP: a program that holds a lock
//! has to handle or ignore that signal.

mod judge;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use grap_task::{Clock, Stop};
use jiff::Timestamp;

pub use judge::{LockState, StaleReason};

use crate::error::{RepositoryError, Result};
use crate::format::document;
use crate::format::id::Id;
use crate::format::lock::LockFile;
use crate::object::{ObjectError, ObjectInfo};
use crate::repository::{Inner, Repository, exists, object_name};

/// As restic: a lock is written anew this often.
const REFRESH_EVERY: Duration = Duration::from_mins(5);
/// How often the refresher looks at the boot clock; a machine that wakes up refreshes within this.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// A lock older than this is not relied on: at 30 minutes others may take it for stale.
const RELIED_ON_MAX: Duration = Duration::from_mins(25);
/// As restic: what another process put at the same moment is visible after this.
const SETTLE: Duration = Duration::from_millis(200);

/// Who locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    pub hostname: String,
    pub username: String,
    pub uid: u32,
    pub gid: u32,
}

/// A lock that is there, as shown to people. Its age is told by two clocks, which may differ by hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// Of the object.
    pub name: String,
    pub exclusive: bool,
    pub hostname: String,
    pub username: String,
    pub pid: u32,
    /// By the clock of the holder.
    pub time: Option<Timestamp>,
    /// Our clock against the time that the holder wrote, seconds; negative if it is ahead of us.
    pub age_by_holder: Option<i64>,
    /// By the storage's clock alone, seconds.
    pub age_by_storage: Option<i64>,
    pub state: LockState,
}

impl std::fmt::Display for LockInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let minutes = |age: Option<i64>| age.map_or("unknown".to_owned(), |age| format!("{} min", age / 60));
        write!(f, "pid {} of {} on {} ", self.pid, self.username, self.hostname)?;
        write!(f, "(age by its clock {}, ", minutes(self.age_by_holder))?;
        write!(f, "by the storage's clock {}; {})", minutes(self.age_by_storage), self.name)
    }
}

/// A lock that we hold. Refreshed by a thread of its own; released when dropped.
pub struct Lock {
    held: Arc<Held>,
    stop: Stop,
    refresher: Option<JoinHandle<()>>,
}

struct Held {
    inner: Arc<Inner>,
    clock: Clock,
    template: LockFile,
    current: Mutex<Current>,
}

#[derive(Clone)]
struct Current {
    name: String,
    /// By the boot clock, before the object was put.
    since: Duration,
    gone: bool,
}

impl Repository {
    /// For backup, restore, check, copy: others may do the same, nobody may delete.
    pub fn lock_shared(&self, holder: &LockHolder, clock: &Clock) -> Result<Lock> {
        self.lock(holder, clock, false)
    }

    /// For everything that deletes.
    pub fn lock_exclusive(&self, holder: &LockHolder, clock: &Clock) -> Result<Lock> {
        self.lock(holder, clock, true)
    }

    fn lock(&self, holder: &LockHolder, clock: &Clock, exclusive: bool) -> Result<Lock> {
        let template = LockFile {
            time: clock.now(),
            exclusive,
            hostname: holder.hostname.clone(),
            username: holder.username.clone(),
            pid: std::process::id(),
            uid: holder.uid,
            gid: holder.gid,
            grap: judge::this_process(),
        };
        self.give_way(&template, None, clock)?;
        let held = Held::put(self, clock, template)?;
        let own = held.current().name;
        let _ = clock.wait(SETTLE, &Stop::new());
        if let Err(error) = self.give_way(&held.template, Some(&own), clock) {
            // The first error says why.
            let _ = leave(&self.inner, &own);
            return Err(error);
        }
        Lock::refreshed(held)
    }

    /// Fail if a lock that excludes ours is there. One that is provably dead is removed, where we may delete;
    /// where we may not, it is dead all the same.
    fn give_way(&self, ours: &LockFile, own: Option<&str>, clock: &Clock) -> Result<()> {
        if !self.inner.store.list("locks")?.iter().any(|info| Some(info.name.as_str()) != own) {
            return Ok(());
        }
        for other in self.locks(&ours.hostname, clock)? {
            if Some(other.name.as_str()) == own || !(ours.exclusive || other.exclusive) {
                continue;
            }
            match other.state {
                LockState::Stale(_) => _ = remove(&self.inner, &other.name)?,
                LockState::Held => return Err(RepositoryError::Locked { holder: Box::new(other) }),
            }
        }
        Ok(())
    }

    /// Every lock that is there. `hostname` is ours: the pids of other hosts say nothing here.
    pub fn locks(&self, hostname: &str, clock: &Clock) -> Result<Vec<LockInfo>> {
        let objects = self.inner.store.list("locks")?;
        let storage_now = if objects.is_empty() { None } else { judge::storage_now(&self.inner) };
        let mut locks = Vec::new();
        for object in objects.into_iter().filter(|object| object.base_name().parse::<Id>().is_ok()) {
            // Asked before the get: whoever deletes it forgets it after that, and then it is not found.
            let is_left = left().contains(&object.name);
            match self.inner.store.get(&object.name) {
                Ok(bytes) => {
                    let file = document::open::<LockFile>(&self.inner.key, bytes).ok();
                    let mut lock = info(&object, file.as_ref(), hostname, clock, storage_now);
                    if is_left {
                        lock.state = LockState::Stale(StaleReason::Left);
                    }
                    locks.push(lock);
                }
                Err(ObjectError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(locks)
    }

    /// What time the storage has, by an object put now; `None` where that cannot be told. Only this says how old
    /// stored objects are: our own clock may be hours off.
    pub fn storage_now(&self) -> Option<Timestamp> {
        judge::storage_now(&self.inner)
    }

    /// Remove every lock whose holder is provably dead; returns those that were removed. Where we may not
    /// delete, they stay, and do no harm.
    pub fn unlock_stale(&self, hostname: &str, clock: &Clock) -> Result<Vec<LockInfo>> {
        let mut removed = Vec::new();
        for lock in self.locks(hostname, clock)? {
            if matches!(lock.state, LockState::Stale(_)) && remove(&self.inner, &lock.name)? {
                removed.push(lock);
            }
        }
        Ok(removed)
    }

    /// Remove one lock whatever it says: for an operator who knows that its holder is dead.
    pub fn remove_lock(&self, lock: &LockInfo) -> Result<()> {
        Ok(delete(&self.inner, &lock.name)?)
    }
}

/// Remove a stale lock, where we may; says whether it is gone.
fn remove(inner: &Inner, name: &str) -> Result<bool> {
    match delete(inner, name) {
        Ok(()) => Ok(true),
        Err(ObjectError::Denied { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn info(
    object: &ObjectInfo,
    file: Option<&LockFile>,
    hostname: &str,
    clock: &Clock,
    storage_now: Option<Timestamp>,
) -> LockInfo {
    let seconds = |now: Timestamp, then: Timestamp| now.as_second() - then.as_second();
    let age_by_holder = file.map(|file| seconds(clock.now(), file.time));
    let age_by_storage = storage_now.zip(object.modified).map(|(now, then)| seconds(now, then));
    LockInfo {
        name: object.name.clone(),
        // A lock that cannot be read may be an exclusive one.
        exclusive: file.is_none_or(|file| file.exclusive),
        hostname: file.map_or_else(|| "?".to_owned(), |file| file.hostname.clone()),
        username: file.map_or_else(|| "?".to_owned(), |file| file.username.clone()),
        pid: file.map_or(0, |file| file.pid),
        time: file.map(|file| file.time),
        age_by_holder,
        age_by_storage,
        state: judge::judge(file, hostname, age_by_holder, age_by_storage),
    }
}

impl Held {
    fn put(repository: &Repository, clock: &Clock, template: LockFile) -> Result<Arc<Self>> {
        let inner = Arc::clone(&repository.inner);
        let since = clock.since_boot();
        let name = put(&inner, &template)?;
        let current = Mutex::new(Current { name, since, gone: false });
        Ok(Arc::new(Self { inner, clock: clock.clone(), template, current }))
    }

    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn age(&self) -> Duration {
        self.clock.since_boot().saturating_sub(self.current().since)
    }

    /// Asked by name: a listing may lag.
    fn is_there(&self, name: &str) -> Result<bool> {
        exists(self.inner.store.as_ref(), name)
    }

    /// Put a new object, see that the old one was there until then, delete the old one.
    fn refresh(&self) -> Result<()> {
        let old = self.current();
        let since = self.clock.since_boot();
        let file = LockFile { time: self.clock.now(), ..self.template.clone() };
        let name = put(&self.inner, &file)?;
        match self.is_there(&old.name) {
            Ok(true) => {
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
                    Current { name, since, gone: false };
                // Whether the old one goes or stays, the lock is refreshed.
                let _ = leave(&self.inner, &old.name);
                Ok(())
            }
            Ok(false) => {
                self.current.lock().unwrap_or_else(PoisonError::into_inner).gone = true;
                let _ = leave(&self.inner, &name);
                Err(RepositoryError::LockGone { lock: old.name })
            }
            Err(error) => {
                let _ = leave(&self.inner, &name);
                Err(error)
            }
        }
    }

    /// Until the stop, or until the lock is gone. A refresh that fails is tried again at the next look;
    /// whoever relies on the lock sees its age.
    fn keep_fresh(&self, stop: &Stop) {
        while !stop.wait(LOOK_EVERY) && !self.current().gone {
            if self.age() >= REFRESH_EVERY {
                let _ = self.refresh();
            }
        }
    }
}

impl Lock {
    fn refreshed(held: Arc<Held>) -> Result<Self> {
        let stop = Stop::new();
        let (kept, until) = (Arc::clone(&held), stop.clone());
        let thread = std::thread::Builder::new().name("lock-refresh".to_owned());
        match thread.spawn(move || kept.keep_fresh(&until)) {
            Ok(refresher) => Ok(Self { held, stop, refresher: Some(refresher) }),
            Err(why) => {
                let _ = leave(&held.inner, &held.current().name);
                Err(RepositoryError::Thread(why))
            }
        }
    }

    /// The lock is still there and so young that nobody takes it for stale. Asked right before what relies on
    /// it.
    pub fn assert_fresh(&self) -> Result<()> {
        // A refresh may come between; then its name is the one to look for.
        for _ in 0..2 {
            let current = self.held.current();
            let is_there = !current.gone && self.held.is_there(&current.name)?;
            // Behind the answer: the machine may have slept while it was under way.
            let age = self.held.age();
            if age >= RELIED_ON_MAX {
                return Err(RepositoryError::LockStale { lock: current.name, age });
            }
            if is_there {
                return Ok(());
            }
        }
        Err(RepositoryError::LockGone { lock: self.held.current().name })
    }

    /// The object of the lock, at this moment.
    pub fn name(&self) -> String {
        self.held.current().name
    }

    pub fn is_exclusive(&self) -> bool {
        self.held.template.exclusive
    }

    /// Whether it is a lock of this repository, as opened: another one's protects nothing here.
    pub(crate) fn is_of(&self, inner: &Arc<Inner>) -> bool {
        Arc::ptr_eq(&self.held.inner, inner)
    }

    /// Refresh now, as the thread does every five minutes.
    #[cfg(feature = "testing")]
    pub fn refresh(&self) -> Result<()> {
        self.held.refresh()
    }

    /// Release, and hear whether the storage took it.
    pub fn release(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(refresher) = self.refresher.take() else { return Ok(()) };
        self.stop.request();
        let _ = refresher.join();
        Ok(leave(&self.held.inner, &self.held.current().name)?)
    }
}

/// Locks that this process was done with, and could not delete: they name a process that lives, and would stand in its way
/// until it ends. Other processes cannot know; to them they go stale with this process or, on other machines, by age.
static LEFT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn left() -> MutexGuard<'static, BTreeSet<String>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Put a lock of our own.
fn put(inner: &Inner, file: &LockFile) -> Result<String> {
    let sealed = document::seal(&inner.key, file).map_err(|why| RepositoryError::Encode { why })?;
    let name = object_name("locks", Id::of(&sealed));
    // A put that fails may have stored it all the same.
    inner.put_named("locks", &[&sealed]).inspect_err(|_| drop(leave(inner, &name)))?;
    Ok(name)
}

/// Delete a lock of our own, which nobody needs any more. One that stays is nobody's from here on, whatever the reason.
fn leave(inner: &Inner, name: &str) -> Result<(), ObjectError> {
    let deleted = delete(inner, name);
    if deleted.is_err() {
        left().insert(name.to_owned());
    }
    deleted
}

/// Delete a lock, whosever it was.
fn delete(inner: &Inner, name: &str) -> Result<(), ObjectError> {
    inner.store.delete(name)?;
    left().remove(name);
    Ok(())
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use grap_task::ManualClock;

    use super::*;
    use crate::format::key::KdfCost;
    use crate::object::ObjectStore;
    use crate::object::faulty::{Faulty, Mode};
    use crate::object::memory::MemoryStore;
    use crate::repository::InitOptions;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    /// A repository whose storage has a clock of its own.
    fn repository(storage: &ManualClock) -> Repository {
        repository_in(MemoryStore::new(Clock::Manual(storage.clone())))
    }

    fn repository_in(store: impl ObjectStore + 'static) -> Repository {
        let options = InitOptions {
            hostname: "host".to_owned(),
            username: "user".to_owned(),
            created: NOW,
            cost: KdfCost::cheapest(),
        };
        Repository::init(Box::new(store), &"password".into(), &options).unwrap().0
    }

    /// A lock as restic on another host writes it.
    fn put_foreign_lock(repository: &Repository, time: Timestamp) {
        let file = LockFile {
            time,
            exclusive: true,
            hostname: "a".to_owned(),
            username: "user".to_owned(),
            pid: 7,
            uid: 0,
            gid: 0,
            grap: None,
        };
        repository.inner.put_document("locks", &file).unwrap();
    }

    #[test]
    fn a_live_lock_survives_clocks_that_are_hours_apart() {
        // Host A's clock is so many minutes behind the storage's and ours, its lock that old.
        for (behind, age, stale) in [
            (120, 4, false),
            (120, 40, true),
            (-120, 40, false),
            (0, 4, false),
            (0, 29, false),
            (0, 31, true),
        ] {
            let storage = ManualClock::at(NOW);
            let repository = repository(&storage);
            put_foreign_lock(&repository, NOW - jiff::SignedDuration::from_mins(behind));
            storage.advance(Duration::from_mins(age));
            let here = Clock::Manual(storage);
            let locks = repository.locks("b", &here).unwrap();
            let seconds = i64::try_from(age).unwrap() * 60;
            assert_eq!(locks[0].age_by_storage, Some(seconds));
            assert_eq!(locks[0].age_by_holder, Some(seconds + behind * 60));
            let text = locks[0].to_string();
            assert!(text.contains(&format!("storage's clock {age} min")), "{text}");
            let expected = if stale { LockState::Stale(StaleReason::NotRefreshed) } else { LockState::Held };
            assert_eq!(locks[0].state, expected, "{behind} min behind, {age} min old");
            let holder = LockHolder { hostname: "b".to_owned(), username: String::new(), uid: 0, gid: 0 };
            assert_eq!(repository.lock_shared(&holder, &here).is_ok(), stale);
            assert_eq!(repository.unlock_stale("b", &here).unwrap(), []);
            assert_eq!(repository.locks("b", &here).unwrap().len(), usize::from(!stale));
        }
    }

    #[test]
    fn a_lock_that_is_deleted_after_all_is_remembered_no_more() {
        let store = Arc::new(Faulty::new(MemoryStore::default()));
        let repository = repository_in(Arc::clone(&store));
        let clock = Clock::Manual(ManualClock::at(NOW));
        let holder = LockHolder { hostname: "b".to_owned(), username: String::new(), uid: 0, gid: 0 };
        let ways: [&dyn Fn(); 3] = [
            &|| repository.lock_exclusive(&holder, &clock).unwrap().release().unwrap(),
            &|| assert_eq!(repository.unlock_stale("b", &clock).unwrap().len(), 1),
            &|| repository.remove_lock(&repository.locks("b", &clock).unwrap()[0]).unwrap(),
        ];
        for (way, deletes) in ways.into_iter().enumerate() {
            let lock = repository.lock_shared(&holder, &clock).unwrap();
            let name = lock.name();
            store.inject(1, Mode::Fail);
            lock.release().unwrap_err();
            assert!(left().contains(&name), "{way}");
            deletes();
            assert_eq!(repository.inner.store.list("locks").unwrap(), [], "{way}");
            assert!(!left().contains(&name), "{way}");
        }
    }

    #[test]
    fn an_operator_may_remove_any_lock() {
        let repository = repository(&ManualClock::at(NOW));
        put_foreign_lock(&repository, NOW);
        let clock = Clock::System;
        let locks = repository.locks("b", &clock).unwrap();
        repository.remove_lock(&locks[0]).unwrap();
        assert_eq!(repository.locks("b", &clock).unwrap(), []);
        assert_eq!(repository.inner.store.list("grap").unwrap(), [], "no probe is left");
    }
}
