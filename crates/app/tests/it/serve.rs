//! `grap serve`: what it answers on its socket, what signals do to it, and that it outlives what fails around it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use grap_testkit::serve::SetClock;
use grap_testkit::workload::Indexes;
use grap_testkit::{Distribution, Grap, Server, Workload, WorkloadOptions, tree};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{PROGRAM, Ran, Stopped, cheap_repository, eventually, wait_for};

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
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let said = config.with_extension(format!("{}.log", STARTED.fetch_add(1, Ordering::SeqCst)));
        command.arg("serve").args(arguments).arg("--config").arg(config);
        let log = File::create_new(&said).unwrap();
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

    pub(crate) fn end(mut self) {
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
pub(crate) fn quiet(folder: &Path, more: &str) -> PathBuf {
    let off = ["backup", "expire", "gc", "verify", "copy"].map(|task| format!("{task}.schedule = \"off\"\n"));
    write_config(folder, &(off.concat() + more))
}

pub(crate) fn write_config(folder: &Path, text: &str) -> PathBuf {
    let config = folder.join("grap.toml");
    fs::write(&config, text).unwrap();
    config
}

/// What the daemon of this state directory says of itself.
pub(crate) fn status(grap: &Grap) -> Value {
    let ran = Ran::grap(grap, &["status"]);
    let shown = ran.json();
    assert!(shown["daemon"].is_object(), "{ran:?}");
    shown["daemon"].clone()
}

pub(crate) fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap()
}

/// A backup.
fn is_in_progress(grap: &Grap) -> bool {
    let list = grap.json(&["list"]).unwrap();
    list["backups"].as_array().unwrap().iter().any(|row| row["status"] == "IN_PROGRESS")
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
    // While the archive catches up with the base there is nothing that another backup would mend.
    assert!(!daemon.said().contains("a backup is asked for"), "{}", daemon.said());
    // It counts as a run, for it has all that one has: the verdict, too.
    assert!(!named(&status(&stopped.grap)["tasks"], "backup")["last_success"].is_null());
    let list = stopped.run(&["list"]).json();
    let made =
        list["backups"].as_array().unwrap().iter().find(|row| row["id"] == asked["id"]).unwrap().clone();
    assert_eq!(made["verified"], true, "{made}");
    daemon.end();
    stopped.try_backup().succeeded();
    assert!(stopped.run(&["status"]).json()["daemon"].is_null());
}

/// What a client asks for serves the schedule only where it is what the schedule promises.
#[test]
fn one_backup_deleted_is_no_run_of_expire_and_a_copy_elsewhere_none_of_copy() {
    let stopped = Stopped::new();
    let (unwanted, good) = (stopped.backup(), stopped.backup());
    stopped.run(&["verify", &good]).succeeded();
    let config = quiet(stopped.folder.path(), "");
    // Nothing is archived, so that no window needs the older one.
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &stopped.text("away")]);
    stopped.run(&["delete", &unwanted]).succeeded();
    let other = Grap { repository: stopped.path("elsewhere"), ..stopped.grap.clone() };
    let other = Grap { state: stopped.path("other-state"), ..other };
    Ran::grap(&other, &["init"]).succeeded();
    let password = stopped.grap.password_file.display().to_string();
    stopped.run(&["copy", "--to", &stopped.text("elsewhere"), "--to-password-file", &password]).succeeded();
    let ran = |task: &str| !named(&status(&stopped.grap)["tasks"], task)["last_success"].is_null();
    assert!(!ran("expire") && !ran("copy"));
    stopped.run(&["expire"]).succeeded();
    assert!(ran("expire"));
    daemon.end();
}

#[test]
fn a_password_that_the_daemon_does_not_know_is_told() {
    let stopped = Stopped::new();
    stopped.backup();
    let config = quiet(stopped.folder.path(), "");
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &stopped.text("data")]);
    fs::write(stopped.path("new"), "another").unwrap();
    let new = stopped.text("new");
    let ran = stopped.run(&["key", "add", "--new-password-file", &new]).succeeded();
    assert!(!ran.stderr.contains("the daemon itself"), "{ran:?}");
    let ran = stopped.run(&["key", "change", "--new-password-file", &new]).succeeded();
    assert!(ran.stderr.contains("the daemon itself cannot open the repository"), "{ran:?}");
    assert!(daemon.said().contains("the daemon itself cannot open the repository"), "{}", daemon.said());
    daemon.end();
}

