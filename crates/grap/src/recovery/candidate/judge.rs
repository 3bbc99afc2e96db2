//! What the candidate is asked, by what it is judged, and where that is written down.

use grap_core::Target;
use grap_core::recovery::{Plan, Recovery, Tier, TierVerdict};
use grap_disk as disk;
use grap_neo4j::TxId;

use super::Candidate;
use super::data::restored;
use super::instance::gone;
use super::place::Place;
use super::print::print;
use crate::error::{Error, Result};
use crate::ops::Session;
use crate::recovery::{Answer, WhileItRuns};
use crate::validate::{self, Expectation};

/// Ids of backups are the same in a copy: the verdict goes where the bytes came from.
pub(in crate::recovery) fn require_repository(recovery: &Recovery, found: &str) -> Result<()> {
    match &recovery.plan.repository {
        Some(begun_with) if begun_with != found => Err(Error::OtherRepository { id: recovery.id.clone() }),
        _ => Ok(()),
    }
}

impl Candidate<'_> {
    pub(super) fn ask(
        &mut self,
        tier: Tier,
        recovery: &Recovery,
        session: &Session<'_>,
    ) -> Result<WhileItRuns<Answer>> {
        let limit = recovery.plan.limits.of(tier);
        let expectation = self.expectation(recovery)?;
        match self.running(recovery.instance.as_ref()) {
            None => Ok(WhileItRuns::Lost(gone())),
            Some(instance) => {
                validate::judge(tier, instance, &expectation, limit, session).map(WhileItRuns::Done)
            }
        }
    }

    pub(super) fn read_store(&self, recovery: &Recovery, session: &Session<'_>) -> Result<Answer> {
        let limit = recovery.plan.limits.of(Tier::Store);
        let place = Place::of(recovery);
        let home = self.make_home(&place)?;
        let mut answer = validate::check_store(&home, &self.expectation(recovery)?, limit, session)?;
        if matches!(answer.verdict, TierVerdict::Passed { .. }) {
            answer.print = Some(print(&place, &recovery.plan)?);
        }
        Ok(answer)
    }

    fn expectation(&self, recovery: &Recovery) -> Result<Expectation> {
        let place = Place::of(recovery);
        let restored = restored(&place)?;
        let wanted = restored.databases.into_iter().find(|database| database.name == place.database());
        let wanted = wanted.ok_or_else(|| Error::CandidateWrong {
            path: place.data(),
            why: format!("database `{}` was not restored", place.database()),
        })?;
        let options = self.tools()?.options;
        Ok(Expectation {
            database: wanted.name,
            end: TxId(wanted.tx_id),
            server_min: wanted.server_min,
            // It is of today: a point of the past had another.
            declared: options.declared.clone().filter(|_| recovery.plan.target == Target::Latest.to_string()),
            system: disk::stat(&place.system())?.map(|_| place.system()),
            checks: options.checks.clone(),
        })
    }

    /// Beside the backup that the candidate was really made of: an older one than planned, where that was damaged.
    pub(super) fn record(&self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        let backup = restored(&Place::of(recovery))?.backup;
        let recovery = Recovery { plan: Plan { backup, ..recovery.plan.clone() }, ..recovery.clone() };
        let open = self
            .open
            .ok_or_else(|| Error::NotOpenedAgain { why: "only a cancellation is asked for".to_owned() })?;
        let repository = open()?.open_told(session)?;
        require_repository(&recovery, &repository.id().to_string())?;
        validate::record(&repository, &recovery, session)
    }
}
