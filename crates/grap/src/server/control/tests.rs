//! The stop and the start on stopped stores, with somebody of this process in the server's place who holds the lock. What a
//! real server does with it: `crates/app/tests/it/supervised_server.rs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use grap_disk as disk;
use grap_repository::LockHolder;
use grap_task::{Clock, Silent, Stop};

use super::supervisor::{SupervisedStores, SupervisorStatus};
use super::*;
use crate::live::InstallationOptions;

const LIMIT: Duration = Duration::from_mins(1);

struct World {
    folder: tempfile::TempDir,
    live: Installation,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        grap_testkit::installation_fixture("5.26.30", &data).unwrap();
        let options =
            InstallationOptions::Data { data, transactions: None, database: Some("neo4j".to_owned()) };
        let live = Installation::find(&options).unwrap();
        Self { folder, live }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn commands(&self, stop: &str, start: &str) -> ServerControl {
        let at = |command: &str| format!("cd '{}' && {{ {command}; }}", self.folder.path().display());
        ServerControl::commands(at(stop), at(start))
    }

    fn stop(&self, control: &ServerControl) -> Result<StoppedServer, ControlError> {
        self.stop_within(control, LIMIT)
    }

    fn stop_within(&self, control: &ServerControl, limit: Duration) -> Result<StoppedServer, ControlError> {
        with_session(|session| control.stop(&self.live, limit, session))
    }

    fn start_within(
        &self,
        control: &ServerControl,
        stopped: Option<StoppedServer>,
        limit: Duration,
    ) -> Result<(), ControlError> {
        let before = stopped.map_or(Before::Unknown, Before::Stopped);
        with_session(|session| control.start(before, &self.live, &nowhere(), limit, session))
    }

    /// Holds the stores until a file of this name is there.
    fn server_until(&self, name: &str) -> thread::JoinHandle<()> {
        let lock = StoresLock::try_take(&self.live.data).unwrap().unwrap();
        let path = self.path(name);
        thread::spawn(move || {
            await_file(&path);
            drop(lock);
        })
    }
}