#[test]
fn a_client_that_is_stopped_or_killed_stops_its_backup_and_nothing_else() {
    let stopped = Stopped::new();
    stopped.backup();
    let config = quiet(stopped.folder.path(), "");
    let data = stopped.text("data");
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &data]);
    let asked = || daemon.said().matches("asked for by a client").count();
    for signal in [Signal::INT, Signal::KILL] {
        let before = asked();
        let child = stopped.grap.spawn(&["--json", "backup", "--read-limit", "100KiB"]).unwrap();
        eventually("the daemon is asked", || asked() > before);
        eventually("it copies", || is_in_progress(&stopped.grap));
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
    let deep = Grap { state: stopped.path(&"d".repeat(100)), ..stopped.grap.clone() };
    let ran = Ran::grap(&deep, &["serve", "--data", &data]);
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
        let line = said.lines().rfind(|line| line.contains("read anew")).unwrap().to_owned();
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

/// What it holds lies in the state directory that it was started on: it is not moved to another one while it runs.
#[test]
fn a_daemon_stays_on_its_state_directory() {
    let stopped = Stopped::new();
    stopped.backup();
    let places = format!(
        "repository = {:?}\npassword_file = {:?}\nneo4j.data = {:?}\n",
        stopped.grap.repository,
        stopped.grap.password_file,
        stopped.path("data")
    );
    let file = |state: &str| {
        quiet(stopped.folder.path(), &format!("state_dir = {:?}\n{places}", stopped.path(state)))
    };
    let config = file("state");
    let mut daemon = Daemon::try_start(Command::new(PROGRAM), &config, &[]);
    eventually("it serves", || daemon.said().contains("serves on the state directory"));
    file("elsewhere");
    daemon.signal(Signal::HUP);
    eventually("it is refused", || daemon.said().contains("are refused, the old ones stay: state_dir"));
    assert!(!stopped.path("elsewhere").exists());
    assert!(status(&stopped.grap)["settings_refused"].as_str().unwrap().contains("state_dir"));
    assert_eq!(named(&status(&stopped.grap)["jobs"], "archiver")["state"], "running");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends_within(Duration::from_secs(20)), 0, "{}", daemon.said());
}

/// Of two installations only one writes for a source: the other's archiver stops for good, and says so, until an
/// operator decides.
#[test]
fn of_two_daemons_one_works_and_the_other_says_why_not() {
    let stopped = Stopped::new();
    stopped.backup();
    let config = quiet(stopped.folder.path(), "");
    let first = Daemon::start(&stopped.grap, &config, &["--data", &stopped.text("data")]);
    let ran = stopped.run(&["backup"]);
    assert_eq!(ran.status, 0, "{ran:?} {}", first.said());
    let archiver = |grap: &Grap| named(&status(grap)["jobs"], "archiver").clone();
    assert_eq!(archiver(&stopped.grap)["state"], "running");

    tree::copy(&stopped.path("data"), &stopped.path("copy")).unwrap();
    let other = Grap { state: stopped.path("other-state"), ..stopped.grap.clone() };
    fs::create_dir(stopped.path("other")).unwrap();
    let second =
        Daemon::start(&other, &quiet(&stopped.path("other"), ""), &["--data", &stopped.text("copy")]);
    eventually("the second one's archiver stops", || archiver(&other)["state"] == "stopped");
    assert_eq!(archiver(&other)["last_error"]["code"], "SOURCE_MISMATCH");
    eventually("it is an alert", || {
        let alerts = status(&other)["alerts"].clone();
        alerts
            .as_array()
            .unwrap()
            .iter()
            .any(|alert| alert["key"] == "job.archiver" && alert["level"] == "critical")
    });
    assert_eq!(archiver(&stopped.grap)["state"], "running");
    let ran = stopped.run(&["backup"]);
    assert_eq!(ran.status, 0, "{ran:?} {}", first.said());
    Ran::grap(&other, &["backup"]).refused("SOURCE_MISMATCH", 4);

    Ran::grap(&other, &["backup", "--takeover"]).succeeded();
    eventually("the second one works", || archiver(&other)["state"] == "running");
    eventually("the first one stops", || archiver(&stopped.grap)["state"] == "stopped");
    first.end();
    second.end();
}

/// A live server with rotating logs that keeps none, its writers, and a repository.
struct Live {
    server: Server,
    workload: Workload,
    grap: Grap,
    folder: tempfile::TempDir,
}

