//! `drill`: a recovery that nobody needs, to see that one would work, and how long it takes. It happens in scratch space,
//! and nothing of it stays but its history, and the verdict beside the backup.
//!
//! It is the same machine with a journal of its own. A drill that was killed is cleared away by the next one.

use grap_core::Target;
use grap_core::recovery::{Plan, RecoveryId};
use grap_repository::Repository;
use grap_task::{Finding, Stop};

use super::Session;
use super::recover::{RecoverOptions, clear_away, failure, perform, plan, recovery_history};
use super::window::{SourceWindow, window_of};
use crate::archive::DatabaseWindow;
use crate::error::{Code, Error, Result};
use crate::live::SYSTEM;
use crate::random::random;
use crate::recovery::{Candidate, Lane, Machine, OpenAgain, Past};
use crate::state::StateDirectory;

/// A target that was drawn may lie where nothing can be restored to, inside a schema change: then another is drawn.
const DRAWS_MAX: u32 = 10;

#[derive(Debug, Clone)]
pub struct DrillOptions {
    /// As for a recovery; its root is scratch space.
    pub recovery: RecoverOptions,
    /// Draw a target in place of the newest.
    pub random: bool,
}

/// A drill that has ended.
#[derive(Debug, Clone)]
pub struct DrillReport(pub Past);

impl DrillReport {
    /// Why it failed, where it did.
    pub fn failure(&self) -> Option<(Code, String)> {
        failure(&self.0.recovery)
    }
}

