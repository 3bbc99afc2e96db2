//! Is the holder of a lock dead? Only proof counts: a live lock is never removed, whatever the clocks say.
//!
//! - A lock of Grap names its boot, pid namespace and process. In the same boot and namespace the kernel is
//!   asked: the process runs, or it is dead.
//! - A lock that this process itself was done with, and could not delete, is left: its process lives, and it is
//!   nobody's all the same. Other processes cannot tell it from a live one.
//! - A lock of this host name without that (restic's): its pid must be dead *and* it must have missed its
//!   refresh by the storage's clock. A dead pid alone proves nothing: two containers may share the name.
//! - Any other lock is stale when it was not refreshed for 30 minutes by both clocks: the storage's, which
//!   compares two objects of its own and so does not care how wrong the holder's clock is; and ours against
//!   the holder's. Without a storage clock nothing is proved, and an operator decides.

use std::path::Path;

use jiff::Timestamp;
use rand::RngCore;
use rustix::process::{Pid, test_kill_process};

use crate::format::lock::{LockFile, Process};
use crate::repository::Inner;

/// Seconds without a refresh, by both clocks, after which a lock is dead.
const STALE_AFTER: i64 = 30 * 60;
/// Seconds by the storage's clock in which a live lock was refreshed at least once.
const REFRESH_MISSED_AFTER: i64 = 10 * 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// Or not provably dead.
    Held,
    Stale(StaleReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleReason {
    /// The process that held it runs no more on this host.
    ProcessDead,
    /// This process was done with it, and could not delete it then.
    Left,
    /// Not refreshed for 30 minutes, by the storage's clock and by the holder's.
    NotRefreshed,
}

/// `None` for a lock that cannot be read.
pub(super) fn judge(
    lock: Option<&LockFile>,
    hostname: &str,
    age_by_holder: Option<i64>,
    age_by_storage: Option<i64>,
) -> LockState {
    let older = |age: Option<i64>, than: i64| age.is_some_and(|age| age > than);
    if let Some(lock) = lock {
        let dead = match (&lock.grap, this_process()) {
            (Some(theirs), Some(ours)) if theirs.boot == ours.boot && theirs.namespace == ours.namespace => {
                return if runs(lock.pid, Some(theirs.started)) {
                    LockState::Held
                } else {
                    LockState::Stale(StaleReason::ProcessDead)
                };
            }
            (Some(_), _) => false,
            (None, _) => lock.hostname == hostname && !runs(lock.pid, None),
        };
        if dead && older(age_by_storage, REFRESH_MISSED_AFTER) {
            return LockState::Stale(StaleReason::ProcessDead);
        }
    }
    let holder_agrees = lock.is_none() || older(age_by_holder, STALE_AFTER);
    if holder_agrees && older(age_by_storage, STALE_AFTER) {
        LockState::Stale(StaleReason::NotRefreshed)
    } else {
        LockState::Held
    }
}

/// The identity of this process; `None` without `/proc`.
pub(super) fn this_process() -> Option<Process> {
    let boot = grap_disk::read(Path::new("/proc/sys/kernel/random/boot_id"), 1 << 10).ok()?;
    let namespace = grap_disk::stat(Path::new("/proc/self/ns/pid")).ok()??;
    Some(Process {
        boot: String::from_utf8(boot).ok()?.trim().to_owned(),
        namespace: format!("{}:{}", namespace.device, namespace.inode),
        started: started(std::process::id())?,
    })
}

/// Whether the process runs. Doubt counts as yes.
fn runs(pid: u32, started_then: Option<u64>) -> bool {
    let Some(known) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    if test_kill_process(known) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    match (started_then, started(pid)) {
        (Some(then), Some(now)) => then == now,
        _ => true,
    }
}

/// When a process started: field 22 of its `stat`, counted after the name, which may contain anything.
fn started(pid: u32) -> Option<u64> {
    let stat = grap_disk::read(Path::new(&format!("/proc/{pid}/stat")), 1 << 16).ok()?;
    let text = String::from_utf8_lossy(&stat);
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// What time the storage has: that of an object put now. `None` where it cannot be told.
pub(super) fn storage_now(inner: &Inner) -> Option<Timestamp> {
    let name = format!("grap/probe/{:016x}", rand::rng().next_u64());
    inner.store.put(&name, &[b"what time is it?"]).ok()?;
    let found = inner.store.list("grap/probe").ok();
    let _ = inner.store.delete(&name);
    found?.into_iter().find(|info| info.name == name)?.modified
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Option<i64> = Some(3600);

    fn lock(change: impl FnOnce(&mut LockFile)) -> LockFile {
        let mut lock = LockFile {
            time: Timestamp::UNIX_EPOCH,
            exclusive: false,
            hostname: "here".to_owned(),
            username: String::new(),
            pid: std::process::id(),
            uid: 0,
            gid: 0,
            grap: this_process(),
        };
        change(&mut lock);
        lock
    }

    /// A pid that no process has.
    fn dead_pid() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn our_own_process_is_alive_however_old_its_lock() {
        assert_eq!(judge(Some(&lock(|_| ())), "here", HOUR, HOUR), LockState::Held);
    }

    #[test]
    fn a_pid_taken_by_another_process_is_seen_through() {
        let reused = lock(|lock| lock.grap.as_mut().unwrap().started += 1);
        assert_eq!(judge(Some(&reused), "here", Some(0), None), LockState::Stale(StaleReason::ProcessDead));
    }

    #[test]
    fn a_dead_pid_of_another_namespace_or_boot_proves_nothing() {
        let changes: [fn(&mut Process); 2] =
            [|process| process.boot = "another".to_owned(), |process| process.namespace = "4:1".to_owned()];
        for change in changes {
            let other = lock(|lock| {
                lock.pid = dead_pid();
                change(lock.grap.as_mut().unwrap());
            });
            assert_eq!(judge(Some(&other), "here", Some(60), Some(60)), LockState::Held);
            assert_eq!(judge(Some(&other), "here", HOUR, HOUR), LockState::Stale(StaleReason::NotRefreshed));
        }
    }

    #[test]
    fn a_lock_of_restic_needs_a_dead_pid_and_a_missed_refresh() {
        let dead = lock(|lock| (lock.pid, lock.grap) = (dead_pid(), None));
        assert_eq!(judge(Some(&dead), "here", Some(700), Some(60)), LockState::Held);
        assert_eq!(judge(Some(&dead), "elsewhere", Some(700), Some(700)), LockState::Held);
        let stale = LockState::Stale(StaleReason::ProcessDead);
        assert_eq!(judge(Some(&dead), "here", Some(700), Some(700)), stale);
        let alive = lock(|lock| lock.grap = None);
        assert_eq!(judge(Some(&alive), "here", Some(700), Some(700)), LockState::Held);
    }

    #[test]
    fn a_wrong_clock_alone_never_makes_a_lock_stale() {
        let other = lock(|lock| (lock.hostname, lock.grap) = ("elsewhere".to_owned(), None));
        // The holder's clock is two hours back; the storage saw the refresh a minute ago.
        assert_eq!(judge(Some(&other), "here", Some(7260), Some(60)), LockState::Held);
        // The storage's clock jumped; the holder's agrees with ours.
        assert_eq!(judge(Some(&other), "here", Some(60), Some(7260)), LockState::Held);
        // No storage clock: no proof.
        assert_eq!(judge(Some(&other), "here", Some(7260), None), LockState::Held);
        assert_eq!(judge(Some(&other), "here", HOUR, HOUR), LockState::Stale(StaleReason::NotRefreshed));
    }

    #[test]
    fn a_lock_that_cannot_be_read_is_held_until_the_storage_says_it_is_old() {
        assert_eq!(judge(None, "here", None, Some(60)), LockState::Held);
        assert_eq!(judge(None, "here", None, HOUR), LockState::Stale(StaleReason::NotRefreshed));
    }
}