impl Live {
    fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap(), &[])
    }

    /// Server and daemon go by a clock that can be set.
    fn with_a_clock() -> (Self, SetClock) {
        let folder = tempfile::tempdir().unwrap();
        let clock = SetClock::make(folder.path()).unwrap();
        (Self::within(folder, &clock.environment()), clock)
    }

    fn within(folder: tempfile::TempDir, environment: &[(String, String)]) -> Self {
        let distribution = Distribution::standard().unwrap();
        let builder = Server::builder(&distribution)
            .busy_logs()
            .environment(environment)
            .setting("db.tx_log.rotation.retention_policy", "keep_none");
        let server = builder.start(&folder.path().join("home")).unwrap();
        let options = WorkloadOptions {
            writers: 1,
            indexes: Indexes::None,
            operations: Some(5),
            operations_per_second: Some(100.0),
            ..WorkloadOptions::default()
        };
        let workload = Workload::start(&server, options).unwrap();
        let mut grap = cheap_repository(folder.path(), "neo4j");
        grap.environment.extend(environment.to_vec());
        Self { server, workload, grap, folder }
    }

    fn home(&self) -> String {
        self.server.home().display().to_string()
    }

    fn serve(&self, config: &Path) -> Daemon {
        Daemon::start(&self.grap, config, &["--neo4j-home", &self.home()])
    }

    fn status(&self) -> Ran {
        Ran::grap(&self.grap, &["status", "--neo4j-home", &self.home()])
    }

    fn is_protected(&self) -> bool {
        self.status().status == 0
    }

    fn complete(&self) -> usize {
        let list = self.grap.json(&["list"]).unwrap();
        list["backups"].as_array().unwrap().iter().filter(|row| row["status"] == "COMPLETE").count()
    }
}

/// The first backup comes because nothing can be restored without one, the next ones by the minute; each is verified.
#[test]
fn a_daemon_protects_a_running_server_by_itself() {
    let (live, mut clock) = Live::with_a_clock();
    let config = write_config(
        live.folder.path(),
        "[backup]\nschedule = \"* * * * *\"\n[expire]\nschedule = \"*/2 * * * *\"\n[gc]\nschedule = \"off\"\n",
    );
    let mut daemon = live.serve(&config);
    eventually("it is protected", || live.is_protected());
    wait_for(&live.workload, 50);
    let shown = live.status().succeeded().json();
    assert_eq!(shown["protection"], "PROTECTED", "{shown}");
    let seen = &shown["daemon"];
    assert_eq!(named(&seen["jobs"], "archiver")["state"], "running", "{seen}");
    let backup = named(&seen["tasks"], "backup");
    assert!(backup["next"].is_string() || backup["running_since"].is_string(), "{seen}");
    assert!(seen["space"]["available_bytes"].as_u64().unwrap() > 0);
    let before = live.complete();
    clock.jump(Duration::from_mins(1)).unwrap();
    // It looks at the clock then.
    daemon.signal(Signal::HUP);
    let begun = Instant::now();
    while live.complete() <= before {
        assert!(begun.elapsed() < Duration::from_secs(150), "no scheduled backup: {}", daemon.said());
        std::thread::sleep(Duration::from_millis(500));
    }
    let unverified = || {
        let list = live.grap.json(&["list"]).unwrap();
        let rows = list["backups"].as_array().unwrap().clone();
        rows.into_iter().filter(|row| row["verified"] != true).collect::<Vec<_>>()
    };
    eventually("every backup is verified", || unverified().is_empty());
    // Everything ends within seconds, and what was committed until then is stored.
    let last = live.workload.stop().unwrap().1.transactions;
    assert!(last > 0);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends_within(Duration::from_secs(30)), 0, "{}", daemon.said());
    assert!(!live.grap.state.join("control.sock").exists());
    let shown = Ran::grap(&live.grap, &["status", "--neo4j-home", &live.server.home().display().to_string()]);
    let shown = shown.json();
    for database in shown["databases"].as_array().unwrap() {
        assert_eq!(database["lag_transactions"], 0, "{shown}");
    }
    assert!(shown["daemon"].is_null());
}

/// Killed at any moment nothing is held for ever, and the next one goes on.
#[test]
fn a_killed_daemon_is_followed_by_one_that_goes_on() {
    let live = Live::new();
    let config = write_config(
        live.folder.path(),
        "[backup]\nschedule = \"* * * * *\"\n[expire]\nschedule = \"* * * * *\"\n[gc]\nschedule = \"* * * * *\"\n",
    );
    for kill in 0..5_u64 {
        let daemon = live.serve(&config);
        std::thread::sleep(Duration::from_millis(200 + 700 * kill));
        if kill == 2 {
            // In the middle of a backup that is asked for.
            let asked = live.grap.spawn(&["backup", "--read-limit", "300KiB"]).unwrap();
            eventually("the daemon is asked", || daemon.said().contains("asked for by a client"));
            std::thread::sleep(Duration::from_millis(300));
            daemon.signal(Signal::KILL);
            assert_ne!(Ran::of(&asked.wait_with_output().unwrap()).status, 0);
        }
        drop(daemon);
    }
    let daemon = live.serve(&config);
    eventually("it is protected", || live.is_protected());
    let before = live.complete();
    // One by hand waits for an expire or a gc that runs; only another backup is in its way.
    eventually("a backup by hand", || {
        let ran = Ran::grap(&live.grap, &["backup"]);
        assert!(ran.status == 0 || ran.code() == "JOB_RUNNING", "{ran:?}");
        ran.status == 0
    });
    assert!(live.complete() > before);
    daemon.end();
    Ran::grap(&live.grap, &["verify", "--read-data"]).succeeded();
    Ran::grap(&live.grap, &["gc"]).succeeded();
}

