//! What the candidate is asked, and what stands beside the backup then.

use std::thread;

use grap_core::recovery::{Recovery, Tier, TierVerdict};

use super::Candidate;
use super::data::restored;
use super::instance::gone;
use super::place::Place;
use crate::check::{check_store, require_clean};
use crate::error::{Code, Result, in_one_line};
use crate::ops::Session;
use crate::recovery::{Answer, WhileItRuns};

/// A tier that has found something.
pub(super) fn no(code: Code, message: String) -> Answer {
    Answer { verdict: TierVerdict::Failed { code: code.name().to_owned(), message }, findings: Vec::new() }
}
fn yes(message: String) -> Answer {
    Answer { verdict: TierVerdict::Passed { message }, findings: Vec::new() }
}

impl Candidate<'_> {
    pub(super) fn ask(
        &mut self,
        tier: Tier,
        recovery: &Recovery,
        session: &Session<'_>,
    ) -> Result<WhileItRuns<Answer>> {
        let limit = recovery.plan.limits.of(tier);
        let place = Place::of(recovery);
        let Some(instance) = self.running(recovery.instance.as_ref()) else {
            return Ok(WhileItRuns::Lost(gone()));
        };
        let answer = match tier {
            Tier::Connectivity => yes(format!("{}", instance.newest_transaction()?)),
            Tier::Schema => yes(format!("{:?}", instance.await_indexes(limit, session.stop)?)),
            _ => Answer {
                verdict: TierVerdict::Skipped { why: place.database().to_owned() },
                findings: Vec::new(),
            },
        };
        if let Some((status, said)) = instance.ended() {
            let why = format!("the server ended while it was asked ({status}): {said}");
            return Ok(WhileItRuns::Done(no(Code::InstanceFailed, why)));
        }
        Ok(WhileItRuns::Done(answer))
    }

    pub(super) fn read_store(&self, recovery: &Recovery, session: &Session<'_>) -> Result<Answer> {
        let place = Place::of(recovery);
        let _ = restored(&place)?;
        if let Err(error) = require_clean(&place.store(), &place.log(), place.database()) {
            return Ok(no(Code::StoreDamaged, in_one_line(&error)));
        }
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let report = check_store(&place.store(), threads, session.stop, session.monitor)?;
        Ok(yes(format!("{}", report.nodes)))
    }

    pub(super) fn record(&self, _recovery: &Recovery, _session: &Session<'_>) -> Result<()> {
        Ok(())
    }
}
