//! `recover promote`, `recover rollback`: a validated candidate, or a retired database, becomes the live one.
//!
//! What is done in which order the machine knows ([`crate::recovery`]). Here it is planned, begun, or gone on with. The
//! plan is made after the lock is held, and says what will be lost.

use std::path::Path;
use std::time::Duration;

use grap_core::Target;
use grap_core::recovery::{
    Cause, End, Failure, Halves, Order, Phase, Plan, Recovery, RecoveryId, State, Status, Switch,
    SwitchLimits, order,
};
use grap_disk as disk;
use grap_neo4j::{TransactionEnd, TxId};
use grap_task::{Finding, Unit};
use jiff::Timestamp;

use super::Session;
use super::recover::{RecoverOptions, RecoveryReport, is_another, perform, recover};
use crate::archive::Archive;
use crate::check::behind_newest_checkpoint;
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, SYSTEM};
use crate::recovery::{
    Candidate, FindLive, Lane, LiveSwitch, Machine, OpenAgain, RetiredStore, Swap, Swapped,
    archived_databases, bytes_of, failure, given_up, in_the_way, retired_stores, root_of_retired,
    switch_owed,
};
use crate::state::StateDirectory;

#[derive(Debug, Clone)]
pub struct SwitchOptions {
    /// A rollback: the recovery whose retired database comes back; the newest by default.
    pub retired: Option<RecoveryId>,
    pub live_is_lost: bool,
    pub limits: SwitchLimits,
}

/// What a promotion or a rollback would do, and what it costs.
#[derive(Debug, Clone)]
pub struct SwitchPlan {
    /// A rollback: whose retired database comes back.
    pub undoes: Option<RecoveryId>,
    pub target: String,
    pub switch: Switch,
    /// The last transaction of what will be live.
    pub new_end: Option<TransactionEnd>,
    /// A rollback: the last transaction that what is live now was promoted with.
    pub fork: Option<TxId>,
    /// And of what is live now, as far as it can be read.
    pub live_end: Option<TransactionEnd>,
    /// Of what is live now, where it will lie.
    pub retired_bytes: u64,
    /// What will be lost, or cannot be said, one thing a line.
    pub losses: Vec<String>,
}

/// How a promotion or a rollback stands.
#[derive(Debug, Clone)]
pub struct SwitchReport {
    pub recovery: RecoveryReport,
    /// How long the orders took during which nobody is served, from the last stop on; of what a kill lay between only they
    /// count. Of a server that did not run, too.
    pub downtime: Option<Duration>,
}

/// What [`promote`] would do. Nothing is done.
pub fn plan_promotion(
    options: &SwitchOptions,
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SwitchPlan> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    let candidate = validated(machine.state())?;
    Planner { options, find, open, session }.promotion(candidate)
}

/// The candidate that has passed becomes the live database. What goes on is gone on with; what was not confirmed is asked
/// again.
pub fn promote(
    options: &SwitchOptions,
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SwitchReport> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    state.journaled_if_possible("recover", session, || {
        let machine = if goes_on(machine.state(), options, Wish::Promotion, session)? {
            machine
        } else if is_unconfirmed(machine.state()) {
            machine.ask_again(session.clock)?
        } else {
            let candidate = validated(machine.state())?;
            let plan = Planner { options, find, open, session }.promotion(candidate)?;
            plan.tell(session);
            machine.ask_promotion(plan.switch, session.clock)?
        };
        go_on(machine, find, open, state, session)
    })
}

