//! A real Neo4j Community server as a child process.
//!
//! A [`Server`] owns its process: whatever happens to the test, dropping it kills this one process, by its
//! id. Waiting is by polling with a deadline (log file, port, `SHOW DATABASES`); nothing sleeps for a fixed
//! time. Unless told otherwise a new home starts from the data template of its version, so **stores of
//! several servers have equal store ids**; where a test needs different ones, ask for
//! [`ServerBuilder::fresh_data`].

mod builder;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::admin;
use crate::bolt::{Bolt, Row};
use crate::error::{Error, Result, tail};
use crate::install::Distribution;

pub use builder::ServerBuilder;
pub(crate) use builder::make_home;

const START_DEADLINE: Duration = Duration::from_mins(3);
const STOP_DEADLINE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(20);

/// A running (or stopped) server with its home directory.
#[derive(Debug)]
pub struct Server {
    options: ServerBuilder,
    home: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// How the server sees one of its databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// `online`, `offline`, `starting` ...
    pub status: String,
    /// The reason of a refusal, else empty.
    pub message: String,
}

impl Server {
    /// Options for a server of this version: cheap and quick settings, no authentication, HTTP off.
    pub fn builder(distribution: &Distribution) -> ServerBuilder {
        ServerBuilder::new(distribution)
    }

    /// Starts a server of its own home (made at `home`) on an existing data directory, e.g. a restored one.
    /// An error says why the database was refused.
    pub fn open_restored(distribution: &Distribution, data: &Path, home: &Path) -> Result<Self> {
        Self::builder(distribution).data_directory(data).start(home)
    }

    /// Its home directory (`conf`, `data`, `logs` ...).
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its data directory, with `databases` and `transactions`.
    pub fn data(&self) -> PathBuf {
        self.options.data_of(&self.home)
    }

    /// Transaction logs of the default database.
    pub fn transaction_logs(&self) -> PathBuf {
        self.data().join("transactions/neo4j")
    }

    /// Its version and jars.
    pub fn distribution(&self) -> &Distribution {
        &self.options.distribution
    }

    /// `bolt://127.0.0.1:<port>`; the port stays the same over restarts.
    pub fn bolt_uri(&self) -> String {
        format!("bolt://{}", self.bolt_address())
    }

    /// Where Bolt listens.
    pub fn bolt_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The password of user `neo4j`, where authentication is on.
    pub fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// CPU seconds (user and system) that the running process has used so far; 0 when it does not run.
    pub fn cpu_seconds(&self) -> f64 {
        self.pid().map_or(0.0, process_cpu_seconds)
    }

    /// What runs it, in this very process: for a test in which somebody else starts it.
    pub fn command(&self) -> Command {
        let mut command = self.options.java();
        command
            .arg(self.options.distribution.server_class())
            .arg(format!("--home-dir={}", self.home.display()))
            .arg(format!("--config-dir={}", self.home.join("conf").display()));
        command
    }

    /// A connection to the server.
    pub fn bolt(&self) -> Bolt {
        Bolt::to(self.bolt_address(), self.password())
    }

    /// Runs one statement on the default database and returns all rows.
    pub fn query(&self, statement: &str) -> Result<Vec<Row>> {
        self.bolt().run(statement)
    }

    /// How the server sees a database.
    pub fn database_status(&self, database: &str) -> Result<DatabaseStatus> {
        let statement = "SHOW DATABASES YIELD name, currentStatus, statusMessage";
        let rows = self.bolt().on("system").run(statement)?;
        let row = rows.iter().find(|row| row.text(0) == database);
        Ok(DatabaseStatus {
            status: row.map_or_else(|| "absent".to_owned(), |row| row.text(1)),
            message: row.map_or_else(String::new, |row| row.text(2)),
        })
    }

