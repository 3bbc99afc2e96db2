//! The process that holds the lock of the stores, by a descriptor of it: what is signalled, and waited for, is that process
//! and no later one of its number.

use std::path::Path;
use std::time::Duration;

use grap_disk::DiskError;
use grap_task::{Clock, Stop};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::StoresLock;

const POLL: Duration = Duration::from_millis(5);
/// A killed process is gone in no time, unless it hangs in the kernel.
const END_LIMIT: Duration = Duration::from_secs(5);
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[derive(Debug)]
pub struct Owner {
    pid: u32,
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
        // The descriptor is that of the holder only if that pid still holds the lock now that it is open.
        let still = StoresLock::holder(data)?.and_then(|holder| holder.pid) == Some(pid);
        Ok(still.then_some(Self { pid, process }))
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

    /// The descriptor of a process can be read when all of it has ended, whether or not its parent has asked after it.
    pub fn is_there(&self) -> bool {
        let mut ended = [PollFd::new(&self.process, PollFlags::IN)];
        // Where it cannot be told the process counts as there: nothing may be begun in its place.
        !matches!(poll(&mut ended, Some(&NOW)), Ok(1..))
    }
}