/// [`recover`], and behind a pass [`promote`]: of what failed nothing becomes live. Each call goes on where the last one was
/// left, up to the promotion; behind that, as behind a failure, a reset comes first.
///
/// A candidate that had passed before is taken only for a target that says the same today as then: not for the newest point.
pub fn recover_and_promote(
    recovery: &RecoverOptions,
    options: &SwitchOptions,
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SwitchReport> {
    let found = Machine::open(state, Lane::Recovery, session.clock)?.state().clone();
    if !is_past_validation(recovery, &found) {
        let recovered = recover(recovery, open, state, session)?;
        if recovered.status() != Status::Success {
            return Ok(SwitchReport { recovery: recovered, downtime: None });
        }
    }
    promote(options, find, open, state, session)
}

/// The same recovery, and what is owed now is its promotion.
fn is_past_validation(options: &RecoverOptions, state: &State) -> bool {
    let Some(recovery) = state.recovery().filter(|recovery| !recovery.is_rollback()) else { return false };
    let goes_on = owed_of_switch(state).is_some() && recovery.phase != Phase::AskedAgain;
    let is_fixed = !matches!(options.target, None | Some(Target::Latest));
    let has_passed = is_fixed && recovery.phase == Phase::Validated;
    (goes_on || has_passed) && !is_another(options, &recovery.plan)
}

/// What [`rollback`] would do. Nothing is done.
pub fn plan_rollback(
    options: &SwitchOptions,
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SwitchPlan> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    let planner = Planner { options, find, open, session };
    let retired = planner.retired(machine.state())?;
    planner.rollback(&retired, &machine.next_id(session.clock.now()))
}

/// A retired database becomes the live one again; what is live now is retired.
pub fn rollback(
    options: &SwitchOptions,
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SwitchReport> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    state.journaled_if_possible("recover", session, || {
        let machine = if goes_on(machine.state(), options, Wish::Rollback, session)? {
            machine
        } else {
            begin_rollback(machine, &Planner { options, find, open, session })?
        };
        go_on(machine, find, open, state, session)
    })
}

fn begin_rollback(machine: Machine, planner: &Planner<'_>) -> Result<Machine> {
    let session = planner.session;
    let retired = planner.retired(machine.state())?;
    let id = machine.next_id(session.clock.now());
    let planned = planner.rollback(&retired, &id)?;
    planned.tell(session);
    let plan = Plan {
        target: planned.target.clone(),
        ends: planned.ends(),
        candidate: retired.path.display().to_string(),
        bytes: retired.bytes,
        undoes: Some(retired.recovery.clone()),
        ..retired.plan
    };
    machine.begin_rollback(id, plan, planned.switch, session.clock)
}

/// Perform what is owed.
fn go_on(
    machine: Machine,
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SwitchReport> {
    let switch = LiveSwitch::new(find, Some(open));
    let mut candidate = Candidate::to_clear_away(Some(open)).with_live(switch);
    let machine = perform(machine, Lane::Recovery, &mut candidate, state, session)?;
    let downtime = machine.state().recovery().and_then(downtime);
    Ok(SwitchReport { recovery: RecoveryReport::ended(machine.state(), session), downtime })
}

/// Finish what was interrupted, where nobody is at it and nobody asks for it: none where nothing is owed.
///
/// It goes on only where something is exchanged, or to a database that serves. What was interrupted before that is called off:
/// who had asked for it may not want it any more.
pub fn resume_promotion(
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Option<SwitchReport>> {
    let machine = Machine::open(state, Lane::Recovery, session.clock)?;
    if owed_of_switch(machine.state()).is_none() {
        return Ok(None);
    }
    let resumed = state.journaled_if_possible("recover", session, || {
        let machine = if machine.state().recovery().is_some_and(nothing_is_exchanged) {
            machine.cancel(session.clock)?
        } else {
            machine
        };
        go_on(machine, find, open, state, session)
    });
    resumed.map(Some)
}

/// By what lies on disk. Where that cannot be said the order says so.
fn nothing_is_exchanged(recovery: &Recovery) -> bool {
    let Some(switch) = recovery.switch.as_deref().filter(|_| recovery.phase.is_switching()) else {
        return false;
    };
    recovery.guard.as_ref().is_none_or(|guard| matches!(Swap::of(switch).look(guard), Ok(Swapped::Nothing)))
}

fn owed_of_switch(state: &State) -> Option<Order> {
    order(state).filter(|owed| owed.is_of_switch())
}

/// What is asked for is owed already. Something else that is owed stands in its way. Who gives the live database up need not
/// wait for the old one to serve.
fn goes_on(state: &State, options: &SwitchOptions, wish: Wish, session: &Session<'_>) -> Result<bool> {
    let Some((owed, recovery)) = owed_of_switch(state).zip(state.recovery()) else { return Ok(false) };
    let is_lost = recovery.switch.as_ref().is_some_and(|switch| switch.live_is_lost);
    let is_other_kind = recovery.is_rollback() != (wish == Wish::Rollback);
    let is_other_store = options.retired.is_some() && options.retired != recovery.plan.undoes;
    if !is_other_kind && owed == Order::StartOld && options.live_is_lost {
        return Ok(false);
    }
    let asked = wish.name();
    if is_other_kind {
        return Err(switch_owed(asked, recovery, owed));
    }
    let why = if is_other_store {
        "which is a step of the rollback of another recovery"
    } else if options.live_is_lost && !is_lost {
        "and it was begun without --live-is-lost"
    } else if is_lost && !options.live_is_lost && recovery.phase.is_switching() {
        "and it was begun with --live-is-lost"
    } else {
        session.monitor.finding(&Finding::info(format!("{} goes on: {owed}", recovery.id)));
        return Ok(true);
    };
    let (id, why, verb) = (recovery.id.clone(), why.to_owned(), recovery.verb());
    Err(Error::SwitchOwed { asked, id, owed, why, verb })
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Promotion,
    Rollback,
}

impl Wish {
    fn name(self) -> &'static str {
        match self {
            Self::Promotion => "a promotion",
            Self::Rollback => "a rollback",
        }
    }
}

fn is_unconfirmed(state: &State) -> bool {
    let promoted = state.recovery().filter(|recovery| recovery.phase == Phase::Promoted);
    promoted.is_some_and(|recovery| recovery.unconfirmed.is_some())
}

fn validated(state: &State) -> Result<&Recovery> {
    let asked = "a promotion";
    let recovery = state.recovery().ok_or(Error::NoRecovery { asked })?;
    match recovery.phase {
        // A server has opened it since, and it is not what has passed any more.
        Phase::Restarting if !recovery.is_rollback() && recovery.cause.is_some() => {
            let path = recovery.plan.candidate.clone().into();
            let why = "the live server had opened it before it was rolled back: `grap recover reset`, and recover anew".to_owned();
            Err(Error::CandidateChanged { path, why })
        }
        Phase::Validated | Phase::Restarting if !recovery.is_rollback() => Ok(recovery),
        _ => Err(in_the_way(asked, recovery)),
    }
}

struct Planner<'a> {
    options: &'a SwitchOptions,
    find: &'a FindLive<'a>,
    open: &'a OpenAgain<'a>,
    session: &'a Session<'a>,
}

impl Planner<'_> {
    fn promotion(&self, recovery: &Recovery) -> Result<SwitchPlan> {
        let user = recovery.plan.ends.iter().find(|end| end.database != SYSTEM);
        let database = user.map(|end| end.database.clone()).ok_or(Error::SystemNotOpened)?;
        let data = Path::new(&recovery.plan.candidate).join("data");
        let found = halves(&data, &data, &database)?;
        let installation = self.installation(&database)?;
        let switch = self.switch(&installation, &recovery.id, &recovery.plan, found, &database)?;
        // One that cannot be read is not promoted: the look again says why.
        let switch = Switch { made_of: Candidate::made_of(recovery).ok(), ..switch };
        Ok(SwitchPlan::of(&installation, switch, recovery.plan.target.clone()))
    }

    fn rollback(&self, retired: &RetiredStore, id: &RecoveryId) -> Result<SwitchPlan> {
        if let Some(missing) = &retired.missing {
            let why = format!("{missing} is not there: of {} not all was retired", retired.recovery);
            return Err(Error::PromotionRefused { why });
        }
        let installation = self.installation(&retired.database)?;
        let (plan, found) = (&retired.plan, retired.halves.clone());
        let switch = self.switch(&installation, id, plan, found, &retired.database)?;
        let target = format!("what {} replaced", retired.recovery);
        let ends = plan.ends.iter().find(|end| end.database == retired.database);
        let fork = ends.map(|end| end.tx_id);
        let planned = SwitchPlan::of(&installation, switch, target);
        Ok(SwitchPlan { undoes: Some(retired.recovery.clone()), fork, ..planned })
    }

    /// The one that is named; else what the last promotion, or rollback, has retired. Where no journal knows that, the newest
    /// by the clock, if all can be read.
    fn retired(&self, state: &State) -> Result<RetiredStore> {
        let data = Installation::data_directory(&(self.find)()?.installation)?;
        let last = state
            .recovery()
            .filter(|recovery| matches!(recovery.phase, Phase::Promoted | Phase::AskedAgain))
            .map(|recovery| recovery.id.clone());
        let id = self.options.retired.clone().or(last);
        let wanted = |store: &RetiredStore| id.as_ref().is_none_or(|id| *id == store.recovery);
        let found = retired_stores(&data)?;
        if id.is_none() && !found.unreadable.is_empty() {
            let why = format!(
                "which retired database is the newest cannot be said, please name one: {}",
                found.unreadable.join("; ")
            );
            return Err(Error::PromotionRefused { why });
        }
        for unreadable in &found.unreadable {
            self.session.monitor.finding(&Finding::warning(unreadable.clone()));
        }
        let newest = found.stores.into_iter().rfind(wanted);
        newest.ok_or(Error::NoRetired { id })
    }

    fn installation(&self, database: &str) -> Result<Installation> {
        Ok(Installation::locate(&(self.find)()?.installation, database)?)
    }

    /// Each half of the retired database lies on the file system of the live one, and so does what replaces it.
    fn switch(
        &self,
        installation: &Installation,
        id: &RecoveryId,
        plan: &Plan,
        found: Halves,
        database: &str,
    ) -> Result<Switch> {
        let live =
            Halves { store: text(&installation.store(database))?, log: text(&installation.log(database))? };
        let data = &installation.data;
        let lies_in = |half: &str, root: &Path| {
            let half = Path::new(half);
            disk::is_one_mount(half.parent().unwrap_or(half), root)
        };
        let log_root = if lies_in(&live.log, data)? { data } else { &installation.transactions };
        let retired = halves(
            &root_of_retired(data).join(id.as_str()),
            &root_of_retired(log_root).join(id.as_str()),
            database,
        )?;
        let staged = |root: &Path| root.join(".grap/candidate").join(format!("{id}.staged"));
        let staged = halves(&staged(data), &staged(log_root), database)?;
        let side = Halves {
            store: if lies_in(&found.store, data)? { found.store.clone() } else { staged.store },
            log: if lies_in(&found.log, log_root)? { found.log.clone() } else { staged.log },
        };
        let (archived, archive_unknown) = self.archived(installation, plan)?;
        let (limits, live_is_lost) = (self.options.limits.clone(), self.options.live_is_lost);
        Ok(Switch {
            database: database.to_owned(),
            live,
            found,
            side,
            retired,
            archived,
            archive_unknown,
            live_is_lost,
            made_of: None,
            limits,
        })
    }

    /// Which logs the archive is to hold the end of. Of a database that is given up: all that are there.
    fn archived(&self, installation: &Installation, plan: &Plan) -> Result<(Vec<String>, Option<Failure>)> {
        self.session.monitor.begin("opening the repository", Unit::Items, None);
        let looked = (self.open)().and_then(|access| {
            let archive = Archive::new(access.open()?, plan.source.clone());
            archived_databases(installation, &archive, self.session)
        });
        match looked {
            Err(error) if self.options.live_is_lost && error.code() != Code::Interrupted => {
                let told = format!("how far the archive is cannot be said: {}", in_one_line(&error));
                self.session.monitor.finding(&Finding::warning(told));
                Ok((Vec::new(), Some(failure(&error))))
            }
            looked => Ok((looked?, None)),
        }
    }
}

