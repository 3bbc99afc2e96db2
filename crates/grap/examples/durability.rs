//! A first day with the library: is the database healthy, a backup that is verified, a recovery that is validated, what
//! there is, what could go.
//!
//! ```text
//! cargo run --example durability -- NEO4J_HOME bolt://localhost:7687 USER/PASSWORD SCRATCH_DIR
//! ```
//!
//! The repository, the state directory and the candidates are made in the scratch directory. Nothing of the database is
//! changed. The home has to hold Neo4j's jars in `lib/`: candidates are opened with them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what came of it")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use grap::facade::{Caller, DurabilityOptions, DurabilityOrchestrator, OpenRepository, RecoveryStateMachine};
use grap::live::{InstallationOptions, Pace};
use grap::ops::{self, Access, BackupOptions, ExpireOptions, HealthLimits, HealthOptions, RecoverOptions};
use grap::recovery::CandidateOptions;
use grap::server::{InstallationPlace, JavaPlace};
use grap::state::StateDirectory;
use grap_bolt::client::{Auth, Options};
use grap_core::RetentionRules;
use grap_core::recovery::Limits;
use grap_repository::{KdfCost, WriterOptions};
use jiff::tz::TimeZone;
use secrecy::SecretString;

/// Where everything is.
pub(crate) struct Places {
    pub(crate) home: PathBuf,
    pub(crate) uri: String,
    /// `USER/PASSWORD`, or `none`.
    pub(crate) auth: String,
    pub(crate) scratch: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, uri, auth, scratch] = arguments.as_slice() else {
        eprintln!("durability NEO4J_HOME URI USER/PASSWORD SCRATCH_DIR");
        return ExitCode::from(2);
    };
    let places = Places { home: home.into(), uri: uri.clone(), auth: auth.clone(), scratch: scratch.into() };
    match run(&places) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", grap::in_one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn run(places: &Places) -> Result<(), Box<dyn Error>> {
    let caller = Caller::new("durability 1");
    let state = StateDirectory::open(&places.scratch.join("state"))?;
    make_repository(places, &state, &caller)?;
    let options = options(places)?;
    let recovery =
        RecoveryStateMachine::new(options.recover.clone(), opener(places), state.clone(), caller.clone());
    let orchestrator = DurabilityOrchestrator::new(options, opener(places), state, caller);

    let health = orchestrator.check_database_health(true);
    for check in health.checks.iter() {
        println!("{} {}: {}", check.state.name(), check.name, check.message);
    }
    if !health.is_healthy() {
        return Err("the database is not healthy".into());
    }

    let made = orchestrator.backup_and_verify()?;
    println!("{} is made and verified", made.backup.manifest.id);
    for row in orchestrator.list_backups_with_status()?.rows {
        println!("{} {:?}, verdict {:?}", row.id, row.status, row.standing.verdict());
    }

    recover(&recovery, &orchestrator)?;

    // The newest good one stays, whatever the rules say.
    let cleaned = orchestrator.cleanup_old_backups()?;
    println!("{} backups were deleted", cleaned.deleted.len());
    Ok(())
}

/// Fixed first, so that somebody can look at it; then performed; then a question, and the candidate is removed again.
fn recover(
    recovery: &RecoveryStateMachine,
    orchestrator: &DurabilityOrchestrator,
) -> Result<(), Box<dyn Error>> {
    let begun = recovery.initialize_recovery(None)?;
    println!("a recovery is {}, {:?} %", begun.status(), recovery.update_progress()?.percent);
    // It goes on with what was begun; without that it would begin by itself. `start_validation` does the same.
    let ended = orchestrator.restore_with_validation(None)?;
    println!("it is {}, {:?} %", ended.status(), ended.percent);
    if let Some((code, why)) = recovery.validation_failed()? {
        return Err(format!("{}: {why}", code.name()).into());
    }
    if !recovery.validation_passed()? {
        return Err("it has neither passed nor failed".into());
    }
    println!("the candidate is reset: {}", recovery.reset_recovery_state()?.status());
    println!("it is {}", orchestrator.get_recovery_status()?.status());
    Ok(())
}

fn make_repository(places: &Places, state: &StateDirectory, caller: &Caller) -> Result<(), Box<dyn Error>> {
    let access = access(&places.scratch.join("repository"));
    let made = ops::init(access, "neo4j".parse()?, KdfCost::default(), state, &caller.session())?;
    println!("repository {} is made; its recovery key is to be written down", made.repository_id);
    Ok(())
}

fn opener(places: &Places) -> Box<OpenRepository> {
    let repository = places.scratch.join("repository");
    Box::new(move || Ok(access(&repository)))
}

/// In earnest the password comes from a file.
fn access(repository: &Path) -> Access {
    Access::local(repository.to_owned(), SecretString::from("an example".to_owned()))
}

fn options(places: &Places) -> Result<DurabilityOptions, Box<dyn Error>> {
    let connection = Options::new(places.uri.parse()?, Auth::parse(&places.auth)?);
    let health = HealthOptions {
        connection,
        database: None,
        schema: None,
        custom: Vec::new(),
        detailed: false,
        limits: HealthLimits::default(),
    };
    let backup = BackupOptions {
        installation: InstallationOptions::Home { home: places.home.clone(), configuration: None },
        source: None,
        tags: vec!["example".to_owned()],
        note: None,
        read_limit: None,
        niceness: 19,
        writer: WriterOptions::default(),
        pace: Pace::DEFAULT,
        takeover: false,
        settings: None,
    };
    let expire = ExpireOptions {
        source: None,
        rules: RetentionRules::default(),
        window_days: 7,
        zone: TimeZone::UTC,
        schedule: None,
    };
    Ok(DurabilityOptions { backup, expire, health, recover: recover_options(places) })
}

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
        root: places.scratch.join("candidates"),
        candidate,
        limits: Limits::default(),
    }
}
