//! `grap serve` as a child process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::pitr::World;
use crate::pitr::{eventually, require};
use crate::server::process_cpu_seconds;

/// When a daemon does what, as cron lines.
#[derive(Debug, Clone)]
pub struct Schedules {
    pub backup: &'static str,
    pub expire: &'static str,
    pub gc: &'static str,
    /// A second repository, kept in step.
    pub copy: Option<(PathBuf, PathBuf, &'static str)>,
    /// Alerts and their ends are put into this file, a line of JSON each.
    pub alerts: Option<PathBuf>,
}

impl Schedules {
    /// A backup each minute, the rest each five.
    pub fn busy() -> Self {
        Self { backup: "* * * * *", expire: "*/5 * * * *", gc: "*/5 * * * *", copy: None, alerts: None }
    }

    /// As the defaults are: nothing happens while somebody looks.
    pub fn nightly() -> Self {
        Self { backup: "0 2 * * *", expire: "30 3 * * *", gc: "0 4 * * 0", copy: None, alerts: None }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let Self { backup, expire, gc, copy, alerts } = self;
        let mut text = format!(
            "backup.schedule = \"{backup}\"\nexpire.schedule = \"{expire}\"\ngc.schedule = \"{gc}\"\nverify.schedule = \"off\"\nschedule.jitter_s = 0\nschedule.timezone = \"UTC\"\n"
        );
        match copy {
            Some((to, password, schedule)) => {
                text += &format!(
                    "copy.to = \"{}\"\ncopy.password_file = \"{}\"\ncopy.schedule = \"{schedule}\"\n",
                    to.display(),
                    password.display()
                );
            }
            None => text += "copy.schedule = \"off\"\n",
        }
        if let Some(alerts) = alerts {
            text += &format!("alert.exec = \"cat >> {0} && echo >> {0}\"\n", alerts.display());
        }
        fs::write(path, text).map_err(Error::file("write", path))
    }
}

/// A running daemon; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    said: PathBuf,
}

impl Daemon {
    /// What it says goes on in `serve.log` beside its state directory. It need not be ready when this returns.
    pub fn start(world: &World, schedules: &Schedules) -> Result<Self> {
        let folder = world.grap.state.parent().unwrap_or(&world.grap.state);
        let (config, said) = (folder.join("grap.toml"), folder.join("serve.log"));
        schedules.write(&config)?;
        let log = File::options().create(true).append(true).open(&said);
        let mut command = world.grap.command();
        command.args(["serve", "--neo4j-home", &world.home(), "--config"]).arg(&config);
        command.stderr(log.map_err(Error::file("open", &said))?).stdout(std::process::Stdio::null());
        let child = command.spawn().map_err(Error::file("start", "grap"))?;
        Ok(Self { child, said })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that daemons of this state directory said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        // It is ours, and not waited for: the id cannot be another's.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// SIGKILL; it is gone when this returns.
    pub fn kill(mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.child.wait().map_err(Error::file("wait for", "grap")).map(drop)
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(Error::file("wait for", "grap"))
    }

    /// SIGTERM: every job ends, and so does it, well.
    pub fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM);
        let status = eventually("the end of the daemon", Duration::from_mins(2), || self.ended())?;
        require(status.success(), || format!("it ended with {status}: {}", tail(&self.said())))?;
        require(!self.said().contains("panicked"), || format!("it panicked: {}", tail(&self.said())))
    }

    /// CPU seconds so far.
    pub fn cpu_seconds(&self) -> f64 {
        process_cpu_seconds(self.pid())
    }

    /// MiB in memory now.
    pub fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        let kib = line.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of a text.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Of one of its tasks, as `grap status` says.
pub fn task<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["daemon"]["tasks"].as_array()?.iter().find(|task| task["name"] == name)
}

/// Keys of open alerts.
pub fn open_alerts(status: &Value) -> Vec<String> {
    let alerts = status["daemon"]["alerts"].as_array().into_iter().flatten();
    alerts.filter_map(|alert| alert["key"].as_str().map(str::to_owned)).collect()
}
