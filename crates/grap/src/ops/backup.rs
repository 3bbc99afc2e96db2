//! `backup`: take the databases of an installation, as they are at one transaction each, while the server
//! goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use grap_core::{BackupId, Binding, Room, SourceName};
use grap_disk as disk;
use grap_repository::{LocalStore, Repository, RepositoryError, SnapshotDraft, Writer, WriterOptions};
use grap_task::{Clock, Finding, Stop, Unit};
use jiff::Timestamp;

use super::source::binding_of;
use super::space::{make_reserve, scarce};
use super::{Access, Session};
use crate::archive::{Archive, Nonces, Ownership, RunNumber};
use crate::catalog::{self, Catalog};
use crate::copy::{
    Capture, CaptureError, CapturedDatabase, MANIFEST_NAME, Manifest, ServerManifest, SnapshotTree,
    StillLife, Throttle, still_life,
};
use crate::error::{Error, Result};
use crate::live::{
    Configuration, Installation, InstallationOptions, LogReader, Pace, PinMode, Pinner, Place, ServerRun,
    logs_elsewhere, plugins, release,
};
use crate::notes;
use crate::sources;
use crate::state::{Job, Outcome, StateDirectory};

#[derive(Debug, Clone)]
pub struct BackupOptions {
    pub installation: InstallationOptions,
    /// The repository's only one, where it is not named.
    pub source: Option<SourceName>,
    pub tags: Vec<String>,
    pub note: Option<String>,
    /// Of the live files, bytes a second.
    pub read_limit: Option<u64>,
    /// How nice the copying threads are beside a running server.
    pub niceness: i32,
    pub writer: WriterOptions,
    pub pace: Pace,
    /// This installation writes for the source from now on, whoever did before.
    pub takeover: bool,
    /// Grap's own settings, to be taken along; without secrets.
    pub settings: Option<Vec<u8>>,
}

#[derive(Debug)]
pub struct BackupReport {
    pub manifest: Manifest,
    /// Of restic's snapshot.
    pub snapshot: String,
    pub duration: Duration,
}

/// Take a backup. Whatever goes wrong, no backup appears; what was stored is used by the next run.
pub fn backup(
    options: &BackupOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<BackupReport> {
    let _job = state.lock(Job::Backup, session.clock)?;
    let started = session.clock.now();
    let attempts = state.attempts()?;
    let id = BackupId::choose(started, |id| attempts.iter().any(|attempt| attempt.id == *id));
    state.begin(id.as_str(), "backup", options.source.as_ref(), started)?;
    let run = Run { options, session, id: id.clone(), started, began: session.clock.since_boot() };
    let result = run.attempt(access, state);
    // A backup that exists is not undone because the journal could not be written: it is said, and the entry
    // counts as abandoned.
    if let Err(error) = state.end(id.as_str(), session.clock.now(), Outcome::of(&result)) {
        session.monitor.finding(&Finding::warning(format!("the end of {id} could not be noted: {error}")));
    }
    result
}

/// One attempt.
struct Run<'a> {
    options: &'a BackupOptions,
    session: &'a Session<'a>,
    id: BackupId,
    started: Timestamp,
    began: Duration,
}

