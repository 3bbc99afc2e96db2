//! The loop of an archiver: rounds at a pace, begins when a round says so, patience when the storage fails.
//!
//! A lone commit goes at once; under load a database gets one segment in each interval, because it is objects
//! that cost. The database never waits for any of it: what cannot be stored stays pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use grap_task::{Clock, Finding, Monitor, Stop};

use super::begin::Floor;
use super::latency::Latencies;
use super::names::RunNumber;
use super::store::ArchiveError;
use super::write_error::{WriteError, follow_may_pass, storage_may_pass, storage_refuses};
use super::writer::{Round, Stored, Writer};
use crate::copy::CaptureError;
use crate::error::{Error, Result, in_one_line};
use crate::live::{LeftFolder, LeftReason, Place};

#[derive(Debug, Clone, Copy)]
pub struct ShipOptions {
    /// Between two segments of a database under load.
    pub interval: Duration,
    /// Between two looks at the end of a log.
    pub poll: Duration,
}

/// How often an idle archiver asks whether the source is still the one it read.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// How often it asks whether it was overtaken, and drops pins.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);
/// How long what is there may be shipped after a stop was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// Between two tries while the storage fails, at most.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// What was shipped.
#[derive(Debug, Default)]
pub struct Shipped {
    pub runs: Vec<RunNumber>,
    pub segments: u64,
    pub transactions: u64,
    /// Of log.
    pub bytes: u64,
    /// From the commit of each segment's first transaction to its object, as this machine's clock has both.
    pub latencies: Latencies,
}

/// Ships until it is told to stop.
pub struct Shipper<'a> {
    pub writer: Writer<'a>,
    pub options: ShipOptions,
    pub clock: &'a Clock,
    pub stop: &'a Stop,
    pub monitor: &'a dyn Monitor,
    /// Whether the databases are (still) those of the source; asked before each begin: an import makes another.
    pub admit: &'a dyn Fn() -> Result<()>,
    /// Hears of every segment that was stored.
    pub stored: &'a mut dyn FnMut(RunNumber, &str, &Stored),
    state: State,
}

#[derive(Default)]
struct State {
    shipped: Shipped,
    /// For the next begin.
    floors: BTreeMap<String, Floor>,
    last_put: BTreeMap<String, Duration>,
    /// Databases of which everything was stored once since the run began: what was there before is not late.
    caught_up: BTreeSet<String>,
    /// Databases of which the log's end was reached since a stop was asked for.
    drained: BTreeSet<String>,
    /// Folders of pins that are not ours and were told.
    left_told: BTreeSet<PathBuf>,
    watched: Duration,
    /// Where the databases lay at first, and when that was looked at.
    place: Option<Place>,
    placed: Duration,
    tidied: Duration,
    outage: Option<Outage>,
    gap_told: bool,
}

struct Outage {
    since: Duration,
    tries: u32,
}

