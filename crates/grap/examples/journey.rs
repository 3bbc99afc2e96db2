//! The night that Grap is for, with the library: a backup while others write, the graph ruined by one statement, the backup
//! made live, that undone, and what is of no use any more released.
//!
//! ```text
//! cargo run --example journey -- NEO4J_HOME bolt://localhost:7687 USER/PASSWORD STOP_COMMAND START_COMMAND SCRATCH_DIR
//! ```
//!
//! **The server is stopped and started, and all nodes `Order` of its database `neo4j` are removed**: not for a database that
//! anybody needs. The home has to hold Neo4j's jars in `lib/`: candidates are opened with them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what came of it")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use grap::facade::{Caller, OpenRepository, RecoveryStateMachine};
use grap::live::{InstallationOptions, Pace};
use grap::ops::{self, Access, BackupOptions, RecoverOptions, SwitchOptions, SwitchReport, Which};
use grap::recovery::{CandidateOptions, LiveServer};
use grap::server::control::ServerControl;
use grap::server::{InstallationPlace, JavaPlace};
use grap::state::StateDirectory;
use grap_bolt::client::{Auth, Connection, Options, Scope};
use grap_core::recovery::{Limits, SwitchLimits};
use grap_core::{BackupId, Target};
use grap_repository::{KdfCost, WriterOptions};
use secrecy::SecretString;

/// Where everything is.
pub(crate) struct Places {
    pub(crate) home: PathBuf,
    pub(crate) uri: String,
    /// `USER/PASSWORD`, or `none`.
    pub(crate) auth: String,
    pub(crate) stop_command: String,
    pub(crate) start_command: String,
    pub(crate) scratch: PathBuf,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, uri, auth, stop, start, scratch] = arguments.as_slice() else {
        eprintln!("journey NEO4J_HOME URI USER/PASSWORD STOP_COMMAND START_COMMAND SCRATCH_DIR");
        return ExitCode::from(2);
    };
    let places = Places {
        home: home.into(),
        uri: uri.clone(),
        auth: auth.clone(),
        stop_command: stop.clone(),
        start_command: start.clone(),
        scratch: scratch.into(),
    };
    match run(&places) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", grap::in_one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn run(places: &Places) -> Outcome<()> {
    let caller = Caller::new("journey 1");
    let state = StateDirectory::open(&places.scratch.join("state"))?;
    ops::init(access(places), "neo4j".parse()?, KdfCost::default(), &state, &caller.session())?;
    let machine =
        RecoveryStateMachine::new(recover_options(places), opener(places), state.clone(), caller.clone())
            .with_live(live_server(places)?);

    let (backup, at_least) = backup_under_writes(places, &state, &caller)?;
    write(places, "MATCH (n:Order) DETACH DELETE n")?;
    println!("somebody has removed all orders");

    promote(&machine, places, &backup, at_least)?;
    roll_back(&machine, places)?;

    // What was promoted, and taken back, is in the backup to its last transaction: it may go.
    let released = machine.release(Which::Oldest)?.released.ok_or("nothing was released")?;
    let held = released.held.ok_or("nobody has given anything up")?;
    println!("{} is released: backup {} has all of it", released.store.recovery, held.backup);
    machine.reset_recovery_state()?;
    Ok(())
}

/// And how many orders there were when it began.
fn backup_under_writes(places: &Places, state: &StateDirectory, caller: &Caller) -> Outcome<(BackupId, i64)> {
    write(places, "UNWIND range(1, 100) AS n CREATE (:Order {n: n})")?;
    let is_over = AtomicBool::new(false);
    let report = thread::scope(|scope| -> Outcome<_> {
        let writer = scope.spawn(|| -> Result<(), String> {
            while !is_over.load(Ordering::SeqCst) {
                write(places, "CREATE (:Order {n: 0})").map_err(|error| error.to_string())?;
            }
            Ok(())
        });
        let report = ops::backup(&backup_options(places), access(places), state, &caller.session());
        is_over.store(true, Ordering::SeqCst);
        writer.join().map_err(|_| "the writer has panicked")??;
        Ok(report?)
    })?;
    println!("{} is made while others wrote; {} orders now", report.manifest.id, orders(places)?);
    Ok((report.manifest.id, 100))
}

