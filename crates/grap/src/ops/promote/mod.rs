//! `recover promote`, `recover rollback`: a validated candidate, or a retired database, becomes the live one.
//!
//! What is done in which order the machine knows ([`crate::recovery`]). Here it is planned (`plan`), begun, or gone on with
//! (`owed`). The plan is made after the lock is held, and says what will be lost.

mod owed;
mod places;
mod plan;

use std::time::Duration;

use grap_core::recovery::{Cause, Order, Phase, Plan, Recovery, RecoveryId, Status, SwitchLimits};

use super::Session;
use super::recover::{RecoverOptions, RecoveryReport, perform, recover};
use crate::error::{Code, Error, Result};
use crate::recovery::{Candidate, FindLive, Lane, LiveSwitch, Machine, OpenAgain, look, stands};
use crate::state::StateDirectory;
use owed::{
    Wish, can_be_rolled_back, goes_on, is_past_validation, is_unconfirmed, nothing_is_exchanged,
    owed_of_switch, validated,
};
use plan::Planner;
pub use plan::{Ends, SwitchPlan};

#[derive(Debug, Clone)]
pub struct SwitchOptions {
    /// A rollback: the recovery whose retired database comes back; the newest by default.
    pub retired: Option<RecoveryId>,
    pub live_is_lost: bool,
    /// A promotion: `system` becomes what it was at the target, too. (A rollback puts back what was retired.)
    pub with_system: bool,
    pub limits: SwitchLimits,
}

/// What a promotion or a rollback works with. The live server and the repository are looked for again by each step that needs
/// them: they may come and go meanwhile.
#[derive(Clone, Copy)]
pub struct SwitchAccess<'a> {
    pub find: &'a FindLive<'a>,
    pub open: &'a OpenAgain<'a>,
    pub state: &'a StateDirectory,
    pub session: &'a Session<'a>,
}

impl SwitchAccess<'_> {
    fn machine(&self) -> Result<Machine> {
        Machine::open(self.state, Lane::Recovery, self.session.clock)
    }
}

