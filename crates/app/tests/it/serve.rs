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

/// A configuration in which nothing has a schedule, and what is to be said besides.
fn quiet(folder: &Path, more: &str) -> PathBuf {
    let off = ["backup", "expire", "gc", "verify", "copy"].map(|task| format!("{task}.schedule = \"off\"\n"));
    write_config(folder, &(off.concat() + more))
}

fn write_config(folder: &Path, text: &str) -> PathBuf {
    let config = folder.join("grap.toml");
    fs::write(&config, text).unwrap();
    config
}

/// What the daemon of this state directory says of itself.
fn status(grap: &Grap) -> Value {
    let ran = Ran::grap(grap, &["status"]);
    let shown = ran.json();
    assert!(shown["daemon"].is_object(), "{ran:?}");
    shown["daemon"].clone()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap()
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
    // Who would have worked elsewhere is not told that it is done.
    let ran = stopped.run(&["backup", "--data", &stopped.text("other")]).refused("USAGE", 2);
    assert!(ran.said().contains(&data) && ran.said().contains("other"), "{ran:?}");
    assert!(stopped.run(&["list"]).succeeded().json()["backups"].as_array().unwrap().len() == 2);
    // It counts as a run.
    assert!(!named(&status(&stopped.grap)["tasks"], "backup")["last_success"].is_null());
    daemon.end();
    stopped.try_backup().succeeded();
    assert!(stopped.run(&["status"]).json()["daemon"].is_null());
}

#[test]
fn a_client_that_is_stopped_or_killed_stops_its_backup_and_nothing_else() {
    let stopped = Stopped::new();
    let config = quiet(stopped.folder.path(), "");
    let data = stopped.text("data");
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &data]);
    for signal in [Signal::INT, Signal::KILL] {
        let child = stopped.grap.spawn(&["--json", "backup", "--read-limit", "100KiB"]).unwrap();
        eventually("it copies", || daemon.said().matches("asked for by a client").count() > 0);
        std::thread::sleep(Duration::from_millis(500));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let begun = Instant::now();
        let ran = Ran::of(&child.wait_with_output().unwrap());
        if signal == Signal::INT {
            ran.refused("INTERRUPTED", 130);
        }
        let interrupted = || daemon.said().matches("error[INTERRUPTED]").count();
        let expected = if signal == Signal::INT { 1 } else { 2 };
        eventually("it is told to stop", || interrupted() == expected);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    stopped.run(&["backup"]).succeeded();
    daemon.end();
}

#[test]
fn a_second_daemon_and_a_wrong_setting_end_at_the_start() {
    let stopped = Stopped::new();
    let config = quiet(stopped.folder.path(), "");
    let data = stopped.text("data");
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &data]);
    stopped.run(&["--config", config.to_str().unwrap(), "serve", "--data", &data]).refused("JOB_RUNNING", 11);
    assert_eq!(status(&stopped.grap)["pid"], daemon.child.id());
    daemon.end();
    for (wrong, key) in [
        ("schedule.timezone = \"Europe/Atlantis\"", "schedule.timezone"),
        ("retension = 3", "retension"),
        ("retention.days = \"30d\"", "retention.days"),
        ("log.level = \"loud\"", "log.level"),
        ("verify.percent_per_day = 0", "verify.percent_per_day"),
        ("backup.compression = 40", "backup.compression"),
    ] {
        let config = quiet(stopped.folder.path(), wrong);
        let ran = stopped.run(&["--config", config.to_str().unwrap(), "serve", "--data", &data]);
        let ran = ran.refused("USAGE", 2);
        assert!(ran.stderr.contains(key), "{ran:?}");
    }
    // A name that the system does not take for a socket.
    let deep = stopped.path(&"d".repeat(100));
    let ran = stopped.run(&["--state-dir", deep.to_str().unwrap(), "serve", "--data", &data]);
    assert!(ran.refused("USAGE", 2).stderr.contains("shorter state directory"));
}

#[test]
fn settings_are_read_anew_and_wrong_ones_are_refused_whole() {
    let stopped = Stopped::new();
    let config = quiet(stopped.folder.path(), "log.level = \"info\"\n");
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &stopped.text("data")]);
    let reload = |what: &str| {
        let before = daemon.said().matches("the settings were read anew").count();
        daemon.signal(Signal::HUP);
        eventually("a reload", || daemon.said().matches("the settings were read anew").count() > before);
        let said = daemon.said();
        let line = said.lines().filter(|line| line.contains("read anew")).next_back().unwrap().to_owned();
        assert!(line.contains(what), "{line}");
    };
    reload("none has changed");
    assert_eq!(named(&status(&stopped.grap)["jobs"], "archiver")["restarts"], 0);
    let file = |more: &str| quiet(stopped.folder.path(), more);
    // One wrong value among good ones: nothing of it is taken.
    file("log.level = \"debug\"\nretention.days = 0\n");
    reload("retention.days");
    assert!(status(&stopped.grap)["settings_refused"].as_str().unwrap().contains("retention.days"));
    assert!(!daemon.said().contains(" debug "));
    file("log.level = \"debug\"\nschedule.timezone = \"Asia/Seoul\"\n");
    fs::write(
        &config,
        fs::read_to_string(&config).unwrap().replace("gc.schedule = \"off\"", "gc.schedule = \"0 9 * * 0\""),
    )
    .unwrap();
    reload("changed: ");
    let shown = status(&stopped.grap);
    assert!(shown["settings_refused"].is_null());
    let gc = named(&shown["tasks"], "gc");
    assert!(gc["next"].as_str().unwrap().ends_with("T00:00:00Z"), "{gc}");
    // What the archiver works by gives it a new start.
    file("archive.interval_ms = 100\n");
    reload("archive.interval_ms");
    eventually("a new start", || named(&status(&stopped.grap)["jobs"], "archiver")["restarts"] == 1);
    daemon.end();
}
