//! Processes of an instance whose owner is dead, found by the id in their command line and ended.
//!
//! A process id alone names nobody for long. So a process is held by a descriptor first, then its command line is read,
//! and the signal goes to the descriptor: to that process or to none.

use std::path::Path;
use std::time::Duration;

use grap_disk as disk;
use grap_task::{Clock, Stop};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::ServerError;
use super::process::mark;

const PROC: &str = "/proc";
const COMMAND_LINE_MAX: u64 = 1 << 20;
/// A killed process is gone in no time, unless it hangs in the kernel.
const END_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// A process of an instance.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) pid: u32,
    process: OwnedFd,
}

/// Everything that runs for this instance.
pub(super) fn processes(id: &str) -> Result<Vec<Left>, ServerError> {
    let mark = mark(id);
    let names = disk::list(Path::new(PROC))?.unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.parse::<u32>().ok());
    Ok(pids.filter(|pid| *pid != std::process::id()).filter_map(|pid| of_instance(pid, &mark)).collect())
}

/// `None` for a process that is another's, that may not be looked at, or that has ended.
fn of_instance(pid: u32, mark: &str) -> Option<Left> {
    let id = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let process = pidfd_open(id, PidfdFlags::empty()).ok()?;
    let line = disk::read(&Path::new(PROC).join(pid.to_string()).join("cmdline"), COMMAND_LINE_MAX).ok()?;
    let ours = line.split(|byte| *byte == 0).any(|argument| argument == mark.as_bytes());
    ours.then_some(Left { pid, process })
}

/// End them, and see that they are gone. `path` is for the error.
pub(crate) fn end_processes(id: &str, path: &Path, clock: &Clock) -> Result<usize, ServerError> {
    let begun = clock.since_boot();
    let mut ended = 0;
    loop {
        let left = processes(id)?;
        let Some(first) = left.first() else { return Ok(ended) };
        if clock.since_boot().saturating_sub(begun) > END_LIMIT {
            return Err(ServerError::Lingers { pid: first.pid, path: path.to_owned() });
        }
        for process in &left {
            // One that has ended meanwhile needs no signal.
            ended += usize::from(pidfd_send_signal(&process.process, Signal::KILL).is_ok());
        }
        clock.wait(POLL, &Stop::new());
    }
}