impl Run<'_> {
    fn attempt(mut self, access: Access, state: &StateDirectory) -> Result<BackupReport> {
        let Session { monitor, clock, .. } = *self.session;
        monitor.begin("looking at the installation", Unit::Items, None);
        let installation = Installation::find(&self.options.installation)?;
        let runs = server_runs(&installation)?;
        let unheld: Vec<&str> = unheld(&installation, &runs);
        let still = still_lives(&installation, &unheld)?;
        let running = unheld.len() < installation.databases.len();
        // Before anything slow: a log file may live for a second only.
        let pinner = Pinner::start(&installation, self.options.pace)?;
        self.tell_mode(&pinner);
        self.tell_oddities(&installation, &runs)?;
        require_open_logs(&installation, clock, self.session.stop)?;
        let binding = binding_of(&installation)?;

        let directory = access.directory.clone();
        let repository = access.open()?;
        let lock = repository.lock_shared(self.session.holder, clock)?;
        if let Some(directory) = &directory {
            // What killed processes left half written in the repository.
            LocalStore::open(directory).remove_leftovers(clock.now()).map_err(RepositoryError::from)?;
        }
        let source = sources::choose(&repository, self.options.source.as_ref())?;
        sources::admit(&repository, &source, &binding)?;
        let archive = Archive::new(repository.clone(), source.name.clone());
        let ownership = Self::ownership(&archive, &installation, state, self.session)?;
        // The start that stood when the ends are read, or an older one: never one that came behind them.
        let newest_start = if self.options.takeover { ownership.take_over() } else { ownership.prove() }?;
        let first = self.settle_id(&repository, &source.name)?;
        let kept = if first { kept_of_failed_runs(&repository)? } else { 0 };
        self.require_room(&installation, &pinner, directory.as_ref(), first, kept)?;

        if running {
            be_nice(self.options.niceness);
        }
        let damaged = notes::damaged_packs(&repository, &Catalog::load(&repository)?.backups)?;
        let (writer, stop) = (&self.options.writer, self.session.stop);
        let mut writer = repository.writer_without(&damaged, &lock, writer, stop, monitor)?;
        let captured = self.capture(&installation, &unheld, &pinner, &mut writer)?;
        require_same_runs(&installation, &runs)?;
        require_still(&still, &still_lives(&installation, &unheld)?)?;
        self.recheck(&repository, &source.name, &binding)?;
        ownership.prove()?;
        let server = ServerManifest { running, version: release(&installation, &runs[0]) };
        let report = self.publish(writer, &installation, &source.name, (captured, server, newest_start))?;
        drop(pinner);
        self.session.release(lock);
        make_reserve(directory.as_deref(), self.session);
        Ok(report)
    }

    fn ownership<'r>(
        archive: &'r Archive,
        installation: &Installation,
        state: &StateDirectory,
        session: &'r Session<'_>,
    ) -> Result<Ownership<'r>> {
        Ok(Ownership {
            archive,
            nonces: Nonces::open(state.root(), archive.source()),
            place: Place::of(&installation.data.join("databases"))?,
            host: &session.holder.hostname,
            clock: session.clock,
        })
    }

    /// Right before the publication: the source is still bound to these databases, and nobody else has used
    /// the id meanwhile.
    fn recheck(&self, repository: &Repository, source: &SourceName, found: &Binding) -> Result<()> {
        let source = sources::choose(repository, Some(source))?;
        sources::admit(repository, &source, found)?;
        let catalog = Catalog::load(repository)?;
        if catalog.of(Some(&source.name)).any(|backup| backup.id == self.id) {
            return Err(Error::IdTaken { id: self.id.clone(), name: source.name });
        }
        Ok(())
    }

    /// What is allowed and yet worth a look.
    fn tell_oddities(&self, installation: &Installation, runs: &[ServerRun]) -> Result<()> {
        let running = runs.iter().any(ServerRun::is_running);
        for (database, run) in installation.databases.iter().zip(runs) {
            let odd = match run {
                ServerRun::NotSeen if running => format!(
                    "the server holds other databases, but not `{database}`: did it fail to open, or is it not the one that is served?"
                ),
                ServerRun::NotSeen if logs_are_old(installation, database)? => format!(
                    "the store of `{database}` was changed long after its log at {}: is the log elsewhere?",
                    installation.log(database).display()
                ),
                ServerRun::Elsewhere { marker } if marker.is_none_or(|(_, born)| born.is_none()) => format!(
                    "a restart of the server would not be noticed: no marker with a time of birth in the store of `{database}`"
                ),
                _ => continue,
            };
            self.session.monitor.finding(&Finding::warning(odd));
        }
        Ok(())
    }

    fn tell_mode(&self, pinner: &Pinner) {
        if let PinMode::Descriptors(reason) = pinner.mode() {
            let text = format!("log files are held open, because they cannot be hard-linked ({reason})");
            self.session.monitor.finding(&Finding::info(text));
        }
    }

    /// An id that the source has used already is given up for the next. Also tells whether this is the
    /// source's first backup.
    fn settle_id(&mut self, repository: &Repository, source: &SourceName) -> Result<bool> {
        let catalog = Catalog::load(repository)?;
        let taken = |id: &BackupId| catalog.of(Some(source)).any(|backup| backup.id == *id);
        if taken(&self.id) {
            self.id = BackupId::choose(self.started, taken);
        }
        Ok(catalog.of(Some(source)).next().is_none())
    }

    /// Look at the room before anything is copied; also the first whole look at the logs.
    fn require_room(
        &self,
        installation: &Installation,
        pinner: &Pinner,
        directory: Option<&PathBuf>,
        first: bool,
        kept: u64,
    ) -> Result<()> {
        let Session { stop, clock, .. } = *self.session;
        let mut store = 0;
        let mut log = 0;
        for database in &installation.databases {
            for entry in disk::walk(&installation.store(database))? {
                store += entry.stat.allocated.min(entry.stat.size);
            }
            let logs = LogReader { database, pinner, stop, clock };
            let (_, span) = logs.begin()?;
            log += span.bytes();
        }
        let Some(path) = directory else { return Ok(()) };
        if let Some(text) = scarce(path)? {
            self.session.monitor.finding(&Finding::warning(text));
        }
        let missing = LocalStore::open(path).reserve_missing().map_err(RepositoryError::from)?;
        let available = disk::space(path)?.available.saturating_sub(missing);
        let room = Room::for_backup(store.saturating_sub(kept), log, first, available);
        room.check().map_err(|source| Error::NoSpace { path: path.clone(), source })
    }

    fn capture(
        &self,
        installation: &Installation,
        unheld: &[&str],
        pinner: &Pinner,
        writer: &mut Writer<'_>,
    ) -> Result<Vec<CapturedDatabase>> {
        let Session { stop, clock, monitor, .. } = *self.session;
        let mut throttle = Throttle::new(self.options.read_limit, clock, stop);
        let mut captured = Vec::new();
        for database in &installation.databases {
            let total = disk::walk(&installation.store(database))?.iter().map(|entry| entry.stat.size).sum();
            monitor.begin(&format!("copying {database}"), Unit::Bytes, Some(total));
            let running = !unheld.contains(&database.as_str());
            let throttle = &mut throttle;
            let mut capture =
                Capture { installation, pinner, writer, running, throttle, stop, clock, monitor };
            captured.push(capture.database(database)?);
        }
        Ok(captured)
    }

    /// Store the configuration, the manifest and the directories; then the snapshot, last of all.
    fn publish(
        &self,
        mut writer: Writer<'_>,
        installation: &Installation,
        source: &SourceName,
        (captured, server, newest_start): (Vec<CapturedDatabase>, ServerManifest, Option<RunNumber>),
    ) -> Result<BackupReport> {
        self.session.monitor.begin("publishing", Unit::Items, None);
        let mut tree = SnapshotTree::new(self.started);
        let mut databases = Vec::new();
        for CapturedDatabase { manifest, files } in captured {
            for file in &files {
                tree.add(&file.path, &file.stat, &file.content);
            }
            databases.push(manifest);
        }
        let configuration = self.configuration(installation)?;
        for (path, bytes) in &configuration {
            let content = writer.add_bytes(bytes)?;
            tree.add_own(path, &content);
        }
        let manifest = Manifest {
            manifest_version: Manifest::VERSION,
            id: self.id.clone(),
            source: source.clone(),
            started: self.started,
            finished: self.session.clock.now(),
            program: self.session.program.to_owned(),
            host: self.session.holder.hostname.clone(),
            server,
            bytes: databases.iter().flat_map(|database| &database.files).map(|file| file.size).sum(),
            bytes_added: writer.report().stored_bytes,
            databases,
            tags: self.options.tags.clone(),
            note: self.options.note.clone(),
            archive: newest_start.map(|run| run.to_string()),
            configuration: configuration.into_keys().collect(),
        };
        let content = writer.add_bytes(&manifest.to_bytes())?;
        tree.add_own(MANIFEST_NAME, &content);
        let root = tree.save(&mut writer)?;
        let snapshot = writer.finish(root, self.draft(installation, source))?;
        let duration = self.session.clock.since_boot().saturating_sub(self.began);
        Ok(BackupReport { manifest, snapshot: snapshot.id.to_string(), duration })
    }

    fn draft(&self, installation: &Installation, source: &SourceName) -> SnapshotDraft {
        SnapshotDraft {
            time: self.started,
            parent: None,
            paths: vec![installation.data.display().to_string()],
            hostname: self.session.holder.hostname.clone(),
            username: self.session.holder.username.clone(),
            tags: catalog::tags(&self.id, source, &self.options.tags),
            program_version: self.session.program.to_owned(),
        }
    }

    /// What a rebuilt server needs besides data, by its path in the snapshot; secrets left out.
    fn configuration(&self, installation: &Installation) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        if let Some(text) = &installation.configuration_text {
            let kept = Configuration::without_secrets(text);
            files.insert("configuration/neo4j.conf".to_owned(), kept.into_bytes());
        }
        if let Some(plugins) = plugins(installation)? {
            let text = serde_json::to_vec_pretty(&plugins).expect("names and hashes are plain data");
            files.insert("configuration/plugins.json".to_owned(), text);
        }
        if let Some(settings) = &self.options.settings {
            files.insert("configuration/grap.json".to_owned(), settings.clone());
        }
        Ok(files)
    }
}

