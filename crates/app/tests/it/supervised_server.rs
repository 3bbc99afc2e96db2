//! A real Neo4j under `grap supervise`, and under a service manager that knows nothing of us: stopped under the lock of its
//! stores, kept out, started again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grap::live::{Installation, InstallationOptions};
use grap::ops::Session;
use grap::server::control::supervisor::SupervisorState;
use grap::server::control::{Before, ControlError, LogEnd, ServerControl, StoppedServer, StoresLock};
use grap_bolt::client::{Auth, Options};
use grap_repository::LockHolder;
use grap_task::{Clock, Silent, Stop};
use grap_testkit::server::process_memory;
use grap_testkit::{Distribution, Server, tree};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::supervised::Supervisor;
use crate::support::{PROGRAM, eventually};

const LIMIT: Duration = Duration::from_mins(2);

/// As a server stops that nobody has told to hurry: ten seconds for connections.
const UNHURRIED: [(&str, &str); 4] = [
    ("internal.dbms.bolt.netty_server_shutdown_quiet_period", "5"),
    ("internal.dbms.bolt.netty_server_shutdown_timeout", "15"),
    ("internal.server.bolt.thread_pool_shutdown_wait_time", "5s"),
    ("internal.server.bolt.connection_shutdown_wait_time", "5s"),
];

struct World {
    folder: tempfile::TempDir,
    server: Server,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = Server::builder(&Distribution::standard().unwrap());
        let builder = UNHURRIED.iter().fold(builder, |builder, (key, value)| builder.setting(*key, *value));
        let server = builder.prepare(&folder.path().join("home")).unwrap();
        Self { folder, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn live(&self) -> Installation {
        let home = self.server.home().to_owned();
        Installation::find(&InstallationOptions::Home { home, configuration: None }).unwrap()
    }

    fn command_line(&self) -> Vec<OsString> {
        let command = self.server.command();
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect()
    }

    fn supervise(&self) -> Supervisor {
        let mut command = Command::new(PROGRAM);
        command
            .args(["supervise", "--socket"])
            .arg(self.path("s"))
            .arg("--neo4j-home")
            .arg(self.server.home())
            .arg("--state-dir")
            .arg(self.path("state"))
            .env("GRAP_NEO4J_URI", self.server.bolt_uri())
            .env("GRAP_NEO4J_AUTH", "none")
            .env("GRAP_SCHEMA_FILE", self.path("schema.cypher"))
            .arg("--")
            .args(self.command_line());
        Supervisor::spawn(self.folder.path(), command)
    }

    /// The process that holds the stores.
    fn holder(&self) -> Option<u32> {
        StoresLock::holder(&self.server.data()).unwrap().and_then(|holder| holder.pid)
    }

    fn stop(&self, control: &ServerControl) -> Result<StoppedServer, ControlError> {
        with_session(|session| control.stop(&self.live(), LIMIT, session))
    }

    fn start(&self, control: &ServerControl, stopped: StoppedServer) {
        let bolt = Options::new(self.server.bolt_uri().parse().unwrap(), Auth::None);
        with_session(|session| control.start(Before::Stopped(stopped), &self.live(), &bolt, LIMIT, session))
            .unwrap();
    }

    /// It serves already.
    fn make_sure(&self, control: &ServerControl) {
        let bolt = Options::new(self.server.bolt_uri().parse().unwrap(), Auth::None);
        let limit = Duration::from_secs(6);
        with_session(|session| control.start(Before::Unknown, &self.live(), &bolt, limit, session)).unwrap();
    }

    fn count(&self) -> u64 {
        self.server.await_online().unwrap();
        self.server.query("MATCH (n:Person) RETURN count(n)").unwrap()[0].int(0).unwrap().try_into().unwrap()
    }

    /// Every file of the data directory.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let data = self.server.data();
        let files = tree::files(&data).unwrap().into_iter();
        files.map(|file| (file.clone(), fs::read(data.join(file)).unwrap())).collect()
    }

    /// Start one by hand, whose stores are locked.
    fn assert_kept_out(&self) {
        let before = self.contents();
        let output = self.server.command().output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(self.contents() == before, "a server that was kept out has changed a file");
    }
}

