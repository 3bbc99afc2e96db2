//! `grap open`: what it opens is the past, exactly; nobody else gets in; and nothing of it stays, however it ends.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use grap_testkit::bolt::Bolt;
use grap_testkit::install::DEFAULT_VERSION;
use grap_testkit::pitr::archiver::Archiver;
use grap_testkit::program::tx_id;
use grap_testkit::{Distribution, Grap, Server, quick_java};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{PROGRAM, Ran, Stopped, eventually};

/// Servers are heavy: one of these tests at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// `grap open`, open; dropping it kills it, and the server goes with it.
struct Open {
    child: Option<Child>,
    said: Value,
}

impl Open {
    fn start(grap: &Grap, arguments: &[&str]) -> Self {
        let mut all = vec!["--json", "open"];
        all.extend(arguments);
        let mut child = grap.spawn(&all).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        match serde_json::from_str(&line) {
            Ok(said) => Self { child: Some(child), said },
            Err(error) => panic!("{error}: {:?}", Ran::of(&child.wait_with_output().unwrap())),
        }
    }

    fn text(&self, field: &str) -> String {
        self.said[field].as_str().unwrap().to_owned()
    }

    fn address(&self) -> SocketAddr {
        self.text("uri").strip_prefix("bolt://").unwrap().parse().unwrap()
    }

    fn bolt(&self) -> Bolt {
        Bolt::to(self.address(), Some(&self.text("password")))
    }

    fn directory(&self) -> PathBuf {
        PathBuf::from(self.text("directory"))
    }

    fn count(&self, what: &str) -> i64 {
        self.bolt().run(&format!("MATCH (n{what}) RETURN count(n)")).unwrap()[0].int(0).unwrap()
    }

    fn pid(&self) -> u32 {
        self.said["pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// Send a signal and see how it ends.
    fn end(self, signal: Signal) -> Ran {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
        self.wait()
    }

    fn wait(mut self) -> Ran {
        Ran::of(&self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A live server whose counter goes up by one with each transaction, its backup, and an archiver behind it.
pub(crate) struct Live {
    _one: std::sync::MutexGuard<'static, ()>,
    _folder: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) grap: Grap,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self::of(DEFAULT_VERSION)
    }

    fn of(version: &str) -> Self {
        let one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let distribution = Distribution::ensure(version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = Server::builder(&distribution).start(&folder.path().join("home")).unwrap();
        let mut grap = Grap::initialised(Path::new(PROGRAM), folder.path()).unwrap();
        grap.environment.extend(quick_java::environment(&distribution).unwrap());
        // A secret of ours that must not get into the server.
        grap.environment.push(("GRAP_TEST_SECRET".into(), "a-secret-of-ours".into()));
        grap.environment.push(("GRAP_NEO4J_HOME".into(), server.home().display().to_string()));
        // All tokens now: from here on a transaction is one transaction in the log.
        for statement in [
            "CREATE INDEX FOR (n:Step) ON (n.n)",
            "CREATE FULLTEXT INDEX words FOR (n:Step) ON EACH [n.word]",
            "CREATE (:Step {n: 0, word: 'zero'})",
        ] {
            server.query(statement).unwrap();
        }
        Self { _one: one, _folder: folder, server, grap }
    }

    pub(crate) fn backup(&self) -> (String, u64) {
        let report = self.grap.json(&["backup"]).unwrap();
        (report["id"].as_str().unwrap().to_owned(), tx_id(&report, "neo4j").unwrap())
    }

    pub(crate) fn step(&self, count: usize) {
        for _ in 0..count {
            self.server
                .query("MATCH (n:Step) WITH count(n) AS k CREATE (:Step {n: k, word: 'step'})")
                .unwrap();
        }
    }
}

/// The processes that have this in their command line.
pub(crate) fn processes(mark: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id() && command_line(*pid).contains(mark)).collect()
}

fn command_line(pid: u32) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).into_owned()
}

fn id_of(directory: &Path) -> String {
    directory.file_name().unwrap().to_string_lossy().strip_prefix("grap-open-").unwrap().to_owned()
}

/// `address:port` of everything that a process listens to, as the kernel writes it.
fn listening(pid: u32) -> Vec<String> {
    let held: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()))
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A: listening; 07: a socket of UDP that waits for whoever comes.
            let open = matches!(fields[3], "0A" | "07");
            if open && held.contains(&format!("socket:[{}]", fields[9])) {
                found.push(fields[1].to_owned());
            }
        }
    }
    found
}