    /// Waits until the default database is online; an error if the server refuses it.
    pub fn await_online(&self) -> Result<()> {
        let begun = Instant::now();
        while self.bolt().begin_works().is_err() {
            let DatabaseStatus { status, message } = self.database_status("neo4j")?;
            match status.as_str() {
                "online" => break,
                "starting" | "initial" | "deallocating" | "unknown" if message.is_empty() => {}
                _ => {
                    return Err(Error::Refused {
                        database: "neo4j".into(),
                        status,
                        message,
                        log: tail(&self.home.join("logs/debug.log"), 30),
                    });
                }
            }
            give_up_after(START_DEADLINE, begun, "database neo4j online")?;
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Stops it as an operator does (SIGTERM) and waits for the end: checkpoints written, files final.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.end(Signal::TERM)
    }

    /// Kills it (SIGKILL) and waits for the end: a crash.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.end(Signal::KILL)
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port and directories.
    pub fn restart(&mut self) -> Result<()> {
        if self.child.is_some() {
            self.stop()?;
        }
        self.launch()
    }

    /// `neo4j-admin` on the stopped home, e.g. `&["database", "check", "neo4j"]`.
    pub fn admin(&self, arguments: &[&str]) -> Result<admin::Output> {
        admin::run(&self.options.distribution, &self.home, arguments)
    }

    fn launch(&mut self) -> Result<()> {
        self.options.write_conf(&self.home, self.port)?;
        let log = self.home.join("logs/neo4j.log");
        let known = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        self.child = Some(self.spawn()?);
        self.await_started(&log, known)?;
        if let Some(password) = self.options.password.clone() {
            self.bolt().set_first_password(&password)?;
        }
        if self.options.wait_online { self.await_online() } else { Ok(()) }
    }

    fn spawn(&self) -> Result<Child> {
        let output = self.home.join("logs/console.log");
        let console = File::create(&output).map_err(Error::file("create", &output))?;
        let errors = console.try_clone().map_err(Error::file("duplicate", &output))?;
        let mut command = self.command();
        command.current_dir(&self.home).stdin(Stdio::null()).stdout(console).stderr(errors);
        command.spawn().map_err(Error::file("start", "java"))
    }

    fn await_started(&mut self, log: &Path, known: u64) -> Result<()> {
        let begun = Instant::now();
        loop {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                self.child = None;
                return Err(self.start_failure(&format!("ended at its start ({status})")));
            }
            if says_started(log, known) && TcpStream::connect(self.bolt_address()).is_ok() {
                return Ok(());
            }
            if begun.elapsed() > START_DEADLINE {
                return Err(self.start_failure(&format!("did not start within {START_DEADLINE:?}")));
            }
            thread::sleep(POLL);
        }
    }

    fn start_failure(&self, what: &str) -> Error {
        let logs = self.home.join("logs");
        Error::Start {
            home: self.home.clone(),
            what: what.to_owned(),
            log: format!("{}\n{}", tail(&logs.join("console.log"), 15), tail(&logs.join("neo4j.log"), 25)),
        }
    }

    fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        let Some(mut child) = self.child.take() else {
            return Err(Error::Timeout { what: "a running server to stop".into(), waited: Duration::ZERO });
        };
        // A process that has just ended by itself is a zombie until we wait for it: the id cannot be
        // another's.
        let _ = kill_process(Pid::from_child(&child), signal);
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(Error::file("wait for", "java"))? {
                return Ok(status);
            }
            if begun.elapsed() > STOP_DEADLINE {
                self.child = Some(child);
                give_up_after(STOP_DEADLINE, begun, "end of the server process")?;
                unreachable!("the deadline is over");
            }
            thread::sleep(POLL / 4);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// CPU seconds (user and system) of a process of this machine.
pub fn process_cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields 14 and 15, counted from the third, which follows the parenthesis of the program's name.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// MiB that a process of this machine has in memory.
pub fn process_memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Whether the log says "Started." behind its first `known` bytes (those of earlier runs).
fn says_started(log: &Path, known: u64) -> bool {
    let text = fs::read(log).unwrap_or_default();
    let new = text.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
    String::from_utf8_lossy(new).contains("Started.")
}

fn give_up_after(limit: Duration, begun: Instant, what: &str) -> Result<()> {
    if begun.elapsed() <= limit {
        return Ok(());
    }
    Err(Error::Timeout { what: what.to_owned(), waited: limit })
}