/// Neither a database nor a repository that is away ends the daemon; when it is back the work goes on.
#[test]
fn what_is_away_is_waited_for() {
    let mut live = Live::new();
    let config = quiet(live.folder.path(), "archive.lag_max_s = 5\n");
    let daemon = live.serve(&config);
    eventually("it is protected", || live.is_protected());
    daemon.end();
    let (away, repository) = (live.folder.path().join("away"), live.grap.repository.clone());
    fs::rename(&repository, &away).unwrap();
    let daemon = live.serve(&config);
    eventually("it says so", || daemon.said().contains("critical alert repository"));
    assert_ne!(live.status().status, 0);
    wait_for(&live.workload, 200);
    fs::rename(&away, &repository).unwrap();
    eventually("it is protected", || live.is_protected());
    eventually("the alert is over", || daemon.said().contains("over: repository"));
    // What was written while the repository was away was pinned, though the server kept no log: no new timeline begins.
    let database = named(&live.status().json()["databases"], "neo4j").clone();
    assert_eq!((&database["timeline"], &database["begins_with_run"]), (&2.into(), &1.into()), "{database}");
    live.server.stop().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let home = live.server.data();
    let moved = home.with_extension("away");
    fs::rename(&home, &moved).unwrap();
    let alerts = || status(&live.grap)["alerts"].to_string();
    eventually("it is an alert", || alerts().contains("\"lag\""));
    // Nothing is made where a volume may be mounted.
    assert!(!home.exists());
    fs::rename(&moved, &home).unwrap();
    live.server.restart().unwrap();
    eventually("it is protected again", || live.is_protected());
    daemon.end();
}

/// A user that has no name and no home: it works with what is given, and names what is missing.
#[test]
fn a_user_without_a_name_or_a_home_is_served_or_told_what_is_missing() {
    if !rustix::process::getuid().is_root() {
        println!("SKIPPED: only root can become another user");
        return;
    }
    let stopped = Stopped::new();
    stopped.backup();
    let config = quiet(stopped.folder.path(), "");
    let owner = |path: &Path| {
        let done = Command::new("chown").args(["-R", "1000700000:0"]).arg(path).status().unwrap();
        assert!(done.success());
    };
    owner(stopped.folder.path());
    let bare = |more: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "1000700000", "--regid", "0", "--clear-groups", "env", "-i", PROGRAM]);
        command.arg("--config").arg(&config).args(more);
        command
    };
    let file = format!(
        "{}repository = {:?}\npassword_file = {:?}\nneo4j.data = {:?}\n",
        fs::read_to_string(&config).unwrap(),
        stopped.grap.repository,
        stopped.grap.password_file,
        stopped.path("data")
    );
    fs::write(&config, &file).unwrap();
    let ran = Ran::command(bare(&["--json"]).arg("serve")).refused("USAGE", 2);
    assert!(ran.stderr.contains("state directory"), "{ran:?}");
    fs::write(&config, format!("state_dir = {:?}\n{file}", stopped.path("state"))).unwrap();
    let mut daemon = Daemon::try_start(bare(&[]), &config, &[]);
    eventually("it serves", || daemon.said().contains("serves on the state directory"));
    Ran::command(bare(&["--json"]).arg("backup")).succeeded();
    // Root may ask, too.
    stopped.run(&["backup"]).succeeded();
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends_within(Duration::from_secs(20)), 0, "{}", daemon.said());
    // Another user may not.
    let daemon = Daemon::start(&stopped.grap, &config, &[]);
    fs::set_permissions(&stopped.grap.state, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let socket = stopped.grap.state.join("control.sock");
    fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let ran = Ran::command(bare(&["--json"]).arg("backup")).refused("USAGE", 2);
    assert!(ran.stderr.contains("user 1000700000"), "{ran:?}");
    daemon.end();
}