pub fn drill(
    options: &DrillOptions,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<DrillReport> {
    let (machine, aside) = Machine::open_or_begin(state, Lane::Drill, session.clock)?;
    if let Some(aside) = aside {
        session.monitor.finding(&Finding::warning(aside.to_string()));
    }
    if state.runs(Lane::Recovery.job())? {
        return Err(Error::DrillBesideRecovery);
    }
    state.journaled("drill", session.clock, || {
        let machine = clear_away_whatever(machine, open, state, session)?;
        let mut candidate = Candidate::new(&options.recovery.candidate, open, state);
        let machine = begin(machine, options, open, &mut candidate, session)?;
        let id = machine.state().recovery().map(|recovery| recovery.id.clone());
        let performed = perform(machine, Lane::Drill, &mut candidate, state, session).map(drop);
        drop(candidate);
        let cleared = clear_up(open, state, session);
        performed?;
        cleared?;
        told(state, id.as_ref())
    })
}

/// Every drill that the journal knows, oldest first.
pub fn drill_history(state: &StateDirectory) -> Result<Vec<DrillReport>> {
    Ok(recovery_history(state, Lane::Drill)?.into_iter().map(DrillReport).collect())
}

fn told(state: &StateDirectory, id: Option<&RecoveryId>) -> Result<DrillReport> {
    let history = drill_history(state)?;
    let found = history.into_iter().rev().find(|run| Some(&run.0.recovery.id) == id);
    found.ok_or_else(|| Error::NoDrillTarget { why: "its journal does not hold it any more".to_owned() })
}

/// However it went, and though we were told to stop: what was made goes.
fn clear_up(open: &OpenAgain<'_>, state: &StateDirectory, session: &Session<'_>) -> Result<()> {
    let uncalled = Stop::new();
    let session = Session { stop: &uncalled, ..*session };
    let machine = Machine::open(state, Lane::Drill, session.clock)?;
    clear_away_whatever(machine, open, state, &session).map(drop)
}

fn clear_away_whatever(
    machine: Machine,
    open: &OpenAgain<'_>,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<Machine> {
    let Some(recovery) = machine.state().recovery() else { return Ok(machine) };
    let machine = if recovery.phase.is_forward() { machine.cancel(session.clock)? } else { machine };
    clear_away(machine, Lane::Drill, Candidate::to_clear_away(Some(open)), state, session)
}

fn begin(
    machine: Machine,
    options: &DrillOptions,
    open: &OpenAgain<'_>,
    candidate: &mut Candidate<'_>,
    session: &Session<'_>,
) -> Result<Machine> {
    let id = machine.next_id(session.clock.now());
    let repository = open()?.open_told(session)?;
    let plan = if options.random {
        draw(options, &id, &repository, session)?
    } else {
        plan(&options.recovery, &id, &repository, session)?
    };
    candidate.hand(repository);
    machine.begin(id, plan, session.clock)
}

fn draw(
    options: &DrillOptions,
    id: &RecoveryId,
    repository: &Repository,
    session: &Session<'_>,
) -> Result<Plan> {
    let targets = Targets::find(&options.recovery, repository, session)?;
    let mut draws = 0;
    let plan = loop {
        draws += 1;
        let (target, timeline) = targets.draw()?;
        let drawn = RecoverOptions { target: Some(target), timeline, ..options.recovery.clone() };
        match plan(&drawn, id, repository, session) {
            Err(error) if draws < DRAWS_MAX && lies_badly(error.code()) => {}
            plan => break plan?,
        }
    };
    session.monitor.finding(&Finding::info(format!("drawn: {}", plan.target)));
    Ok(plan)
}

fn lies_badly(code: Code) -> bool {
    matches!(code, Code::TargetInSchemaChange | Code::TargetOutsideWindow)
}

/// What can be drawn: transactions of the user database, or backups where no log is archived.
#[derive(Debug)]
struct Targets {
    database: String,
    /// Spans of transactions that can be reached, with their timeline.
    spans: Vec<(u64, u64, u64)>,
    backups: Vec<Target>,
}

impl Targets {
    fn find(options: &RecoverOptions, repository: &Repository, session: &Session<'_>) -> Result<Self> {
        let report = window_of(repository, options.source.as_ref(), session)?;
        let nothing = |why: &str| Error::NoDrillTarget { why: why.to_owned() };
        let source = report.sources.first().ok_or_else(|| nothing("there is no source"))?;
        let wanted = |window: &&DatabaseWindow| match &options.database {
            Some(named) => window.database == *named,
            None => window.database != SYSTEM,
        };
        let found = source.databases.iter().find(wanted);
        Ok(Self::of(source, found.ok_or_else(|| nothing("there is no backup"))?))
    }

    fn of(source: &SourceWindow, window: &DatabaseWindow) -> Self {
        let current = window.timelines.iter().filter(|timeline| timeline.current);
        let spans = current.flat_map(|timeline| {
            timeline.spans.iter().map(|span| (span.first.id.0, span.last.id.0, timeline.run.0))
        });
        let backups = window
            .backups
            .iter()
            .map(|(id, _)| Target::Backup { source: Some(source.source.clone()), id: id.clone() });
        Self { database: window.database.clone(), spans: spans.collect(), backups: backups.collect() }
    }

    /// Each transaction is as likely as any other.
    fn draw(&self) -> Result<(Target, Option<u64>)> {
        let number = u128::from_le_bytes(random().map_err(crate::server::ServerError::NoRandom)?);
        self.at(number).ok_or_else(|| Error::NoDrillTarget { why: "there is no backup".to_owned() })
    }

    fn at(&self, number: u128) -> Option<(Target, Option<u64>)> {
        let length = |(first, last, _): &(u64, u64, u64)| u128::from(last.saturating_sub(*first)) + 1;
        let total: u128 = self.spans.iter().map(length).sum();
        let Some(mut rest) = number.checked_rem(total) else {
            let chosen = usize::try_from(number.checked_rem(self.backups.len() as u128)?).ok()?;
            return self.backups.get(chosen).cloned().map(|backup| (backup, None));
        };
        for span in &self.spans {
            if rest < length(span) {
                let id = grap_neo4j::TxId(span.0 + u64::try_from(rest).ok()?);
                let target = Target::Transaction { database: Some(self.database.clone()), id };
                return Some((target, Some(span.2)));
            }
            rest -= length(span);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transaction_can_be_drawn_and_else_each_backup() {
        let backup = |text: &str| text.parse::<Target>().unwrap();
        let backups = vec![backup("prod/neo4j-20261125-020000"), backup("prod/neo4j-20261126-020000")];
        let targets = Targets { database: "neo4j".into(), spans: vec![(5, 7, 1), (20, 20, 1)], backups };
        let drawn: Vec<String> = (0..5).map(|at| targets.at(at).unwrap().0.to_string()).collect();
        assert_eq!(drawn, ["tx=neo4j:5", "tx=neo4j:6", "tx=neo4j:7", "tx=neo4j:20", "tx=neo4j:5"]);
        let without = Targets { spans: Vec::new(), ..targets };
        assert_eq!(without.at(3).unwrap().0.to_string(), "prod/neo4j-20261126-020000");
        assert!(Targets { backups: Vec::new(), ..without }.at(0).is_none());
    }
}
