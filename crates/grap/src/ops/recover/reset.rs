//! `recover reset`: from any end to the beginning. The candidate goes; a promotion that is under way is taken back first, or,
//! where the new database is in place, finished.
//!
//! A journal that cannot be read is set aside. Was a promotion under way, a barrier lies where a log should be, and what was
//! noted beside it becomes the first event of the new journal: from there it is taken back as any other, whoever is killed
//! meanwhile.

use grap_core::recovery::{Phase, State};
use grap_task::Finding;

use super::{RecoveryReport, perform};
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, SYSTEM};
use crate::ops::Session;
use crate::recovery::{
    self, Candidate, FindLive, Interrupted, Lane, LiveSwitch, Machine, NotedSwitch, OpenAgain,
    claim_if_retired, interrupted, is_claimed,
};
use crate::state::StateDirectory;

/// From any end to the beginning.
pub fn reset_recovery(
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RecoveryReport> {
    let (machine, aside) = Machine::open_or_begin(state, Lane::Recovery, session.clock)?;
    if let Some(aside) = &aside {
        session.monitor.finding(&Finding::warning(aside.to_string()));
    }
    let knew = *machine.state() != State::Idle;
    let machine = take_up(machine, find, aside.is_some(), session)?;
    let machine = to_the_beginning(machine, find, open, state, session)?;
    let ended = RecoveryReport::ended(machine.state(), session);
    if !knew {
        return Ok(ended);
    }
    // What the journal knew of is away; another switch may be under way, of a journal that was lost before that one began.
    let machine = take_up(machine, find, false, session)?;
    let machine = to_the_beginning(machine, find, open, state, session)?;
    Ok(RecoveryReport::ended(machine.state(), session))
}

fn to_the_beginning(
    machine: Machine,
    find: &FindLive<'_>,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Machine> {
    let phase = machine.state().recovery().map(|recovery| recovery.phase);
    let machine =
        if phase.is_some_and(Phase::is_switching) { machine.cancel(session.clock)? } else { machine };
    let candidate = Candidate::to_clear_away(Some(open)).with_live(LiveSwitch::new(find, Some(open)));
    clear_away(machine, Lane::Recovery, candidate, state, session)
}

/// A switch that this journal knows nothing of, and that keeps its database from being opened: told, for whoever looks after it.
pub fn lost_switch(find: &FindLive<'_>, state: &StateDirectory) -> Result<Option<String>> {
    let installation = Installation::locate(&find()?.installation, SYSTEM)?;
    let Some(Interrupted { barrier, noted: Some(noted) }) = interrupted(&installation)? else {
        return Ok(None);
    };
    // Of one that is under way in another state directory that one knows.
    if is_claimed(&installation.data)? {
        return Ok(None);
    }
    let known = recovery::look(state, Lane::Recovery)?.0;
    if known.recovery().is_some_and(|recovery| recovery.id == noted.recovery) {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} is the barrier of {}, which no journal here knows of: the database may be down; `grap recover reset` takes it back",
        barrier.display(),
        noted.recovery
    )))
}

/// Where no journal knows of a promotion, one may be under way all the same.
fn take_up(
    machine: Machine,
    find: &FindLive<'_>,
    journal_was_lost: bool,
    session: &Session<'_>,
) -> Result<Machine> {
    if *machine.state() != State::Idle {
        return Ok(machine);
    }
    let told = match find().and_then(|live| Ok(Installation::locate(&live.installation, SYSTEM)?)) {
        // All that lies beside its logs is looked at.
        Ok(installation) => match interrupted_and_ours(&installation)? {
            None => return Ok(machine),
            Some(Interrupted { noted: Some(noted), .. }) if noted.has_confirmed()? => {
                noted.finish(session.clock.now())?;
                format!("{} had confirmed: what it has replaced is retired now", noted.recovery)
            }
            Some(Interrupted { noted: Some(noted), .. }) => {
                let told =
                    format!("{} is taken back, or finished where clients have written to it", noted.recovery);
                session.monitor.finding(&Finding::warning(told));
                let NotedSwitch { recovery, plan, switch, guard, .. } = *noted;
                return machine.take_up(recovery, plan, (switch, guard), session.clock);
            }
            Some(Interrupted { barrier, noted: None }) => {
                let with = if barrier == installation.log(SYSTEM) { "--with-system " } else { "" };
                format!(
                    "{} is a file, and what it stands for is noted nowhere: the database is to be recovered, and promoted with {with}--live-is-lost",
                    barrier.display()
                )
            }
        },
        // A journal that is empty says nothing either; mostly there was nothing.
        Err(_) if !journal_was_lost => return Ok(machine),
        Err(error) => format!(
            "whether a promotion was under way was not looked at: {}; a file in the place of a live log would say so",
            in_one_line(&error)
        ),
    };
    session.monitor.finding(&Finding::warning(told));
    Ok(machine)
}

/// Not one that another Grap, of another state directory, is in the middle of.
fn interrupted_and_ours(installation: &Installation) -> Result<Option<Interrupted>> {
    if interrupted(installation)?.is_none() {
        return Ok(None);
    }
    let _claim = claim_if_retired(&installation.data)?;
    interrupted(installation)
}

/// Nothing is left of a recovery that has ended, or is on its way back.
pub(in crate::ops) fn clear_away(
    machine: Machine,
    lane: Lane,
    mut candidate: Candidate<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Machine> {
    let phase = machine.state().recovery().map(|recovery| recovery.phase);
    // A verdict that is not recorded yet is recorded before its candidate goes.
    let machine = if phase.is_some_and(Phase::is_forward) {
        machine
    } else {
        match perform(machine, lane, &mut candidate, state, session) {
            Err(error) if error.code() != Code::Interrupted && phase == Some(Phase::Restarting) => {
                given_up(error, lane, state, session)?
            }
            ended => ended?,
        }
    };
    if let Some(missed) = machine.state().recovery().and_then(|recovery| recovery.unrecorded.as_ref()) {
        let text =
            format!("what was found does not stand beside the backup: {}: {}", missed.code, missed.message);
        session.monitor.finding(&Finding::warning(text));
    }
    // A rollback has no candidate that its copies would go with.
    if let Some(rollback) = machine.state().recovery().filter(|recovery| recovery.is_rollback()) {
        LiveSwitch::remove_staged(rollback)?;
    }
    let machine = machine.reset(session.clock)?;
    perform(machine, lane, &mut candidate, state, session)
}

/// An old database that does not serve again, and did not before, is nothing that a reset could wait for.
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
