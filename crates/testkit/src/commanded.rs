//! A server that commands start and stop, as a service manager has them, with the program told so: for what stops and starts
//! the live server by itself.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::pitr::{eventually, require};
use crate::server::ServerBuilder;
use crate::{Distribution, Grap, Server, tree};

const LIMIT: Duration = Duration::from_mins(3);

/// Dropping it ends what runs of it.
#[derive(Debug)]
pub struct Commanded {
    folder: tempfile::TempDir,
    pub server: Server,
    pub grap: Grap,
    supervisor: Option<Child>,
}

fn auth(password: Option<&str>) -> String {
    password.map_or_else(|| "none".to_owned(), |password| format!("neo4j/{password}"))
}

impl Drop for Commanded {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = supervisor.kill();
            let _ = supervisor.wait();
        }
        // Its files go next.
        let _ = self.end_server(Signal::KILL, || Ok(()));
    }
}

impl Commanded {
    /// It runs, and has a repository; nothing is in either.
    pub fn start(binary: &Path, distribution: &Distribution) -> Result<Self> {
        Self::start_on(binary, distribution, None)
    }

    /// As [`start`](Self::start), with these settings of the server.
    pub fn start_with(binary: &Path, distribution: &Distribution, settings: &[(&str, &str)]) -> Result<Self> {
        Self::begin(Server::builder(distribution), binary, distribution, None, settings)
    }

    /// As [`start`](Self::start), with this password of user `neo4j`, and the program told so.
    pub fn start_with_password(binary: &Path, distribution: &Distribution, password: &str) -> Result<Self> {
        Self::begin(Server::builder(distribution).password(password), binary, distribution, None, &[])
    }

    /// As [`start`](Self::start), on a copy of this data directory.
    pub fn start_on(binary: &Path, distribution: &Distribution, data: Option<&Path>) -> Result<Self> {
        Self::begin(Server::builder(distribution), binary, distribution, data, &[])
    }

