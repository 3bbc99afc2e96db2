//! What a target means: which backup, and for each database how far its archived log is written behind it.
//!
//! Nothing is written here, and nothing is believed that was not read: the log between the backup's end and
//! the target was gone over when a decision is there.

use grap_core::recovery::End;
use grap_core::{BackupId, PlanRefusal, RestorePlan, SourceName, Target, TimeCut};
use grap_neo4j::TxId;
use grap_repository::{Reader, Repository};
use grap_task::{Finding, Unit};

use super::instant::go_on_to;
use super::latest::{Newest, newest};
use super::reach::{PointOnPath, reach};
use crate::archive::{Archive, History, KnownBackup, Path, RunNumber, SurveyOptions, end_of, outline};
use crate::catalog::{Backup, Catalog};
use crate::copy::{DatabaseManifest, LogExtension, Manifest};
use crate::error::{Error, Result};
use crate::live::SYSTEM;
use crate::ops::Session;

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) target: &'a Target,
    pub(super) source: Option<&'a SourceName>,
    pub(super) timeline: Option<RunNumber>,
    /// Backups that were found damaged.
    pub(super) without: &'a [BackupId],
    /// Where each database ends, where that was decided before: the target is a way to it, and not judged again.
    pub(super) ends: &'a [End],
}

/// What is done about it.
pub(super) struct Decision {
    pub(super) backup: Backup,
    pub(super) manifest: Manifest,
    pub(super) databases: Vec<DatabaseDecision>,
    /// Of the database that the target names; none where a backup's own end is meant.
    pub(super) plan: Option<RestorePlan>,
    pub(super) history: Option<History>,
}

/// How far one database goes.
#[derive(Debug, Clone)]
pub(super) struct DatabaseDecision {
    pub(super) base: DatabaseManifest,
    /// What is there afterwards.
    pub(super) promised: DatabaseManifest,
    pub(super) extension: LogExtension,
    pub(super) path: Option<Path>,
    /// Why it goes no further, where it does not go to the target's instant.
    pub(super) short: Option<String>,
}

impl DatabaseDecision {
    fn new(base: &DatabaseManifest, extension: LogExtension, path: Option<Path>) -> Self {
        let promised = extension.promised(base);
        Self { base: base.clone(), promised, extension, path, short: None }
    }

    /// The backup's own end.
    pub(super) fn at_end(base: &DatabaseManifest, why: Option<String>) -> Self {
        Self { short: why, ..Self::new(base, LogExtension::behind(end_of(base)), None) }
    }

    pub(super) fn going_on(base: &DatabaseManifest, extension: LogExtension, path: Path) -> Self {
        Self::new(base, extension, Some(path))
    }
}

pub(super) fn decide(
    question: &Question<'_>,
    repository: &Repository,
    catalog: &Catalog,
    reader: &Reader,
    session: &Session<'_>,
) -> Result<Decision> {
    if let Target::Backup { .. } = question.target {
        return at_the_end_of(catalog.find(question.target, question.source)?, reader);
    }
    let newest = catalog.latest(question.source)?;
    let archive = Archive::new(repository.clone(), newest.source.clone());
    if *question.target == Target::Latest && archive.newest()?.is_none() {
        return at_the_end_of(newest, reader);
    }
    session.monitor.begin("looking at the archive", Unit::Items, None);
    let mut history =
        History::load(repository, reader, catalog, &newest.source, (session.monitor, session.stop))?;
    history.backups.retain(|known| !question.without.contains(&known.backup.id));
    let asked = Asked { question, history: &history, reader, session };
    let found = asked.find(newest)?;
    match found {
        Found::BackupEnd(known) => {
            let mut decision = at_the_end_of(&known.backup.clone(), reader)?;
            decision.history = Some(history);
            Ok(decision)
        }
        Found::OnPath(point, instant_ms) => {
            let databases = asked.databases(&point, instant_ms)?;
            let PointOnPath { known, plan, .. } = *point;
            let (backup, manifest) = (known.backup.clone(), known.manifest.clone());
            Ok(Decision { backup, manifest, databases, plan: Some(plan), history: Some(history) })
        }
    }
}

fn at_the_end_of(backup: &Backup, reader: &Reader) -> Result<Decision> {
    let manifest = backup.manifest(reader)?;
    let databases = manifest.databases.iter().map(|base| DatabaseDecision::at_end(base, None)).collect();
    Ok(Decision { backup: backup.clone(), manifest, databases, plan: None, history: None })
}

