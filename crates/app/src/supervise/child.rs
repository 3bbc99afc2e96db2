//! The server's processes: a group of their own, and whatever else is handed to us when its parent ends.
//!
//! We are process 1 of a container, or say that we take orphans (`PR_SET_CHILD_SUBREAPER`): so no dead process of the server
//! stays unasked for, and we learn when the last one of its group has ended. They outlive us: should this program break,
//! the database goes on.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, set_child_subreaper,
    test_kill_process_group, wait,
};

/// The group of one start.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    ended: Option<u8>,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Runs,
    /// The process that was started has ended; others of its group are there.
    Headless,
    /// With the status of the process that was started.
    Over(u8),
}

pub(super) fn take_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

impl Group {
    pub(super) fn start(command: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let child = Command::new(program).args(arguments).process_group(0).spawn()?;
        Ok(Self { leader: Pid::from_child(&child), ended: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// To every process of the group. One that has ended meanwhile needs none.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.leader, signal);
    }

    /// Once it is over the number of the group is nobody's any more.
    pub(super) fn fate(&self) -> Fate {
        match self.ended {
            None => Fate::Runs,
            // A dead process that was not asked for counts, too: all of them come to us.
            Some(_) if test_kill_process_group(self.leader).is_ok() => Fate::Headless,
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