fn assert_nothing_is_left(directory: &Path, address: SocketAddr) {
    assert_eq!(processes(&id_of(directory)), Vec::<u32>::new());
    assert!(TcpStream::connect(address).is_err());
    assert!(!directory.exists());
}

#[test]
fn the_past_is_opened_read_only_and_nothing_of_it_stays_however_it_ends() {
    for version in Distribution::matrix() {
        let live = Live::of(&version);
        opens_the_past(&live);
        // What our own processes do is the same on each version.
        if version == DEFAULT_VERSION {
            ends_with_its_server(&live);
            killed_while_open(&live);
            killed_with_its_watcher(&live);
            killed_while_the_server_starts(&live);
        }
    }
    if !Distribution::matrix().iter().any(|version| version == DEFAULT_VERSION) {
        eprintln!(
            "SKIPPED: how open ends when it is killed is NOT shown: that is tried on {DEFAULT_VERSION}"
        );
    }
}

fn opens_the_past(live: &Live) {
    let archiver = Archiver::start(&live.grap, &[]).unwrap();
    live.step(5);
    let (_, base) = live.backup();
    live.step(10);
    archiver.stop().unwrap();

    // The newest.
    let latest = Open::start(&live.grap, &["latest"]);
    assert_eq!(latest.said["tx_id"].as_u64(), Some(base + 10), "{}", latest.said);
    assert_eq!(latest.count(":Step"), 16);
    assert_eq!(latest.said["indexes_missing"], serde_json::json!([]));
    let found =
        latest.bolt().run("CALL db.index.fulltext.queryNodes('words', 'zero') YIELD node RETURN node.n");
    assert_eq!(found.unwrap().len(), 1);
    refuses_to_be_written(&latest);
    has_no_other_way_in(&latest);
    reaches_out_nowhere(&latest);
    let (directory, address) = (latest.directory(), latest.address());
    latest.end(Signal::INT).succeeded();
    assert_nothing_is_left(&directory, address);

    // A point of the past, for a while. The live database is as it was.
    let target = format!("tx={}", base + 3);
    let past = Open::start(&live.grap, &[&target, "--for", "4s"]);
    assert_eq!(past.said["tx_id"].as_u64(), Some(base + 3));
    assert_eq!(past.count(":Step"), 9);
    let (directory, address) = (past.directory(), past.address());
    let said = past.wait().succeeded().said();
    assert!(said.contains("its time was up"), "{said}");
    assert_nothing_is_left(&directory, address);
    let living = live.server.query("MATCH (n:Step) RETURN count(n)").unwrap();
    assert_eq!(living[0].int(0), Some(16));
}

fn refuses_to_be_written(open: &Open) {
    for statement in ["CREATE (:Step)", "MATCH (n) DETACH DELETE n", "CREATE INDEX FOR (n:X) ON (n.y)"] {
        let refused = open.bolt().run(statement).unwrap_err();
        assert!(format!("{refused:?}").contains("ReadOnly"), "{statement}: {refused:?}");
    }
}

