//! How a recovery stands, for whoever asks; and what a failure of it is called.

use grap_core::recovery::{Cause, Judgement, Order, Phase, Recovery, State, Status, order};
use jiff::Timestamp;

use crate::error::{Code, Error, Result, in_one_line};
use crate::notes::{is_blind, is_death};
use crate::ops::Session;
use crate::recovery::{self, Candidate, Lane, Progress, RetiredStore};
use crate::state::StateDirectory;

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
    pub(in crate::ops) fn ended(state: &State, session: &Session<'_>) -> Self {
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
pub(in crate::ops) fn failure(recovery: &Recovery) -> Option<(Code, String)> {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use grap_core::recovery::{What, apply, atlas};

    use super::*;

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
