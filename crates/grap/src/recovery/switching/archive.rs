//! The wait for open transactions, and for the archive.

use std::collections::BTreeMap;

use grap_core::recovery::{Recovery, Switch};
use grap_neo4j::TxId;
use grap_repository::Repository;
use grap_task::Unit;

use super::{LiveSwitch, PAUSE, patient_asker, seconds};
use crate::archive::{Archive, DatabaseLag, LagProbe, Standing};
use crate::error::{Error, Result, in_one_line};
use crate::live::Installation;
use crate::ops::Session;

impl LiveSwitch<'_> {
    /// Until no transaction on the database is older than the limit.
    pub(super) fn drained(&mut self, switch: &Switch, session: &Session<'_>) -> Result<()> {
        let live = self.live()?;
        let until = session.clock.since_boot() + seconds(switch.limits.drain_s);
        loop {
            let open = patient_asker(&live, session)?.transactions(&switch.user.database)?;
            let oldest = open.into_iter().max_by_key(|open| open.elapsed);
            let old = oldest.filter(|oldest| oldest.elapsed >= seconds(switch.limits.transaction_s));
            let Some(old) = old else { return Ok(()) };
            if session.clock.since_boot() >= until {
                let why = format!("{old}; nothing was waited for longer than {} s", switch.limits.drain_s);
                return Err(Error::PromotionRefused { why });
            }
            session.clock.wait(PAUSE, session.stop);
            session.stop.check()?;
        }
    }

    /// Until the archive holds the end of every log that it follows. The archiver ships it, as always; nobody else does.
    pub(super) fn archived(
        &mut self,
        recovery: &Recovery,
        switch: &Switch,
        session: &Session<'_>,
    ) -> Result<()> {
        let holds_all = |lag: &DatabaseLag| lag.standing == Standing::Follows && lag.transactions == 0;
        self.until(holds_all, recovery, switch, session)
    }

    /// Right before the stop, until the archive holds what was committed when this was asked: else the wait behind it would be in
    /// vain, and nobody served meanwhile. That the archiver was there a moment ago says nothing. Behind another switch it takes a
    /// moment to meet the new files. Of a database that is given up the wait behind the stop is enough.
    pub(super) fn followed(
        &mut self,
        recovery: &Recovery,
        switch: &Switch,
        session: &Session<'_>,
    ) -> Result<()> {
        if switch.live_is_lost {
            return Ok(());
        }
        let mut wanted = BTreeMap::new();
        let keeps_up =
            |lag: &DatabaseLag| holds(lag, *wanted.entry(lag.database.clone()).or_insert(lag.live));
        self.until(keeps_up, recovery, switch, session)
    }

    fn until(
        &mut self,
        mut is_good: impl FnMut(&DatabaseLag) -> bool,
        recovery: &Recovery,
        switch: &Switch,
        session: &Session<'_>,
    ) -> Result<()> {
        if switch.archived.is_empty() {
            return Ok(());
        }
        let installation = self.installation(switch)?;
        session.monitor.begin("wait for the archive", Unit::Items, None);
        let until = session.clock.since_boot() + seconds(switch.limits.archive_s);
        let archive = Archive::new(self.repository(recovery)?, recovery.plan.source.clone());
        let mut probe = LagProbe::new(&installation, &archive, session.stop);
        loop {
            let behind = match probe.measure(session.clock.now()) {
                Ok(lags) => {
                    // Each of them is asked from the first time on.
                    let of_it = lags.iter().filter(|lag| switch.archived.contains(&lag.database));
                    let behind: Vec<_> = of_it.filter(|lag| !is_good(lag)).map(ToString::to_string).collect();
                    if behind.is_empty() {
                        return Ok(());
                    }
                    behind.join("; ")
                }
                Err(error) => in_one_line(&error),
            };
            session.stop.check()?;
            if session.clock.since_boot() >= until {
                let why =
                    format!("the archive does not hold what is live ({behind}): does the archiver run?");
                return Err(Error::PromotionRefused { why });
            }
            session.clock.wait(PAUSE, session.stop);
        }
    }

    pub(super) fn repository(&self, recovery: &Recovery) -> Result<Repository> {
        let open =
            self.open.ok_or_else(|| Error::NotOpenedAgain { why: "it is not to be had".to_owned() })?;
        let repository = open()?.open()?;
        crate::recovery::candidate::require_repository(recovery, &repository.id().to_string())?;
        Ok(repository)
    }
}

/// Whether the archive goes on to the live log, and holds it up to this transaction.
fn holds(lag: &DatabaseLag, wanted: TxId) -> bool {
    let is_there = lag.archived.is_some_and(|end| end.id >= wanted);
    lag.standing == Standing::Follows && (is_there || lag.transactions == 0)
}

/// Those that have an archive, whether it is at their end or not.
pub(crate) fn archived_databases(
    installation: &Installation,
    archive: &Archive,
    session: &Session<'_>,
) -> Result<Vec<String>> {
    let lags = LagProbe::new(installation, archive, session.stop).measure(session.clock.now())?;
    let archived = lags.into_iter().filter(|lag| lag.standing != Standing::NothingArchived);
    Ok(archived.map(|lag| lag.database).collect())
}

#[cfg(test)]
mod tests {
    use grap_neo4j::{Checksum, CommitTime, LogPosition, LogVersion, TransactionEnd};

    use super::*;

    #[test]
    fn an_archiver_keeps_up_that_reaches_what_was_live_however_far_that_has_gone_on() {
        let end = |id| TransactionEnd {
            position: LogPosition { version: LogVersion(0), offset: 64 },
            id: TxId(id),
            checksum: Checksum(0),
            commit_time: CommitTime(0),
        };
        let lag = |archived: Option<u64>, live, standing| DatabaseLag {
            database: "neo4j".to_owned(),
            live: TxId(live),
            archived: archived.map(end),
            transactions: archived.map_or(live, |archived| live - archived),
            milliseconds: 0,
            standing,
        };
        let follows = Standing::Follows;
        assert!(holds(&lag(Some(100), 100, follows), TxId(100)));
        assert!(holds(&lag(Some(120), 500, follows), TxId(100)), "writers write on");
        assert!(!holds(&lag(Some(99), 100, follows), TxId(100)), "it has died");
        assert!(!holds(&lag(None, 100, follows), TxId(100)));
        for standing in [Standing::Gap, Standing::Fork, Standing::OtherStore, Standing::NothingArchived] {
            assert!(!holds(&lag(Some(120), 120, standing), TxId(100)), "{standing:?}");
        }
    }
}