fn halves(data: &Path, logs: &Path, database: &str) -> Result<Halves> {
    Ok(Halves {
        store: text(&data.join("databases").join(database))?,
        log: text(&logs.join("transactions").join(database))?,
    })
}

fn text(path: &Path) -> Result<String> {
    let unusable = || Error::CandidatePath { path: path.to_owned() };
    path.to_str().map(str::to_owned).ok_or_else(unusable)
}

/// The orders during which nobody is served.
fn downtime(recovery: &Recovery) -> Option<Duration> {
    let started = recovery.steps.iter().any(|step| step.order == Order::StartLive);
    let down =
        recovery.steps.iter().filter(|step| step.order.nobody_is_served()).filter_map(|step| step.took_ms);
    started.then(|| Duration::from_millis(down.sum()))
}

impl SwitchPlan {
    fn of(installation: &Installation, switch: Switch, target: String) -> Self {
        // Of a live log that is written, and of one that had crashed, the last whole one.
        let end = |log: &str| {
            let (_, span, _) = behind_newest_checkpoint(Path::new(log), &switch.database).ok()?;
            Some(span.end)
        };
        let (new_end, live_end) = (end(&switch.found.log), end(&switch.live.log));
        let retired_bytes = bytes_of(&switch.live).unwrap_or(0);
        let mut losses = Vec::new();
        if live_end.is_none() {
            losses.push(format!("how far the live log goes cannot be read now: {}", switch.live.log));
        }
        if switch.live_is_lost {
            losses.extend(given_up(&switch));
        }
        if let Some(why) = &switch.archive_unknown {
            losses.push(format!("how far the archive is cannot be said: {}", why.message));
        }
        for database in installation.databases.iter().filter(|name| !switch.archived.contains(name)) {
            let whose = if *database == switch.database {
                "the retired database is the only copy of what is not in a backup"
            } else {
                "it stays live"
            };
            losses.push(format!("the log of `{database}` is not archived: {whose}"));
        }
        Self { undoes: None, fork: None, target, switch, new_end, live_end, retired_bytes, losses }
    }

