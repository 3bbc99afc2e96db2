//! The server's processes: a group of their own, and whatever else is handed to us when its parent ends.
//!
//! We are process 1 of a container, or say that we take orphans (`PR_SET_CHILD_SUBREAPER`): so no dead process of the server
//! stays unasked for, and we learn when the last one has ended, of its group or not (`setsid`). They outlive us: should this
//! program break, the database goes on.
//!
//! What was our child before the first start (of a script that became us) is none of the server's, and is let be.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use grap_disk as disk;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, set_child_subreaper,
    test_kill_process_group, wait,
};

const TASKS: &str = "/proc/self/task";
const LIST_MAX: u64 = 1 << 20;

/// The processes of one start.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    ended: Option<u8>,
    /// Children of ours that were there before anything was started.
    before: Vec<Pid>,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Runs,
    /// The process that was started has ended; others of its group, or that it has handed to us, are there.
    Headless,
    /// With the status of the process that was started.
    Over(u8),
}

pub(super) fn take_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Of all our threads. A kernel that does not list them leaves us with the group alone.
pub(super) fn children() -> Vec<Pid> {
    let tasks = disk::list(Path::new(TASKS)).ok().flatten().unwrap_or_default();
    let of_task = |task: String| {
        let text = disk::read(&Path::new(TASKS).join(task).join("children"), LIST_MAX).unwrap_or_default();
        let pids = String::from_utf8_lossy(&text).into_owned();
        pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>()
    };
    tasks.into_iter().flat_map(of_task).collect()
}

impl Group {
    pub(super) fn start(command: &[OsString], before: &[Pid]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let child = Command::new(program).args(arguments).process_group(0).spawn()?;
        Ok(Self { leader: Pid::from_child(&child), ended: None, before: before.to_vec() })
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// To every process of the group. One that has ended meanwhile needs none. Those that left it are told by the process
    /// that was started; when that has ended they are ours, and told by us.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.leader, signal);
        if self.ended.is_some() || signal == Signal::KILL {
            for stray in self.strays() {
                let _ = kill_process(stray, signal);
            }
        }
    }

    /// Nobody else asks after our children: their numbers are theirs until we have.
    fn strays(&self) -> Vec<Pid> {
        let theirs = |pid: &Pid| *pid != self.leader && !self.before.contains(pid);
        children().into_iter().filter(theirs).collect()
    }

    /// Once it is over the number of the group is nobody's any more.
    pub(super) fn fate(&self) -> Fate {
        match self.ended {
            None => Fate::Runs,
            // A dead process that was not asked for counts, too: all of them come to us.
            Some(_) if test_kill_process_group(self.leader).is_ok() || !self.strays().is_empty() => {
                Fate::Headless
            }
            Some(status) => Fate::Over(status),
        }
    }
}

/// Ask for every process that has ended. How many of them were orphans.
pub(super) fn reap(group: &mut Option<Group>) -> usize {
    let mut orphans = 0;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        match group {
            Some(group) if group.leader == pid => group.ended = Some(exit_status(status)),
            _ => orphans += 1,
        }
    }
    orphans
}

/// As a shell says it: of a process that a signal has ended 128 and the signal.
fn exit_status(status: WaitStatus) -> u8 {
    let number = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(1)
}
