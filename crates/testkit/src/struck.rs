//! A run of the program that is struck at the very call, by strace: no clock and no load of the machine has a say in it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Grap;
use crate::error::{Error, Result};
use crate::pitr::require;

const LIMIT: Duration = Duration::from_mins(5);

/// The n-th of these system calls on this path, or on any.
#[derive(Debug)]
pub struct Call {
    pub names: &'static str,
    pub path: Option<PathBuf>,
    pub number: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// The program ends before the call is made.
    Kill,
    /// The call is not made, and answers EIO.
    Fail,
}

/// Whether a process may be struck here: not everywhere may one trace another.
pub fn can_strike() -> Result<bool> {
    let mut sleep = Command::new("sleep");
    let child = sleep.arg("60").spawn().map_err(Error::file("start", "sleep"))?;
    let struck = Running { child };
    let call = Call { names: "fsync", path: None, number: 1 };
    let mut strace = Running { child: strace(struck.child.id(), &call, Does::Kill)? };
    Ok(has_attached(&mut strace.child))
}

/// Its stderr is kept open: who writes to a pipe that is closed dies of it.
fn has_attached(strace: &mut Child) -> bool {
    let Some(said) = strace.stderr.as_mut() else { return false };
    let mut lines = BufReader::new(said).lines().map_while(std::result::Result::ok);
    lines.any(|line| line.contains("attached"))
}

/// Run it, and strike it there; how it ended. What its children do is theirs.
pub fn struck(grap: &Grap, arguments: &[&str], call: &Call, does: Does) -> Result<ExitStatus> {
    let mut grap = Running::start(grap, arguments, &[])?;
    grap.signal(Signal::STOP);
    let mut strace = Running { child: strace(grap.child.id(), call, does)? };
    require(has_attached(&mut strace.child), || {
        "strace could not attach to grap: is ptrace allowed here?".to_owned()
    })?;
    grap.signal(Signal::CONT);
    grap.ended()
}

/// Whatever becomes another program is let go of.
fn strace(pid: u32, call: &Call, does: Does) -> Result<Child> {
    let Call { names, path, number } = call;
    let does = if does == Does::Kill { "signal=SIGKILL" } else { "error=EIO" };
    let mut strace = Command::new("strace");
    strace.args(["-f", "-b", "execve", "-o", "/dev/null", "-e", &format!("trace={names}")]);
    strace.args(["-e", &format!("inject={names}:{does}:when={number}"), "-p", &pid.to_string()]);
    if let Some(path) = path {
        strace.arg("-P").arg(path);
    }
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|_| {
        Error::Missing { what: "strace".to_owned(), try_command: "apt-get install strace".to_owned() }
    })
}

/// A run under way; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    pub(crate) fn start(grap: &Grap, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Ok(Self { child: grap.spawn_silent(arguments, environment)? })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It is ours, and not waited for: the id cannot be another's.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    pub(crate) fn ended(&mut self) -> Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(Error::file("wait for", "grap"))? {
                return Ok(status);
            }
            require(begun.elapsed() < LIMIT, || "grap does not end".to_owned())?;
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
