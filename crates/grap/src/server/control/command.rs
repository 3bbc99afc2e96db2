//! A command for sh that runs beside us, and what it says.
//!
//! What it says goes into a piece of memory of a fixed size, not into a pipe: nobody has to read it while the command runs,
//! and a server that a start command leaves behind with our descriptor still open neither blocks on it, nor is killed by
//! it when we are gone, nor fills anything: what has no more room is refused.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

/// Of what it says the first part is kept, and of that the last lines are told.
const SAID_MAX: usize = 64 << 10;
const LINES_TOLD: usize = 5;

#[derive(Debug)]
pub(super) struct RunningCommand {
    pub(super) text: String,
    child: Child,
    said: OwnedFd,
    ended: Option<ExitStatus>,
}

impl RunningCommand {
    /// In a process group of its own: Ctrl-C reaches us alone, and we decide.
    pub(super) fn start(text: &str) -> io::Result<Self> {
        let said = memory()?;
        let child = Command::new("sh")
            .args(["-c", text])
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?)
            .process_group(0)
            .spawn()?;
        Ok(Self { text: text.to_owned(), child, said, ended: None })
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Its last words, in one line.
    pub(super) fn said(&self) -> String {
        let mut bytes = vec![0; SAID_MAX];
        let length = rustix::io::pread(&self.said, &mut bytes, 0).unwrap_or(0);
        bytes.truncate(length);
        let text = String::from_utf8_lossy(&bytes).replace('\0', "");
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match &lines[lines.len().saturating_sub(LINES_TOLD)..] {
            [] => "it said nothing".to_owned(),
            last => last.join("; "),
        }
    }

    /// With all that it has started and not put elsewhere.
    pub(super) fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            self.ended = self.child.wait().ok();
        }
    }
}

fn memory() -> rustix::io::Result<OwnedFd> {
    let memory = memfd_create("grap-command", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, SAID_MAX as u64)?;
    fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grap_task::{Clock, Stop};

    use super::*;

    fn run(text: &str) -> (i32, String) {
        let mut command = RunningCommand::start(text).unwrap();
        let status = loop {
            if let Some(status) = command.ended() {
                break status;
            }
            Clock::System.wait(Duration::from_millis(5), &Stop::new());
        };
        (status.code().unwrap_or(-1), command.said())
    }

    #[test]
    fn what_a_command_says_is_known_and_too_much_of_it_blocks_nobody() {
        assert_eq!(run("echo one; echo two >&2; exit 3"), (3, "one; two".to_owned()));
        assert_eq!(run(":"), (0, "it said nothing".to_owned()));
        let (status, said) = run("head -c 200000 /dev/zero | tr '\\0' x; echo end");
        assert_eq!(status, 1, "echo meets the end of the room: {said:.100}");
        assert!(said.starts_with("xxx"), "{said:.100}");
    }

    #[test]
    fn a_kill_takes_along_what_it_has_started() {
        let mut command = RunningCommand::start("sleep 100 & echo $!; wait").unwrap();
        let child = loop {
            if let Ok(pid) = command.said().parse::<u32>() {
                break pid;
            }
            Clock::System.wait(Duration::from_millis(5), &Stop::new());
        };
        assert!(grap_disk::process_start(child).unwrap().is_some());
        command.kill();
        let state = |pid: u32| {
            let text = grap_disk::read(std::path::Path::new(&format!("/proc/{pid}/stat")), 4096);
            text.map_or(true, |text| String::from_utf8_lossy(&text).contains(") Z"))
        };
        while !state(child) {
            Clock::System.wait(Duration::from_millis(5), &Stop::new());
        }
    }
}
