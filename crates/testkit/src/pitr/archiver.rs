//! `grap archive` as a child process.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::eventually;
use crate::error::{Error, Result};
use crate::program::{Grap, last_json};
use crate::server::{process_cpu_seconds, process_memory};

/// A running archiver; dropping it kills it.
#[derive(Debug)]
pub struct Archiver {
    child: Child,
    said: PathBuf,
    reported: PathBuf,
}

impl Archiver {
    /// Of the installation that `place` names, as `["--neo4j-home", ...]`. What it says goes to files beside
    /// its state directory.
    pub fn start(grap: &Grap, place: &[&str]) -> Result<Self> {
        let mut random = [0; 8];
        rand::Rng::fill(&mut rand::rng(), &mut random);
        let name = u64::from_le_bytes(random);
        let folder = grap.state.parent().unwrap_or(&grap.state);
        let said = folder.join(format!("archive-{name:x}.err"));
        let reported = folder.join(format!("archive-{name:x}.out"));
        let create = |path: &PathBuf| File::create(path).map_err(Error::file("create", path));
        let mut command = grap.command();
        command.args(["--json", "archive"]).args(place);
        command.stderr(create(&said)?).stdout(create(&reported)?);
        let child = command.spawn().map_err(Error::file("start", "grap"))?;
        Ok(Self { child, said, reported })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said on stderr so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub fn signal(&self, signal: Signal) {
        // It is ours, and not waited for: the id cannot be another's.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// SIGKILL; it is gone when this returns.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.child.wait().map_err(Error::file("wait for", "grap")).map(drop)
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(Error::file("wait for", "grap"))
    }

    /// Waits for it to end by itself; the code of its error.
    pub fn refusal(&mut self) -> Result<String> {
        let status = eventually("an archiver that gives up", Duration::from_secs(30), || self.ended())?;
        let code = last_json(self.said().as_bytes())
            .and_then(|last| last["error"]["code"].as_str().map(str::to_owned));
        match code {
            Some(code) if !status.success() => Ok(code),
            _ => Err(Error::Program { arguments: "archive".into(), said: self.said() }),
        }
    }

    /// SIGTERM: it stores the last complete transaction and reports.
    pub fn stop(mut self) -> Result<Value> {
        self.signal(Signal::TERM);
        let status = eventually("the end of an archiver", Duration::from_mins(1), || self.ended())?;
        let reported = fs::read(&self.reported).unwrap_or_default();
        match last_json(&reported) {
            Some(report) if status.success() => Ok(report),
            _ => Err(Error::Program { arguments: "archive".into(), said: self.said() }),
        }
    }

    /// CPU seconds so far.
    pub fn cpu_seconds(&self) -> f64 {
        process_cpu_seconds(self.pid())
    }

    /// MiB in memory now.
    pub fn memory(&self) -> f64 {
        process_memory(self.pid())
    }
}

impl Drop for Archiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
