//! The processes of an instance: a group of their own, which ends with us however we end.
//!
//! A shell starts a *watcher* beside itself and then becomes the server, which leads the group. The watcher reads from a
//! pipe whose other end only we hold, and ends the whole group when the pipe ends: that is when we drop it, or when the
//! kernel closes it because we are no more (SIGKILL, out of memory). Nobody writes to that pipe.
//!
//! Beside the live database it is the lesser one: it is nice, and where memory runs out the kernel takes it first.
//!
//! The group has no terminal's signals: Ctrl-C reaches us alone, and we decide. Should somebody end the watcher, too,
//! the next run finds what is left by the id in its command line: [`super::left`].

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use grap_task::{Clock, Stop};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, setpriority_process};

use super::ServerError;

/// `$0` says whose it is; `$1` is where the server's output goes; the rest is the server.
const SCRIPT: &str = r#"
log=$1; shift
exec 3<&0 </dev/null
( read -r _ <&3; kill -s KILL 0 ) &
{ echo 800 >/proc/self/oom_score_adj; } 2>/dev/null
exec "$@" >"$log" 2>&1 3<&-
"#;

const POLL: Duration = Duration::from_millis(20);
const NICENESS: i32 = 10;

/// What every process of an instance has in its command line.
pub(super) fn mark(id: &str) -> String {
    format!("-Dgrap.instance={id}")
}

#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Child,
    /// Once it is known, the id is nobody's any more.
    ended: Option<ExitStatus>,
}

impl ProcessGroup {
    /// `command` is a program and its arguments, our [`mark`] among them. It sees none of our variables.
    pub(super) fn start(command: &[&OsStr], directory: &Path, log: &Path) -> Result<Self, ServerError> {
        let leader = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "grap-instance"])
            .arg(log)
            .args(command)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(ServerError::Spawn)?;
        // The shell has no threads yet; the server's inherit it. Where it may not be said, it is as nice as we are.
        let _ = setpriority_process(Some(Pid::from_child(&leader)), NICENESS);
        Ok(Self { leader, ended: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.id()
    }

    /// How the server ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            // A child that cannot be asked any more is gone.
            self.ended = self.leader.try_wait().ok().flatten();
        }
        self.ended
    }

    /// SIGTERM, and as long as `limit` for the server to put its files in order. `None`: it did not.
    pub(super) fn terminate(&mut self, limit: Duration, clock: &Clock) -> Option<ExitStatus> {
        let begun = clock.since_boot();
        if self.ended().is_none() {
            // It is not waited for yet: the id is still its own.
            let _ = kill_process(Pid::from_child(&self.leader), Signal::TERM);
        }
        // A stop that was asked for must not cut short the very thing that it asks for.
        let uncalled = Stop::new();
        while self.ended().is_none() && clock.since_boot().saturating_sub(begun) < limit {
            clock.wait(POLL, &uncalled);
        }
        self.ended()
    }

    /// Ends everything in the group, and waits for the server's end.
    pub(super) fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process_group(Pid::from_child(&self.leader), Signal::KILL);
            self.ended = self.leader.wait().ok();
        }
        // Where the server had ended before, the watcher ends by this.
        drop(self.leader.stdin.take());
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::left::{end_processes, processes};

    fn sleeper(id: &str) -> (tempfile::TempDir, ProcessGroup) {
        let folder = tempfile::tempdir().unwrap();
        let mark = mark(id);
        // The mark is an argument that the program does not mind.
        let command = ["/bin/sh", "-c", "sleep 100; :", &mark].map(OsStr::new);
        let group = ProcessGroup::start(&command, folder.path(), &folder.path().join("log")).unwrap();
        // A process that has just begun has no command line for a moment.
        while processes(id).unwrap().is_empty() {
            Clock::System.wait(POLL, &Stop::new());
        }
        (folder, group)
    }

    fn eventually_none(id: &str) {
        for _ in 0..500 {
            if processes(id).unwrap().is_empty() {
                return;
            }
            Clock::System.wait(POLL, &Stop::new());
        }
        panic!("{:?} are left", processes(id).unwrap());
    }

    #[test]
    fn a_group_that_is_dropped_leaves_nothing() {
        let id = "test-dropped-4f1c";
        let (_folder, group) = sleeper(id);
        drop(group);
        eventually_none(id);
    }

    #[test]
    fn the_watcher_ends_the_group_when_the_pipe_ends() {
        let id = "test-watched-4f1c";
        let (_folder, mut group) = sleeper(id);
        // What the kernel does when we are no more.
        drop(group.leader.stdin.take());
        eventually_none(id);
        // One that is ending has no command line any more, a moment before it has ended.
        assert!(group.leader.wait().is_ok());
    }

    #[test]
    fn what_is_left_is_found_by_its_id_and_ended() {
        let id = "test-left-4f1c";
        let (folder, mut group) = sleeper(id);
        let (_other_folder, mut other) = sleeper("test-other-4f1c");
        end_processes(id, folder.path(), &Clock::System).unwrap();
        assert!(group.leader.wait().is_ok());
        eventually_none(id);
        assert!(other.ended().is_none());
    }

    #[test]
    fn the_server_gets_no_variable_of_ours_and_is_the_first_to_go() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let command = ["/bin/sh", "-c", "env; cat /proc/self/oom_score_adj"].map(OsStr::new);
        let mut group = ProcessGroup::start(&command, folder.path(), &log).unwrap();
        while group.ended().is_none() {
            Clock::System.wait(POLL, &Stop::new());
        }
        let said = String::from_utf8(grap_disk::read(&log, 1 << 16).unwrap()).unwrap();
        assert!(said.contains("LANG=C.UTF-8") && !said.contains("CARGO"), "{said}");
        assert!(said.ends_with("\n800\n"), "{said}");
    }
}
