//! `recover`: a candidate is made of a target, opened in a test instance, and judged; or what is left of that is undone.
//! The live database is not touched.
//!
//! What is done in which order the machine knows ([`crate::recovery`]). Here a recovery is planned, begun, or gone on with.

use std::path::PathBuf;
use std::time::Duration;

use grap_core::recovery::{
    Cause, End, Judgement, Limits, Order, Phase, Plan, Recovery, RecoveryId, State, Status, order,
};
use grap_core::{SourceName, Target};
use grap_neo4j::TxId;
use grap_repository::Repository;
use grap_task::{Finding, Stop, Unit};
use jiff::Timestamp;

use super::Session;
use super::restore::{PlannedDatabase, RestoreOptions, plan_restore_from};
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, SYSTEM};
use crate::notes::{is_blind, is_death};
use crate::recovery::{
    self, Cancel, Candidate, CandidateOptions, FindLive, Gauge, Interrupted, Lane, LiveServer, LiveSwitch,
    Machine, OpenAgain, Progress, Promote as _, RecoveryJournal, RetiredStore, in_the_way, interrupted,
    publishing, room_for,
};
use crate::server::ServerInstallation;
use crate::state::StateDirectory;

/// A step of a promotion hears of a cancellation at its end.
const HEARD_WITHIN: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(200);

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

/// How a recovery stands.
#[derive(Debug, Clone)]
pub struct RecoveryReport {
    pub state: State,
    /// Whether a process is at it.
    pub runs: bool,
    pub percent: Option<u8>,
    /// How long it may take from now on.
    pub remaining_s: Option<u64>,
    /// Where it has passed, nobody is at it, and it was asked how it stands.
    pub candidate: Option<CandidateIs>,
    /// Databases that were live once, oldest first; where it was asked for.
    pub retired: Vec<RetiredStore>,
    pub at: Timestamp,
}

/// What a candidate is that has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidateIs {
    AsItPassed,
    /// Why.
    Another(String),
    /// Why it cannot be said.
    Unknown(String),
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

/// How it stands, whoever is at it.
pub fn recovery_status(state: &StateDirectory, session: &Session<'_>) -> Result<RecoveryReport> {
    let (found, runs, candidate) =
        with_candidate(|| recovery::look(state, Lane::Recovery), CandidateIs::look)?;
    let mut report = RecoveryReport { runs, candidate, ..RecoveryReport::ended(&found, session) };
    let progress = found
        .recovery()
        .filter(|recovery| runs && recovery.phase.is_forward())
        .and_then(|recovery| Progress::read(state, Lane::Recovery, &recovery.id));
    if let Some(progress) = progress {
        let passed = report.at.duration_since(progress.at).as_secs();
        let passed = u64::try_from(passed).unwrap_or(0);
        report.percent = report.percent.max(Some(progress.percent));
        report.remaining_s = progress.remaining_s.map(|remaining| remaining.saturating_sub(passed));
    }
    Ok(report)
}

/// How it stands, and what its candidate is: who resets it meanwhile has changed nothing that anybody would have to be warned of.
fn with_candidate(
    look: impl Fn() -> Result<(State, bool)>,
    candidate: impl Fn(&Recovery) -> CandidateIs,
) -> Result<(State, bool, Option<CandidateIs>)> {
    let (found, runs) = look()?;
    let passed = found.recovery().filter(|recovery| !runs && recovery.phase == Phase::Validated);
    let is = passed.map(candidate);
    if matches!(is, Some(CandidateIs::Another(_))) {
        let (now, runs) = look()?;
        if runs || now != found {
            return Ok((now, runs, None));
        }
    }
    Ok((found, runs, is))
}

/// As [`recovery_status`], where a process is at it; else its journal is not even read.
pub fn recovery_at_work(state: &StateDirectory, session: &Session<'_>) -> Result<Option<RecoveryReport>> {
    if !recovery::runs(state, Lane::Recovery)? {
        return Ok(None);
    }
    let report = recovery_status(state, session)?;
    let is_forward = report.recovery().is_some_and(|recovery| recovery.phase.is_forward());
    let is_of_switch = order(&report.state).is_some_and(Order::is_of_switch);
    Ok((report.runs && (is_forward || is_of_switch)).then_some(report))
}