    /// Transactions that will be live no more: the first and the last, and when the last one of what stays, and of what
    /// goes, were committed.
    pub fn lost(&self) -> Option<(u64, u64, Option<Timestamp>, Option<Timestamp>)> {
        let live = self.live_end?;
        let at = |end: TransactionEnd| Timestamp::from_millisecond(end.commit_time.0).ok();
        // What comes back by a rollback went its own way: what both have ends where it was replaced.
        let (stays, when) = match (&self.undoes, self.fork, self.new_end) {
            (Some(_), fork, _) => (fork?, None),
            (None, _, new) => (new?.id, at(new?)),
        };
        (live.id > stays).then(|| (stays.0 + 1, live.id.0, when, at(live)))
    }

    fn ends(&self) -> Vec<End> {
        let end = |end: TransactionEnd| End { database: self.switch.database.clone(), tx_id: end.id };
        self.new_end.map(end).into_iter().collect()
    }

    fn tell(&self, session: &Session<'_>) {
        if let Some((first, last, ..)) = self.lost() {
            let told = format!(
                "transactions {first} to {last} of `{}` will be in the retired database only",
                self.switch.database
            );
            session.monitor.finding(&Finding::warning(told));
        }
        for loss in &self.losses {
            session.monitor.finding(&Finding::warning(loss.clone()));
        }
    }
}

