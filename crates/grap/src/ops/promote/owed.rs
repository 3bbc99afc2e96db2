//! What is asked for, and what the journal says is owed: whether the one goes on with the other.

use grap_core::Target;
use grap_core::recovery::{Order, Phase, Recovery, State, order};
use grap_task::Finding;

use super::SwitchOptions;
use crate::error::{Error, Result};
use crate::ops::Session;
use crate::ops::recover::{RecoverOptions, is_another};
use crate::recovery::{Swap, Swapped, in_the_way, switch_owed};

/// The same recovery, and what is owed now is its promotion.
pub(super) fn is_past_validation(options: &RecoverOptions, state: &State) -> bool {
    let Some(recovery) = state.recovery().filter(|recovery| !recovery.is_rollback()) else { return false };
    let goes_on = owed_of_switch(state).is_some() && recovery.phase != Phase::AskedAgain;
    let is_fixed = !matches!(options.target, None | Some(Target::Latest));
    let has_passed = is_fixed && recovery.phase == Phase::Validated;
    (goes_on || has_passed) && !is_another(options, &recovery.plan)
}

/// By what lies on disk. Where that cannot be said the order says so.
pub(super) fn nothing_is_exchanged(recovery: &Recovery) -> bool {
    let Some(switch) = recovery.switch.as_deref().filter(|_| recovery.phase.is_switching()) else {
        return false;
    };
    recovery.guard.as_ref().is_none_or(|guard| matches!(Swap::of(switch).look(guard), Ok(Swapped::Nothing)))
}

pub(super) fn owed_of_switch(state: &State) -> Option<Order> {
    order(state).filter(|owed| owed.is_of_switch())
}

/// What is asked for is owed already. Something else that is owed stands in its way. Who gives the live database up need not
/// wait for the old one to serve.
pub(super) fn goes_on(
    state: &State,
    options: &SwitchOptions,
    wish: Wish,
    session: &Session<'_>,
) -> Result<bool> {
    let Some((owed, recovery)) = owed_of_switch(state).zip(state.recovery()) else { return Ok(false) };
    let is_lost = recovery.switch.as_ref().is_some_and(|switch| switch.live_is_lost);
    let has_system = recovery.switch.as_ref().is_some_and(|switch| switch.system.is_some());
    let is_other_kind = recovery.is_rollback() != (wish == Wish::Rollback);
    let is_other_store = options.retired.is_some() && options.retired != recovery.plan.undoes;
    if !is_other_kind && owed == Order::StartOld && options.live_is_lost {
        return Ok(false);
    }
    // Whether it is what it should be may never be answered.
    if is_other_kind && wish == Wish::Rollback && recovery.phase == Phase::AskedAgain {
        return Ok(false);
    }
    let asked = wish.name();
    if is_other_kind {
        return Err(switch_owed(asked, recovery, owed));
    }
    let why = if is_other_store {
        "which is a step of the rollback of another recovery"
    } else if options.with_system && !has_system {
        "and it was begun without --with-system"
    } else if has_system && !options.with_system && wish == Wish::Promotion && recovery.phase.is_switching() {
        "and it was begun with --with-system"
    } else if options.live_is_lost && !is_lost {
        "and it was begun without --live-is-lost"
    } else if is_lost && !options.live_is_lost && recovery.phase.is_switching() {
        "and it was begun with --live-is-lost"
    } else {
        session.monitor.finding(&Finding::info(format!("{} goes on: {owed}", recovery.id)));
        return Ok(true);
    };
    let (id, why, verb) = (recovery.id.clone(), why.to_owned(), recovery.words());
    Err(Error::SwitchOwed { asked, id, owed, why, verb })
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
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

pub(super) fn is_unconfirmed(state: &State) -> bool {
    let promoted = state.recovery().filter(|recovery| recovery.phase == Phase::Promoted);
    promoted.is_some_and(|recovery| recovery.unconfirmed.is_some())
}

/// What stands in the way of one that begins.
pub(super) fn can_be_rolled_back(state: &State, options: &SwitchOptions) -> Result<()> {
    let Some(recovery) = state.recovery() else { return Ok(()) };
    match recovery.phase {
        Phase::Promoted | Phase::AskedAgain => Ok(()),
        Phase::Restarting if recovery.is_rollback() && options.live_is_lost => Ok(()),
        _ => match owed_of_switch(state) {
            Some(owed) => Err(switch_owed("a rollback", recovery, owed)),
            None => Err(in_the_way("a rollback", recovery)),
        },
    }
}

pub(super) fn validated(state: &State) -> Result<&Recovery> {
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use grap_core::recovery::{Limits, Plan, What, apply, atlas};

    use super::*;
    use crate::recovery::CandidateOptions;
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