    fn begin(
        builder: ServerBuilder,
        binary: &Path,
        distribution: &Distribution,
        data: Option<&Path>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Error::file("make", "a scratch directory"))?;
        let home = folder.path().join("home");
        if let Some(data) = data {
            fs::create_dir(&home).map_err(Error::file("make", &home))?;
            tree::copy(data, &home.join("data"))?;
        }
        let builder = settings.iter().fold(builder, |builder, (key, value)| builder.setting(*key, *value));
        let server = builder.prepare(&home)?;
        let lib = server.home().join("lib");
        std::os::unix::fs::symlink(distribution.folder().join("lib"), &lib)
            .map_err(Error::file("link", &lib))?;
        let mut grap = Grap::initialised(binary, folder.path())?;
        let script = |name: &str| format!("sh {}", folder.path().join(name).display());
        for (name, value) in [
            ("GRAP_RECOVERY_JAVA_HOME", distribution.java().home.display().to_string()),
            ("GRAP_NEO4J_HOME", server.home().display().to_string()),
            ("GRAP_NEO4J_URI", server.bolt_uri()),
            ("GRAP_NEO4J_AUTH", auth(server.password())),
            ("GRAP_SERVER_STOP_COMMAND", script("stop.sh")),
            ("GRAP_SERVER_START_COMMAND", script("start.sh")),
        ] {
            grap.environment.push((name.into(), value));
        }
        let commanded = Self { folder, server, grap, supervisor: None };
        commanded.write_scripts()?;
        commanded.start_by_hand()?;
        if let Some(password) = commanded.server.password() {
            let set = || Ok(commanded.server.bolt().set_first_password(password).ok());
            eventually("it takes its first password", LIMIT, set)?;
        }
        commanded.await_online()?;
        Ok(commanded)
    }

    /// From here on the program is told this password of user `neo4j`.
    pub fn tell_password(&mut self, password: &str) {
        self.grap.environment.retain(|(name, _)| name != "GRAP_NEO4J_AUTH");
        self.grap.environment.push(("GRAP_NEO4J_AUTH".into(), auth(Some(password))));
    }

    pub fn await_online(&self) -> Result<()> {
        eventually("the server answers", LIMIT, || Ok(self.server.database_status("neo4j").ok()))?;
        self.server.await_online()
    }

    /// From here on it runs under `grap supervise`, and is stopped and started over its socket.
    pub fn supervise(&mut self) -> Result<()> {
        self.signal_server(Signal::TERM);
        eventually("it has stopped", LIMIT, || Ok((!self.is_locked()?).then_some(())))?;
        self.grap.environment.retain(|(name, _)| !name.starts_with("GRAP_SERVER_"));
        let socket = self.path("supervise.sock").display().to_string();
        self.grap.environment.push(("GRAP_SERVER_SUPERVISOR_SOCKET".into(), socket));
        self.supervise_anew()?;
        self.await_online()
    }

    /// As a service manager starts a supervisor again.
    pub fn supervise_anew(&mut self) -> Result<()> {
        let log = self.path("supervise.log");
        let log =
            fs::OpenOptions::new().create(true).append(true).open(&log).map_err(Error::file("open", &log))?;
        let server = self.server.command();
        let mut command = self.grap.command();
        command.args(["supervise", "--socket"]).arg(self.path("supervise.sock"));
        command.arg("--neo4j-home").arg(self.server.home()).arg("--");
        command.arg(server.get_program()).args(server.get_args()).current_dir(self.server.home());
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        self.supervisor = Some(child.map_err(Error::file("start", "grap supervise"))?);
        Ok(())
    }

    pub fn signal_supervisor(&mut self, signal: Signal) -> Result<()> {
        let Some(supervisor) = self.supervisor.as_mut() else { return Ok(()) };
        // It is ours, and not waited for: the id cannot be another's.
        let _ = kill_process(Pid::from_child(supervisor), signal);
        if signal == Signal::KILL {
            supervisor.wait().map_err(Error::file("wait for", "grap supervise"))?;
        }
        Ok(())
    }

    /// Whoever holds the stores, else whom the start command has started last. False: there is none.
    pub fn signal_server(&self, signal: Signal) -> bool {
        let pid = self.server_process().and_then(Pid::from_raw);
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// As [`signal_server`](Self::signal_server), with one that ends it; `while_it_ends` is done before that is waited for.
    pub fn end_server(&self, signal: Signal, while_it_ends: impl FnOnce() -> Result<()>) -> Result<bool> {
        let pid = self.server_process();
        let is_hit = pid.and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, signal).is_ok());
        while_it_ends()?;
        // One that dies loses its command line before its locks.
        let is_gone = |pid| !self.is_ours(pid) && self.holder() != Some(pid);
        let is_gone = || Ok(pid.is_none_or(is_gone).then_some(is_hit));
        eventually("the server has ended", LIMIT, is_gone)
    }

    fn server_process(&self) -> Option<i32> {
        let started = fs::read_to_string(self.path("pids")).unwrap_or_default();
        let started = started.split_whitespace().rev().filter_map(|pid| pid.parse().ok());
        self.holder().into_iter().chain(started).find(|pid| self.is_ours(*pid))
    }

    /// The id of a process that has ended may be another's.
    fn is_ours(&self, pid: i32) -> bool {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*self.server.home().to_string_lossy())
    }

    /// What the program is told to stop it with, but that it crashes.
    pub fn crash_command(&self) -> String {
        format!("sh {} KILL", self.path("stop.sh").display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_scripts(&self) -> Result<()> {
        let command = self.server.command();
        let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from);
        let quoted: Vec<String> = words.map(|word| format!("'{}'", word.display())).collect();
        let (home, pids) = (self.server.home().display(), self.path("pids"));
        let pids = pids.display();
        // A start may find an older one that is about to end, or the other way: all that live are known. One that has ended may
        // have left its id to another.
        let live = format!(
            "for pid in $(cat {pids} 2>/dev/null); do grep -qs '{home}' /proc/$pid/cmdline && echo $pid; done"
        );
        let start = format!(
            "cd {home}\nlive=$({live})\nsetsid {} >>logs/console.log 2>&1 </dev/null &\necho $live $! >{pids}\n",
            quoted.join(" ")
        );
        let stop = format!("live=$({live})\n[ -n \"$live\" ] && kill -${{1:-TERM}} $live\n");
        for (name, text) in [("start.sh", start), ("stop.sh", stop)] {
            fs::write(self.path(name), text).map_err(Error::file("write", name))?;
        }
        Ok(())
    }

    fn run(&self, script: &str) -> Result<bool> {
        let status = Command::new("sh").arg(self.path(script)).stderr(std::process::Stdio::null()).status();
        Ok(status.map_err(Error::file("run", script))?.success())
    }

    /// Whatever is being done to it. One that runs is enough: it is the one that the command to stop knows.
    pub fn start_by_hand(&self) -> Result<()> {
        if self.is_locked()? {
            return Ok(());
        }
        require(self.run("start.sh")?, || "the start command has failed".to_owned())
    }

    /// Stopped and started by the same commands that the program is told; back when it serves.
    pub fn restart_by_hand(&self) -> Result<()> {
        require(self.run("stop.sh")?, || "the stop command has failed".to_owned())?;
        eventually("it has stopped", LIMIT, || Ok((!self.is_locked()?).then_some(())))?;
        self.start_by_hand()?;
        self.await_online()
    }

    /// Whether some process holds the lock of the stores.
    pub fn is_locked(&self) -> Result<bool> {
        Ok(!self.locks()?.is_empty())
    }

    /// The server that does.
    fn holder(&self) -> Option<i32> {
        let locks = self.locks().unwrap_or_default();
        // Of an open-file-description lock the kernel names no process.
        locks.iter().find_map(|line| line.split_whitespace().nth(4)?.parse().ok().filter(|pid| *pid > 0))
    }

    fn locks(&self) -> Result<Vec<String>> {
        let lock = self.server.data().join("databases/store_lock");
        let Ok(lock) = fs::metadata(&lock) else { return Ok(Vec::new()) };
        let held = fs::read_to_string("/proc/locks").map_err(Error::file("read", "/proc/locks"))?;
        let inode = format!(":{} ", lock.ino());
        Ok(held.lines().filter(|line| line.contains(&inode)).map(str::to_owned).collect())
    }

    /// The last event of the recovery.
    pub fn last_event(&self) -> String {
        self.journal().lines().last().map(event_of).unwrap_or_default()
    }

    /// Of the journal of recoveries, the oldest first.
    pub fn events(&self) -> Vec<String> {
        self.journal().lines().skip(1).map(event_of).collect()
    }

    pub fn journal(&self) -> String {
        fs::read_to_string(self.grap.state.join("recovery.journal")).unwrap_or_default()
    }

    /// Until this is its last event. False: it has ended before.
    pub fn run_into(&self, child: &mut Child, event: &str) -> Result<bool> {
        let begun = Instant::now();
        // No pause: what is waited for lasts a millisecond.
        while self.last_event() != event {
            if child.try_wait().map_err(Error::file("look at", "grap"))?.is_some() {
                return Ok(false);
            }
            require(begun.elapsed() < LIMIT, || format!("`{event}` does not come"))?;
        }
        Ok(true)
    }
}

fn event_of(line: &str) -> String {
    let event = line.split_once(' ').and_then(|(_, event)| serde_json::from_str::<Value>(event).ok());
    event.and_then(|event| event["event"].as_str().map(str::to_owned)).unwrap_or_default()
}