impl SwitchReport {
    /// Why it is not what was wanted, where it is not.
    pub fn failure(&self) -> Option<(Code, String)> {
        let recovery = self.recovery.recovery()?;
        if recovery.switch.is_none() {
            return self.recovery.failure();
        }
        let code = |cause: &Cause| match cause {
            Cause::Failed { order: Order::StartLive | Order::Confirm, .. } => Code::PromotionRolledBack,
            _ => Code::PromotionCalledOff,
        };
        match recovery.phase {
            Phase::Promoted => {
                recovery.unconfirmed.as_ref().map(|cause| (Code::PromotionUnconfirmed, cause.to_string()))
            }
            Phase::Failed => recovery.cause.as_ref().map(|cause| (code(cause), cause.to_string())),
            _ => recovery.called_off.as_ref().map(|cause| (Code::PromotionCalledOff, cause.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use grap_core::recovery::{Limits, What, apply, atlas};

    use super::*;
    use crate::live::InstallationOptions;
    use crate::recovery::{CandidateOptions, LiveServer};
    use crate::server::control::ServerControl;
    use crate::server::{InstallationPlace, JavaPlace};

    fn wish(target: Option<&str>) -> RecoverOptions {
        let home = PathBuf::from("/home");
        let server = InstallationPlace { home, configuration: None, live: None, java: JavaPlace::default() };
        let (heap, page_cache) = ("64m".to_owned(), "64m".to_owned());
        let candidate = CandidateOptions { server, heap, page_cache, declared: None, checks: Vec::new() };
        RecoverOptions {
            target: target.map(|target| target.parse().unwrap()),
            source: None,
            timeline: None,
            database: None,
            root: PathBuf::from("/c"),
            candidate,
            limits: Limits::default(),
        }
    }

    const MARK: &str = include_str!("../../../../testdata/promotion-v1/retired.json");

    fn done(mut state: State) -> State {
        while let Some(done) = atlas::done(&state) {
            state = apply(state, &done).unwrap();
        }
        state
    }

    /// A clock that was ahead makes an older one the newest; a mark that cannot be read may be that of the newest.
    #[test]
    fn a_rollback_takes_what_the_last_promotion_has_retired() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let put = |id: &str, at: &str| {
            let text = MARK.replace("recovery-20261126-020000", id).replace("1970-01-01T00:00:00Z", at);
            let place = root_of_retired(&data).join(id);
            disk::create_dir_all(&place).unwrap();
            disk::replace(&place.join("retired.json"), &[text.as_bytes()]).unwrap();
        };
        put("recovery-20261126-020000", "2026-11-26T02:00:00Z");
        put("recovery-20991126-020000", "2099-11-26T02:00:00Z");
        let find = || {
            let installation =
                InstallationOptions::Data { data: data.clone(), transactions: None, database: None };
            let control = ServerControl::Commands { stop: String::new(), start: String::new(), wanted: None };
            let connection = grap_bolt::client::Options::new(
                "bolt://127.0.0.1:1".parse().unwrap(),
                grap_bolt::client::Auth::None,
            );
            Ok(LiveServer { installation, control, connection })
        };
        let open = || -> Result<_> { panic!("the repository is not needed") };
        let holder =
            grap_repository::LockHolder { hostname: String::new(), username: String::new(), uid: 0, gid: 0 };
        let (clock, stop) = (grap_task::Clock::System, grap_task::Stop::new());
        let session = Session {
            clock: &clock,
            stop: &stop,
            monitor: &grap_task::Silent,
            holder: &holder,
            program: "t",
        };
        let retired = |named: Option<&str>, state: &State| {
            let options = SwitchOptions {
                retired: named.map(|id| id.parse().unwrap()),
                live_is_lost: false,
                limits: SwitchLimits::default(),
            };
            let planner = Planner { options: &options, find: &find, open: &open, session: &session };
            planner.retired(state).map(|store| store.recovery.to_string())
        };
        let asked = What::PromoteAsked { switch: Box::new(atlas::switch(false)) };
        let promoted = done(apply(atlas::validated(), &atlas::event(asked)).unwrap());
        assert_eq!(promoted.status(), Status::Promoted);
        assert_eq!(retired(None, &promoted).unwrap(), "recovery-20261126-020000");
        assert_eq!(retired(None, &State::Idle).unwrap(), "recovery-20991126-020000");
        put("recovery-20270101-020000", "never");
        assert!(matches!(retired(None, &State::Idle), Err(Error::PromotionRefused { .. })));
        assert_eq!(retired(None, &promoted).unwrap(), "recovery-20261126-020000");
        let named = "recovery-20991126-020000";
        assert_eq!(retired(Some(named), &promoted).unwrap(), named);
    }

    /// What was rolled back a server has opened.
    #[test]
    fn a_candidate_that_was_rolled_back_is_refused_at_once() {
        let asked = What::PromoteAsked { switch: Box::new(atlas::switch(false)) };
        let mut state = apply(atlas::validated(), &atlas::event(asked)).unwrap();
        while order(&state) != Some(Order::Confirm) {
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        let failed = What::Failed { order: Order::Confirm, failure: atlas::failure() };
        state = apply(state, &atlas::event(failed)).unwrap();
        while order(&state) != Some(Order::StartOld) {
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        let told = validated(&state).unwrap_err().to_string();
        assert!(told.contains("grap recover reset"), "{told}");
    }

    /// A candidate of last week is not promoted by who wants the newest point of today.
    #[test]
    fn what_had_passed_before_is_taken_only_for_the_same_point() {
        let of = |target: &str| {
            let What::Begun { id, plan } = atlas::begun() else { panic!() };
            let plan = Plan { target: target.to_owned(), ..plan };
            let mut state = apply(State::Idle, &atlas::event(What::Begun { id, plan })).unwrap();
            while let Some(done) = atlas::done(&state) {
                state = apply(state, &done).unwrap();
            }
            state
        };
        let id = "neo4j-20261125-020000";
        assert!(is_past_validation(&wish(Some(id)), &of(id)));
        assert!(!is_past_validation(&wish(Some("neo4j-20261124-020000")), &of(id)));
        assert!(!is_past_validation(&wish(None), &of(id)));
        assert!(!is_past_validation(&wish(Some("latest")), &of("latest")));
        // Its promotion, once it was asked for, is gone on with by any of them but another target.
        let asked = |state| {
            apply(state, &atlas::event(What::PromoteAsked { switch: Box::new(atlas::switch(false)) }))
        };
        let promoting = asked(of("latest")).unwrap();
        assert!(is_past_validation(&wish(Some("latest")), &promoting));
        assert!(is_past_validation(&wish(None), &promoting));
        assert!(!is_past_validation(&wish(Some(id)), &promoting));
        let rollback = apply(State::Idle, &atlas::event(atlas::rollback_begun(false))).unwrap();
        assert!(
            !is_past_validation(&wish(None), &rollback) && !is_past_validation(&wish(None), &State::Idle)
        );
    }
}