/// From the backup to the live database in one call. Interrupted, the same call goes on.
fn promote(machine: &RecoveryStateMachine, places: &Places, backup: &BackupId, at_least: i64) -> Outcome<()> {
    let target = Target::Backup { source: None, id: backup.clone() };
    succeeded(&machine.promote_backup_to_production(Some(target), &switch_options())?)?;
    let found = orders(places)?;
    if found < at_least {
        return Err(format!("{found} orders are there, and the backup had {at_least} at least").into());
    }
    println!("the backup is live, with {found} orders");
    Ok(())
}

/// The ruined graph was not thrown away: it may hold what was written since.
fn roll_back(machine: &RecoveryStateMachine, places: &Places) -> Outcome<()> {
    succeeded(&machine.rollback(&switch_options())?)?;
    let found = orders(places)?;
    if found != 0 {
        return Err(format!("what was retired had no orders, and now there are {found}").into());
    }
    println!("that is undone: what was live before is live again");
    Ok(())
}

/// An operation that ended well may still have ended otherwise than it should: called off, or taken back.
fn succeeded(report: &SwitchReport) -> Outcome<()> {
    if let Some((code, why)) = report.failure() {
        return Err(format!("{}: {why}", code.name()).into());
    }
    println!("it is {}; nobody was served for {:?}", report.recovery.status(), report.downtime);
    Ok(())
}

fn write(places: &Places, statement: &str) -> Outcome<()> {
    Connection::open(&connection(places)?)?.run(&Scope::write("neo4j"), statement)?.finish()?;
    Ok(())
}

fn orders(places: &Places) -> Outcome<i64> {
    let mut connection = Connection::open(&connection(places)?)?;
    let answer = connection.run(&Scope::read("neo4j"), "MATCH (n:Order) RETURN count(n)")?.answer()?;
    answer.single().and_then(grap_bolt::Value::as_int).ok_or_else(|| "a count is a number".into())
}

fn connection(places: &Places) -> Outcome<Options> {
    Ok(Options::new(places.uri.parse()?, Auth::parse(&places.auth)?))
}

fn live_server(places: &Places) -> Outcome<LiveServer> {
    let control = ServerControl::commands(&places.stop_command, &places.start_command);
    Ok(LiveServer { installation: installation(places), control, connection: connection(places)? })
}

fn installation(places: &Places) -> InstallationOptions {
    InstallationOptions::Home { home: places.home.clone(), configuration: None }
}

fn opener(places: &Places) -> Box<OpenRepository> {
    let repository = places.scratch.join("repository");
    Box::new(move || Ok(local(&repository)))
}

fn access(places: &Places) -> Access {
    local(&places.scratch.join("repository"))
}

/// In earnest the password comes from a file.
fn local(repository: &Path) -> Access {
    Access::local(repository.to_owned(), SecretString::from("an example".to_owned()))
}

fn switch_options() -> SwitchOptions {
    SwitchOptions { retired: None, live_is_lost: false, with_system: false, limits: SwitchLimits::default() }
}

fn backup_options(places: &Places) -> BackupOptions {
    BackupOptions {
        installation: installation(places),
        source: None,
        tags: vec!["example".to_owned()],
        note: None,
        read_limit: None,
        niceness: 19,
        writer: WriterOptions::default(),
        pace: Pace::DEFAULT,
        takeover: false,
        settings: None,
    }
}

/// The candidate is made on the live data's own file system: so it takes its place by renames.
fn recover_options(places: &Places) -> RecoverOptions {
    let server = InstallationPlace {
        home: places.home.clone(),
        configuration: None,
        live: None,
        java: JavaPlace::default(),
    };
    let candidate = CandidateOptions {
        server,
        heap: "512m".to_owned(),
        page_cache: "64m".to_owned(),
        declared: None,
        checks: Vec::new(),
    };
    RecoverOptions {
        target: None,
        source: None,
        timeline: None,
        database: None,
        root: places.home.join("data/.grap/candidate"),
        candidate,
        limits: Limits::default(),
    }
}
