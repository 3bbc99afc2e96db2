//! `grap serve`: what it answers on its socket, what signals do to it, and that it outlives what fails around it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use grap_testkit::Grap;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Ran, Stopped, eventually};

/// A running daemon; dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    said: PathBuf,
}

impl Daemon {
    /// With this configuration and these arguments; it listens when this returns.
    pub(crate) fn start(grap: &Grap, config: &Path, arguments: &[&str]) -> Self {
        let daemon = Self::try_start(grap.command(), config, arguments);
        let socket = grap.state.join("control.sock");
        eventually("the daemon listens", || {
            socket.exists() && daemon.said().contains("serves on the state directory")
        });
        daemon
    }

    fn try_start(mut command: Command, config: &Path, arguments: &[&str]) -> Self {
        let said = config.with_extension(format!("{}.log", std::process::id()));
        command.arg("--config").arg(config).arg("serve").args(arguments);
        let log = File::options().create(true).append(true).open(&said).unwrap();
        let child = command.stderr(log).stdout(std::process::Stdio::null()).spawn().unwrap();
        Self { child, said }
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It is ours, and not waited for: the id cannot be another's.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit status, when it ends within this time.
    pub(crate) fn ends_within(&mut self, longest: Duration) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(!self.said().contains("panicked"), "{}", self.said());
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < longest, "it has not ended: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.ends_within(Duration::from_secs(20)), 0, "{}", self.said());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration in which nothing has a schedule.
fn quiet(folder: &Path, more: &str) -> PathBuf {
    let config = folder.join("grap.toml");
    fs::write(&config, format!("{more}\n")).unwrap();
    config
}

#[test]
fn a_backup_through_the_socket_is_the_same_as_one_by_hand() {
    let stopped = Stopped::new();
    let direct = stopped.try_backup().succeeded().json();
    let config = quiet(stopped.folder.path(), "");
    let data = stopped.text("data");
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &data]);
    let ran = stopped.run(&["backup", "--tag", "asked", "--data", &data]).succeeded();
    let asked = ran.json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&direct), keys(&asked), "{ran:?}");
    assert_eq!(asked["tags"], serde_json::json!(["asked"]));
    assert!(daemon.said().contains("backup: asked for by a client"), "{}", daemon.said());
    // Errors have the same shape and status.
    let ran = stopped.run(&["backup", "--tag", "a,b"]).refused("USAGE", 2);
    assert!(ran.stderr.contains("a,b"), "{ran:?}");
    stopped.run(&["archive", "--data", &data]).refused("JOB_RUNNING", 11);
    let ran = stopped.run(&["backup", "--data", &stopped.text("other")]).refused("USAGE", 2);
    assert!(ran.said().contains(&data) && ran.said().contains("other"), "{ran:?}");
    assert!(stopped.run(&["list"]).succeeded().json()["backups"].as_array().unwrap().len() == 2);
    daemon.end();
    stopped.try_backup().succeeded();
}