/// Cancel it. Whoever performs it clears away; where nobody does, we do.
pub fn cancel_recovery(
    find: &FindLive<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RecoveryReport> {
    match recovery::cancel(state, Lane::Recovery, session.clock)? {
        Cancel::Asked => {
            let text = "asked for: the process that performs it ends it now, or takes it back";
            session.monitor.finding(&Finding::info(text));
            let report = recovery_status(state, session)?;
            let is_switch = order(&report.state).is_some_and(Order::is_of_switch);
            if is_switch { heard(report, state, session) } else { Ok(report) }
        }
        Cancel::Noted(machine) => {
            let mut candidate = Candidate::to_clear_away(None).with_live(LiveSwitch::new(find, None));
            let machine = perform(machine, Lane::Recovery, &mut candidate, state, session)?;
            Ok(RecoveryReport::ended(machine.state(), session))
        }
    }
}

/// Of a promotion that another process performs: it is taken back, or it was too late for that.
fn heard(
    mut report: RecoveryReport,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RecoveryReport> {
    let until = session.clock.since_boot() + HEARD_WITHIN;
    loop {
        let Some(recovery) = report.recovery() else { return Ok(report) };
        if recovery.phase.can_be_cancelled() && report.runs && session.clock.since_boot() < until {
            session.clock.wait(LOOK, session.stop);
            session.stop.check()?;
            report = recovery_status(state, session)?;
            continue;
        }
        let is_taken_back = recovery.called_off.is_some() || recovery.cause.is_some();
        if recovery.phase.can_be_cancelled() || is_taken_back {
            return Ok(report);
        }
        return Err(in_the_way("a cancellation, now that the new database is in place,", recovery));
    }
}

/// From any end to the beginning: the candidate goes. A journal that cannot be read is set aside. A promotion that is
/// under way is taken back first, or, where the new database is in place, finished.
pub fn reset_recovery(
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RecoveryReport> {
    let is_unreadable = recovery::unreadable(state, Lane::Recovery)?.is_some();
    if is_unreadable || recovery::look(state, Lane::Recovery)?.0 == State::Idle {
        take_back_without_journal(find, state, session, is_unreadable)?;
    }
    let (machine, aside) = Machine::open_or_begin(state, Lane::Recovery, session.clock)?;
    if let Some(aside) = aside {
        session.monitor.finding(&Finding::warning(aside.to_string()));
    }
    let phase = machine.state().recovery().map(|recovery| recovery.phase);
    let machine =
        if phase.is_some_and(Phase::is_switching) { machine.cancel(session.clock)? } else { machine };
    let candidate = Candidate::to_clear_away(Some(open)).with_live(LiveSwitch::new(find, Some(open)));
    let machine = clear_away(machine, Lane::Recovery, candidate, state, session)?;
    Ok(RecoveryReport::ended(machine.state(), session))
}

/// The journal is lost, and with it what is known of a promotion: in the middle of one a barrier lies where a log should be,
/// and beside it stands what there is to know.
fn take_back_without_journal(
    find: &FindLive<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
    is_unreadable: bool,
) -> Result<()> {
    let found = find().and_then(|live| interrupted_of(&live));
    let found = match found {
        Ok(found) => found,
        // One that is empty says nothing either; mostly there was nothing.
        Err(_) if !is_unreadable => return Ok(()),
        Err(error) => {
            let told = format!(
                "whether a promotion was under way was not looked at: {}; a file in the place of a live log would say so",
                in_one_line(&error)
            );
            session.monitor.finding(&Finding::warning(told));
            return Ok(());
        }
    };
    let Some(Interrupted { barrier, switch }) = found else { return Ok(()) };
    let Some(recovery) = switch else {
        let told = format!(
            "{} is a file, and what it stands for is noted nowhere: the database is to be recovered, and promoted with --live-is-lost",
            barrier.display()
        );
        session.monitor.finding(&Finding::warning(told));
        return Ok(());
    };
    let _lock = state.lock(Lane::Recovery.job(), session.clock)?;
    let mut switch = LiveSwitch::new(find, None);
    let (stop, told) = (Stop::new(), format!("{} is exchanged back", recovery.id));
    session.monitor.finding(&Finding::warning(told));
    let session = Session { stop: &stop, ..*session };
    let undone = switch.undo(&recovery, &session).and_then(|_| switch.start_old(&recovery, &session));
    undone.map_err(|error| Error::SwitchWithoutJournal {
        what: format!(
            "{} is the barrier of {}, which could not be exchanged back: {}",
            barrier.display(),
            recovery.id,
            in_one_line(&error)
        ),
    })
}

fn interrupted_of(live: &LiveServer) -> Result<Option<Interrupted>> {
    // All that lies beside its logs is looked at.
    interrupted(&Installation::locate(&live.installation, SYSTEM)?)
}

/// Nothing is left of a recovery that has ended, or is on its way back.
pub(super) fn clear_away(
    machine: Machine,
    lane: Lane,
    mut candidate: Candidate<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Machine> {
    // A verdict that is not recorded yet is recorded before its candidate goes.
    let is_forward = machine.state().recovery().is_some_and(|recovery| recovery.phase.is_forward());
    let machine = if is_forward {
        machine
    } else {
        match perform(machine, lane, &mut candidate, state, session) {
            Err(error) if error.code() != Code::Interrupted => given_up(error, lane, state, session)?,
            ended => ended?,
        }
    };
    if let Some(missed) = machine.state().recovery().and_then(|recovery| recovery.unrecorded.as_ref()) {
        let text =
            format!("what was found does not stand beside the backup: {}: {}", missed.code, missed.message);
        session.monitor.finding(&Finding::warning(text));
    }
    let machine = machine.reset(session.clock)?;
    perform(machine, lane, &mut candidate, state, session)
}

/// An old database that does not serve again is nothing that a reset could wait for.
fn given_up(error: Error, lane: Lane, state: &StateDirectory, session: &Session<'_>) -> Result<Machine> {
    let machine = Machine::open(state, lane, session.clock)?;
    if machine.state().recovery().is_none_or(|recovery| recovery.phase != Phase::Restarting) {
        return Err(error);
    }
    let told =
        format!("the live database was not seen to serve again, please see to it: {}", in_one_line(&error));
    session.monitor.finding(&Finding::warning(told));
    Ok(machine)
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
        Some(owed) if owed.is_of_switch() => return Err(Error::PromotionUnderWay),
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

impl CandidateIs {
    fn look(passed: &Recovery) -> Self {
        match Candidate::still_what_passed(passed) {
            Ok(()) => Self::AsItPassed,
            Err(error @ Error::CandidateChanged { .. }) => Self::Another(in_one_line(&error)),
            Err(error) => Self::Unknown(in_one_line(&error)),
        }
    }
}

impl RecoveryReport {
    pub(super) fn ended(state: &State, session: &Session<'_>) -> Self {
        let percent = grap_core::recovery::percent(state);
        let at = session.clock.now();
        Self {
            state: state.clone(),
            runs: false,
            percent,
            remaining_s: None,
            candidate: None,
            retired: Vec::new(),
            at,
        }
    }

    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// What it is about, where there is one.
    pub fn recovery(&self) -> Option<&Recovery> {
        self.state.recovery()
    }

    /// Why it failed, where it did.
    pub fn failure(&self) -> Option<(Code, String)> {
        failure(self.recovery()?)
    }
}

/// A verdict on the candidate is one situation, whichever tier it is of. What says nothing about it has its own code: an
/// order that could not be done, a tier that could not look.
pub(super) fn failure(recovery: &Recovery) -> Option<(Code, String)> {
    Some(match recovery.cause.as_ref()? {
        Cause::Cancelled => (Code::Interrupted, format!("{} was cancelled", recovery.id)),
        Cause::Failed { order: order @ Order::Judge(_), failure }
            if recovery.judgements.iter().any(Judgement::failed)
                && !is_blind(&failure.code)
                && !is_death(&failure.code) =>
        {
            (Code::RestoreHealthFailed, format!("{order}: {}", failure.message))
        }
        Cause::Failed { order, failure } => {
            let code = Code::ALL.iter().find(|code| code.name() == failure.code);
            (code.copied().unwrap_or(Code::RestoreHealthFailed), format!("{order}: {}", failure.message))
        }
    })
}

/// Every recovery of this state directory, oldest first.
pub(super) fn recovery_history(state: &StateDirectory, lane: Lane) -> Result<Vec<recovery::Past>> {
    Ok(recovery::past(&RecoveryJournal::open(state, lane)?.history()?))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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

    /// Each line: how it stood, how it stands behind a look that found another candidate, and whether that is told.
    #[test]
    fn a_candidate_that_is_reset_under_the_look_is_no_changed_one() {
        let mut passed = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
        while order(&passed).is_some() {
            passed = apply(passed.clone(), &atlas::done(&passed).unwrap()).unwrap();
        }
        let resetting = apply(passed.clone(), &atlas::event(What::ResetAsked)).unwrap();
        let another = || Some(CandidateIs::Another("it is gone".to_owned()));
        for (then, told) in [
            ((passed.clone(), false), another()),
            ((passed.clone(), true), None),
            ((resetting, false), None),
            ((State::Idle, false), None),
        ] {
            let looks = Cell::new(0);
            let look = || {
                looks.set(looks.get() + 1);
                Ok(if looks.get() == 1 { (passed.clone(), false) } else { then.clone() })
            };
            let found = with_candidate(look, |_| CandidateIs::Another("it is gone".to_owned())).unwrap();
            assert_eq!(found, (then.0, then.1, told));
        }
    }
}