enum Found<'h> {
    BackupEnd(&'h KnownBackup),
    /// Up to this instant the other databases go; `None`: to the end of what is archived.
    OnPath(Box<PointOnPath<'h>>, Option<i64>),
}

/// A question with all that is known of its source.
struct Asked<'a> {
    question: &'a Question<'a>,
    history: &'a History,
    reader: &'a Reader,
    session: &'a Session<'a>,
}

impl<'a> Asked<'a> {
    fn find(&self, newest_backup: &Backup) -> Result<Found<'a>> {
        let database = self.database(newest_backup)?;
        self.require_the_current_path(&database, newest_backup)?;
        let path = self.history.path(&database, self.question.timeline)?;
        match (self.question.target, path) {
            (Target::Transaction { id, .. }, None) => self.backup_that_ends_at(&database, *id),
            (Target::Transaction { id, .. }, Some(path)) => self.transaction(&database, &path, *id, None),
            (Target::Time(_), None) => Err(self.nothing_archived(&database)?),
            (Target::Time(time), Some(path)) => {
                let time_ms = time.as_millisecond();
                let last = self.cut(&database, &path, time_ms)?;
                self.transaction(&database, &path, last, Some(time_ms))
            }
            (_, None) => Ok(Found::BackupEnd(self.newest_known(newest_backup)?)),
            (_, Some(path)) => self.latest(&database, &path, newest_backup),
        }
    }

    /// Without a named timeline the current one is meant: it must be known which that is.
    fn require_the_current_path(&self, database: &str, newest_backup: &Backup) -> Result<()> {
        let History { runs, .. } = self.history;
        let unreadable = runs.unreadable_newer(database).filter(|_| self.question.timeline.is_none());
        let Some((run, why)) = unreadable else { return Ok(()) };
        let timeline = runs.current(database).map(|run| format!("--timeline {run}"));
        let backup = self.newest_known(newest_backup)?.backup.id.to_string();
        Err(Error::NewestRunUnreadable {
            target: self.question.target.to_string(),
            database: database.to_owned(),
            run,
            why: why.to_owned(),
            ways: timeline.into_iter().chain([backup]).collect(),
        })
    }

    /// The one that was named, or the user database.
    fn database(&self, newest_backup: &Backup) -> Result<String> {
        if let Target::Transaction { database: Some(named), .. } = self.question.target {
            return Ok(named.clone());
        }
        let manifest = &self.newest_known(newest_backup)?.manifest;
        let user = manifest.databases.iter().find(|database| database.name != SYSTEM);
        let user = user.or(manifest.databases.first());
        Ok(user.map_or_else(|| SYSTEM.to_owned(), |database| database.name.clone()))
    }

    fn newest_known(&self, newest_backup: &Backup) -> Result<&'a KnownBackup> {
        match self.history.backup(&newest_backup.id).or(self.history.backups.last()) {
            Some(known) => Ok(known),
            // None of them can be read: the error of the newest one says why.
            None => newest_backup.manifest(self.reader).and(Err(Error::NoBackup)),
        }
    }

    /// Without an archive the backups' own ends are all there is.
    fn backup_that_ends_at(&self, database: &str, id: TxId) -> Result<Found<'a>> {
        let ends_there = |known: &&KnownBackup| {
            known.manifest.database(database).is_some_and(|found| found.end.tx_id == id.0)
        };
        let found: Vec<&KnownBackup> = self.history.backups.iter().filter(ends_there).collect();
        let Some(newest) = found.last() else { return Err(self.nothing_archived(database)?) };
        let end = |known: &KnownBackup| known.manifest.database(database).map(|found| found.end);
        if found.iter().any(|known| end(known) != end(newest)) {
            let ways = found.iter().map(|known| known.backup.id.to_string()).collect();
            let why = format!("several backups end with another transaction {id}");
            return Err(Error::TargetAmbiguous { target: self.question.target.to_string(), why, ways });
        }
        Ok(Found::BackupEnd(newest))
    }

    fn nothing_archived(&self, database: &str) -> Result<Error> {
        let (target, database) = (self.question.target.to_string(), database.to_owned());
        Ok(Error::NothingArchived { window: outline(self.history, &database, None)?, target, database })
    }

    fn now_ms(&self) -> i64 {
        self.session.clock.now().as_millisecond()
    }

    /// The last transaction before the time.
    fn cut(&self, database: &str, path: &Path, time_ms: i64) -> Result<TxId> {
        let mut cut = TimeCut::new(time_ms, self.question.timeline.is_some());
        self.history.survey(path, SurveyOptions { cut: Some(&mut cut), ..SurveyOptions::default() })?;
        let target = || self.question.target.to_string();
        match cut.finish(self.now_ms()) {
            Ok(last) => Ok(last),
            Err(refusal @ grap_core::TimeRefusal::Doubtful { before, behind, .. }) => {
                let ways = before.into_iter().chain([behind]);
                let ways = ways.map(|id| format!("tx={database}:{id}")).collect();
                let database = database.to_owned();
                Err(Error::TimeUnsure { target: target(), database, ways, source: refusal })
            }
            Err(refusal) => Err(Error::TimeOutside {
                target: target(),
                database: database.to_owned(),
                window: outline(self.history, database, Some(path))?,
                source: refusal,
            }),
        }
    }

    fn transaction(
        &self,
        database: &str,
        path: &Path,
        target: TxId,
        instant_ms: Option<i64>,
    ) -> Result<Found<'a>> {
        match reach(self.history, database, path, target, self.now_ms())? {
            Ok(point) => {
                let instant_ms = instant_ms.unwrap_or(point.plan.target.commit_time.0);
                Ok(Found::OnPath(Box::new(point), Some(instant_ms)))
            }
            Err(source @ PlanRefusal::Hole { .. }) => {
                Err(Error::ArchiveHole { target: self.question.target.to_string(), source })
            }
            Err(source) => Err(Error::TargetOutside {
                target: self.question.target.to_string(),
                database: database.to_owned(),
                window: outline(self.history, database, Some(path))?,
                source,
            }),
        }
    }

    /// The end of the path, or the newest backup's, where that is known to be the newer.
    fn latest(&self, database: &str, path: &Path, newest_backup: &Backup) -> Result<Found<'a>> {
        let known = self.newest_known(newest_backup)?;
        let end = match newest(self.history, database, path, known, self.question.timeline, self.reader)? {
            Newest::Backup => return Ok(Found::BackupEnd(known)),
            Newest::PathEnd(end) => end,
            Newest::Unclear { why, ways } => {
                return Err(Error::TargetAmbiguous { target: "latest".to_owned(), why, ways });
            }
        };
        match reach(self.history, database, path, end.id, self.now_ms())? {
            Ok(point) => Ok(Found::OnPath(Box::new(point), None)),
            Err(refusal) => {
                let why =
                    format!("transaction {}, the newest archived one, cannot be reached ({refusal})", end.id);
                let ways = vec![known.backup.id.to_string()];
                Err(Error::TargetAmbiguous { target: "latest".to_owned(), why, ways })
            }
        }
    }

    /// The target's database to the target, the others to the same instant as far as their log allows.
    fn databases(&self, point: &PointOnPath<'a>, instant_ms: Option<i64>) -> Result<Vec<DatabaseDecision>> {
        let mut decided = Vec::new();
        for base in &point.known.manifest.databases {
            if base.name == point.database {
                self.tell_schema(point)?;
                let extension = point.extension.clone();
                decided.push(DatabaseDecision::going_on(base, extension, point.path.clone()));
            } else {
                let fixed =
                    self.question.ends.iter().find(|end| end.database == base.name).map(|end| end.tx_id);
                let until = (instant_ms.filter(|_| fixed.is_none()), fixed);
                let (other, said) = go_on_to(self.history, base, self.question.timeline, until)?;
                for text in said {
                    self.session.monitor.finding(&Finding::warning(text));
                }
                decided.push(other);
            }
        }
        Ok(decided)
    }

    /// A target that the operator chose is refused inside a schema change; the end of everything is only told.
    fn tell_schema(&self, point: &PointOnPath<'_>) -> Result<()> {
        let verdict = point.schema.clone().verdict(self.history, &point.path, point.plan.target.id)?;
        let is_chosen = *self.question.target != Target::Latest && self.question.ends.is_empty();
        let chosen = is_chosen.then(|| self.question.target.to_string());
        for text in verdict.judge(&point.database, point.plan.target.id, chosen.as_deref())? {
            self.session.monitor.finding(&Finding::warning(text));
        }
        Ok(())
    }
}