/// The real clock, for these are real processes.
fn with_session<T>(work: impl FnOnce(&Session<'_>) -> T) -> T {
    let holder = LockHolder { hostname: "host".to_owned(), username: "user".to_owned(), uid: 0, gid: 0 };
    let stop = Stop::new();
    work(&Session {
        clock: &Clock::System,
        stop: &stop,
        monitor: &Silent,
        holder: &holder,
        program: "grap test",
    })
}

fn await_file(path: &Path) {
    while disk::stat(path).unwrap().is_none() {
        Clock::System.wait(Duration::from_millis(2), &Stop::new());
    }
}

#[test]
fn a_server_that_does_not_run_is_kept_out_and_whoever_would_start_it_is_told() {
    let world = World::new();
    // That there is nothing to stop is a failure of the command, and none of the stop.
    let stopped = world.stop(&world.commands("touch asked; exit 1", "false")).unwrap();
    // Whether the command has called off a start of somebody's nobody can say: it counts as one that ran.
    assert!(stopped.is_clean() && stopped.was_running(), "{stopped:?}");
    await_file(&world.path("asked"));
    let ends_there =
        |database: &StoppedDatabase| matches!(&database.end, LogEnd::Clean(end) if end.id.0 == 30);
    assert!(stopped.databases().iter().all(ends_there), "{stopped:?}");
    // Who asks sees that somebody holds the stores, and nobody else gets them.
    assert!(StoresLock::holder(&world.live.data).unwrap().is_some());
    assert!(StoresLock::try_take(&world.live.data).unwrap().is_none());
    drop(stopped);
    assert!(StoresLock::holder(&world.live.data).unwrap().is_none());
}

fn managed(wanted: &str, known: &str) -> ServerControl {
    let manager = Manager { unit: "neo4j".to_owned(), wanted: wanted.to_owned(), known: known.to_owned() };
    ServerControl::Commands { stop: ":".to_owned(), start: ":".to_owned(), manager: Some(manager) }
}

/// A unit between two starts of a server that crashes again and again.
#[test]
fn who_is_about_to_start_it_would_have_it_run() {
    let world = World::new();
    for (wanted, was_running) in [("true", true), ("false", false)] {
        let control = managed(wanted, "true");
        assert_eq!(world.stop(&control).unwrap().was_running(), was_running, "{control:?}");
    }
}

/// A name that was mistyped is met before anybody is drained for it.
#[test]
fn a_unit_that_the_service_manager_does_not_know_is_told() {
    let world = World::new();
    for (known, said) in [
        ("true", None),
        ("echo LoadState=masked; exit 1", Some("LoadState=masked")),
        ("no-such-service-manager cat neo", Some("no-such-service-manager: not found")),
    ] {
        let control = managed("false", known);
        let checked = with_session(|session| control.check(&world.live, session));
        match (checked, said) {
            (Ok(()), None) => {}
            (Err(ControlError::UnitNotKnown { why, .. }), Some(said)) => assert!(why.contains(said), "{why}"),
            (other, _) => panic!("{control:?}: {other:?}"),
        }
    }
}

/// Called off: the server that is started next must not meet it.
#[test]
fn a_stop_command_that_goes_on_ends_with_the_lock() {
    let world = World::new();
    let server = world.server_until("asked");
    let stopped = world.stop(&world.commands("echo $$ >asked; sleep 100; touch over", ":")).unwrap();
    let pid = disk::read(&world.path("asked"), 100).unwrap();
    let pid: u32 = String::from_utf8(pid).unwrap().trim().parse().unwrap();
    assert!(disk::process_start(pid).unwrap().is_some());
    drop(stopped);
    assert!(disk::process_start(pid).unwrap().is_none());
    assert!(StoresLock::try_take(&world.live.data).unwrap().is_some());
    server.join().unwrap();
}

#[test]
fn the_lock_is_ours_as_soon_as_the_server_lets_go_while_the_command_runs_on() {
    let world = World::new();
    let server = world.server_until("asked");
    let control = world.commands("touch asked; while ! test -e go; do sleep 0.02; done; touch over", ":");
    let stopped = world.stop(&control).unwrap();
    assert!(stopped.was_running() && stopped.is_clean(), "{stopped:?}");
    assert_eq!(disk::stat(&world.path("over")).unwrap(), None, "the command was waited for");
    // The next server must not meet it.
    let held = world.live.data.clone();
    let release = thread::spawn(move || with_session(|session| stopped.release(session)));
    assert!(StoresLock::try_take(&held).unwrap().is_none());
    disk::publish(&world.path("go"), &[b""]).unwrap();
    release.join().unwrap();
    assert!(disk::stat(&world.path("over")).unwrap().is_some());
    assert!(StoresLock::try_take(&held).unwrap().is_some());
    server.join().unwrap();
}

#[test]
fn stores_that_were_not_closed_are_called_crashed_and_what_cannot_be_read_unreadable() {
    let world = World::new();
    let log = world.live.log("neo4j");
    // The checkpoint of the shutdown is the last record: without it, what stands before it counts.
    let path = log.join("checkpoint.0");
    let mut bytes = disk::read(&path, 1 << 22).unwrap();
    let parsed = grap_neo4j::checkpoint::CheckpointLog::parse(&bytes).unwrap();
    let last = parsed.records.last().unwrap();
    let (from, to) = (usize::try_from(last.start).unwrap(), usize::try_from(last.end).unwrap());
    bytes[from..to].fill(0);
    disk::replace(&path, &[&bytes]).unwrap();
    disk::remove_tree(&world.live.log("system")).unwrap();
    let stopped = world.stop(&world.commands(":", ":")).unwrap();
    let [neo4j, system] = stopped.databases() else { panic!("{stopped:?}") };
    assert!(matches!(&neo4j.end, LogEnd::Crashed { end, .. } if end.id.0 == 30), "{neo4j:?}");
    assert!(matches!(&system.end, LogEnd::Unreadable { .. }), "{system:?}");
    assert!(!stopped.is_clean());
}

#[test]
fn a_server_that_does_not_let_go_is_an_error_and_nothing_is_taken() {
    let world = World::new();
    let server = world.server_until("end");
    let failed = world.stop(&world.commands("echo no such server >&2; exit 3", ":"));
    let text = failed.unwrap_err().to_string();
    assert!(text.contains("exit status: 3") && text.contains("no such server"), "{text}");
    // A stop that was not waited for is no command any more that meets the next server.
    let limit = Duration::from_secs(1);
    let late = world.stop_within(&world.commands("echo $$ > stopping; exec sleep 100", ":"), limit);
    assert!(matches!(late, Err(ControlError::StopTimedOut { limit: _ })), "{late:?}");
    let pid = String::from_utf8(disk::read(&world.path("stopping"), 100).unwrap()).unwrap();
    assert_eq!(disk::process_start(pid.trim().parse().unwrap()).unwrap(), None);
    disk::publish(&world.path("end"), &[b""]).unwrap();
    server.join().unwrap();
    assert!(StoresLock::try_take(&world.live.data).unwrap().is_some());
}

/// An address at which nobody listens.
fn nowhere() -> Options {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("bolt://{}", taken.local_addr().unwrap());
    Options::new(address.parse().unwrap(), grap_bolt::client::Auth::None)
}

#[test]
fn a_start_that_only_claims_to_be_one_is_none() {
    let world = World::new();
    let control = world.commands(":", "echo cannot; exit 1");
    let stopped = world.stop(&control).unwrap();
    let failed = world.start_within(&control, Some(stopped), LIMIT).unwrap_err().to_string();
    assert!(failed.contains("cannot") && failed.contains("exit status: 1"), "{failed}");
    // The limit that was set is the limit.
    let limit = Duration::from_secs(1);
    let vain = world.start_within(&world.commands(":", "echo started"), None, limit);
    assert!(matches!(&vain, Err(ControlError::StartTimedOut { said, .. }) if said == "started"), "{vain:?}");
    let server = world.server_until("end");
    let mute = world.start_within(&world.commands(":", "true"), None, limit);
    assert!(matches!(mute, Err(ControlError::NotServing { .. })), "{mute:?}");
    disk::publish(&world.path("end"), &[b""]).unwrap();
    server.join().unwrap();
}

/// A stop that outlasts its limit, and the start behind it: a service manager queues the start.
#[test]
fn behind_a_stop_that_failed_the_start_command_runs_in_any_case() {
    let world = World::new();
    let server = world.server_until("end");
    let control = world.commands("exit 0", "echo x >>starts");
    let limit = Duration::from_millis(500);
    let late = world.stop_within(&control, limit);
    assert!(matches!(late, Err(ControlError::StopTimedOut { .. })), "{late:?}");
    let start =
        |before| with_session(|session| control.start(before, &world.live, &nowhere(), limit, session));
    // One that runs is not started by who has not stopped it.
    assert!(start(Before::Unknown).is_err());
    assert_eq!(disk::stat(&world.path("starts")).unwrap(), None);
    assert!(start(Before::StopFailed).is_err());
    await_file(&world.path("starts"));
    disk::publish(&world.path("end"), &[b""]).unwrap();
    server.join().unwrap();
}

/// Two instances on one host, and the socket of the wrong one.
#[test]
fn a_supervisor_of_other_stores_is_told_nothing() {
    let world = World::new();
    let control = ServerControl::Supervisor { socket: world.path("s") };
    let status = |data: &Path| {
        let stores = SupervisedStores::of(data).unwrap();
        let status = SupervisorStatus { stores, ..serde_json::from_str(STOPPED).unwrap() };
        &*serde_json::to_string(&status).unwrap().leak()
    };
    let other = world.path("other");
    disk::create_dir_all(&other.join("databases")).unwrap();
    let answers = [STOPPED, status(&world.live.data), status(&other)].to_vec().leak();
    let asked = supervisor(&world.path("s"), answers);
    let check = || with_session(|session| control.check(&world.live, session));
    check().unwrap();
    check().unwrap();
    let refused = check().unwrap_err().to_string();
    assert!(refused.contains(&other.display().to_string()), "{refused}");
    assert_eq!(asked.join().unwrap(), [r#"{"verb":"status"}"#; 3]);
}

/// In a supervisor's place: answers each connection by the next of these, and tells what it was asked.
fn supervisor(socket: &Path, answers: &'static [&'static str]) -> thread::JoinHandle<Vec<String>> {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        let answer = |line: &&str| {
            let (stream, _) = listener.accept().unwrap();
            let mut question = String::new();
            BufReader::new(&stream).read_line(&mut question).unwrap();
            (&stream).write_all(format!("{line}\n").as_bytes()).unwrap();
            question.trim().to_owned()
        };
        answers.iter().map(answer).collect()
    })
}

