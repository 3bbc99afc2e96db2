//! `recover`: a candidate is made of a target, opened in a test instance, and judged; or what is left of that is undone.
//!
//! What is done in which order the machine knows ([`crate::recovery`]). Here a recovery is planned, begun, or gone on with.
//! Neither touches the live database; a cancellation or a reset does so where it takes a promotion back.

mod cancel;
mod report;
mod reset;

use std::path::PathBuf;

use grap_core::recovery::{End, Limits, Order, Phase, Plan, Recovery, RecoveryId, State, order};
use grap_core::{SourceName, Target};
use grap_neo4j::TxId;
use grap_repository::Repository;
use grap_task::{Finding, Unit};

use super::Session;
use super::restore::{PlannedDatabase, RestoreOptions, plan_restore_from};
use crate::error::{Error, Result};
use crate::live::SYSTEM;
use crate::recovery::{
    self, Candidate, CandidateOptions, Gauge, Lane, Machine, OpenAgain, RecoveryJournal, in_the_way,
    publishing, room_for, switch_owed,
};
use crate::server::ServerInstallation;
use crate::state::StateDirectory;

pub use cancel::cancel_recovery;
pub(super) use report::failure;
pub use report::{CandidateIs, RecoveryReport, recovery_at_work, recovery_status};
pub(super) use reset::clear_away;
pub use reset::{lost_switch, reset_recovery};

#[derive(Debug, Clone)]
pub struct RecoverOptions {
    /// `None`: what goes on; else the newest.
    pub target: Option<Target>,
    pub source: Option<SourceName>,
    /// The path of this run, in place of the current one.
    pub timeline: Option<u64>,
    /// The user database, where a backup holds several.
    pub database: Option<String>,
    /// The candidate's directory is made in it.
    pub root: PathBuf,
    pub candidate: CandidateOptions,
    pub limits: Limits,
}

