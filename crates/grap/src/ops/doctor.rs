//! `doctor`: can this installation be backed up, and what is wrong. It changes nothing that stays: a pin for
//! a moment, a probe of the storage's clock.

use std::path::{Path, PathBuf};

use grap_core::PinBudget;
use grap_disk as disk;
use grap_repository::{LockState, Repository};

use super::source::binding_of;
use super::space::scarce;
use super::{Access, Session};
use crate::catalog::Catalog;
use crate::copy::read_metadata;
use crate::error::{Error, in_one_line};
use crate::live::{Installation, InstallationOptions, LogReader, Pace, PinMode, Pinner, ServerRun, release};
use crate::server::control::ServerControl;
use crate::state::StateDirectory;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    Pass,
    Warning,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub status: CheckStatus,
    pub message: String,
    /// What to change.
    pub advice: Option<String>,
}

#[derive(Debug, Default)]
pub struct DoctorReport {
    pub checks: Vec<Check>,
}

pub struct DoctorOptions {
    pub installation: InstallationOptions,
    /// The repository, where it is to be looked at, too.
    pub access: Option<Access>,
    /// Where `copy` is set to keep a second one.
    pub copy: Option<SecondRepository>,
    /// How the live server is stopped and started, where that is set.
    pub control: Option<ServerControl>,
}

/// Where a second repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondRepository {
    Directory(PathBuf),
    /// In an object storage.
    Remote,
}

impl DoctorReport {
    pub fn worst(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Pass)
    }

    fn pass(&mut self, name: &'static str, message: impl Into<String>) {
        self.checks.push(Check { name, status: CheckStatus::Pass, message: message.into(), advice: None });
    }

    fn warn(&mut self, name: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        let (message, advice) = (message.into(), Some(advice.into()));
        self.checks.push(Check { name, status: CheckStatus::Warning, message, advice });
    }

    fn fail(&mut self, name: &'static str, error: &Error) {
        self.tell(name, CheckStatus::Fail, error);
    }

    fn tell(&mut self, name: &'static str, status: CheckStatus, error: &Error) {
        self.checks.push(Check {
            name,
            status,
            message: format!("{} [{}]", in_one_line(error), error.code().name()),
            advice: Some(error.code().hint().to_owned()),
        });
    }
}

pub fn doctor(options: DoctorOptions, state: &StateDirectory, session: &Session<'_>) -> DoctorReport {
    let mut report = DoctorReport::default();
    let directory = options.access.as_ref().and_then(|access| access.directory.clone());
    match Installation::find(&options.installation) {
        Ok(installation) => {
            look_at_layout(&mut report, &installation);
            look_at_server(&mut report, &installation);
            look_at_formats(&mut report, &installation);
            look_at_files(&mut report, &installation);
            look_at_logs(&mut report, &installation, session);
            look_at_settings(&mut report, &installation);
            look_at_room(&mut report, &installation);
            look_at_clock(&mut report, &installation, session);
            look_at_control(&mut report, &installation, options.control.as_ref(), session);
            if let Some(directory) = &directory {
                look_at_devices(&mut report, &installation, directory, options.copy.as_ref());
            }
            if let Some(access) = options.access {
                look_at_repository(&mut report, Some(&installation), access, session);
            }
        }
        Err(error) => {
            report.fail("installation", &error.into());
            if let Some(access) = options.access {
                look_at_repository(&mut report, None, access, session);
            }
        }
    }
    report.pass("state directory", format!("{}", state.root().display()));
    report
}

fn look_at_layout(report: &mut DoctorReport, installation: &Installation) {
    let message = format!(
        "databases {} under {}, logs under {}",
        installation.databases.join(" and "),
        installation.data.display(),
        installation.transactions.display()
    );
    report.pass("installation", message);
}

fn look_at_server(report: &mut DoctorReport, installation: &Installation) {
    let database = &installation.databases[0];
    match ServerRun::of(&installation.store(database)) {
        Ok(run) => {
            let version =
                release(installation, &run).map_or_else(String::new, |version| format!(" Neo4j {version}"));
            let message = match run {
                ServerRun::NotSeen => {
                    format!("no running server is seen{version}; a stopped store is backed up, too")
                }
                ServerRun::Process { pid, .. } => format!("running{version}, pid {pid}"),
                ServerRun::Elsewhere { .. } => format!("running{version}, in another pid namespace"),
            };
            report.pass("server", message);
        }
        Err(error) => report.fail("server", &error.into()),
    }
}

fn look_at_formats(report: &mut DoctorReport, installation: &Installation) {
    for database in &installation.databases {
        match read_metadata(installation, database) {
            Ok(metadata) => report.pass("format", format!("{database}: {}", metadata.store_id)),
            Err(error) => report.fail("format", &error.into()),
        }
    }
}