/// How a promotion or a rollback stands.
#[derive(Debug, Clone)]
pub struct SwitchReport {
    pub recovery: RecoveryReport,
    /// How long the orders took during which nobody is served, from the last stop on; of what a kill lay between only they
    /// count. Of a server that did not run, too.
    pub downtime: Option<Duration>,
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

/// What [`promote`] would do. Nothing is done.
pub fn plan_promotion(options: &SwitchOptions, access: &SwitchAccess<'_>) -> Result<SwitchPlan> {
    let machine = access.machine()?;
    let candidate = validated(machine.state())?;
    let planner = Planner { options, access };
    planner.with_server_asked(planner.promotion(candidate)?)
}

/// The candidate that has passed becomes the live database. What goes on is gone on with; what was not confirmed is asked
/// again.
pub fn promote(options: &SwitchOptions, access: &SwitchAccess<'_>) -> Result<SwitchReport> {
    let machine = access.machine()?;
    access.state.journaled_if_possible("recover", access.session, || {
        let machine = if goes_on(machine.state(), options, Wish::Promotion, access.session)? {
            machine
        } else if is_unconfirmed(machine.state()) {
            machine.ask_again(access.session.clock)?
        } else {
            let candidate = validated(machine.state())?;
            let plan = Planner { options, access }.promotion(candidate)?;
            plan.tell(access.session);
            machine.ask_promotion(plan.switch, access.session.clock)?
        };
        go_on(machine, access)
    })
}

/// [`recover`], and behind a pass [`promote`]: of what failed nothing becomes live. Each call goes on where the last one was
/// left, up to the promotion; behind that, as behind a failure, a reset comes first.
///
/// A candidate that had passed before is taken only for a target that says the same today as then: not for the newest point.
pub fn recover_and_promote(
    recovery: &RecoverOptions,
    options: &SwitchOptions,
    access: &SwitchAccess<'_>,
) -> Result<SwitchReport> {
    let found = access.machine()?.state().clone();
    if !is_past_validation(recovery, &found) {
        let recovered = recover(recovery, access.open, access.state, access.session)?;
        if recovered.status() != Status::Success {
            return Ok(SwitchReport { recovery: recovered, downtime: None });
        }
    }
    promote(options, access)
}

/// What [`rollback`] would do. Nothing is done.
pub fn plan_rollback(options: &SwitchOptions, access: &SwitchAccess<'_>) -> Result<SwitchPlan> {
    let machine = access.machine()?;
    can_be_rolled_back(machine.state(), options)?;
    let planner = Planner { options, access };
    let retired = planner.retired(machine.state())?;
    let plan = planner.rollback(&retired, &machine.next_id(access.session.clock.now()))?;
    planner.with_server_asked(plan)
}

/// A retired database becomes the live one again; what is live now is retired.
pub fn rollback(options: &SwitchOptions, access: &SwitchAccess<'_>) -> Result<SwitchReport> {
    let machine = access.machine()?;
    access.state.journaled_if_possible("recover", access.session, || {
        let machine = if goes_on(machine.state(), options, Wish::Rollback, access.session)? {
            machine
        } else {
            begin_rollback(machine, &Planner { options, access })?
        };
        go_on(machine, access)
    })
}

fn begin_rollback(machine: Machine, planner: &Planner<'_>) -> Result<Machine> {
    let session = planner.access.session;
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
fn go_on(machine: Machine, access: &SwitchAccess<'_>) -> Result<SwitchReport> {
    let switch = LiveSwitch::new(access.find, Some(access.open));
    let mut candidate = Candidate::to_clear_away(Some(access.open)).with_live(switch);
    let performed = perform(machine, Lane::Recovery, &mut candidate, access.state, access.session);
    let machine = performed.map_err(|error| paused(error, access))?;
    let downtime = machine.state().recovery().and_then(downtime);
    Ok(SwitchReport { recovery: RecoveryReport::ended(machine.state(), access.session), downtime })
}

/// Whoever stops it behind the last exchange is told which database is in place.
fn paused(error: Error, access: &SwitchAccess<'_>) -> Error {
    let found = look(access.state, Lane::Recovery).ok().map(|(state, _)| state);
    let recovery = found.as_ref().and_then(|state| Some((owed_of_switch(state)?, state.recovery()?)));
    match recovery {
        Some((owed, recovery)) if error.code() == Code::Interrupted && !recovery.phase.can_be_cancelled() => {
            let (id, stands, words) = (recovery.id.clone(), stands(recovery), recovery.words());
            Error::SwitchPaused { id, owed, stands, words }
        }
        _ => error,
    }
}

/// Finish what was interrupted, where nobody is at it and nobody asks for it: none where nothing is owed.
///
/// It goes on only where something is exchanged, or to a database that serves. What was interrupted before that is called off:
/// who had asked for it may not want it any more.
pub fn resume_promotion(access: &SwitchAccess<'_>) -> Result<Option<SwitchReport>> {
    let machine = access.machine()?;
    if owed_of_switch(machine.state()).is_none() {
        return Ok(None);
    }
    let resumed = access.state.journaled_if_possible("recover", access.session, || {
        let machine = if machine.state().recovery().is_some_and(nothing_is_exchanged) {
            machine.cancel(access.session.clock)?
        } else {
            machine
        };
        go_on(machine, access)
    });
    resumed.map(Some)
}

/// The orders during which nobody is served.
fn downtime(recovery: &Recovery) -> Option<Duration> {
    let started = recovery.steps.iter().any(|step| step.order == Order::StartLive);
    let down =
        recovery.steps.iter().filter(|step| step.order.nobody_is_served()).filter_map(|step| step.took_ms);
    started.then(|| Duration::from_millis(down.sum()))
}