fn with_session<T>(work: impl FnOnce(&Session<'_>) -> T) -> T {
    let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
    let (clock, stop) = (Clock::System, Stop::new());
    work(&Session { clock: &clock, stop: &stop, monitor: &Silent, holder: &holder, program: "grap test" })
}

const SCHEMA: &str = "CREATE CONSTRAINT person_id FOR (p:Person) REQUIRE p.id IS UNIQUE;\n\
                      CREATE INDEX person_name FOR (p:Person) ON (p.name);\n";
/// The same name, another property.
const DRIFTED: &str = "CREATE CONSTRAINT person_id FOR (p:Person) REQUIRE p.id IS UNIQUE;\n\
                       CREATE INDEX person_name FOR (p:Person) ON (p.email);\n";

#[test]
fn a_supervised_server_is_stopped_under_its_lock_and_started_again() {
    let world = World::new();
    fs::write(world.path("schema.cypher"), SCHEMA).unwrap();
    let supervisor = world.supervise();
    let running = supervisor.await_state(SupervisorState::Running);
    assert!(running.ready && running.pid == world.holder(), "{running:?}");
    supervisor.await_said("Schema initialization: 2 declared, 2 created, 0 already there; all are ONLINE");
    world.server.query("UNWIND range(1, 20000) AS i CREATE (:Person {id: i, name: 'n' + i})").unwrap();
    println!("supervise in memory: {:.1} MiB", process_memory(supervisor.child.id()));

    let control = ServerControl::Supervisor { socket: supervisor.socket() };
    with_session(|session| control.check(&world.live(), session)).unwrap();
    let begun = Instant::now();
    let stopped = world.stop(&control).unwrap();
    println!("all of it over after {:?}", begun.elapsed());
    assert!(stopped.is_clean() && stopped.was_running(), "{stopped:?}");
    assert!(matches!(&stopped.databases()[0].end, LogEnd::Clean(end) if end.id.0 > 4), "{stopped:?}");
    supervisor.await_state(SupervisorState::Stopped);
    // Nobody waited for connections to be closed: by itself it would have ended with 0.
    supervisor.await_said("it has ended with status 137");

    world.assert_kept_out();
    fs::write(world.path("schema.cypher"), DRIFTED).unwrap();
    let begun = Instant::now();
    world.start(&control, stopped);
    println!("serves {:?} after the lock was let go", begun.elapsed());
    assert_eq!(world.count(), 20_000);
    supervisor.await_said("the schema has drifted, and is left as it is: ");
    supervisor.await_said("1 not as declared");
    world.make_sure(&control);

    outlives_its_supervisor(&world, supervisor);
}

/// Whoever supervises next starts no second server, and takes over when the first has ended.
fn outlives_its_supervisor(world: &World, mut first: Supervisor) {
    let server = world.holder().unwrap();
    first.signal(Signal::KILL);
    first.ends_within(LIMIT);
    assert_eq!((world.count(), world.holder()), (20_000, Some(server)));
    let mut next = world.supervise();
    next.await_said(&format!("no second server is started: process {server} holds the stores"));
    assert_eq!(next.status().state, SupervisorState::BackingOff);
    // It is stopped for who asks, although it is another's.
    let control = ServerControl::Supervisor { socket: next.socket() };
    let stopped = world.stop(&control).unwrap();
    assert!(stopped.is_clean() && stopped.was_running(), "{stopped:?}");
    next.await_said(&format!("SIGTERM goes to process {server}, which holds the stores"));
    next.await_state(SupervisorState::Stopped);
    world.start(&control, stopped);
    let running = next.await_state(SupervisorState::Running);
    assert_eq!(running.restarts, 0, "{running:?}");
    assert!(running.pid.is_some_and(|pid| pid != server), "{running:?}");
    assert_eq!(world.count(), 20_000);
    next.signal(Signal::TERM);
    assert_eq!(next.ends_within(LIMIT), 0, "{}", next.said());
    assert_eq!(world.holder(), None);
}

/// A loop that starts the server whenever it has ended.
struct Loop(Child);

impl Loop {
    fn start(world: &World) -> Self {
        let script = "while ! test -e end; do \"$@\"; echo $? >> ends; sleep 0.1; done";
        let mut command = Command::new("sh");
        command.args(["-c", script, "loop"]).args(world.command_line()).current_dir(world.folder.path());
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// neo4j/neo4j#12041: a store lock that was taken again and again, by a service manager that would not give up.
#[test]
fn a_service_manager_that_starts_it_again_and_again_meets_the_lock() {
    let world = World::new();
    let _manager = Loop::start(&world);
    eventually("it serves", || world.server.query("RETURN 1").is_ok());
    world.server.query("UNWIND range(1, 1000) AS i CREATE (:Person {id: i})").unwrap();
    let first = world.holder().unwrap();
    // It tells only the JVM, and waits for it, as a stop command does.
    let stop = format!("kill -TERM {first}; while kill -0 {first}; do sleep 0.1; done");
    let control = ServerControl::commands(stop, ":");
    let begun = Instant::now();
    let stopped = world.stop(&control).unwrap();
    println!("all of it over after {:?}", begun.elapsed());
    assert!(stopped.is_clean() && stopped.was_running(), "{stopped:?}");
    let before = world.contents();
    let ends = || fs::read_to_string(world.path("ends")).unwrap_or_default();
    // The one that was stopped, and one that met the lock.
    eventually("a restart", || ends().lines().count() >= 2);
    assert_eq!(ends().lines().take(2).collect::<Vec<_>>(), ["137", "1"], "not waited for, and kept out");
    assert!(world.contents() == before, "a server that was kept out has changed a file");
    world.start(&control, stopped);
    assert_eq!(world.count(), 1000);
    // A crash is told from a stop.
    let second = world.holder().unwrap();
    fs::write(world.path("end"), "").unwrap();
    world.server.query("UNWIND range(1001, 2000) AS i CREATE (:Person {id: i})").unwrap();
    let crash = ServerControl::commands(format!("kill -KILL {second}"), ":");
    let stopped = world.stop(&crash).unwrap();
    assert!(matches!(&stopped.databases()[0].end, LogEnd::Crashed { .. }), "{stopped:?}");
    assert!(!stopped.is_clean());
}
