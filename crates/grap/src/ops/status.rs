//! `status`: is this installation protected, and if not, why.
//!
//! PROTECTED: for every database a backup joins the current path of the archive and reaches its end without a
//! hole, and the live log is at most so much ahead of it. Without the installation the lag cannot be measured:
//! then the protection is UNKNOWN, unless it is known to be missing.

use std::time::Duration;

use grap_core::{BackupId, SourceName};
use grap_neo4j::TransactionEnd;
use grap_repository::Repository;

use super::{Access, Session};
use crate::archive::{
    DatabaseLag, History, Path, Proofs, Reachable, RunNumber, Standing, database_lag, path_end,
};
use crate::catalog::Catalog;
use crate::error::{Result, in_one_line};
use crate::live::{Installation, InstallationOptions, logs_elsewhere};
use crate::sources;

#[derive(Debug, Clone)]
pub struct StatusOptions {
    pub installation: Option<InstallationOptions>,
    pub source: Option<SourceName>,
    /// A longer lag is no protection.
    pub lag_max: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    Protected,
    Unprotected,
    Unknown,
}

#[derive(Debug)]
pub struct StatusReport {
    pub source: SourceName,
    pub protection: Protection,
    /// Every reason why it is not PROTECTED.
    pub reasons: Vec<String>,
    /// A new backup would do away with one of them.
    pub backup_wanted: bool,
    pub last_backup: Option<LastBackup>,
    /// How many backups of the source can be read.
    pub backups: usize,
    pub databases: Vec<DatabaseStatus>,
}

#[derive(Debug, Clone)]
pub struct LastBackup {
    pub id: BackupId,
    pub age: Duration,
}

#[derive(Debug)]
pub struct DatabaseStatus {
    pub database: String,
    /// The run whose path is the current one, and the one that its timeline began with.
    pub run: Option<RunNumber>,
    pub timeline: Option<RunNumber>,
    /// The end of the current path.
    pub archived: Option<TransactionEnd>,
    /// The newest point on the current path that a restore would be granted for.
    pub restorable: Option<TransactionEnd>,
    /// Where the installation was given.
    pub lag: Option<DatabaseLag>,
}

pub fn status(options: &StatusOptions, access: Access, session: &Session<'_>) -> Result<StatusReport> {
    let installation = options.installation.as_ref().map(Installation::find).transpose()?;
    session.monitor.begin("opening the repository", grap_task::Unit::Items, None);
    let repository = access.open()?;
    let source = sources::choose(&repository, options.source.as_ref())?;
    look(&repository, &source.name, installation.as_ref(), options.lag_max, &mut Proofs::default(), session)
}

/// The same, on a repository that is open. What `proofs` knows is not read again.
pub(super) fn look(
    repository: &Repository,
    source: &SourceName,
    installation: Option<&Installation>,
    lag_max: Duration,
    proofs: &mut Proofs,
    session: &Session<'_>,
) -> Result<StatusReport> {
    let catalog = Catalog::load(repository)?;
    catalog.tell_damaged(session.monitor);
    let reader = repository.reader(session.monitor)?;
    let history = History::load(repository, &reader, &catalog, source, (session.monitor, session.stop))?;
    let mut look =
        Look { history: &history, session, lag_max, proofs, reasons: Vec::new(), backup_wanted: false };
    let last_backup = look.last_backup();
    let names = match installation {
        Some(installation) => installation.databases.clone(),
        None => known_databases(&history),
    };
    let mut databases = Vec::new();
    for database in names {
        databases.push(look.database(&database, installation)?);
    }
    let Look { reasons, backup_wanted, .. } = look;
    let protection = match (reasons.is_empty(), installation) {
        (false, _) => Protection::Unprotected,
        (true, None) => Protection::Unknown,
        (true, Some(_)) => Protection::Protected,
    };
    Ok(StatusReport {
        source: source.clone(),
        protection,
        reasons,
        backup_wanted,
        last_backup,
        backups: history.backups.len(),
        databases,
    })
}

fn known_databases(history: &History) -> Vec<String> {
    let mut names = history.runs.databases();
    if let Some(newest) = history.backups.last() {
        names.extend(newest.manifest.databases.iter().map(|database| database.name.clone()));
    }
    names.into_iter().collect()
}

