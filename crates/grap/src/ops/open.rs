//! `open`: time travel. A backup, and archived log behind it, opened by a Neo4j of its own: for looking, and for copying
//! things out. Nothing of it stays.
//!
//! 1. What is to be opened is decided, and whether this Neo4j can open it, before a byte is written.
//! 2. `restore` as it is, into a folder of ours; it looks for room first.
//! 3. A first start recovers the database and builds its indexes: a server does neither in read-only mode. Nobody knows
//!    the password yet. Its newest transaction must be the promised one.
//! 4. A second start is read-only: that is the one to look at.

use std::path::PathBuf;
use std::time::Duration;

use grap_core::{BackupId, SourceName, Target};
use grap_neo4j::TxId;
use grap_task::{Finding, Unit};
use secrecy::SecretString;

use super::restore::{RestoreOptions, plan_restore, restore};
use super::{Access, RestoreReport, RestoredDatabase, Session};
use crate::copy::Point;
use crate::error::{Error, Result};
use crate::live::SYSTEM;
use crate::server::{
    InstallationPlace, InstanceFolder, InstanceHome, InstanceOptions, Mode, ServerError, ServerInstallation,
    ServerRelease, TestInstance,
};
use crate::state::StateDirectory;
use crate::validate::{End, look_at_end};

/// For a clean stop of the first start: it writes a checkpoint of what it recovered.
const STOP_LIMIT: Duration = Duration::from_mins(5);
/// Between two looks at whether the server still runs.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
pub struct OpenOptions {
    pub target: Target,
    pub source: Option<SourceName>,
    /// The path of this run, in place of the current one.
    pub timeline: Option<u64>,
    /// The user database, where a backup holds several.
    pub database: Option<String>,
    /// Holds the folder in which everything happens.
    pub scratch: PathBuf,
    pub server: InstallationPlace,
    /// `512m`
    pub heap: String,
    /// `64m`
    pub page_cache: String,
    /// For each of the two starts, recovery and indexes included.
    pub start_limit: Duration,
}

#[derive(Debug)]
pub struct OpenReport {
    pub target: String,
    /// The backup that it begins from.
    pub id: BackupId,
    pub source: SourceName,
    pub timeline: Option<u64>,
    pub database: String,
    pub end: Point,
    /// Why it does not go to the target's instant for certain.
    pub short: Option<String>,
    /// Of the server that has opened it.
    pub release: ServerRelease,
    pub uri: String,
    pub user: &'static str,
    pub password: SecretString,
    pub pid: u32,
    pub folder: PathBuf,
    /// Indexes that are not online, and why.
    pub indexes_missing: Vec<String>,
    /// From the beginning to the end of the restore, and from there on.
    pub restored_in: Duration,
    pub started_in: Duration,
}

/// An open database. Dropped, its server is killed and its folder removed.
#[derive(Debug)]
pub struct Opened {
    pub report: OpenReport,
    // In this order: the server goes before its files.
    instance: TestInstance,
    folder: InstanceFolder,
}

/// Why [`Opened::stay`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StayEnd {
    /// A stop was asked for.
    Asked,
    /// The time was up.
    TimeUp,
}

