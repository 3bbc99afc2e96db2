//! `recover release`: a retired database is removed, when the repository holds all of it; or because the operator gives it
//! up by name.
//!
//! - *Held is what a restore would be granted for*: the last transaction of its log, by id, checksum and time, is the end of
//!   a backup, or is reached on a timeline from one, with nothing missing in between ([`reach`]). A backup that something
//!   speaks against counts for nothing. The repository is locked while that is looked at and acted upon.
//! - *Nothing is removed that a promotion or a rollback needs*, of this state directory or of another one: the lock of
//!   recoveries is held, and the claim of the data directory; nothing is owed, nothing lies exchanged but not retired, and no
//!   note of a switch names it.

use std::path::Path;

use grap_core::recovery::{Phase, Recovery, RecoveryId, State, order};
use grap_core::{BackupId, SourceName, Verdict};
use grap_neo4j::{StoreId, TransactionEnd};
use grap_repository::Repository;
use grap_task::{Finding, Unit};

use super::Session;
use super::restore::reach;
use crate::archive::{History, RunNumber, end_of};
use crate::catalog::Catalog;
use crate::check::store_id;
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, InstallationOptions, SYSTEM};
use crate::notes::Notes;
use crate::recovery::{
    self, Lane, Machine, OpenAgain, RetiredStore, claim_if_retired, end_of_retired, finish_released,
    in_use_by, interrupted, retired_stores,
};
use crate::state::StateDirectory;

#[derive(Debug, Clone)]
pub struct StoreReleaseOptions {
    pub installation: InstallationOptions,
    pub which: Which,
}

/// Which retired database goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The newest is the one that a rollback takes.
    Oldest,
    Of(RecoveryId),
    /// Whether it is held anywhere or not.
    GivenUp(RecoveryId),
}

/// What goes.
#[derive(Debug, Clone)]
pub struct StoreReleasePlan {
    pub store: RetiredStore,
    /// Its last transaction, where it can be read.
    pub end: Option<TransactionEnd>,
    /// What it can be restored from; none where it is given up.
    pub held: Option<Held>,
}

/// How a transaction can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub backup: BackupId,
    /// Whose archived log leads there; none where the backup ends with it.
    pub timeline: Option<u64>,
}

#[derive(Debug)]
pub struct StoreReleaseReport {
    /// What earlier releases had left, struck in the middle.
    pub finished: Vec<RecoveryId>,
    /// None: what was asked for was finished.
    pub released: Option<StoreReleasePlan>,
}

/// What [`release_store`] would remove. Nothing is done.
pub fn plan_store_release(
    options: &StoreReleaseOptions,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<StoreReleasePlan> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    nothing_is_owed(machine.state(), options)?;
    decide(options, open, machine.state(), session, Ok)
}

pub fn release_store(
    options: &StoreReleaseOptions,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<StoreReleaseReport> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    state.journaled("recover", session.clock, || {
        let data = Installation::data_directory(&options.installation)?;
        let _claim = claim_if_retired(&data)?;
        nothing_is_owed(machine.state(), options)?;
        let finished = finish_released(&data)?;
        let released = decide(options, open, machine.state(), session, |plan| {
            recovery::release_store(&plan.store)?;
            Ok(plan)
        });
        match released {
            Err(Error::NoRetired { id })
                if id.as_ref().map_or(!finished.is_empty(), |id| finished.contains(id)) =>
            {
                Ok(StoreReleaseReport { finished, released: None })
            }
            released => Ok(StoreReleaseReport { finished, released: Some(released?) }),
        }
    })
}

/// Neither by the journal nor by what lies there.
fn nothing_is_owed(state: &State, options: &StoreReleaseOptions) -> Result<()> {
    let asked = "a release";
    if let Some((owed, recovery)) = order(state).zip(state.recovery()).filter(|(owed, _)| owed.is_of_switch())
    {
        let why = "and may need what is retired".to_owned();
        return Err(Error::SwitchOwed { asked, id: recovery.id.clone(), owed, why, verb: recovery.words() });
    }
    if let Some(found) = interrupted(&Installation::locate(&options.installation, SYSTEM)?)? {
        let what = format!("{} is a barrier, and nobody is known to be at it", found.barrier.display());
        return Err(Error::SwapUnknown { what });
    }
    Ok(())
}

/// Under the repository's lock, unless it is given up.
fn decide<T>(
    options: &StoreReleaseOptions,
    open: &OpenAgain<'_>,
    state: &State,
    session: &Session<'_>,
    act: impl FnOnce(StoreReleasePlan) -> Result<T>,
) -> Result<T> {
    let store = chosen(options, session)?;
    let end = end_of_store(&store);
    if let Which::GivenUp(_) = options.which {
        return act(StoreReleasePlan { store, end: end.ok(), held: None });
    }
    let refused = |why: String| Error::RetiredNotBackedUp { id: store.recovery.clone(), why };
    if state.recovery().is_some_and(|recovery| is_needed(recovery, &store)) {
        return Err(refused("what replaced it is not confirmed, and it may have to come back".to_owned()));
    }
    let (end, id) = end.map_err(|error| refused(in_one_line(&error))).and_then(|end| {
        Ok((end, store_id(Path::new(&store.halves.store)).map_err(|error| refused(in_one_line(&error)))?))
    })?;
    let repository = open()?.open_told(session)?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    let database = store.database.clone();
    let done = match held((&store.plan.source, &database), (&id, &end), &repository, session)? {
        Some(held) => system_is_held(&store, &repository, session)
            .and_then(|()| act(StoreReleasePlan { store, end: Some(end), held: Some(held) })),
        None => Err(refused(format!(
            "it ends with {end}, and no backup of source `{}` leads there",
            store.plan.source
        ))),
    };
    session.release(lock);
    done
}

