//! `restore`: a backup, and archived log behind it, become a data directory that a server can open, ending
//! with exactly the promised transaction.

mod decide;
mod instant;
mod latest;
mod plan;
mod reach;
mod schema;

use std::path::PathBuf;
use std::time::Duration;

use grap_core::recovery::End;
use grap_core::{BackupId, Room, SourceName, Target};
use grap_disk as disk;
use grap_repository::{Reader, Repository};
use grap_task::Finding;
use serde_json::json;

use super::{Access, Session};
use crate::archive::{History, PathReader, RunNumber};
use crate::catalog::Catalog;
use crate::copy::{
    ArchivedLog, AssembleError, AssembleOptions, Assembled, Continuation, Damage, LogPiece, Manifest, Point,
    assemble,
};
use crate::error::{Code, Error, Result};
use crate::state::StateDirectory;

use decide::{DatabaseDecision, Decision, Question, decide};
pub(crate) use plan::plan_restore_from;
pub use plan::{PlanReport, PlannedDatabase, plan_restore};
pub(crate) use reach::reach;

#[derive(Debug, Clone)]
pub struct RestoreOptions {
    pub target: Target,
    pub source: Option<SourceName>,
    /// The path of this run, in place of the current one.
    pub timeline: Option<u64>,
    /// Becomes a data directory: `databases/<db>` and `transactions/<db>`.
    pub to: PathBuf,
    /// Only these; all when empty.
    pub databases: Vec<String>,
    pub owner: Option<(u32, u32)>,
    pub keep_going: bool,
    /// A repository that cannot be written (read-only media): take no lock.
    pub no_lock: bool,
}

#[derive(Debug)]
pub struct RestoreReport {
    pub target: String,
    /// The id of the repository.
    pub repository: String,
    /// The backup that it begins from.
    pub id: BackupId,
    pub source: SourceName,
    /// Whose archived log was written behind it.
    pub timeline: Option<u64>,
    pub to: PathBuf,
    pub databases: Vec<RestoredDatabase>,
    pub files: u64,
    pub bytes: u64,
    /// Empty unless `keep_going`.
    pub damages: Vec<Damage>,
    pub duration: Duration,
}

#[derive(Debug)]
pub struct RestoredDatabase {
    pub name: String,
    pub end: Point,
    /// Of archived log, behind the backup's end.
    pub log_transactions: u64,
    /// Why it does not go to the target's instant for certain.
    pub short: Option<String>,
    /// The oldest server that opens it.
    pub server_min: String,
}

pub fn restore(
    options: &RestoreOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RestoreReport> {
    state.journaled("restore", session.clock, || run(options, &[], &access.open_told(session)?, session))
}

/// A restore of which the ends of the databases were decided before: `options.target` is the way to them, a backup or a
/// transaction.
pub(crate) fn restore_to_ends(
    options: &RestoreOptions,
    ends: &[End],
    repository: &Repository,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RestoreReport> {
    state.journaled("restore", session.clock, || run(options, ends, repository, session))
}

fn run(
    options: &RestoreOptions,
    ends: &[End],
    repository: &Repository,
    session: &Session<'_>,
) -> Result<RestoreReport> {
    let began = session.clock.since_boot();
    let lock =
        if options.no_lock { None } else { Some(repository.lock_shared(session.holder, session.clock)?) };
    // Decided under the lock: what the decision needs nobody deletes from here on.
    let catalog = Catalog::load(repository)?;
    catalog.tell_damaged(session.monitor);
    let reader = repository.reader(session.monitor)?;
    let (decision, assembled) = build((options, ends), repository, &catalog, &reader, session)?;
    if let Some(lock) = lock {
        session.release(lock);
    }
    if options.owner.is_none() && assembled.damages.is_empty() {
        session.monitor.finding(&Finding::info(owner_hint(options)));
    }
    Ok(RestoreReport {
        repository: repository.id().to_string(),
        target: options.target.to_string(),
        id: decision.manifest.id.clone(),
        source: decision.manifest.source.clone(),
        timeline: decision.plan.as_ref().map(|plan| plan.run),
        to: assembled.path,
        databases: chosen(&decision, &options.databases)?.into_iter().map(restored).collect(),
        files: assembled.files,
        bytes: assembled.bytes,
        damages: assembled.damages,
        duration: session.clock.since_boot().saturating_sub(began),
    })
}

/// Decide and write. A point in time can be reached from an older backup, too, where the nearest is damaged.
fn build(
    (options, ends): (&RestoreOptions, &[End]),
    repository: &Repository,
    catalog: &Catalog,
    reader: &Reader,
    session: &Session<'_>,
) -> Result<(Decision, Assembled)> {
    let mut damaged: Vec<BackupId> = Vec::new();
    let mut first = None;
    loop {
        let decision =
            match (decide(&question(options, &damaged, ends), repository, catalog, reader, session), first) {
                (Err(_), Some(first)) => return Err(first),
                (decision, _) => decision?,
            };
        match write(options, &decision, reader, session) {
            Err(error) if error.code() == Code::BackupCorrupted && decision.plan.is_some() => {
                let text =
                    format!("backup {} is damaged ({error}): an older one is tried", decision.manifest.id);
                session.monitor.finding(&Finding::warning(text));
                damaged.push(decision.manifest.id);
                first = Some(error);
            }
            written => return Ok((decision, written?)),
        }
    }
}

fn write(
    options: &RestoreOptions,
    decision: &Decision,
    reader: &Reader,
    session: &Session<'_>,
) -> Result<Assembled> {
    let databases = chosen(decision, &options.databases)?;
    require_room(options, &databases)?;
    let nodes = decision.backup.files(reader)?;
    let logs: Vec<PathLog<'_>> =
        databases.iter().filter_map(|database| PathLog::of(decision.history.as_ref()?, database)).collect();
    let note = note(options, decision, &databases);
    let plan = AssembleOptions {
        databases: databases.iter().map(|database| &database.base).collect(),
        continuations: logs.iter().map(PathLog::continuation).collect(),
        nodes: &nodes,
        target: &options.to,
        owner: options.owner,
        keep_going: options.keep_going,
        note: note.as_bytes(),
    };
    Ok(assemble(&plan, reader, session.stop, session.monitor)?)
}

fn question<'a>(options: &'a RestoreOptions, without: &'a [BackupId], ends: &'a [End]) -> Question<'a> {
    Question {
        without,
        ends,
        target: &options.target,
        source: options.source.as_ref(),
        timeline: options.timeline.map(RunNumber),
    }
}

