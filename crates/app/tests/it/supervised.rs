//! `grap supervise`: what signals do, what others ask at its socket, and that it is nobody's hindrance. The server is a
//! shell here; a real one: `supervised_server`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grap::server::control::supervisor::{self, SupervisorState, SupervisorStatus, SupervisorVerb};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{PROGRAM, eventually, scratch};

/// A running supervisor; dropping it kills it, and what it runs.
pub(crate) struct Supervisor {
    pub(crate) child: Child,
    folder: PathBuf,
}

impl Supervisor {
    /// `script` is run by sh, with the folder as its directory.
    fn start(folder: &Path, arguments: &[&str], script: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["supervise", "--socket"]).arg(folder.join("s")).args(arguments);
        command.args(["--", "sh", "-c", script]).env_clear().env("PATH", "/usr/bin:/bin");
        Self::spawn(folder, command)
    }

    pub(crate) fn spawn(folder: &Path, mut command: Command) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), folder: folder.to_owned() }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    pub(crate) fn ask(&self, verb: SupervisorVerb) -> SupervisorStatus {
        supervisor::ask(&self.socket(), verb).unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    pub(crate) fn status(&self) -> SupervisorStatus {
        self.ask(SupervisorVerb::Status)
    }

    pub(crate) fn await_state(&self, state: SupervisorState) -> SupervisorStatus {
        eventually(&format!("{state:?}"), || {
            self.socket().exists()
                && supervisor::ask(&self.socket(), SupervisorVerb::Status).is_ok_and(|now| now.state == state)
        });
        self.status()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It is ours, and not waited for: the id cannot be another's.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn await_said(&self, what: &str) {
        eventually(what, || self.said().contains(what));
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
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let server = supervisor::ask(&self.socket(), SupervisorVerb::Status).ok().and_then(|now| now.pid);
            let _ = self.child.kill();
            let _ = self.child.wait();
            server.into_iter().for_each(kill_group);
        }
    }
}

/// Of a server that one of ours has started, and that leads its group.
fn kill_group(leader: u32) {
    let pid = Pid::from_raw(i32::try_from(leader).unwrap()).unwrap();
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
}

fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn number(path: &Path) -> u32 {
    eventually(&format!("a number in {}", path.display()), || {
        fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'))
    });
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

const SOON: Duration = Duration::from_secs(20);
/// A server that says that it is there, and ends when it is told to.
const OBEDIENT: &str = "trap 'echo term >> heard; exit 143' TERM; trap 'echo hup >> heard' HUP; echo $$ > there; while :; do sleep 0.05; done";
/// One that does not listen.
const DEAF: &str = "trap '' TERM; echo $$ > there; while :; do sleep 0.05; done";

#[test]
fn signals_reach_the_server_and_its_status_is_ours() {
    let folder = scratch();
    let mut supervisor = Supervisor::start(folder.path(), &[], OBEDIENT);
    let server = number(&folder.path().join("there"));
    assert_eq!(supervisor.await_state(SupervisorState::Starting).pid, Some(server));
    supervisor.signal(Signal::HUP);
    eventually("a hangup", || {
        fs::read_to_string(folder.path().join("heard")).is_ok_and(|text| text == "hup\n")
    });
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.ends_within(SOON), 143, "{}", supervisor.said());
    assert_eq!(fs::read_to_string(folder.path().join("heard")).unwrap(), "hup\nterm\n");
    assert!(!supervisor.socket().exists());

    // Who does not listen is killed after the grace; as a shell says it: 128 and the signal.
    let folder = scratch();
    let mut supervisor = Supervisor::start(folder.path(), &["--grace", "1"], DEAF);
    let server = number(&folder.path().join("there"));
    let begun = Instant::now();
    supervisor.signal(Signal::INT);
    assert_eq!(supervisor.ends_within(SOON), 137, "{}", supervisor.said());
    assert!(begun.elapsed() >= Duration::from_secs(1) && !runs(server));
}

#[test]
fn what_can_not_be_run_and_what_makes_no_sense_ends_at_once() {
    let run = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).arg("supervise").args(arguments).env_clear().output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = run(&["--restart", "sometimes", "--", "true"]);
    assert!(status == 2 && said.contains("on-failure"), "{said}");
    assert_eq!(run(&["--grace", "0", "--", "true"]).0, 2);
    assert_eq!(run(&["true"]).0, 2, "the command stands behind --");
    let (status, said) = run(&["--restart", "never", "--", "/no/such/program"]);
    assert!(status == 127 && said.contains("/no/such/program"), "{said}");
    // No state directory, so no socket: said, and run all the same.
    let (status, said) = run(&["--restart", "never", "--", "sh", "-c", "exit 7"]);
    assert!(status == 7, "{said}");
}

