//! `expire`: delete what no rule keeps, of backups and of archived log, and say why of each.
//!
//! The plan is made under the exclusive lock, from what is stored then. Each deletion is recorded before it is done,
//! and each sees first that the lock is still ours and fresh. Order: a backup's record, its snapshot; then the record of
//! the log that goes, then its segments, from the oldest on. So a run that dies leaves nothing that is neither there
//! nor recorded, and the next run goes on from a plan of its own. What the storage refuses to delete is left, and said.

use std::time::Duration;

use grap_core::schedule::Schedule;
use grap_core::{BackupId, RetentionPlan, RetentionRules, SourceName, newest_verified};
use grap_repository::{Lock, ObjectError, Repository, RepositoryError};
use grap_task::Unit;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::assess::{Assessed, AssessedBackup, window_begins};
use super::space::without_reserve;
use super::{Access, Session};
use crate::archive::{ArchiveError, ExpiredLog, Keeping};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::notes::{self, NoteKind};
use crate::sources;
use crate::state::{Job, StateDirectory};

#[derive(Debug, Clone)]
pub struct ExpireOptions {
    /// Every source without it.
    pub source: Option<SourceName>,
    pub rules: RetentionRules,
    /// How many days of 24 hours the window of the archive reaches back.
    pub window_days: u32,
    /// Whose days, weeks and months are counted.
    pub zone: TimeZone,
    /// Of backups: when two of its slots have passed since the newest verified one began, that one is overdue, and
    /// nothing goes. Without a schedule none is ever overdue.
    pub schedule: Option<Schedule>,
}

#[derive(Debug, Clone)]
pub struct ExpirePlan {
    pub at: Timestamp,
    pub window_begins: Timestamp,
    pub sources: Vec<SourcePlan>,
}

#[derive(Debug, Clone)]
pub struct SourcePlan {
    pub source: SourceName,
    pub backups: RetentionPlan,
    pub archive: Keeping,
}

#[derive(Debug)]
pub struct ExpireReport {
    pub plan: ExpirePlan,
    pub deleted: Vec<(SourceName, BackupId)>,
    pub segments: usize,
    /// Of segments, as stored. What a backup took up goes with `gc`.
    pub bytes: u64,
    /// What the storage refused to delete, and backups that somebody holds since it was decided.
    pub left: Vec<Left>,
    pub duration: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub object: String,
    pub why: String,
}

/// What a run would do now. Deletes nothing.
pub fn plan_expire(options: &ExpireOptions, access: Access, session: &Session<'_>) -> Result<ExpirePlan> {
    let repository = access.open()?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    let (plan, _) = decide(options, &repository, session)?;
    session.release(lock);
    Ok(plan)
}

pub fn expire(
    options: &ExpireOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<ExpireReport> {
    let directory = access.directory.clone();
    without_reserve(directory.as_deref(), session, || {
        state.run(Job::Maintain, "expire", session.clock, || run(options, access, session))
    })
}

fn run(options: &ExpireOptions, access: Access, session: &Session<'_>) -> Result<ExpireReport> {
    let began = session.clock.since_boot();
    session.monitor.begin("opening the repository", Unit::Items, None);
    let repository = access.open()?;
    let lock = repository.lock_exclusive(session.holder, session.clock)?;
    let (plan, assessed) = decide(options, &repository, session)?;
    let mut work = Work { repository: &repository, lock: &lock, session, done: Done::default() };
    for (decided, assessed) in plan.sources.iter().zip(&assessed) {
        work.backups(decided, assessed)?;
        work.segments(decided, assessed, plan.window_begins)?;
    }
    let Done { deleted, segments, bytes, left } = work.done;
    session.release(lock);
    let duration = session.clock.since_boot().saturating_sub(began);
    Ok(ExpireReport { plan, deleted, segments, bytes, left, duration })
}

fn decide(
    options: &ExpireOptions,
    repository: &Repository,
    session: &Session<'_>,
) -> Result<(ExpirePlan, Vec<Assessed>)> {
    let now = session.clock.now();
    let since = window_begins(now, options.window_days);
    let catalog = Catalog::load(repository)?;
    catalog.tell_damaged(session.monitor);
    let reader = repository.reader(session.monitor)?;
    let chosen = match &options.source {
        Some(_) => vec![sources::choose(repository, options.source.as_ref())?],
        None => sources::load(repository)?,
    };
    let (mut plans, mut all) = (Vec::new(), Vec::new());
    session.monitor.begin("reading the archive", Unit::Items, None);
    for source in chosen {
        let assessed = Assessed::load((repository, &reader, &catalog), &source.name, since, session)?;
        plans.push(decide_source(options, source.name, &assessed, now));
        all.push(assessed);
    }
    Ok((ExpirePlan { at: now, window_begins: since, sources: plans }, all))
}

fn decide_source(
    options: &ExpireOptions,
    source: SourceName,
    assessed: &Assessed,
    now: Timestamp,
) -> SourcePlan {
    let candidates = assessed.candidates();
    let due = newest_verified(&candidates).and_then(|newest| options.overdue_from(newest.began));
    let backups = options.rules.plan(&candidates, now, &options.zone, due);
    let mut archive = assessed.keeping.clone();
    if let Some(pause) = &backups.pause {
        archive.keep_all(format!("nothing goes: {pause}"));
    }
    SourcePlan { source, backups, archive }
}

impl ExpireOptions {
    /// From when on a newest verified backup that began then is overdue: two slots later.
    fn overdue_from(&self, began: Timestamp) -> Option<Timestamp> {
        let schedule = self.schedule.as_ref()?;
        schedule.after(schedule.after(began)?)
    }
}

/// Carrying a plan out.
struct Work<'a> {
    repository: &'a Repository,
    lock: &'a Lock,
    session: &'a Session<'a>,
    done: Done,
}

