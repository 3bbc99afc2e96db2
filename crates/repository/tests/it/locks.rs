//! Locks, ours and restic's, and clocks that disagree.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use grap_repository::object::memory::MemoryStore;
use grap_repository::{
    LocalStore, LockInfo, LockState, ObjectCall, ObjectError, ObjectStore, Repository, RepositoryError,
    StaleReason,
};
use grap_task::{Clock, ManualClock};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

use crate::hook::Hooked;
use crate::support::{Fixture, PASSWORD, holder, init_options, password, shapes};

/// restic in the middle of an operation that holds its exclusive lock. On a busy machine it may be done
/// before it can be stopped; then it is tried again.
fn restic_with_exclusive_lock(fixture: &Fixture) -> Child {
    for _ in 0..20 {
        let mut child = start_prune(fixture);
        // The name of a lock that is still being written is longer.
        let is_locked = || fixture.objects("locks").iter().any(|name| name.len() == "locks/".len() + 64);
        while !is_locked() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        if child.try_wait().unwrap().is_none() {
            signal(&child, Signal::STOP);
            if is_locked() {
                return child;
            }
            signal(&child, Signal::CONT);
            child.wait().unwrap();
        }
    }
    panic!("restic could not be stopped while it held its lock");
}

fn start_prune(fixture: &Fixture) -> Child {
    Command::new("restic")
        .args(["--no-cache", "-r", fixture.path().to_str().unwrap(), "prune"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Alone, or its stop would be ours.
        .process_group(0)
        .spawn()
        .expect("these tests need stock restic")
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn an_exclusive_lock_of_restic_refuses_us() {
    let fixture = Fixture::new();
    fixture.backup(&shapes()).unwrap();
    let mut restic = restic_with_exclusive_lock(&fixture);
    let refused = fixture.repository.lock_shared(&holder(), &Clock::System).err().unwrap();
    match refused {
        RepositoryError::Locked { holder } => {
            assert_eq!((holder.exclusive, holder.pid), (true, restic.id()));
            assert!(holder.age_by_holder.is_some() && holder.age_by_storage.is_some());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.repository.unlock_stale(&holder().hostname, &Clock::System).unwrap(), []);
    signal(&restic, Signal::CONT);
    assert!(restic.wait().unwrap().success());
    fixture.lock().release().unwrap();
}

/// While a mount is away for a moment, a lock can be neither refreshed nor deleted: the process that had it lives on.
#[test]
fn a_lock_that_could_not_be_released_does_not_stand_in_its_own_way() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let away = fixture.path().with_extension("away");
    std::fs::rename(fixture.path(), &away).unwrap();
    assert!(lock.release().is_err());
    std::fs::rename(&away, fixture.path()).unwrap();
    assert_eq!(fixture.objects("locks").len(), 1);
    let live = fixture.lock();
    let exclusive = || fixture.repository.lock_exclusive(&holder(), &Clock::System);
    assert!(matches!(exclusive().err().unwrap(), RepositoryError::Locked { .. }), "one that is held");
    live.release().unwrap();
    exclusive().unwrap().release().unwrap();
    assert!(fixture.objects("locks").is_empty());
}

/// A repository whose storage can be told to fail; the waits of its locks take no time.
struct Failing {
    store: Arc<Hooked<Arc<MemoryStore>>>,
    memory: Arc<MemoryStore>,
    repository: Repository,
    clock: Clock,
}

impl Failing {
    fn new() -> Self {
        let memory = Arc::new(MemoryStore::default());
        let store = Arc::new(Hooked::new(Arc::clone(&memory)));
        let (repository, _) =
            Repository::init(Box::new(Arc::clone(&store)), &password(), &init_options()).unwrap();
        Self { store, memory, repository, clock: Clock::Manual(ManualClock::at(Timestamp::now())) }
    }

    fn lock(&self, exclusive: bool) -> grap_repository::Result<grap_repository::Lock> {
        if exclusive {
            self.repository.lock_exclusive(&holder(), &self.clock)
        } else {
            self.repository.lock_shared(&holder(), &self.clock)
        }
    }

    fn locks(&self) -> Vec<LockInfo> {
        self.repository.locks(&holder().hostname, &self.clock).unwrap()
    }

    /// No lock can be deleted.
    fn deny_deletes(&self) {
        self.store.before(|_, call, name| match call {
            ObjectCall::Delete if name.starts_with("locks/") => Err(denied(call, name)),
            _ => Ok(()),
        });
    }

    fn work(&self) {
        self.store.before(|_, _, _| Ok(()));
    }

    /// One lock is left: this process, which lives, could not delete it. It stands in nobody's way here.
    #[track_caller]
    fn assert_one_left(&self) {
        self.work();
        let states: Vec<LockState> = self.locks().into_iter().map(|lock| lock.state).collect();
        assert_eq!(states, [LockState::Stale(StaleReason::Left)]);
        self.lock(true).unwrap().release().unwrap();
        assert_eq!(self.locks(), []);
    }
}

fn denied(call: ObjectCall, name: &str) -> ObjectError {
    ObjectError::Denied { call, name: name.to_owned(), source: "not yours".into() }
}

fn broken(call: ObjectCall, name: &str) -> ObjectError {
    ObjectError::failed(call, name, "broken")
}

#[test]
fn a_lock_that_the_storage_does_not_let_us_delete_counts_no_more() {
    let failing = Failing::new();
    let lock = failing.lock(false).unwrap();
    failing.deny_deletes();
    let told = lock.release().unwrap_err();
    assert!(matches!(told, RepositoryError::Object(ObjectError::Denied { .. })), "{told:?}");
    // Nor while it still cannot be deleted.
    failing.lock(true).unwrap().release().unwrap_err();
    let found = failing.locks();
    assert!(found.len() == 2 && found.iter().all(|lock| lock.state != LockState::Held), "{found:?}");
    failing.work();
    assert_eq!(failing.repository.unlock_stale(&holder().hostname, &failing.clock).unwrap().len(), 2);
}

#[test]
fn the_old_lock_that_a_refresh_could_not_delete_is_nobodys() {
    for error in [broken, denied] {
        let failing = Failing::new();
        let lock = failing.lock(false).unwrap();
        let old = lock.name();
        failing.store.before(move |_, call, name| match call {
            ObjectCall::Delete if name == old => Err(error(call, name)),
            _ => Ok(()),
        });
        lock.refresh().unwrap();
        lock.assert_fresh().unwrap();
        lock.release().unwrap();
        failing.assert_one_left();
    }
}

#[test]
fn the_new_lock_behind_a_lost_one_is_nobodys_and_the_loss_is_told() {
    for error in [broken, denied] {
        let failing = Failing::new();
        let lock = failing.lock(false).unwrap();
        let old = lock.name();
        failing.memory.delete(&old).unwrap();
        failing.store.before(move |_, call, name| match call {
            ObjectCall::Delete if name != old => Err(error(call, name)),
            _ => Ok(()),
        });
        let told = lock.refresh().unwrap_err();
        assert!(matches!(told, RepositoryError::LockGone { .. }), "{told:?}");
        drop(lock);
        failing.assert_one_left();
    }
}

#[test]
fn a_lock_that_gave_way_and_could_not_be_deleted_is_nobodys_and_the_first_error_is_told() {
    for error in [broken, denied] {
        let failing = Failing::new();
        // The second look, behind the put of our own.
        failing.store.before(move |at, call, name| match call {
            ObjectCall::List if at > 1 => Err(broken(call, name)),
            ObjectCall::Delete => Err(error(call, name)),
            _ => Ok(()),
        });
        let told = failing.lock(true).err().unwrap();
        let RepositoryError::Object(ObjectError::Failed { call, .. }) = told else { panic!("{told:?}") };
        assert_eq!(call, ObjectCall::List);
        failing.assert_one_left();
    }
}

/// The answer to its put got lost, and it is there.
#[test]
fn a_lock_whose_put_failed_is_taken_back_or_nobodys() {
    for deletes in [true, false] {
        let failing = Failing::new();
        let memory = Arc::clone(&failing.memory);
        failing.store.before(move |_, call, name| match call {
            ObjectCall::Put => {
                memory.put(name, &[b"half"]).unwrap();
                Err(broken(call, name))
            }
            ObjectCall::Delete if !deletes => Err(broken(call, name)),
            _ => Ok(()),
        });
        let told = failing.lock(true).err().unwrap();
        let RepositoryError::Object(ObjectError::Failed { call, .. }) = told else { panic!("{told:?}") };
        assert_eq!(call, ObjectCall::Put);
        if deletes {
            assert_eq!(failing.memory.list("locks").unwrap(), []);
        } else {
            failing.assert_one_left();
        }
    }
}

/// Of two that find a lock that was left, one deletes it between the other's get and its judgement.
#[test]
fn a_left_lock_that_is_deleted_while_it_is_judged_is_not_held() {
    let failing = Failing::new();
    let lock = failing.lock(false).unwrap();
    failing.deny_deletes();
    lock.release().unwrap_err();
    failing.work();
    let other = Repository::open(Box::new(Arc::clone(&failing.memory)), &password()).unwrap();
    let clock = failing.clock.clone();
    failing.store.after(move |_, call, name| {
        if call == ObjectCall::Get && name.starts_with("locks/") {
            assert_eq!(other.unlock_stale(&holder().hostname, &clock).unwrap().len(), 1);
        }
    });
    failing.lock(true).unwrap().release().unwrap();
}

#[test]
fn a_lock_of_a_killed_restic_is_stale_once_it_missed_its_refresh() {
    let fixture = Fixture::new();
    fixture.backup(&shapes()).unwrap();
    let mut restic = restic_with_exclusive_lock(&fixture);
    restic.kill().unwrap();
    restic.wait().unwrap();
    let refused = fixture.repository.lock_shared(&holder(), &Clock::System);
    assert!(matches!(refused.err().unwrap(), RepositoryError::Locked { .. }));
    let object = fixture.path().join(&fixture.objects("locks")[0]);
    let minutes_ago = Timestamp::now() - Duration::from_mins(11);
    grap_disk::set_times(&object, minutes_ago.as_nanosecond()).unwrap();
    fixture.lock().release().unwrap();
    assert!(fixture.objects("locks").is_empty());
}

#[test]
fn our_locks_refuse_restic() {
    let fixture = Fixture::new();
    fixture.backup(&shapes()).unwrap();
    let shared = fixture.lock();
    assert!(!fixture.restic(&["prune"]).status.success());
    fixture.restic_ok(&["backup", "/etc/hostname"]);
    shared.release().unwrap();
    let exclusive = fixture.repository.lock_exclusive(&holder(), &Clock::System).unwrap();
    assert!(!fixture.restic(&["backup", "/etc/hostname"]).status.success());
    drop(exclusive);
    fixture.restic_ok(&["prune"]);
    assert!(fixture.objects("locks").is_empty());
}

#[test]
fn shared_locks_live_together_and_exclusive_ones_alone() {
    let fixture = Fixture::new();
    let lock = |exclusive| {
        let (holder, clock) = (holder(), Clock::System);
        if exclusive {
            fixture.repository.lock_exclusive(&holder, &clock)
        } else {
            fixture.repository.lock_shared(&holder, &clock)
        }
    };
    let shared = [lock(false).unwrap(), lock(false).unwrap()];
    assert!(matches!(lock(true).err(), Some(RepositoryError::Locked { .. })));
    drop(shared);
    let exclusive = lock(true).unwrap();
    assert!(matches!(lock(false).err(), Some(RepositoryError::Locked { .. })));
    assert!(matches!(lock(true).err(), Some(RepositoryError::Locked { .. })));
    drop(exclusive);
    assert!(fixture.objects("locks").is_empty());
}

#[test]
fn of_many_that_come_at_once_at_most_one_gets_in() {
    let fixture = Fixture::new();
    for _ in 0..3 {
        let locks = std::thread::scope(|scope| {
            let lock = || fixture.repository.lock_exclusive(&holder(), &Clock::System).ok();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(lock)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(locks.len() <= 1);
    }
    assert!(fixture.objects("locks").is_empty());
}

#[test]
fn a_refresh_leaves_one_lock_and_notices_that_the_old_one_was_removed() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let before = lock.name();
    lock.refresh().unwrap();
    assert_ne!(lock.name(), before);
    assert_eq!(fixture.objects("locks"), [lock.name()]);
    lock.assert_fresh().unwrap();
    fixture.repository.store().delete(&lock.name()).unwrap();
    assert!(matches!(lock.assert_fresh(), Err(RepositoryError::LockGone { .. })));
    assert!(matches!(lock.refresh(), Err(RepositoryError::LockGone { .. })));
    assert!(fixture.objects("locks").is_empty());
    assert!(matches!(lock.assert_fresh(), Err(RepositoryError::LockGone { .. })));
}

#[test]
fn a_lock_that_was_not_refreshed_is_not_relied_on() {
    let fixture = Fixture::new();
    let clock = ManualClock::at(Timestamp::now());
    let lock = fixture.repository.lock_shared(&holder(), &Clock::Manual(clock.clone())).unwrap();
    // Only the boot clock counts: the wall clock may be set meanwhile.
    clock.step_wall(Timestamp::UNIX_EPOCH);
    clock.advance(Duration::from_mins(24));
    lock.assert_fresh().unwrap();
    clock.advance(Duration::from_mins(1));
    assert!(matches!(lock.assert_fresh(), Err(RepositoryError::LockStale { .. })));
    lock.refresh().unwrap();
    lock.assert_fresh().unwrap();
}

#[test]
fn a_lock_of_a_killed_process_of_this_host_is_removed_at_once() {
    let fixture = Fixture::new();
    let status = helper(&fixture, &[], "locks::die_with_an_exclusive_lock").status();
    assert!(!status.unwrap().success());
    let clock = Clock::System;
    let locks = fixture.repository.locks(&holder().hostname, &clock).unwrap();
    assert_eq!(locks[0].state, LockState::Stale(StaleReason::ProcessDead));
    fixture.lock().release().unwrap();
    assert!(fixture.objects("locks").is_empty());
}

/// restic asks whether a process lives by sending it SIGHUP: whoever holds a lock has to ignore that signal.
#[test]
fn restic_unlock_leaves_a_live_lock_and_removes_a_dead_one() {
    let fixture = Fixture::new();
    let mut holder = helper(&fixture, &["nohup"], "locks::hold_a_lock_until_told");
    let mut holder = holder.stdin(Stdio::piped()).spawn().unwrap();
    while fixture.objects("locks").is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    fixture.restic_ok(&["unlock"]);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success(), "the holder found its lock gone");

    let status = helper(&fixture, &[], "locks::die_with_an_exclusive_lock").status();
    assert!(!status.unwrap().success());
    assert_eq!(fixture.objects("locks").len(), 1);
    fixture.restic_ok(&["unlock"]);
    assert!(fixture.objects("locks").is_empty());
}

/// Another process, which runs one of the ignored tests below.
fn helper(fixture: &Fixture, before: &[&str], test: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let words = before.iter().map(std::ffi::OsStr::new).chain([this.as_os_str()]);
    let words: Vec<_> = words.collect();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["--exact", test, "--ignored"])
        .env("GRAP_TEST_REPOSITORY", fixture.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn repository_of_helper() -> Repository {
    let path = std::env::var_os("GRAP_TEST_REPOSITORY").unwrap();
    Repository::open(Box::new(LocalStore::open(path)), &password()).unwrap()
}

#[test]
#[ignore = "dies: run by other tests"]
fn die_with_an_exclusive_lock() {
    let _lock = repository_of_helper().lock_exclusive(&holder(), &Clock::System).unwrap();
    std::process::abort();
}

#[test]
#[ignore = "waits: run by another test"]
fn hold_a_lock_until_told() {
    let lock = repository_of_helper().lock_shared(&holder(), &Clock::System).unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
    lock.assert_fresh().unwrap();
    lock.release().unwrap();
}