/// Begin one, or go on with the one that is under way, until it has succeeded or failed. A stop is a pause.
pub fn recover(
    options: &RecoverOptions,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RecoveryReport> {
    begun((options, open), state, session, |machine, candidate| {
        let machine = match machine.state().recovery() {
            None => begin(machine, options, open, candidate, session)?,
            Some(_) => go_on(machine, options, session)?,
        };
        perform(machine, Lane::Recovery, candidate, state, session)
    })
}

/// Fix what is going to be done, and note it. Nothing else is done yet: [`recover`] goes on from here.
pub fn begin_recovery(
    options: &RecoverOptions,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RecoveryReport> {
    begun((options, open), state, session, |machine, candidate| match machine.state().recovery() {
        None => begin(machine, options, open, candidate, session),
        Some(recovery) => Err(in_the_way("a new recovery", recovery)),
    })
}

/// Under the lane's lock, with a reset finished that was struck.
fn begun(
    (options, open): (&RecoverOptions, &OpenAgain<'_>),
    state: &StateDirectory,
    session: &Session<'_>,
    act: impl FnOnce(Machine, &mut Candidate<'_>) -> Result<Machine>,
) -> Result<RecoveryReport> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    state.journaled("recover", session.clock, || {
        let mut candidate = Candidate::new(&options.candidate, open, state);
        let machine = finish_reset(machine, &mut candidate, state, session)?;
        let machine = act(machine, &mut candidate)?;
        Ok(RecoveryReport::ended(machine.state(), session))
    })
}

/// What is owed, until nothing is; meanwhile others can see how far it is.
pub(super) fn perform(
    machine: Machine,
    lane: Lane,
    candidate: &mut Candidate<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Machine> {
    let Some(id) = machine.state().recovery().map(|recovery| recovery.id.clone()) else { return Ok(machine) };
    let gauge = Gauge::default();
    publishing((state, lane), &id, &gauge, session.clock, || machine.run(candidate, session, &gauge))
}

/// A reset that was struck in the middle stands between a new recovery and its beginning.
fn finish_reset(
    machine: Machine,
    candidate: &mut Candidate<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Machine> {
    match machine.state().recovery() {
        Some(recovery) if recovery.phase == Phase::Resetting => {
            perform(machine, Lane::Recovery, candidate, state, session)
        }
        _ => Ok(machine),
    }
}

fn begin(
    machine: Machine,
    options: &RecoverOptions,
    open: &OpenAgain<'_>,
    candidate: &mut Candidate<'_>,
    session: &Session<'_>,
) -> Result<Machine> {
    let id = machine.next_id(session.clock.now());
    let repository = open()?.open_told(session)?;
    let plan = plan(options, &id, &repository, session)?;
    candidate.hand(repository);
    machine.begin(id, plan, session.clock)
}

fn go_on(machine: Machine, options: &RecoverOptions, session: &Session<'_>) -> Result<Machine> {
    let asked = "a new recovery";
    let Some(recovery) = machine.state().recovery() else { return Ok(machine) };
    match order(machine.state()) {
        None => return Err(in_the_way(asked, recovery)),
        Some(owed) if owed.is_of_switch() => return Err(switch_owed(asked, recovery, owed)),
        Some(_) => {}
    }
    if is_another(options, &recovery.plan) {
        let (id, target) = (recovery.id.clone(), recovery.plan.target.clone());
        return Err(Error::OtherRecovery { asked, id, target });
    }
    require_same_release(machine.state(), recovery, &options.candidate)?;
    let text = format!("recovery {} to `{}` goes on", recovery.id, recovery.plan.target);
    session.monitor.finding(&Finding::info(text));
    Ok(machine)
}

/// What one release has opened, and perhaps upgraded, another one may refuse or read wrongly: that would be told of the
/// candidate, and of the backup.
fn require_same_release(state: &State, recovery: &Recovery, candidate: &CandidateOptions) -> Result<()> {
    let Some(opened_by) = release_needed(state)? else { return Ok(()) };
    let found = ServerInstallation::find(&candidate.server)?.release.to_string();
    if found == opened_by {
        return Ok(());
    }
    Err(Error::OtherServer { id: recovery.id.clone(), opened_by, found })
}

/// `None`: no server has opened the candidate, or none is needed for it any more.
fn release_needed(state: &State) -> Result<Option<String>> {
    let needs = matches!(order(state), Some(Order::StartInstance | Order::Judge(_) | Order::StopInstance));
    let Some(recovery) = state.recovery().filter(|_| needs) else { return Ok(None) };
    match &recovery.opened_by {
        Some(release) => Ok(Some(release.clone())),
        // A start that was struck is in no journal.
        None => Candidate::opened_by(recovery),
    }
}

/// Whether something else is asked for than what goes on. What is not said is as it was.
pub(super) fn is_another(options: &RecoverOptions, plan: &Plan) -> bool {
    let has = |database: &String| plan.ends.iter().any(|end| end.database == *database);
    options.target.as_ref().is_some_and(|target| target.to_string() != plan.target)
        || options.timeline.is_some_and(|timeline| Some(timeline) != plan.timeline)
        || options.source.as_ref().is_some_and(|source| *source != plan.source)
        || options.database.as_ref().is_some_and(|database| !has(database))
}

/// Everything is decided here, and nothing is written: that there is a server which opens it, and room for it.
pub(super) fn plan(
    options: &RecoverOptions,
    id: &RecoveryId,
    repository: &Repository,
    session: &Session<'_>,
) -> Result<Plan> {
    if options.database.as_deref() == Some(SYSTEM) {
        return Err(Error::SystemNotOpened);
    }
    let installation = ServerInstallation::find(&options.candidate.server)?;
    let report = plan_restore_from(&wish(options), repository, session)?;
    let user = report.user_database(options.database.as_deref())?;
    installation.require_at_least(&user.server_min, &user.name)?;
    let system = report.databases.iter().filter(|database| database.name == SYSTEM);
    let taken: Vec<&PlannedDatabase> = std::iter::once(user).chain(system).collect();
    let bytes = report.backup_bytes + taken.iter().map(|database| database.log_bytes).sum::<u64>();
    session.monitor.begin("looking for room", Unit::Items, None);
    room_for(bytes, &options.root)?;
    let end = |database: &&PlannedDatabase| End {
        database: database.name.clone(),
        tx_id: TxId(database.end.tx_id),
        short: database.short.clone(),
    };
    Ok(Plan {
        target: report.target.clone(),
        repository: Some(report.repository.clone()),
        source: report.source.clone(),
        backup: report.id.clone(),
        timeline: report.plan.as_ref().map(|plan| plan.run),
        ends: taken.iter().map(end).collect(),
        candidate: candidate_path(options, id)?,
        bytes,
        limits: options.limits.clone(),
        undoes: None,
    })
}

fn candidate_path(options: &RecoverOptions, id: &RecoveryId) -> Result<String> {
    let unusable = || Error::CandidatePath { path: options.root.clone() };
    let root = std::path::absolute(&options.root).map_err(|_| unusable())?;
    root.join(id.as_str()).into_os_string().into_string().map_err(|_| unusable())
}

fn wish(options: &RecoverOptions) -> RestoreOptions {
    RestoreOptions {
        target: options.target.clone().unwrap_or(Target::Latest),
        source: options.source.clone(),
        timeline: options.timeline,
        to: PathBuf::new(),
        databases: Vec::new(),
        owner: None,
        keep_going: false,
        no_lock: false,
    }
}

/// Every recovery of this state directory, oldest first.
pub(super) fn recovery_history(state: &StateDirectory, lane: Lane) -> Result<Vec<recovery::Past>> {
    Ok(recovery::past(&RecoveryJournal::open(state, lane)?.history()?))
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{Instance, Tier, What, apply, atlas};

    use super::*;

    /// From its first start to the last look of a checker.
    #[test]
    fn a_candidate_that_was_opened_goes_on_with_the_release_that_opened_it() {
        let mut state = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
        let mut needs = Vec::new();
        while let Some(owed) = order(&state) {
            needs.push((owed, release_needed(&state).unwrap().is_some()));
            let mut done = atlas::done(&state).unwrap();
            if let What::Started { instance } = &mut done.what {
                *instance = Instance { release: Some("5.26.30".to_owned()), ..instance.clone() };
            }
            state = apply(state, &done).unwrap();
        }
        let first = needs.iter().position(|(_, needs)| *needs).unwrap();
        assert_eq!(needs[first].0, Order::Judge(Tier::Connectivity));
        // A record needs no server.
        assert_eq!(needs.iter().rfind(|(_, needs)| *needs).unwrap().0, Order::Judge(Tier::Store));
        // One that is started again, because it was lost, is the same one.
        let mut lost = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
        while order(&lost) != Some(Order::Judge(Tier::Schema)) {
            lost = apply(lost.clone(), &atlas::done(&lost).unwrap()).unwrap();
        }
        lost = apply(lost, &atlas::event(What::InstanceLost { failure: atlas::failure() })).unwrap();
        let State::Active(mut lost) = lost else { panic!() };
        lost.opened_by = Some("5.26.30".to_owned());
        assert_eq!(release_needed(&State::Active(lost)).unwrap().as_deref(), Some("5.26.30"));
    }

    /// The process died between the launch of the server and its being ready.
    #[test]
    fn a_start_that_was_struck_binds_to_its_release() {
        let folder = tempfile::tempdir().unwrap();
        let plan = atlas::plan(&folder.path().display().to_string());
        let id = "recovery-20261126-020000".parse().unwrap();
        let mut state = apply(State::Idle, &atlas::event(What::Begun { id, plan })).unwrap();
        while order(&state) != Some(Order::StartInstance) {
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        assert_eq!(release_needed(&state).unwrap(), None);
        grap_disk::replace(&folder.path().join("opener"), &[b"5.26.29"]).unwrap();
        assert_eq!(release_needed(&state).unwrap().as_deref(), Some("5.26.29"));
    }
}
