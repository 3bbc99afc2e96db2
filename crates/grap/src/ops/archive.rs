//! `archive`: follow the logs of an installation and keep every complete transaction, until told to stop.

use std::sync::mpsc;
use std::time::Duration;

use grap_core::SourceName;
use grap_repository::Repository;
use grap_task::{Finding, Stop, Unit};

use super::Session;
use super::source::binding_of;
use super::watchdog::Watchdog;
use crate::archive::{Archive, Merger, Nonces, RunNumber, ShipOptions, Shipped, Shipper, Stored, Writer};
use crate::error::{Error, Result, in_one_line};
use crate::live::{FollowOptions, Follower, Installation, InstallationOptions, Pace, PinMode};
use crate::sources;
use crate::state::StateDirectory;

#[derive(Debug, Clone)]
pub struct ArchiveOptions {
    pub installation: InstallationOptions,
    /// The repository's only one, where it is not named.
    pub source: Option<SourceName>,
    /// This installation writes from now on, whoever did before.
    pub takeover: bool,
    /// Between two segments of a database under load.
    pub interval: Duration,
    /// Bytes of log in one segment, as long as a transaction is not longer.
    pub segment_bytes: usize,
    /// A longer lag is told; `None`: somebody else watches.
    pub lag_max: Option<Duration>,
    pub pace: Pace,
}

#[derive(Debug)]
pub struct ArchiveReport {
    pub source: SourceName,
    pub shipped: Shipped,
    pub duration: Duration,
}

/// How often the end of a log is looked at: two reads for each database.
const POLL: Duration = Duration::from_millis(10);

/// Archive until a stop is asked for; then store the last complete transaction and return. However long it takes to
/// `open` the repository, meanwhile no log is lost that the server deletes.
pub fn archive(
    options: &ArchiveOptions,
    open: impl FnOnce() -> Result<Repository>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<ArchiveReport> {
    let began = session.clock.since_boot();
    let installation = Installation::find(&options.installation)?;
    // Before anything slow: a log file may live for a second only.
    let follow =
        FollowOptions { pace: options.pace, clock: session.clock.clone(), ..FollowOptions::default() };
    let follower = Follower::start(&installation, &follow)?;
    tell_mode(&follower, session);

    session.monitor.begin("opening the repository", Unit::Items, None);
    let repository = open()?;
    let source = sources::choose(&repository, options.source.as_ref())?;
    let _job = state.lock_archive(&source.name)?;
    let owner = format!("{}/{}", repository.id(), source.name);
    let archive = Archive::new(repository.clone(), source.name.clone());
    let writer = Writer {
        archive: &archive,
        follower: &follower,
        databases: &installation.databases,
        clock: session.clock,
        host: session.holder.hostname.clone(),
        owner,
        segment_bytes: options.segment_bytes,
        nonces: Nonces::open(state.root(), &source.name),
        takeover: options.takeover,
        active: None,
    };
    session.monitor.begin("archiving transactions", Unit::Items, None);
    let admit = || {
        let source = sources::choose(&repository, Some(&source.name))?;
        sources::admit(&repository, &source, &binding_of(&installation)?)
    };
    let watchdog = options.lag_max.map(|lag_max| Watchdog {
        installation: &installation,
        repository: &repository,
        source: &source.name,
        archive: &archive,
        lag_max,
        session,
    });
    let shipped = ship(writer, options, &admit, (watchdog.as_ref(), session))?;
    Ok(ArchiveReport {
        source: source.name.clone(),
        shipped,
        duration: session.clock.since_boot().saturating_sub(began),
    })
}

/// The shipper in this thread; beside it the merger, because reading back many objects takes a while, and the
/// watchdog, because nobody watches himself.
fn ship(
    writer: Writer<'_>,
    options: &ArchiveOptions,
    admit: &dyn Fn() -> Result<()>,
    (watchdog, session): (Option<&Watchdog<'_>>, &Session<'_>),
) -> Result<Shipped> {
    let archive = writer.archive;
    let ended = Stop::new();
    std::thread::scope(|scope| {
        let (stored, to_merge) = mpsc::channel();
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let started = named("merger").spawn_scoped(scope, move || merge(archive, &to_merge, session));
        started.map_err(Error::Thread)?;
        // Requested whatever happens here: else the scope would wait for the watchdog for ever.
        let _guard = EndsAtDrop(&ended);
        if let Some(watchdog) = watchdog {
            let started = named("watchdog").spawn_scoped(scope, || watchdog.run(&ended));
            started.map_err(Error::Thread)?;
        }
        let mut note = |run: RunNumber, database: &str, segment: &Stored| {
            // A merger that ended merges nothing more; nothing depends on it.
            let _ = stored.send((run, database.to_owned(), *segment));
        };
        let pace = ShipOptions { interval: options.interval, poll: POLL };
        let surroundings = (session.clock, session.stop, session.monitor);
        Shipper::new(writer, pace, surroundings, admit, &mut note).run()
    })
}

struct EndsAtDrop<'a>(&'a Stop);

impl Drop for EndsAtDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

fn merge(archive: &Archive, stored: &mpsc::Receiver<(RunNumber, String, Stored)>, session: &Session<'_>) {
    let mut merger = Merger::default();
    for (run, database, segment) in stored {
        if session.stop.requested() {
            return;
        }
        if let Err(error) = merger.add(archive, run, &database, &segment) {
            let why = in_one_line(&error);
            session.monitor.finding(&Finding::info(format!("segments are left unmerged: {why}")));
        }
    }
}

fn tell_mode(follower: &Follower, session: &Session<'_>) {
    if let PinMode::Descriptors(reason) = follower.mode() {
        session.monitor.finding(&Finding::warning(format!(
            "log files are held open, because they cannot be hard-linked ({reason}): what this process has not stored when it dies is lost with it"
        )));
    }
}