#[derive(Default)]
struct Done {
    deleted: Vec<(SourceName, BackupId)>,
    segments: usize,
    bytes: u64,
    left: Vec<Left>,
}

impl Work<'_> {
    fn backups(&mut self, plan: &SourcePlan, assessed: &Assessed) -> Result<()> {
        let going = plan.backups.decisions.iter().filter(|decision| decision.goes());
        for decision in going {
            self.session.stop.check()?;
            let known = assessed.backups.iter().find(|known| known.backup.id == decision.id);
            let Some(known) = known else { continue };
            let why = match &decision.outcome {
                grap_core::Outcome::Goes(why) => why.iter().map(ToString::to_string).collect(),
                grap_core::Outcome::Stays(_) => continue,
            };
            let deleted = delete_backup((self.repository, self.lock), known, (why, "expire"), self.session);
            if self.refused(deleted)?.is_some() {
                self.done.deleted.push((plan.source.clone(), decision.id.clone()));
            }
        }
        Ok(())
    }

    fn segments(&mut self, plan: &SourcePlan, assessed: &Assessed, since: Timestamp) -> Result<()> {
        if plan.archive.going.is_empty() {
            return Ok(());
        }
        let archive = &assessed.history.archive;
        let author = self.session.author();
        ExpiredLog::load(archive)?.put(archive, &author, since, &plan.archive.ranges())?;
        for going in &plan.archive.going {
            for (name, bytes) in &going.names {
                self.session.stop.check()?;
                let deleted = archive.delete_segment(going.run, &going.database, *name, self.lock);
                if self.refused(deleted.map_err(Error::from))?.is_some() {
                    self.done.segments += 1;
                    self.done.bytes += bytes;
                }
            }
        }
        Ok(())
    }

    /// `None`: it has to stay after all; noted, and left.
    fn refused(&mut self, result: Result<()>) -> Result<Option<()>> {
        match result {
            Ok(()) => Ok(Some(())),
            Err(error) => {
                self.done.left.push(left(error)?);
                Ok(None)
            }
        }
    }
}

/// Record it, look whether somebody holds it by now, then delete it. The order must not change: `hold` puts its note
/// and then looks for our record (see there).
pub(super) fn delete_backup(
    (repository, lock): (&Repository, &Lock),
    known: &AssessedBackup,
    (why, by): (Vec<String>, &str),
    session: &Session<'_>,
) -> Result<()> {
    let backup = &known.backup;
    // A run before this one may have come so far.
    if known.standing.expired.is_none() {
        let kind = |_| NoteKind::Expired { why: why.clone(), by: by.to_owned() };
        notes::put(repository, &backup.source, &backup.id, &session.author(), kind)?;
    }
    let standing = notes::standing(repository, &backup.source, &backup.id)?;
    if !standing.holds.is_empty() {
        let holds = standing.holds.iter().map(ToString::to_string).collect();
        return Err(Error::BackupHeld { id: backup.id.clone(), holds });
    }
    if let Some(why) = standing.doubt() {
        return Err(Error::BackupInDoubt { id: backup.id.clone(), why });
    }
    Ok(repository.delete_snapshot(backup.snapshot.id, lock)?)
}

/// What is left where the storage refused the right to delete, or somebody holds it since it was decided; any other
/// error is one.
fn left(error: Error) -> Result<Left> {
    match &error {
        Error::BackupHeld { id, .. } | Error::BackupInDoubt { id, .. } => {
            Ok(Left { object: id.to_string(), why: crate::error::in_one_line(&error) })
        }
        Error::Repository(RepositoryError::Object(ObjectError::Denied { name, .. }))
        | Error::Archive(ArchiveError::Repository(RepositoryError::Object(ObjectError::Denied {
            name,
            ..
        }))) => Ok(Left { object: name.clone(), why: crate::error::in_one_line(&error) }),
        _ => Err(error),
    }
}