impl RestoreReport {
    /// The error that a restore with damages ends in.
    pub fn into_result(self) -> std::result::Result<Self, (Box<Self>, Error)> {
        if self.damages.is_empty() {
            return Ok(self);
        }
        let mut files: Vec<&str> = self.damages.iter().map(|damage| damage.file.as_str()).collect();
        files.dedup();
        let error =
            Error::RestoredPartly { id: self.id.clone(), damaged: files.len(), kept: self.to.clone() };
        Err((Box::new(self), error))
    }
}

/// The archived log of one database, from a backup's end to the target.
struct PathLog<'a> {
    log: PathReader<'a>,
    database: &'a DatabaseDecision,
}

impl<'a> PathLog<'a> {
    fn of(history: &'a History, database: &'a DatabaseDecision) -> Option<Self> {
        let path = database.path.as_ref().filter(|_| !database.extension.is_empty())?;
        Some(Self { log: history.reader(path), database })
    }

    fn continuation(&self) -> Continuation<'_> {
        Continuation { promised: &self.database.promised, log: self }
    }
}

impl ArchivedLog for PathLog<'_> {
    fn pour(
        &self,
        write: &mut dyn FnMut(&LogPiece<'_>) -> std::result::Result<(), AssembleError>,
    ) -> std::result::Result<(), AssembleError> {
        let from = grap_neo4j::TxId(self.database.base.end.tx_id).next();
        let to = self.database.extension.end.id;
        self.log.visit(Some(from), Some(to), &mut |visit| {
            let file_header = &visit.segment.header.file_header;
            write(&LogPiece { start: visit.transaction.start, file_header, bytes: visit.bytes })
        })?;
        Ok(())
    }
}

fn restored(database: &DatabaseDecision) -> RestoredDatabase {
    RestoredDatabase {
        name: database.base.name.clone(),
        end: database.promised.end,
        log_transactions: database.extension.transactions,
        short: database.short.clone(),
        server_min: database.promised.server_min.clone(),
    }
}

fn chosen<'d>(decision: &'d Decision, names: &[String]) -> Result<Vec<&'d DatabaseDecision>> {
    if names.is_empty() {
        return Ok(decision.databases.iter().collect());
    }
    let find = |name: &String| {
        decision.databases.iter().find(|database| database.base.name == *name).ok_or_else(|| {
            Error::DatabaseNotFound {
                id: decision.manifest.id.clone(),
                database: name.clone(),
                known: decision.databases.iter().map(|database| database.base.name.clone()).collect(),
            }
        })
    };
    let mut chosen: Vec<&DatabaseDecision> = Vec::new();
    for found in names.iter().map(find) {
        let found = found?;
        if chosen.iter().all(|known| known.base.name != found.base.name) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

fn require_room(options: &RestoreOptions, databases: &[&DatabaseDecision]) -> Result<()> {
    let files = databases.iter().flat_map(|database| &database.promised.files).map(|file| file.size).sum();
    let room = Room::for_restore(files, disk::space(&options.to)?.available);
    room.check().map_err(|source| Error::NoSpace { path: options.to.clone(), source })
}

/// What is left in the target for whoever finds it: where it comes from, and which servers open it.
fn note(options: &RestoreOptions, decision: &Decision, databases: &[&DatabaseDecision]) -> String {
    let manifest: &Manifest = &decision.manifest;
    let databases: Vec<_> = databases
        .iter()
        .map(|database| {
            json!({
                "name": database.base.name,
                "tx_id": database.promised.end.tx_id,
                "commit_ms": database.promised.end.commit_ms,
                "log_transactions": database.extension.transactions,
                "short": database.short,
                "store_id": database.base.store_id.to_string(),
                "format": database.base.format,
                "neo4j_min": database.promised.server_min,
            })
        })
        .collect();
    let note = json!({
        "schema_version": 1,
        "target": options.target.to_string(),
        "backup": manifest.id,
        "timeline": decision.plan.as_ref().map(|plan| plan.run),
        "source": manifest.source,
        "backup_started": manifest.started,
        "neo4j_of_the_source": manifest.server.version,
        "databases": databases,
        "good_for": "Neo4j Community of the source's release or newer; never older than neo4j_min",
    });
    format!("{note:#}\n")
}

fn owner_hint(options: &RestoreOptions) -> String {
    format!(
        "the files belong to the user that ran this restore; for a server of another user: chown -R USER:GROUP {}",
        options.to.display()
    )
}