#[test]
fn a_server_that_fails_is_started_again_and_one_that_ends_well_is_not() {
    let folder = scratch();
    let script = "echo x >> starts; test $(wc -l < starts) -ge 3 && exit 0; exit 3";
    let begun = Instant::now();
    let mut supervisor = Supervisor::start(folder.path(), &[], script);
    let status = supervisor.await_state(SupervisorState::BackingOff);
    assert!(status.pid.is_none() && status.message.unwrap().contains("status 3"));
    assert_eq!(supervisor.ends_within(SOON), 0, "{}", supervisor.said());
    assert_eq!(fs::read_to_string(folder.path().join("starts")).unwrap().lines().count(), 3);
    // One second, then two.
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());

    let folder = scratch();
    let mut supervisor = Supervisor::start(folder.path(), &["--restart", "never"], "exit 3");
    assert_eq!(supervisor.ends_within(SOON), 3);
}

#[test]
fn orphans_are_reaped_and_no_process_is_left_behind() {
    let folder = scratch();
    // One that ends soon. Behind the end of the server: one of its group, and one in a session of its own that does not listen.
    let script = "if test -e second; then exec sleep 100; fi; touch second; \
                  (setsid sh -c 'echo $$ > brief; for i in $(seq 400); do test -e end && break; sleep 0.05; done' &); \
                  (setsid sh -c 'trap \"\" TERM; echo $$ > deaf; for i in $(seq 400); do sleep 0.05; done' &); \
                  (sleep 100 & echo $! > left); while ! test -e go; do sleep 0.05; done; exit 3";
    let supervisor = Supervisor::start(folder.path(), &["--grace", "1"], script);
    let [brief, deaf, left] = ["brief", "deaf", "left"].map(|name| number(&folder.path().join(name)));
    // It has become ours, and does not stay as a zombie.
    let status = fs::read_to_string(format!("/proc/{brief}/status")).unwrap();
    assert!(status.contains(&format!("PPid:\t{}\n", supervisor.child.id())), "{status}");
    fs::write(folder.path().join("end"), "").unwrap();
    eventually("the orphan is gone, and not a zombie", || !Path::new(&format!("/proc/{brief}")).exists());
    assert_eq!(supervisor.status().restarts, 0);
    assert!(runs(deaf) && runs(left), "they end with the server, not before");

    fs::write(folder.path().join("go"), "").unwrap();
    supervisor.await_said("left processes behind");
    eventually("the next start", || supervisor.status().restarts == 1);
    for gone in [deaf, left] {
        assert!(!Path::new(&format!("/proc/{gone}")).exists(), "{}", supervisor.said());
    }
}

/// What is wrong with Grap's settings, and what lies where its socket should be, keeps no server from running.
#[test]
fn what_is_wrong_with_the_settings_is_said_and_the_server_runs() {
    let folder = scratch();
    let config = folder.path().join("grap.toml");
    fs::write(&config, "nonsense = 1\n[log]\nlevel = \"loud\"\n[supervise]\nrestart = \"never\"\n").unwrap();
    fs::write(folder.path().join("s"), "mine").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut supervisor = Supervisor::start(folder.path(), &arguments, "exit 7");
    assert_eq!(supervisor.ends_within(SOON), 7, "{}", supervisor.said());
    for said in ["unknown key `nonsense`", "loud", "is there, and no socket"] {
        assert!(supervisor.said().contains(said), "{said}: {}", supervisor.said());
    }
    assert_eq!(fs::read_to_string(folder.path().join("s")).unwrap(), "mine");

    // Somebody else's socket stays his.
    let folder = scratch();
    let theirs = UnixListener::bind(folder.path().join("s")).unwrap();
    let mut supervisor = Supervisor::start(folder.path(), &["--restart", "never"], "exit 8");
    assert_eq!(supervisor.ends_within(SOON), 8);
    assert!(supervisor.said().contains("somebody listens"), "{}", supervisor.said());
    theirs.set_nonblocking(true).unwrap();
    assert!(UnixStream::connect(folder.path().join("s")).is_ok());
}

#[test]
fn a_service_manager_learns_that_it_runs_and_that_it_takes_longer() {
    let folder = scratch();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["supervise", "--socket"]).arg(folder.path().join("s")).args(["--", "sh", "-c", OBEDIENT]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("NOTIFY_SOCKET", folder.path().join("notify"));
    // No address that makes sense: whether Bolt answers will never be seen.
    command.env("GRAP_NEO4J_URI", "nowhere");
    let mut supervisor = Supervisor::spawn(folder.path(), command);
    let heard = || {
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let said = heard() + &heard();
    assert!(said.contains("READY=1") && said.contains("EXTEND_TIMEOUT_USEC=60000000"), "{said}");
    number(&folder.path().join("there"));
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.ends_within(SOON), 143, "{}", supervisor.said());
}