struct Look<'a> {
    history: &'a History,
    session: &'a Session<'a>,
    lag_max: Duration,
    proofs: &'a mut Proofs,
    reasons: Vec<String>,
    backup_wanted: bool,
}

impl Look<'_> {
    fn last_backup(&mut self) -> Option<LastBackup> {
        let Some(newest) = self.history.backups.last() else {
            self.reasons.push("there is no backup".to_owned());
            self.backup_wanted = true;
            return None;
        };
        let age = self.session.clock.now().duration_since(newest.manifest.finished);
        Some(LastBackup { id: newest.backup.id.clone(), age: age.try_into().unwrap_or_default() })
    }

    fn database(&mut self, database: &str, installation: Option<&Installation>) -> Result<DatabaseStatus> {
        let mut status = DatabaseStatus {
            database: database.to_owned(),
            run: None,
            timeline: None,
            archived: None,
            restorable: None,
            lag: None,
        };
        if let Some((run, why)) = self.history.runs.unreadable_newer(database) {
            self.reasons.push(format!(
                "{database}: which timeline is the current one is not known, the start of run {run} cannot be read: {why}"
            ));
        }
        let mut archived = None;
        let wanted_before = self.backup_wanted;
        match self.history.path(database, None)? {
            None => self.reasons.push(format!("{database}: its log is not archived")),
            Some(path) => {
                status.run = Some(path.run);
                status.timeline = Some(self.history.runs.timeline(&path));
                archived = self.path(&path, &mut status)?;
            }
        }
        if let Some(installation) = installation {
            if let Some((pid, logs)) = logs_elsewhere(installation, database)? {
                self.reasons.push(format!(
                    "{database}: the running server (pid {pid}) does not hold the newest log file in {} open: its logs lie elsewhere",
                    logs.display()
                ));
            }
            match database_lag(installation, database, archived, self.session.clock.now()) {
                Ok(lag) => {
                    self.judge(&lag);
                    // Until the archive has caught up its end may lie before the end of the newest backup.
                    self.backup_wanted &= wanted_before || !self.is_behind(&lag);
                    status.lag = Some(lag);
                }
                Err(error) => {
                    self.reasons.push(format!("{database}: its log cannot be read: {}", in_one_line(&error)));
                }
            }
        }
        Ok(status)
    }

    /// The end of the path, and whether a backup reaches it.
    fn path(
        &mut self,
        path: &Path,
        status: &mut DatabaseStatus,
    ) -> Result<Option<(grap_neo4j::StoreId, TransactionEnd)>> {
        let archived = match path_end(&self.history.reader(path)) {
            Err(error) if error.is_damage() => {
                let why = in_one_line(&error);
                self.reasons.push(format!("{}: its newest segment is damaged: {why}", path.database));
                return Ok(None);
            }
            other => other?,
        };
        status.archived = archived.as_ref().map(|(_, end)| *end);
        if archived.is_none() {
            self.reasons.push(format!("{}: nothing of its log is archived yet", path.database));
            return Ok(None);
        }
        self.reach(path, status)?;
        Ok(archived)
    }

    /// The newest backup that joins the path, and how far a restore goes from there.
    fn reach(&mut self, path: &Path, status: &mut DatabaseStatus) -> Result<()> {
        match self.proofs.reach(self.history, path)? {
            None => {
                self.backup_wanted = true;
                self.reasons
                    .push(format!("{}: no backup joins the current timeline: take a backup", path.database));
            }
            Some(Reachable { last, hole }) => {
                status.restorable = Some(last);
                self.backup_wanted |= hole.is_some();
                let hole = hole.map(|why| format!("the archive has a hole ({why}): take a backup"));
                self.reasons.extend(hole.map(|why| format!("{}: {why}", path.database)));
            }
        }
        Ok(())
    }

    /// The log goes on from the archive, and much of it is not archived yet.
    fn is_behind(&self, lag: &DatabaseLag) -> bool {
        let late = Duration::from_millis(lag.milliseconds.unsigned_abs()) > self.lag_max;
        lag.standing == Standing::Follows && late
    }

    fn judge(&mut self, lag: &DatabaseLag) {
        match lag.standing {
            Standing::Follows if !self.is_behind(lag) => {}
            // Said already: there is no path, or it is empty.
            Standing::NothingArchived => {}
            _ => self.reasons.push(lag.to_string()),
        }
    }
}
