//! The note of a validation: what a recovery found of the candidate that it restored from a backup.
//!
//! The journal of recoveries is local, and reset; this stays beside the backup. One recovery leaves one note, however often it
//! is told to: host, id and beginning name it.

use grap_core::recovery::{
    End, INSTANCE_DIED, Judgement, Measured, Order, Recovery, RecoveryId, Tier, TierVerdict,
};
use grap_core::{BackupId, SourceName};
use grap_repository::Repository;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Author, NoteKind, put_once};
use crate::error::{Code, Result};
use crate::live::SYSTEM;

/// Findings of one tier that are noted.
const FINDINGS_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Whether every tier passed, or had nothing to ask.
    pub health_check_passed: bool,
    pub recovery: RecoveryId,
    pub begun: Timestamp,
    /// As it was asked for.
    pub target: String,
    pub timeline: Option<u64>,
    /// The last transaction of each database: those of the backup itself, or with archived log behind them.
    pub ends: Vec<End>,
    /// The release that opened it; null where none did.
    pub server_version: Option<String>,
    /// Null where it did not get as far.
    pub measured: Option<Measured>,
    /// What each tier said, in the order in which they were asked.
    pub tiers: Vec<Judgement>,
    pub steps: Vec<StepTook>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTook {
    pub order: Order,
    pub took_ms: Option<u64>,
}

/// The newest validation of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    pub at: Timestamp,
    pub host: String,
    pub validation: Validation,
}

/// Whether a failure with this code says that nobody could look: the server did not come up in time, its checker was
/// killed, ours had not time enough. That is no verdict on the candidate.
pub fn is_blind(code: &str) -> bool {
    [Code::InstanceFailed, Code::Neo4jAdminFailed, Code::CheckTooLong]
        .iter()
        .any(|blind| blind.name() == code)
}

/// Whether a failure with this code says that the server ended of itself when it had the candidate. Nobody knows whether the
/// candidate is at fault: the backup is not validated any more, and does not count as failed.
pub fn is_death(code: &str) -> bool {
    code == INSTANCE_DIED
}

impl Validated {
    pub fn passed(&self) -> bool {
        self.validation.health_check_passed
    }

    /// Whether it speaks against the backup. The operator's own checks do not: they judge what is in the graph, and the
    /// backup has it as the source had it. Nor does a server that died, which may have had reasons of its own.
    pub fn speaks_against_backup(&self) -> bool {
        let speaks = |code: &str| !is_blind(code) && !is_death(code);
        self.validation
            .tiers
            .iter()
            .any(|tier| tier.tier != Tier::Custom && tier.failed_as().is_some_and(speaks))
    }

    /// What was counted of this database, when it ended there.
    pub fn counted(&self, database: &str, end: u64) -> Option<&Measured> {
        let is_it = |found: &&End| found.database == database && found.tx_id.0 == end;
        let user = self.validation.ends.iter().find(is_it).filter(|_| database != SYSTEM);
        user.and(self.validation.measured.as_ref())
    }
}

impl Validation {
    /// As the recovery stands. `None`: no tier has judged it, or the last one could not look, so that there is nothing to
    /// note.
    pub fn of(recovery: &Recovery) -> Option<Self> {
        let mut tiers: Vec<Judgement> = recovery.judgements.iter().map(shortened).collect();
        tiers.extend(died_unasked(recovery));
        let last = tiers.last()?;
        let measured = tiers.iter().find_map(|judgement| judgement.measured.clone());
        // A way that was left before the last tier passed nothing, whatever was said until then.
        let health_check_passed = last.tier == Tier::Store && tiers.iter().all(|tier| !tier.failed());
        let wrong = tiers.iter().any(|tier| tier.failed_as().is_some_and(|code| !is_blind(code)));
        if !health_check_passed && !wrong {
            return None;
        }
        Some(Self {
            health_check_passed,
            recovery: recovery.id.clone(),
            begun: recovery.begun,
            target: recovery.plan.target.clone(),
            timeline: recovery.plan.timeline,
            ends: recovery.plan.ends.clone(),
            server_version: recovery.opened_by.clone(),
            measured,
            steps: recovery
                .steps
                .iter()
                .map(|step| StepTook { order: step.order, took_ms: step.took_ms })
                .collect(),
            tiers,
        })
    }
}

/// Of a server that died while nobody asked it anything: the tier that comes behind its stop cannot be asked.
fn died_unasked(recovery: &Recovery) -> Option<Judgement> {
    if recovery.judgements.iter().any(Judgement::failed) {
        return None;
    }
    let failure = recovery.cause.as_ref()?.death()?.clone();
    let verdict = TierVerdict::Failed { code: failure.code, message: failure.message };
    Some(Judgement { tier: Tier::Store, verdict, findings: Vec::new(), measured: None })
}

fn shortened(judgement: &Judgement) -> Judgement {
    let mut judgement = judgement.clone();
    let more = judgement.findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        judgement.findings.truncate(FINDINGS_MAX);
        judgement.findings.push(format!("and {more} more"));
    }
    judgement
}

/// Put it, unless this recovery has put its own already; whether it was put.
pub fn put_validation(
    repository: &Repository,
    source: &SourceName,
    id: &BackupId,
    author: &Author,
    validation: &Validation,
) -> Result<bool> {
    let is_its = |kind: &NoteKind| {
        matches!(kind, NoteKind::Validation(noted)
            if noted.recovery == validation.recovery && noted.begun == validation.begun)
    };
    let kind = || NoteKind::Validation(Box::new(validation.clone()));
    put_once((repository, source, id), author, is_its, kind)
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{Failure, State, What, apply, atlas, order};

    use super::*;

    /// Each line: how the stop of the test instance failed, and whether that is noted.
    #[test]
    fn a_death_between_two_tiers_is_noted_and_what_could_not_be_done_is_not() {
        assert_eq!(INSTANCE_DIED, Code::InstanceDied.name());
        for (code, noted) in [(INSTANCE_DIED, true), (Code::InstanceFailed.name(), false)] {
            let mut state = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
            while order(&state) != Some(Order::StopInstance) {
                state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
            }
            let failure = Failure { code: code.to_owned(), message: "its words".to_owned() };
            let failed = What::Failed { order: Order::StopInstance, failure };
            state = apply(state, &atlas::event(failed)).unwrap();
            let validation = Validation::of(state.recovery().unwrap());
            assert_eq!(validation.is_some(), noted, "{code}");
            let Some(validation) = validation else { continue };
            let last = validation.tiers.last().unwrap();
            assert_eq!((last.tier, last.failed_as()), (Tier::Store, Some(INSTANCE_DIED)));
            let validated = Validated { at: Timestamp::UNIX_EPOCH, host: "a".to_owned(), validation };
            assert!(!validated.passed() && !validated.speaks_against_backup());
        }
    }
}