/// Every file of the store can be opened for reading.
fn look_at_files(report: &mut DoctorReport, installation: &Installation) {
    for database in &installation.databases {
        let opened = disk::walk(&installation.store(database)).and_then(|entries| {
            let files: Vec<_> =
                entries.into_iter().filter(|entry| entry.stat.kind == disk::Kind::File).collect();
            let size: u64 = files.iter().map(|entry| entry.stat.size).sum();
            for entry in &files {
                match disk::Source::open(&entry.path) {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
            Ok((files.len(), size))
        });
        match opened {
            Ok((count, size)) => {
                report.pass("files", format!("{database}: {count} files, {size} bytes, all readable"));
            }
            Err(error) => report.fail("files", &error.into()),
        }
    }
}

/// The logs can be held, and are whole from the newest checkpoint on.
fn look_at_logs(report: &mut DoctorReport, installation: &Installation, session: &Session<'_>) {
    let pinner = match Pinner::start(installation, Pace::OnDemand) {
        Ok(pinner) => pinner,
        Err(error) => return report.fail("pins", &error.into()),
    };
    match pinner.mode() {
        PinMode::Links(_) => report.pass("pins", "log files can be hard-linked"),
        PinMode::Descriptors(reason) => report.warn(
            "pins",
            format!("log files cannot be hard-linked ({reason}); they are held open instead"),
            "Works, but costs descriptors. For links run grap as the server's own user (or root), with write access to the data directory on the logs' own mount.",
        ),
    }
    for database in &installation.databases {
        let logs = LogReader { database, pinner: &pinner, stop: session.stop, clock: session.clock };
        match logs.begin() {
            Ok((_, span)) => report.pass(
                "log",
                format!(
                    "{database}: whole up to transaction {}, {} behind the newest checkpoint, {} bytes",
                    span.end.id,
                    span.transactions,
                    span.bytes()
                ),
            ),
            Err(error) => report.fail("log", &error.into()),
        }
    }
}

fn look_at_settings(report: &mut DoctorReport, installation: &Installation) {
    if installation.home.is_none() {
        return report.warn(
            "settings",
            "neo4j.conf is not seen with --data",
            "Give --neo4j-home to have retention and rotation looked at.",
        );
    }
    let retention =
        installation.configuration.get("db.tx_log.rotation.retention_policy").unwrap_or("2 days 2G");
    if ["keep_none", "false"].contains(&retention) {
        report.warn(
            "retention",
            format!("db.tx_log.rotation.retention_policy={retention}: a log file lives about a second after its rotation"),
            "Backups hold the log files they need. Set it to `7 days` or more for a longer reach of point-in-time recovery.",
        );
    } else {
        report.pass("retention", format!("db.tx_log.rotation.retention_policy={retention}"));
    }
    let rotation = installation.configuration.get("db.tx_log.rotation.size").unwrap_or("256M");
    report.pass(
        "rotation",
        format!("db.tx_log.rotation.size={rotation}; 16M to 64M keep what a backup holds back small"),
    );
}

fn look_at_room(report: &mut DoctorReport, installation: &Installation) {
    match disk::space(&installation.transactions) {
        Ok(space) => {
            let budget = PinBudget::for_file_system(space.total);
            let message = format!(
                "{} bytes are free for the logs; a backup may hold back {} of deleted log and leaves {} free",
                space.available, budget.held_max, budget.free_min
            );
            if space.available < budget.free_min + budget.held_max / 10 {
                report.warn("room", message, "Make room on the file system of the transaction logs.");
            } else {
                report.pass("room", message);
            }
        }
        Err(error) => report.fail("room", &error.into()),
    }
}

/// A clock that is behind the files it would date is wrong.
fn look_at_clock(report: &mut DoctorReport, installation: &Installation, session: &Session<'_>) {
    let now = session.clock.now();
    let newest = installation
        .databases
        .iter()
        .filter_map(|database| disk::walk(&installation.log(database)).ok())
        .flatten()
        .map(|entry| entry.stat.modified)
        .max();
    match newest {
        Some(newest) if newest > now.as_nanosecond() + 60_000_000_000 => report.warn(
            "clock",
            format!("this machine says {now}, but log files are dated later"),
            "Set the clock (NTP): ids and times of backups come from it.",
        ),
        _ => report.pass("clock", format!("{now}")),
    }
}

/// Whether a promotion could stop and start the server. Backups need neither.
fn look_at_control(
    report: &mut DoctorReport,
    installation: &Installation,
    control: Option<&ServerControl>,
    session: &Session<'_>,
) {
    const NAME: &str = "server control";
    let Some(control) = control else {
        return report.pass(NAME, "not set: only a promotion needs it");
    };
    match control.check(installation, session) {
        Ok(()) => report.pass(NAME, format!("a promotion stops and starts the server {control}")),
        Err(error) => report.tell(NAME, CheckStatus::Warning, &error.into()),
    }
}

fn look_at_devices(
    report: &mut DoctorReport,
    installation: &Installation,
    directory: &Path,
    copy: Option<&SecondRepository>,
) {
    let device = |path: &Path| disk::stat(path).ok().flatten().map(|stat| stat.device);
    let beside = |path: &Path| {
        let repository = device(path);
        let ours = [&installation.data, &installation.transactions];
        repository.is_some() && ours.into_iter().any(|path| device(path) == repository)
    };
    let advice = "What destroys the database destroys its backups. Put the repository on another device or machine, or keep a second one there: copy.to, grap copy.";
    match copy {
        _ if !beside(directory) => {
            report.pass("device", "the repository lies on another device than the database");
        }
        None => report.warn("device", "the repository lies on the database's own device", advice),
        Some(SecondRepository::Directory(copy)) if device(copy).is_none() => {
            let message = format!(
                "the repository lies on the database's own device, and its copy is not at {}",
                copy.display()
            );
            report.warn("device", message, "Is the volume mounted? grap init makes it, grap copy fills it.");
        }
        Some(SecondRepository::Directory(copy)) if beside(copy) => {
            report.warn("device", "the repository and its copy lie on the database's own device", advice);
        }
        Some(_) => {
            report.pass("device", "the repository lies on the database's own device, its copy on another");
        }
    }
    match disk::supports_directory_sync(directory) {
        Ok(true) => {}
        Ok(false) => report.warn(
            "durability",
            "the file system of the repository cannot sync directories",
            "After a power loss the newest backup may be missing. Prefer a local file system or an object store.",
        ),
        Err(error) => report.fail("durability", &error.into()),
    }
}

fn look_at_repository(
    report: &mut DoctorReport,
    installation: Option<&Installation>,
    access: Access,
    session: &Session<'_>,
) {
    let directory = access.directory.clone();
    match access.open() {
        Ok(repository) => {
            if let Some(directory) = &directory {
                look_at_space(report, directory);
            }
            look_at_backups(report, &repository);
            look_at_locks(report, &repository, session);
            if let Some(installation) = installation {
                look_at_binding(report, &repository, installation);
            }
        }
        Err(error) => report.fail("repository", &error),
    }
}

fn look_at_space(report: &mut DoctorReport, directory: &Path) {
    match scarce(directory) {
        Ok(None) => report.pass("repository room", "more than a fifth of its file system is free"),
        Ok(Some(text)) => report.warn(
            "repository room",
            text,
            "Make room, put it on a larger file system, or keep less: grap expire, then grap gc.",
        ),
        Err(error) => report.fail("repository room", &error),
    }
}

fn look_at_backups(report: &mut DoctorReport, repository: &Repository) {
    match Catalog::load(repository) {
        Ok(catalog) if !catalog.damaged.is_empty() => report.warn(
            "repository",
            format!(
                "{} backups, and {} snapshots that cannot be read",
                catalog.backups.len(),
                catalog.damaged.len()
            ),
            "grap verify names them.",
        ),
        Ok(catalog) => report.pass("repository", format!("{} backups", catalog.backups.len())),
        Err(error) => report.fail("repository", &error),
    }
}

fn look_at_locks(report: &mut DoctorReport, repository: &Repository, session: &Session<'_>) {
    match repository.locks(&session.holder.hostname, session.clock) {
        Ok(locks) => {
            for lock in locks {
                if matches!(lock.state, LockState::Stale(_)) {
                    report.warn("lock", format!("stale: {lock}"), "grap unlock removes it.");
                } else {
                    report.pass("lock", format!("{lock}"));
                }
            }
        }
        Err(error) => report.fail("lock", &error.into()),
    }
}

/// The databases are those of one of the sources, or one is not bound yet.
fn look_at_binding(report: &mut DoctorReport, repository: &Repository, installation: &Installation) {
    // What fails here was said already, by the look at the formats.
    let Ok(found) = binding_of(installation) else { return };
    match crate::sources::load(repository) {
        Ok(sources) => {
            let ours = sources
                .iter()
                .find(|source| !source.binding.0.is_empty() && source.binding.admit(&found).is_ok());
            let free = sources.iter().any(|source| source.binding.0.is_empty());
            match ours {
                Some(source) => report.pass("source", format!("this installation is source `{}`", source.name)),
                None if free => report.pass("source", "no source is bound to this installation yet; its first backup binds it"),
                None => report.warn(
                    "source",
                    "no source of this repository is bound to this installation",
                    "grap source rebind after an import or a load; grap source add NAME for another installation.",
                ),
            }
        }
        Err(error) => report.fail("source", &error),
    }
}
