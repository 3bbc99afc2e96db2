//! `recover cancel`: whoever performs it clears away, or takes it back; where nobody does, we do.

use std::time::Duration;

use grap_core::recovery::order;
use grap_task::Finding;

use super::{RecoveryReport, perform, recovery_status};
use crate::error::{Error, Result};
use crate::ops::Session;
use crate::recovery::{self, Cancel, Candidate, FindLive, Lane, LiveSwitch, Machine, in_the_way};
use crate::state::StateDirectory;

/// A step of a promotion hears of a cancellation at its end.
const HEARD_WITHIN: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(200);

/// What became of the wish.
enum Heard {
    Told(RecoveryReport),
    /// Whoever was told is gone, and something is owed.
    ByNobody(RecoveryReport),
}

/// Cancel it.
pub fn cancel_recovery(
    find: &FindLive<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RecoveryReport> {
    let until = session.clock.since_boot() + HEARD_WITHIN;
    let mut cancelled = recovery::cancel(state, Lane::Recovery, session.clock)?;
    let machine = loop {
        match cancelled {
            Cancel::Noted(machine) => break machine,
            Cancel::Asked => {}
        }
        let text = "asked for: the process that performs it ends it now, or takes it back";
        session.monitor.finding(&Finding::info(text));
        cancelled = match heard(until, state, session)? {
            Heard::Told(report) => return Ok(report),
            Heard::ByNobody(report) if can_be_cancelled(&report) => {
                recovery::cancel(state, Lane::Recovery, session.clock)?
            }
            // It had turned back already.
            Heard::ByNobody(_) => Cancel::Noted(Machine::open(state, Lane::Recovery, session.clock)?),
        };
    };
    let mut candidate = Candidate::to_clear_away(None).with_live(LiveSwitch::new(find, None));
    let machine = perform(machine, Lane::Recovery, &mut candidate, state, session)?;
    Ok(RecoveryReport::ended(machine.state(), session))
}

/// A candidate goes in its own time. A promotion is seen to be taken back, or it was too late for that.
fn heard(until: Duration, state: &StateDirectory, session: &Session<'_>) -> Result<Heard> {
    loop {
        let report = recovery_status(state, session)?;
        let Some(recovery) = report.recovery() else { return Ok(Heard::Told(report)) };
        let is_taken_back = recovery.called_off.is_some() || recovery.cause.is_some();
        let turns = is_taken_back || can_be_cancelled(&report);
        match (order(&report.state), report.runs) {
            (Some(_), false) if turns => return Ok(Heard::ByNobody(report)),
            (Some(owed), true) if turns && !owed.is_of_switch() => return Ok(Heard::Told(report)),
            (Some(_), true) if turns && session.clock.since_boot() < until => {
                session.clock.wait(LOOK, session.stop);
                session.stop.check()?;
            }
            (None, _) | (Some(_), true) if is_taken_back => return Ok(Heard::Told(report)),
            (Some(owed), true) if turns => {
                let (id, seconds) = (recovery.id.clone(), HEARD_WITHIN.as_secs());
                return Err(Error::CancelNotHeard { id, owed, seconds });
            }
            _ if recovery.switch.is_some() => {
                return Err(in_the_way("a cancellation, now that the new database is in place,", recovery));
            }
            _ => return Err(in_the_way("a cancellation", recovery)),
        }
    }
}

fn can_be_cancelled(report: &RecoveryReport) -> bool {
    report.recovery().is_some_and(|recovery| recovery.phase.can_be_cancelled())
}