/// Bytes of packs in a repository without any snapshot: what runs that failed have stored, and this one will
/// not store again.
fn kept_of_failed_runs(repository: &Repository) -> Result<u64> {
    let snapshots = repository.snapshots()?;
    if !snapshots.found.is_empty() || !snapshots.damaged.is_empty() {
        return Ok(0);
    }
    let packs = repository.store().list("data").map_err(RepositoryError::from)?;
    Ok(packs.iter().map(|pack| pack.size).sum())
}

fn server_runs(installation: &Installation) -> Result<Vec<ServerRun>> {
    let runs = installation.databases.iter().map(|database| ServerRun::of(&installation.store(database)));
    Ok(runs.collect::<std::result::Result<_, _>>()?)
}

/// A running server must write the logs that we look at. One that starts takes its lock first and opens its logs
/// later; one that stops closes them before it lets go of the lock: so it is given some time.
fn require_open_logs(installation: &Installation, clock: &Clock, stop: &Stop) -> Result<()> {
    let until = clock.since_boot() + LOGS_OPEN_MAX;
    for database in &installation.databases {
        while let Some((pid, path)) = logs_elsewhere(installation, database)? {
            if clock.since_boot() >= until {
                return Err(Error::LogsElsewhere { pid, path });
            }
            clock.wait(LOGS_OPEN_LOOK, stop);
            stop.check()?;
        }
    }
    Ok(())
}

