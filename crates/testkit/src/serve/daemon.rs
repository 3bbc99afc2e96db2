//! `grap serve` as a child process, and the place where it is put to work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result};
use crate::pitr::{World, claim, eventually};
use crate::server::{process_cpu_seconds, process_memory};

/// A running daemon; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    said: PathBuf,
}

impl Daemon {
    /// With this configuration (a file's text); it listens when this returns. `number` tells its log from
    /// others.
    pub fn start(world: &World, config: &str, number: usize) -> Result<Self> {
        let folder = world.folder.path();
        let (file, said) = (folder.join("grap.toml"), folder.join(format!("serve-{number}.log")));
        fs::write(&file, config).map_err(Error::file("write", &file))?;
        let log = File::create_new(&said).map_err(Error::file("create", &said))?;
        let mut command = world.grap.command();
        command.args(["serve", "--neo4j-home", &world.home(), "--config"]).arg(&file);
        let child = command.stderr(log).stdout(Stdio::null()).spawn();
        let mut daemon = Self { child: child.map_err(Error::file("start", "grap"))?, said };
        eventually("the daemon listens", Duration::from_secs(30), || {
            if let Some(status) = daemon.ended()? {
                return claim(format!("serve ended with {status}: {}", daemon.said()));
            }
            Ok(daemon.said().contains("serves on the state directory").then_some(()))
        })?;
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub fn log(&self) -> &Path {
        &self.said
    }

    /// SIGKILL; it is gone when this returns.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.child.wait().map_err(Error::file("wait for", "grap")).map(drop)
    }

    /// SIGTERM: it ends with status 0.
    pub fn stop(mut self) -> Result<String> {
        self.signal(Signal::TERM);
        let status = eventually("the end of the daemon", Duration::from_mins(1), || {
            self.child.try_wait().map_err(Error::file("wait for", "grap"))
        })?;
        let said = self.said();
        if status.success() && !said.contains("panicked") {
            return Ok(said);
        }
        claim(format!("serve ended with {status}: {said}"))
    }

    pub fn cpu_seconds(&self) -> f64 {
        process_cpu_seconds(self.pid())
    }

    /// MiB in memory now.
    pub fn memory(&self) -> f64 {
        process_memory(self.pid())
    }

    /// Whether it has ended by itself, which it must not.
    pub fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        self.child.try_wait().map_err(Error::file("wait for", "grap"))
    }

    fn signal(&self, signal: Signal) {
        // It is ours, and not waited for: the id cannot be another's.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
