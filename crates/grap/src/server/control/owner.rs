//! The process that holds the lock of the stores, known well enough to be ended: by its pid, when it began, and a
//! descriptor of it.

use std::path::Path;
use std::time::Duration;

use grap_disk::{self as disk, DiskError};
use grap_task::{Clock, Stop};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::StoresLock;

const POLL: Duration = Duration::from_millis(5);
/// A killed process is gone in no time, unless it hangs in the kernel.
const END_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Owner {
    pid: u32,
    started: u64,
    process: OwnedFd,
}

impl Owner {
    /// `None` where nobody holds it, or a process of another pid namespace does.
    pub fn of(data: &Path) -> Result<Option<Self>, DiskError> {
        let Some(pid) = StoresLock::holder(data)?.and_then(|holder| holder.pid) else { return Ok(None) };
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(process) = raw.and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok()) else {
            return Ok(None);
        };
        let Some(started) = disk::process_start(pid)? else { return Ok(None) };
        // The descriptor is that of the holder only if that pid still holds the lock now that it is open.
        let still = StoresLock::holder(data)?.and_then(|holder| holder.pid) == Some(pid);
        Ok(still.then_some(Self { pid, started, process }))
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// That it may not be signalled, or has ended, is told by what it does.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// Its stores are final: what it still does is of no use. That it may not be killed, or has ended, is no failure.
    pub(super) fn end(&self, clock: &Clock) {
        let begun = clock.since_boot();
        self.signal(Signal::KILL);
        while self.is_there() && clock.since_boot().saturating_sub(begun) < END_LIMIT {
            clock.wait(POLL, &Stop::new());
        }
    }

    /// A dead one that its parent has not asked after yet counts as gone.
    pub fn is_there(&self) -> bool {
        let stat = format!("/proc/{}/stat", self.pid);
        let dead = || {
            let text = disk::read(Path::new(&stat), 1 << 16).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            text.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
        };
        disk::process_start(self.pid).ok().flatten() == Some(self.started) && !dead()
    }
}