/// Between the lock and the logs a server lets so much time pass, at most.
const LOGS_OPEN_MAX: Duration = Duration::from_secs(10);
const LOGS_OPEN_LOOK: Duration = Duration::from_millis(100);

/// A server that stops writes its last checkpoint after its stores; copies may set times anyhow, but not by
/// so much: an hour, nanoseconds.
const LOG_BEHIND_MAX: i128 = 3_600_000_000_000;

fn logs_are_old(installation: &Installation, database: &str) -> Result<bool> {
    let newest = |root: PathBuf| -> Result<i128> {
        Ok(disk::walk(&root)?.iter().map(|entry| entry.stat.modified).max().unwrap_or(0))
    };
    Ok(newest(installation.store(database))? > newest(installation.log(database))? + LOG_BEHIND_MAX)
}

fn require_same_runs(installation: &Installation, before: &[ServerRun]) -> Result<()> {
    let now = server_runs(installation)?;
    for (before, now) in before.iter().zip(&now) {
        if before != now {
            let change = match (before.is_running(), now.is_running()) {
                (false, _) => "started",
                (true, false) => "stopped or killed",
                (true, true) => "restarted",
            };
            return Err(Error::ServerChanged { change });
        }
    }
    Ok(())
}

/// The databases that no server is seen to hold.
fn unheld<'a>(installation: &'a Installation, runs: &[ServerRun]) -> Vec<&'a str> {
    let databases = installation.databases.iter().zip(runs);
    databases.filter(|(_, run)| !run.is_running()).map(|(database, _)| database.as_str()).collect()
}

fn still_lives(installation: &Installation, databases: &[&str]) -> Result<StillLife> {
    let mut all = StillLife::new();
    for database in databases {
        all.extend(still_life(installation, database)?);
    }
    Ok(all)
}

fn require_still(before: &StillLife, after: &StillLife) -> Result<()> {
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    match before.keys().chain(after.keys()).find(differs) {
        Some(path) => Err(CaptureError::WrittenBehindOurBack { path: path.clone() }.into()),
        None => Ok(()),
    }
}

/// Threads started from here on give way to the server's. Refused by the system: then they do not.
fn be_nice(niceness: i32) {
    let _ = rustix::process::setpriority_process(None, niceness);
}