#[test]
fn others_stop_and_start_it() {
    let folder = scratch();
    let supervisor = Supervisor::start(folder.path(), &["--restart", "always"], OBEDIENT);
    let first = number(&folder.path().join("there"));
    assert_eq!(fs::metadata(supervisor.socket()).unwrap().permissions().mode() & 0o777, 0o660);
    let refused = supervisor::ask(&supervisor.socket(), SupervisorVerb::Kill).unwrap_err().to_string();
    assert!(refused.contains("`stop` comes first"), "{refused}");
    assert_eq!(supervisor.ask(SupervisorVerb::Stop).state, SupervisorState::Stopping);
    let stopped = supervisor.await_state(SupervisorState::Stopped);
    assert!(stopped.pid.is_none() && !runs(first) && stopped.restarts == 0);
    fs::remove_file(folder.path().join("there")).unwrap();
    // It stays so.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!folder.path().join("there").exists());
    supervisor.ask(SupervisorVerb::Start);
    let second = number(&folder.path().join("there"));
    assert!(second != first && supervisor.status().pid == Some(second));
    supervisor.ask(SupervisorVerb::Restart);
    eventually("another one", || {
        let status = supervisor.status();
        status.pid.is_some_and(|pid| pid != second) && status.state == SupervisorState::Starting
    });
    assert!(supervisor.said().contains("a stop, asked for by process"), "{}", supervisor.said());

    let folder = scratch();
    let deaf = Supervisor::start(folder.path(), &[], DEAF);
    let server = number(&folder.path().join("there"));
    deaf.ask(SupervisorVerb::Stop);
    deaf.ask(SupervisorVerb::Kill);
    deaf.await_state(SupervisorState::Stopped);
    assert!(!runs(server));
}

#[test]
fn nobody_at_the_socket_is_in_anybodys_way() {
    let folder = scratch();
    let supervisor = Supervisor::start(folder.path(), &[], OBEDIENT);
    number(&folder.path().join("there"));
    eventually("it listens", || supervisor.socket().exists());
    let connect = || UnixStream::connect(supervisor.socket()).unwrap();
    // More silent ones than it takes, some in the middle of a line.
    let silent: Vec<UnixStream> = (0..40).map(|_| connect()).collect();
    for mut stream in &silent {
        let _ = stream.write_all(b"{\"verb\":");
    }
    let talk = |question: &[u8]| {
        let mut stream = connect();
        stream.write_all(question).unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("{line}"))
    };
    assert_eq!(talk(b"{\"verb\":\"status\"}\n")["state"], "starting");
    for garbage in [&b"\n"[..], b"{}\n", b"{\"verb\":\"rm\"}\n", b"\xff\xfe\n", b"[1,2]\n", &[b'x'; 5000]] {
        assert_eq!(talk(garbage)["error"]["code"], "USAGE", "{garbage:?}");
    }
    // Several questions in one piece are several answers.
    let mut stream = connect();
    stream.write_all(b"{\"verb\":\"status\"}\n{\"verb\":\"status\"}\n").unwrap();
    let mut lines = BufReader::new(&stream).lines();
    assert!(lines.next().unwrap().unwrap().contains("starting") && lines.next().unwrap().is_ok());
    // One that asks and takes no answer.
    let mut greedy = connect();
    greedy.set_nonblocking(true).unwrap();
    while greedy.write(b"{\"verb\":\"status\"}\n{\"verb\":\"status\"}\n").is_ok() {}
    assert_eq!(supervisor.status().restarts, 0);
    // Who says nothing is let go.
    eventually("the silent ones are gone", || {
        silent.iter().all(|mut stream| {
            stream.set_nonblocking(true).unwrap();
            match stream.read(&mut [0; 64]) {
                Ok(read) => read == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            }
        })
    });
    assert_eq!(supervisor.status().state, SupervisorState::Starting);
}

/// Two of one socket do not take it from each other; a name that a dead one left is taken over; without a socket the server
/// runs all the same.
#[test]
fn a_socket_that_cannot_be_had_keeps_no_server_down() {
    let folder = scratch();
    let first = Supervisor::start(folder.path(), &[], OBEDIENT);
    let server = number(&folder.path().join("there"));
    first.await_state(SupervisorState::Starting);
    let mut second = Supervisor::start(folder.path(), &["--restart", "never"], "exit 9");
    assert_eq!(second.ends_within(SOON), 9);
    assert!(first.said().contains("another grap supervise listens"), "{}", first.said());
    assert_eq!(first.status().pid, Some(server));
    // The server outlives a supervisor that is killed.
    let mut first = first;
    first.signal(Signal::KILL);
    assert_eq!(first.ends_within(SOON), -1);
    assert!(runs(server) && first.socket().exists());
    let third = Supervisor::start(folder.path(), &[], OBEDIENT);
    eventually("the third listens", || {
        supervisor::ask(&third.socket(), SupervisorVerb::Status)
            .is_ok_and(|now| now.pid.is_some_and(|pid| pid != server))
    });
    kill_group(server);

    let folder = scratch();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let no_place = folder.path().join("file/s");
    let arguments = ["--restart", "never", "--socket"].map(str::to_owned);
    let mut command = Command::new(PROGRAM);
    command.arg("supervise").args(arguments).arg(&no_place).args(["--", "sh", "-c", "exit 6"]);
    let mut without = Supervisor::spawn(folder.path(), command);
    assert_eq!(without.ends_within(SOON), 6);
    assert!(without.said().contains("there is no socket"), "{}", without.said());
}