fn has_no_other_way_in(open: &Open) {
    let port = open.address().port();
    for password in ["neo4j", "wrong-password"] {
        let refused = Bolt::to(open.address(), Some(password)).run("RETURN 1").unwrap_err();
        assert!(format!("{refused:?}").contains("Unauthorized"), "{refused:?}");
    }
    assert!(Bolt::to(open.address(), None).run("RETURN 1").is_err());
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    // One socket, and on 127.0.0.1 (the second is how IPv6 writes it).
    let listening = listening(open.pid());
    let [at] = listening.as_slice() else { panic!("{listening:?}") };
    assert_eq!(at.rsplit_once(':').unwrap().1, format!("{port:04X}"));
    assert!(at.starts_with("0100007F:") || at.starts_with("0000000000000000FFFF00000100007F:"), "{at}");
    // Whoever may list processes does not see the password; the server does not see what is ours.
    assert!(!command_line(open.pid()).contains(&open.text("password")));
    let environment = std::fs::read(format!("/proc/{}/environ", open.pid())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("a-secret-of-ours") && environment.contains("PATH="), "{environment}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&open.directory().metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
}

fn reaches_out_nowhere(open: &Open) {
    for url in ["file:///etc/hostname", "http://127.0.0.1:9/x.csv", "https://[::1]:9/x.csv"] {
        let statement = format!("LOAD CSV FROM '{url}' AS row RETURN row");
        let refused = format!("{:?}", open.bolt().run(&statement).unwrap_err());
        assert!(refused.contains("is false") || refused.contains("blocked"), "{url}: {refused}");
    }
}

/// The watcher ends the server; the next run removes the directory.
fn killed_while_open(live: &Live) {
    let open = Open::start(&live.grap, &["latest"]);
    let (directory, address) = (open.directory(), open.address());
    open.end(Signal::KILL);
    eventually("the end of the server", || processes(&id_of(&directory)).is_empty());
    eventually("a closed port", || TcpStream::connect(address).is_err());
    assert!(directory.exists());
    next_run_removes(live, &directory);
}

/// Nobody is left to end the server: it goes on, until the next run finds it by its id.
fn killed_with_its_watcher(live: &Live) {
    let open = Open::start(&live.grap, &["latest"]);
    let (directory, server) = (open.directory(), open.pid());
    let watchers = processes(&id_of(&directory));
    let watchers: Vec<u32> = watchers.into_iter().filter(|pid| *pid != server).collect();
    assert_eq!(watchers.len(), 1);
    kill_process(Pid::from_raw(watchers[0].try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    open.end(Signal::KILL);
    eventually("the end of the watcher", || processes(&id_of(&directory)) == [server]);
    next_run_removes(live, &directory);
}

fn killed_while_the_server_starts(live: &Live) {
    let mut child = live.grap.spawn(&["open", "latest"]).unwrap();
    let scratch = live.grap.state.join("open");
    let mark = format!("--home-dir={}", scratch.display());
    eventually("a server that starts", || !processes(&mark).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the end of the server", || processes(&mark).is_empty());
}

/// It has not the memory to start a server: what was left is removed all the same, and so is its own.
fn next_run_removes(live: &Live, directory: &Path) {
    let mut grap = live.grap.clone();
    grap.environment.push(("GRAP_RECOVERY_HEAP".into(), "2m".into()));
    let ran = Ran::grap(&grap, &["open", "latest"]).refused("INSTANCE_FAILED", 22);
    assert!(ran.said().contains("which a killed run left"), "{}", ran.said());
    assert_eq!(processes(&id_of(directory)), Vec::<u32>::new());
    let left = std::fs::read_dir(directory.parent().unwrap()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).filter(|name| name != "grap-open.gate").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// It is told, and everything is removed.
fn ends_with_its_server(live: &Live) {
    let open = Open::start(&live.grap, &["latest"]);
    let (directory, address) = (open.directory(), open.address());
    kill_process(Pid::from_raw(open.pid().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    let ran = open.wait().refused("INSTANCE_FAILED", 22);
    assert!(ran.said().contains("ended by itself"), "{}", ran.said());
    assert_nothing_is_left(&directory, address);
}

/// What would be started on the fixture's databases, and how that is refused. Nothing is written.
#[test]
fn what_cannot_be_started_is_refused_before_anything_is_written() {
    let stopped = Stopped::new();
    stopped.backup();
    let refused = |arguments: &[&str], environment: &[(&str, &str)], code: &str, status: i32| {
        let mut grap = stopped.grap.clone();
        let set = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        grap.environment.extend(set);
        let mut all = vec!["open"];
        all.extend(arguments);
        let ran = Ran::grap(&grap, &all).refused(code, status);
        assert_eq!(std::fs::read_dir(stopped.grap.state.join("open")).map_or(0, Iterator::count), 0);
        ran.said()
    };
    let home = |jars: &[&str]| {
        let home = tempfile::tempdir_in(stopped.folder.path()).unwrap().keep();
        std::fs::create_dir(home.join("lib")).unwrap();
        for jar in jars {
            std::fs::write(home.join("lib").join(jar), "").unwrap();
        }
        home.display().to_string()
    };
    let java = Distribution::standard().unwrap().java().home.display().to_string();
    let with_java = [("GRAP_RECOVERY_JAVA_HOME", java.as_str())];

    refused(&["latest"], &[], "USAGE", 2);
    let said = refused(&["latest", "--neo4j-home", &home(&[])], &[], "SERVER_NOT_STARTABLE", 4);
    assert!(said.contains("neo4j-kernel-*.jar"), "{said}");
    let good = home(&["neo4j-kernel-5.26.30.jar"]);
    let no_java = [("GRAP_RECOVERY_JAVA_HOME", "/no/such/java")];
    let said = refused(&["latest", "--neo4j-home", &good], &no_java, "SERVER_NOT_STARTABLE", 4);
    assert!(said.contains("it needs Java 17 to 21; found: none"), "{said}");
    let enterprise = home(&["neo4j-kernel-5.26.30.jar", "neo4j-enterprise-kernel-5.26.30.jar"]);
    refused(&["latest", "--neo4j-home", &enterprise], &with_java, "NEO4J_UNSUPPORTED", 4);
    let ancient = home(&["neo4j-kernel-4.4.40.jar"]);
    refused(&["latest", "--neo4j-home", &ancient], &with_java, "NEO4J_UNSUPPORTED", 4);
    let old = home(&["neo4j-kernel-5.13.0.jar"]);
    let said = refused(&["latest", "--neo4j-home", &old], &with_java, "SERVER_TOO_OLD", 4);
    assert!(said.contains("5.13.0") && said.contains("or later"), "{said}");

    let latest = ["latest", "--neo4j-home", &good];
    let and = |more: &[&'static str]| [&latest[..], more].concat();
    refused(&and(&["--for", "soon"]), &with_java, "USAGE", 2);
    refused(&and(&["--database", "system"]), &with_java, "USAGE", 2);
    refused(&and(&["--database", "nosuch"]), &with_java, "BACKUP_NOT_FOUND", 6);
    let heap = [with_java[0], ("GRAP_RECOVERY_HEAP", "512m -XX:OnError=x")];
    refused(&latest, &heap, "USAGE", 2);
    refused(&["tx=999999999", "--neo4j-home", &good], &with_java, "TARGET_OUTSIDE_WINDOW", 16);
}

#[test]
fn without_room_nothing_is_begun() {
    let stopped = Stopped::new();
    stopped.backup();
    let small = stopped.path("small");
    std::fs::create_dir(&small).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&small).status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: that open looks for room first is NOT shown: no tmpfs can be mounted here");
        return;
    }
    let home = stopped.path("home");
    std::fs::create_dir_all(home.join("lib")).unwrap();
    std::fs::write(home.join("lib/neo4j-kernel-5.26.30.jar"), "").unwrap();
    let mut grap = stopped.grap.clone();
    let java = Distribution::standard().unwrap().java().home.display().to_string();
    grap.environment.push(("GRAP_RECOVERY_JAVA_HOME".into(), java));
    grap.environment.push(("GRAP_RECOVERY_SCRATCH_DIR".into(), small.display().to_string()));
    let ran = Ran::grap(&grap, &["open", "latest", "--neo4j-home", &home.display().to_string()]);
    let left: Vec<_> = std::fs::read_dir(&small).unwrap().flatten().map(|entry| entry.file_name()).collect();
    Command::new("umount").arg(&small).status().unwrap();
    ran.refused("BACKUP_NO_SPACE", 5);
    assert_eq!(left, ["grap-open.gate"]);
}