const STOPPED: &str = r#"{"state":"stopped","pid":null,"since":"2026-11-26T10:00:00Z","restarts":0,"ready":false,"message":null}"#;
const PAUSING: &str = r#"{"state":"backing_off","pid":null,"since":"2026-11-26T10:00:00Z","restarts":0,"ready":false,"message":null}"#;
const LEAVING: &str = r#"{"error":{"code":"USAGE","message":"it ends"}}"#;

#[test]
fn a_supervisor_that_is_away_keeps_no_stopped_server_from_being_stopped() {
    let world = World::new();
    let control = ServerControl::Supervisor { socket: world.path("s") };
    let stopped = world.stop(&control).unwrap();
    assert!(stopped.is_clean() && stopped.was_running(), "{stopped:?}");
    drop(stopped);
    // One that was about to start it would have it run.
    let asked = supervisor(&world.path("s"), &[PAUSING, STOPPED]);
    assert!(world.stop(&control).unwrap().was_running());
    assert_eq!(asked.join().unwrap(), [r#"{"verb":"status"}"#, r#"{"verb":"stop"}"#]);
}

#[test]
fn a_supervisor_that_starts_itself_is_asked_again() {
    let world = World::new();
    let control = ServerControl::Supervisor { socket: world.path("s") };
    let limit = Duration::from_millis(1);
    let silent = world.start_within(&control, None, limit);
    assert!(matches!(silent, Err(ControlError::SupervisorSilent { .. })), "{silent:?}");
    let asked = supervisor(&world.path("s"), &[LEAVING, PAUSING, PAUSING]);
    let vain = world.start_within(&control, None, Duration::from_secs(3));
    assert!(matches!(vain, Err(ControlError::StartTimedOut { .. })), "{vain:?}");
    assert_eq!(asked.join().unwrap(), [r#"{"verb":"start"}"#, r#"{"verb":"start"}"#, r#"{"verb":"status"}"#]);
}

#[test]
fn a_server_that_is_not_the_supervisors_is_told_by_its_name() {
    let world = World::new();
    let server = world.server_until("end");
    let asked = supervisor(&world.path("s"), &[STOPPED, STOPPED]);
    let control = ServerControl::Supervisor { socket: world.path("s") };
    let failed = world.stop(&control);
    assert!(matches!(failed, Err(ControlError::HeldByAnother { .. })), "{failed:?}");
    assert_eq!(asked.join().unwrap(), [r#"{"verb":"stop"}"#, r#"{"verb":"status"}"#]);
    disk::publish(&world.path("end"), &[b""]).unwrap();
    server.join().unwrap();
}

#[test]
fn the_name_of_a_unit_is_no_piece_of_a_command() {
    let wanted = "case \"$(systemctl show -p ActiveState --value 'neo4j')\" in active|activating|reloading|failed) exit 0;; esac; exit 1";
    let commands = |stop: &str, start: &str| {
        let wanted = wanted.to_owned();
        let known = "state=$(systemctl show -p LoadState --value 'neo4j') && test \"$state\" = loaded || { echo \"LoadState=$state\"; exit 1; }".to_owned();
        let manager = Some(Manager { unit: "neo4j".to_owned(), wanted, known });
        Ok(ServerControl::Commands { stop: stop.to_owned(), start: start.to_owned(), manager })
    };
    let made = |unit: &str| ServerControl::systemd(unit).map_err(|error| error.to_string());
    assert_eq!(
        made("neo4j"),
        commands(
            "systemctl stop 'neo4j'",
            "systemctl reset-failed 'neo4j' 2>/dev/null; systemctl start 'neo4j'"
        )
    );
    assert!(made("neo4j@a\\x2db.service").is_ok());
    for unit in ["", "-H", "a b", "a;b", "a'b", "$(a)"] {
        assert!(made(unit).is_err(), "{unit}");
    }
}