impl<'a> Shipper<'a> {
    pub fn new(
        writer: Writer<'a>,
        options: ShipOptions,
        (clock, stop, monitor): (&'a Clock, &'a Stop, &'a dyn Monitor),
        admit: &'a dyn Fn() -> Result<()>,
        stored: &'a mut dyn FnMut(RunNumber, &str, &Stored),
    ) -> Self {
        Self { writer, options, clock, stop, monitor, admit, stored, state: State::default() }
    }

    /// Until a stop is asked for and everything is stored that was complete then; or until only an operator can
    /// help.
    pub fn run(mut self) -> Result<Shipped> {
        let mut stopping: Option<Duration> = None;
        loop {
            let now = self.clock.since_boot();
            if self.stop.requested() && stopping.is_none() {
                stopping = Some(now);
                self.state.drained.clear();
            }
            match self.require_place(now).and_then(|()| self.pass(now, stopping.is_some())) {
                Ok(busy) => {
                    if stopping.is_some() && self.is_drained() {
                        self.writer.tidy()?;
                        return Ok(self.state.shipped);
                    }
                    if stopping.is_some_and(|since| now.saturating_sub(since) > DRAIN_MAX) {
                        return Err(WriteError::NotDrained { within: DRAIN_MAX }.into());
                    }
                    if !busy {
                        self.clock.wait(self.options.poll, self.stop);
                    }
                }
                Err(error) if self.is_waited_out(&error) && stopping.is_none() => self.wait_out(&error, now),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the end of each log was reached since the stop.
    fn is_drained(&self) -> bool {
        self.writer.databases.iter().all(|database| self.state.drained.contains(database))
    }

    /// After a swap of the whole data directory our pins lie with the old one, and only an operator can say whose
    /// the new one is.
    fn require_place(&mut self, now: Duration) -> Result<()> {
        if now.saturating_sub(self.state.placed) < WATCH_INTERVAL {
            return Ok(());
        }
        self.state.placed = now;
        let place = self.writer.follower.place()?;
        if *self.state.place.get_or_insert(place) == place {
            Ok(())
        } else {
            Err(WriteError::PlaceChanged.into())
        }
    }

    /// One look at every database. `true`: there was something to do, and there may be more.
    fn pass(&mut self, now: Duration, stopping: bool) -> Result<bool> {
        if self.writer.active.is_none() {
            self.begin()?;
        }
        let mut busy = false;
        for database in self.writer.databases {
            if self.writer.active.is_none() {
                return Ok(true);
            }
            let last = self.state.last_put.get(database);
            let due = last.is_none_or(|last| now.saturating_sub(*last) >= self.options.interval);
            let wanted = if stopping { !self.state.drained.contains(database) } else { due };
            if wanted {
                busy |= self.round(database, now)?;
            }
        }
        if !busy && now.saturating_sub(self.state.watched) >= WATCH_INTERVAL {
            self.state.watched = now;
            busy |= self.watch()?;
        }
        if now.saturating_sub(self.state.tidied) >= TIDY_INTERVAL {
            self.state.tidied = now;
            self.tidy()?;
        }
        Ok(busy)
    }

    fn begin(&mut self) -> Result<()> {
        (self.admit)()?;
        let run = self.writer.begin(&self.state.floors)?;
        self.recovered();
        // Said once: whoever is overtaken later does not take over again.
        self.writer.takeover = false;
        self.state.floors.clear();
        self.state.caught_up.clear();
        self.state.shipped.runs.push(run);
        if let Some(start) = self.writer.archive.start(run)? {
            for (database, start) in start.databases {
                let Some(why) = start.broken else { continue };
                self.monitor.finding(&Finding::warning(format!(
                    "UNPROTECTED unless a backup reaches it already: a new timeline of `{database}` begins with run {run} at transaction {} ({why}); take a backup now",
                    start.first_id
                )));
            }
        }
        self.tell_left();
        Ok(self.writer.tidy()?)
    }

    /// Pins that nobody takes care of may be the only copy of a transaction.
    fn tell_left(&mut self) {
        for what in self.writer.active.iter().flat_map(|active| &active.unread) {
            let text = format!("a pinned file cannot be read, and is kept: {what}");
            self.monitor.finding(&Finding::warning(text));
        }
        for LeftFolder { path, reason } in self.writer.follower.left() {
            let why = match reason {
                // A living archiver looks after its own.
                LeftReason::Held => continue,
                LeftReason::OtherOwner(owner) => format!("they are for another archive, {owner}"),
                LeftReason::RunUnreadable(why) => {
                    format!("which run of the server they are of cannot be read: {why}")
                }
                LeftReason::Failed(why) => why,
            };
            let text = format!("pins are left alone in {}: {why}", path.display());
            if self.state.left_told.insert(path) {
                self.monitor.finding(&Finding::warning(text));
            }
        }
    }

    fn round(&mut self, database: &str, now: Duration) -> Result<bool> {
        match self.writer.round(database)? {
            Round::Idle => {
                self.state.drained.insert(database.to_owned());
                Ok(false)
            }
            Round::Turned => Ok(true),
            Round::Stored(stored) => {
                // Whoever is behind does not wait: only at the log's end it is objects that cost.
                if stored.at_end {
                    self.state.last_put.insert(database.to_owned(), now);
                }
                self.note(database, &stored);
                Ok(true)
            }
            Round::Lost { why, floor } => {
                self.lose(database, &why, floor);
                Ok(true)
            }
            Round::Overtaken { .. } => {
                self.writer.active = None;
                Ok(true)
            }
        }
    }

    fn note(&mut self, database: &str, stored: &Stored) {
        let shipped = &mut self.state.shipped;
        shipped.segments += 1;
        shipped.transactions += stored.last.0 - stored.first.0 + 1;
        shipped.bytes += stored.bytes;
        if self.state.caught_up.contains(database) {
            let ms = self.clock.now().as_millisecond().saturating_sub(stored.first_commit.0);
            shipped.latencies.add(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
        }
        if stored.at_end {
            self.state.caught_up.insert(database.to_owned());
            self.state.drained.insert(database.to_owned());
        }
        self.recovered();
        self.monitor.advance(stored.last.0 - stored.first.0 + 1);
        if let Some(active) = &self.writer.active {
            (self.stored)(active.run, database, stored);
        }
    }

    fn lose(&mut self, database: &str, why: &str, floor: Option<Floor>) {
        self.monitor.finding(&Finding::info(format!("the log of `{database}` is looked at anew: {why}")));
        if let Some(floor) = floor {
            self.state.floors.insert(database.to_owned(), floor);
        }
        self.writer.active = None;
    }

    /// Whether the source is still what was read, where nothing comes from it.
    fn watch(&mut self) -> Result<bool> {
        let Some(active) = &self.writer.active else { return Ok(false) };
        for database in self.writer.databases {
            if let Some(why) = self.writer.displaced(active, database)? {
                self.lose(database, &why, None);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tidy(&mut self) -> Result<()> {
        self.writer.follower.look()?;
        self.tell_gap();
        self.writer.tidy()?;
        let Some(active) = &self.writer.active else { return Ok(()) };
        let overtaken = self.writer.archive.has_begun(active.run.next())?;
        self.recovered();
        if overtaken {
            self.writer.active = None;
        }
        Ok(())
    }

    fn tell_gap(&mut self) {
        let Some(gap) = self.writer.follower.gap() else {
            self.state.gap_told = false;
            return;
        };
        if !self.state.gap_told {
            self.state.gap_told = true;
            self.monitor.finding(&Finding::warning(format!(
                "UNPROTECTED: {} bytes of log are held back and not stored, which is all they may; no new log file is pinned: from log file {} of `{}` on the history may be lost",
                gap.held_back.bytes, gap.version, gap.database
            )));
        }
        if self.writer.follower.held_back().allows() {
            self.writer.follower.clear_gap();
        }
    }

    /// At the start a permission that is missing is a setting that is wrong; later it is an outage like others.
    fn is_waited_out(&self, error: &Error) -> bool {
        may_pass(error) && !(self.state.shipped.runs.is_empty() && is_denied(error))
    }

    fn wait_out(&mut self, error: &Error, now: Duration) {
        // While nothing can be stored the pins grow: this is when their room ends.
        self.tell_gap();
        let outage = self.state.outage.get_or_insert(Outage { since: now, tries: 0 });
        if outage.tries == 0 {
            let why = in_one_line(error);
            self.monitor
                .finding(&Finding::warning(format!("nothing can be stored ({why}); the log is held back")));
        }
        outage.tries = outage.tries.saturating_add(1);
        let wait = Duration::from_millis(50).saturating_mul(1 << outage.tries.min(8)).min(BACK_OFF_MAX);
        self.clock.wait(wait, self.stop);
    }

    /// The storage has answered.
    fn recovered(&mut self) {
        if let Some(outage) = self.state.outage.take() {
            let seconds = self.clock.since_boot().saturating_sub(outage.since).as_secs();
            self.monitor.finding(&Finding::info(format!("after {seconds} s the log is stored again")));
        }
    }
}

/// Whether it may pass by itself, as against what an operator has to look at.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Write(error) => error.may_pass(),
        Error::Archive(ArchiveError::Repository(error)) | Error::Repository(error) => storage_may_pass(error),
        Error::Follow(error) => follow_may_pass(error),
        Error::Disk(_) | Error::Capture(CaptureError::Disk(_)) => true,
        _ => false,
    }
}

/// Whether the storage said no, or the system refused for want of a permission somewhere behind the error.
fn is_denied(error: &Error) -> bool {
    let refused = match error {
        Error::Write(WriteError::Archive(ArchiveError::Repository(error)))
        | Error::Archive(ArchiveError::Repository(error))
        | Error::Repository(error) => storage_refuses(error),
        _ => false,
    };
    refused || is_denied_by_system(error)
}

fn is_denied_by_system(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut systems = causes.filter_map(|error| error.downcast_ref::<std::io::Error>());
    systems.any(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use grap_disk::DiskError;
    use grap_repository::{ObjectCall, ObjectError, RepositoryError};

    use super::*;
    use crate::live::FollowError;

    /// A log directory that cannot be read for a while, a full disk: neither ends an archiver.
    #[test]
    fn what_the_source_refuses_for_a_while_is_waited_out() {
        let denied =
            DiskError::reading(Path::new("transactions/neo4j"), std::io::ErrorKind::PermissionDenied.into());
        let error = Error::Follow(FollowError::Disk(denied));
        assert!(may_pass(&error) && is_denied(&error));
        assert!(!may_pass(&Error::Follow(FollowError::RunIsPresent)));
    }

    /// Credentials that run out are an outage; at the start they are a setting that is wrong.
    #[test]
    fn what_the_storage_refuses_for_a_while_is_waited_out() {
        let (call, name) = (ObjectCall::Put, "grap/log/a".to_owned());
        let refused = |error: ObjectError| Error::Repository(RepositoryError::Object(error));
        let denied = refused(ObjectError::Denied { call, name: name.clone(), source: "no".into() });
        assert!(may_pass(&denied) && is_denied(&denied));
        let full = refused(ObjectError::Full { call, name: name.clone(), source: "no".into() });
        assert!(may_pass(&full) && !is_denied(&full));
        assert!(!may_pass(&refused(ObjectError::AlreadyExists { name })));
    }
}