/// An unconfirmed promotion may have to be taken back.
fn is_needed(recovery: &Recovery, store: &RetiredStore) -> bool {
    recovery.id == store.recovery && recovery.phase == Phase::Promoted && recovery.unconfirmed.is_some()
}

fn chosen(options: &StoreReleaseOptions, session: &Session<'_>) -> Result<RetiredStore> {
    let data = Installation::data_directory(&options.installation)?;
    let found = retired_stores(&data)?;
    for unreadable in &found.unreadable {
        session.monitor.finding(&Finding::warning(unreadable.clone()));
    }
    let id = match &options.which {
        Which::Oldest => None,
        Which::Of(id) | Which::GivenUp(id) => Some(id),
    };
    let mut stores = found.stores.into_iter();
    let store = stores
        .find(|store| id.is_none_or(|id| *id == store.recovery))
        .ok_or_else(|| Error::NoRetired { id: id.cloned() })?;
    match in_use_by(&data, &store.path)? {
        None => Ok(store),
        Some(other) => {
            let what = format!("{other} was to put {} back, and is not finished", store.path.display());
            Err(Error::SwapUnknown { what })
        }
    }
}

/// Of one whose server had crashed, the last whole transaction.
fn end_of_store(store: &RetiredStore) -> Result<TransactionEnd> {
    end_of_retired(store.halves.log.as_ref(), &store.database)
}

/// As the user database, where it was retired. Else why not.
fn system_is_held(store: &RetiredStore, repository: &Repository, session: &Session<'_>) -> Result<()> {
    let Some(halves) = &store.system else { return Ok(()) };
    let refused = |why: String| Error::RetiredNotBackedUp { id: store.recovery.clone(), why };
    let unreadable = |error: &Error| refused(format!("of its `system`: {}", in_one_line(error)));
    let id = store_id(Path::new(&halves.store)).map_err(|error| unreadable(&error.into()))?;
    let end = end_of_retired(Path::new(&halves.log), SYSTEM).map_err(|error| unreadable(&error))?;
    let source = &store.plan.source;
    let held = held((source, SYSTEM), (&id, &end), repository, session)?;
    let nowhere = || format!("its `system` ends with {end}, and no backup of source `{source}` leads there");
    held.map(drop).ok_or_else(|| refused(nowhere()))
}

fn held(
    (source, database): (&SourceName, &str),
    (id, end): (&StoreId, &TransactionEnd),
    repository: &Repository,
    session: &Session<'_>,
) -> Result<Option<Held>> {
    session.monitor.begin("reading the archive", Unit::Items, None);
    let catalog = Catalog::load(repository)?;
    let reader = repository.reader(session.monitor)?;
    let mut history = History::load(repository, &reader, &catalog, source, (session.monitor, session.stop))?;
    let notes = Notes::list(repository, source)?;
    let mut good = Vec::new();
    for known in &history.backups {
        let standing = notes.standing(&known.backup.id)?;
        if standing.worth() != Some(Verdict::Failed) && standing.doubt().is_none() {
            good.push(known.backup.id.clone());
        }
    }
    history.backups.retain(|known| {
        let of_it = known.manifest.database(database).is_some_and(|found| found.store_id == *id);
        of_it && good.contains(&known.backup.id)
    });
    let backup = history
        .backups
        .iter()
        .rfind(|known| known.manifest.database(database).is_some_and(|found| is_same(&end_of(found), end)));
    if let Some(known) = backup {
        return Ok(Some(Held { backup: known.backup.id.clone(), timeline: None }));
    }
    let mut runs: Vec<RunNumber> = history.runs.iter().map(|(run, _)| run).collect();
    runs.reverse();
    for run in runs {
        session.stop.check()?;
        if let Some(backup) = reached(&history, database, run, end, session)? {
            return Ok(Some(Held { backup, timeline: Some(run.0) }));
        }
    }
    Ok(None)
}

/// What is damaged, or not there, leads nowhere.
fn reached(
    history: &History,
    database: &str,
    run: RunNumber,
    end: &TransactionEnd,
    session: &Session<'_>,
) -> Result<Option<BackupId>> {
    let now = session.clock.now().as_millisecond();
    // A run that knows nothing of the database.
    let Ok(path) = history.runs.path(database, run) else { return Ok(None) };
    match reach(history, database, &path, end.id, now) {
        Ok(point) => {
            let same = point.ok().filter(|point| is_same(&point.plan.target, end));
            Ok(same.map(|point| point.known.backup.id.clone()))
        }
        Err(error) if error.code() == Code::ArchiveDamaged => {
            session.monitor.finding(&Finding::warning(format!("timeline {run}: {}", in_one_line(&error))));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Wherever it stands in its log.
fn is_same(one: &TransactionEnd, other: &TransactionEnd) -> bool {
    (one.id, one.checksum, one.commit_time) == (other.id, other.checksum, other.commit_time)
}