pub fn open(
    options: &OpenOptions,
    [to_decide, to_restore]: [Access; 2],
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Opened> {
    let began = session.clock.since_boot();
    let installation = ServerInstallation::find(&options.server)?;
    let database = choose(options, to_decide, &installation, session)?;
    let folder = InstanceFolder::make(&options.scratch, session.clock, session.monitor)?;
    let restored = restore(&wish(options, folder.data(), Some(&database)), to_restore, state, session)?;
    let restored_at = session.clock.since_boot();
    let found = the_one(&restored, &database)?;
    let home = InstanceHome::make(&folder, &database, instance_options(options, &installation))?;
    let (home, indexes_missing) = recover(home, found, &installation, options, session)?;
    let instance = start_read_only(home, options, session)?;
    let report = OpenReport {
        target: restored.target.clone(),
        id: restored.id.clone(),
        source: restored.source.clone(),
        timeline: restored.timeline,
        end: found.end,
        short: found.short.clone(),
        database,
        release: installation.release,
        uri: instance.uri(),
        user: instance.user(),
        password: instance.password().clone(),
        pid: instance.pid(),
        folder: folder.path().to_owned(),
        indexes_missing,
        restored_in: restored_at.saturating_sub(began),
        started_in: session.clock.since_boot().saturating_sub(restored_at),
    };
    Ok(Opened { report, instance, folder })
}

impl Opened {
    /// Wait for a stop, or for so long. A server that ends by itself is an error.
    pub fn stay(&mut self, longest: Option<Duration>, session: &Session<'_>) -> Result<StayEnd> {
        let begun = session.clock.since_boot();
        loop {
            if let Some(ended) = self.instance.ended() {
                return Err(ended.into());
            }
            let stayed = session.clock.since_boot().saturating_sub(begun);
            let left = longest.map_or(LOOK, |longest| longest.saturating_sub(stayed).min(LOOK));
            if left.is_zero() {
                return Ok(StayEnd::TimeUp);
            }
            if session.clock.wait(left, session.stop) {
                return Ok(StayEnd::Asked);
            }
        }
    }

    /// End the server and remove everything.
    pub fn close(self) -> Result<()> {
        self.instance.kill();
        Ok(self.folder.remove()?)
    }
}

/// Which database, and whether this server can open it.
fn choose(
    options: &OpenOptions,
    access: Access,
    installation: &ServerInstallation,
    session: &Session<'_>,
) -> Result<String> {
    if options.database.as_deref() == Some(SYSTEM) {
        return Err(Error::SystemNotOpened);
    }
    let plan = plan_restore(&wish(options, PathBuf::new(), options.database.as_deref()), access, session)?;
    let database = plan.user_database(options.database.as_deref())?;
    installation.require_at_least(&database.server_min, &database.name)?;
    Ok(database.name.clone())
}

fn wish(options: &OpenOptions, to: PathBuf, database: Option<&str>) -> RestoreOptions {
    use rustix::process::{getgid, getuid};
    RestoreOptions {
        target: options.target.clone(),
        source: options.source.clone(),
        timeline: options.timeline,
        to,
        databases: database.map(str::to_owned).into_iter().collect(),
        // The server is ours, and so are its files.
        owner: Some((getuid().as_raw(), getgid().as_raw())),
        keep_going: false,
        no_lock: false,
    }
}

fn instance_options(options: &OpenOptions, installation: &ServerInstallation) -> InstanceOptions {
    InstanceOptions {
        installation: installation.clone(),
        heap: options.heap.clone(),
        page_cache: options.page_cache.clone(),
    }
}

fn the_one<'r>(restored: &'r RestoreReport, name: &str) -> Result<&'r RestoredDatabase> {
    restored.databases.iter().find(|database| database.name == name).ok_or_else(|| Error::DatabaseNotFound {
        id: restored.id.clone(),
        database: name.to_owned(),
        known: restored.databases.iter().map(|database| database.name.clone()).collect(),
    })
}

/// Start it, let it recover and build its indexes, see that it ends where it should, and stop it cleanly.
fn recover(
    home: InstanceHome,
    database: &RestoredDatabase,
    installation: &ServerInstallation,
    options: &OpenOptions,
    session: &Session<'_>,
) -> Result<(InstanceHome, Vec<String>)> {
    session.monitor.begin("recovering in a server of its own", Unit::Items, None);
    let mut instance =
        TestInstance::start(home, Mode::Writable, options.start_limit, session.clock, session.stop)?;
    require_end(database, instance.newest_transaction()?, installation, session)?;
    session.monitor.begin("building indexes", Unit::Items, None);
    let missing = instance.await_indexes(options.start_limit, session.stop)?;
    if !missing.is_empty() {
        let text = format!("indexes that are not online: {}", missing.join(", "));
        session.monitor.finding(&Finding::warning(text));
    }
    Ok((instance.stop(STOP_LIMIT)?, missing))
}

fn start_read_only(home: InstanceHome, options: &OpenOptions, session: &Session<'_>) -> Result<TestInstance> {
    session.monitor.begin("opening read-only", Unit::Items, None);
    let started = TestInstance::start(home, Mode::ReadOnly, options.start_limit, session.clock, session.stop);
    Ok(started?)
}

fn require_end(
    database: &RestoredDatabase,
    found: u64,
    installation: &ServerInstallation,
    session: &Session<'_>,
) -> Result<()> {
    let promised = database.end.tx_id;
    match look_at_end(TxId(promised), found, &database.server_min, &installation.release) {
        End::AsPromised => Ok(()),
        End::Upgraded(own) => {
            let text = format!(
                "Neo4j {} has upgraded the store: {own} transactions of its own behind {promised}",
                installation.release
            );
            session.monitor.finding(&Finding::info(text));
            Ok(())
        }
        End::Other => Err(ServerError::WrongEnd { database: database.name.clone(), promised, found }.into()),
    }
}
