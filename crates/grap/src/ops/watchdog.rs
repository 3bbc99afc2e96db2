//! What watches an archiver from outside of it: the lag by a probe of its own, so that a silent stall is heard;
//! and whether the installation is protected, for as long as it is not.

use std::time::Duration;

use grap_core::SourceName;
use grap_repository::Repository;
use grap_task::{Finding, Silent, Stop};

use super::Session;
use super::status::{Protection, StatusReport, look};
use crate::archive::{Archive, DatabaseLag, LagProbe, Proofs, Standing};
use crate::error::{Result, in_one_line};
use crate::live::Installation;

/// Between two looks at the lag.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// Between two looks at the protection.
const PROTECTION_INTERVAL: Duration = Duration::from_mins(10);
/// The first one, so that a backup may come before it.
const PROTECTION_FIRST: Duration = Duration::from_mins(1);

pub(super) struct Watchdog<'a> {
    pub(super) installation: &'a Installation,
    pub(super) repository: &'a Repository,
    pub(super) source: &'a SourceName,
    pub(super) archive: &'a Archive,
    /// A longer lag is told, and so is a log that does not go on from the archive, when that lasts longer.
    pub(super) lag_max: Duration,
    pub(super) session: &'a Session<'a>,
}

impl Watchdog<'_> {
    /// Until `end`.
    pub(super) fn run(&self, end: &Stop) {
        let clock = self.session.clock;
        let mut probe = LagProbe::new(self.installation, self.archive, end);
        let (mut lateness, mut protection) = (Lateness::default(), ProtectionLook::default());
        let mut next_look = clock.since_boot() + PROTECTION_FIRST;
        while !clock.wait(LAG_INTERVAL, end) {
            let measured = probe.measure(clock.now());
            self.tell(lateness.hear(measured, clock.since_boot(), self.lag_max));
            if clock.since_boot() >= next_look {
                next_look = clock.since_boot() + PROTECTION_INTERVAL;
                self.tell(self.protection(&mut protection));
            }
        }
    }

    fn tell(&self, wrong: impl IntoIterator<Item = String>) {
        for text in wrong {
            self.session.monitor.finding(&Finding::warning(format!("UNPROTECTED: {text}")));
        }
    }

    /// Every reason, for as long as there is one; that it cannot be looked at once.
    fn protection(&self, known: &mut ProtectionLook) -> Option<String> {
        let quiet = Session { monitor: &Silent, ..*self.session };
        let (installation, proofs) = (Some(self.installation), &mut known.proofs);
        let looked = look(self.repository, self.source, installation, self.lag_max, proofs, &quiet);
        known.judge(looked)
    }
}

/// What is kept between two looks at the protection.
#[derive(Default)]
struct ProtectionLook {
    proofs: Proofs,
    failed: bool,
}

impl ProtectionLook {
    fn judge(&mut self, looked: Result<StatusReport>) -> Option<String> {
        let failed_before = std::mem::replace(&mut self.failed, looked.is_err());
        match looked {
            Ok(status) if status.protection == Protection::Protected => None,
            Ok(status) => Some(status.reasons.join("; ")),
            Err(_) if failed_before => None,
            Err(error) => Some(format!("whether it is cannot be looked at: {}", in_one_line(&error))),
        }
    }
}

/// How the archive stood to each database's log the last time, so that what lasts too long is told, and once.
#[derive(Default)]
struct Lateness {
    seen: Vec<Seen>,
    /// It could not be measured.
    failed: bool,
}

#[derive(Clone)]
struct Seen {
    database: String,
    standing: Standing,
    /// By the boot clock.
    since: Duration,
    told: bool,
}

impl Lateness {
    fn hear(&mut self, measured: Result<Vec<DatabaseLag>>, now: Duration, lag_max: Duration) -> Vec<String> {
        let failed_before = std::mem::replace(&mut self.failed, measured.is_err());
        match measured {
            Ok(lags) => {
                let before = std::mem::take(&mut self.seen);
                lags.iter().filter_map(|lag| self.hear_one(lag, &before, now, lag_max)).collect()
            }
            Err(_) if failed_before => Vec::new(),
            Err(error) => {
                vec![format!("how far the archive is behind cannot be measured: {}", in_one_line(&error))]
            }
        }
    }

    /// A lag lasts since its oldest transaction was committed; whatever else is wrong since it was first seen: a new
    /// run of the archiver mostly ends it.
    fn hear_one(
        &mut self,
        lag: &DatabaseLag,
        before: &[Seen],
        now: Duration,
        lag_max: Duration,
    ) -> Option<String> {
        let DatabaseLag { database, standing, milliseconds, .. } = lag;
        let known = before.iter().find(|seen| seen.database == *database && seen.standing == *standing);
        let (since, told) = known.map_or((now, false), |seen| (seen.since, seen.told));
        let lasts = match standing {
            Standing::Follows => Duration::from_millis(milliseconds.unsigned_abs()),
            _ => now.saturating_sub(since),
        };
        let late = lasts > lag_max;
        self.seen.push(Seen { database: database.clone(), standing: *standing, since, told: late });
        (late && !told).then(|| lag.to_string())
    }
}

#[cfg(test)]
mod tests {
    use grap_neo4j::TxId;

    use super::*;
    use crate::error::Error;

    const LAG_MAX: Duration = Duration::from_mins(1);

    fn lag(standing: Standing, milliseconds: i64) -> DatabaseLag {
        let (database, live) = ("neo4j".to_owned(), TxId(9));
        DatabaseLag { database, live, archived: None, transactions: 3, milliseconds, standing }
    }

    fn hear(lateness: &mut Lateness, second: u64, lag: DatabaseLag) -> Vec<String> {
        lateness.hear(Ok(vec![lag]), Duration::from_secs(second), LAG_MAX)
    }

    #[test]
    fn whatever_keeps_the_archive_from_going_on_is_told_when_it_lasts_and_once() {
        for standing in [Standing::Gap, Standing::Fork, Standing::OtherStore, Standing::NothingArchived] {
            let mut lateness = Lateness::default();
            assert!(hear(&mut lateness, 5, lag(standing, 0)).is_empty());
            assert!(hear(&mut lateness, 65, lag(standing, 0)).is_empty());
            assert_eq!(hear(&mut lateness, 66, lag(standing, 0)).len(), 1, "{standing:?}");
            assert!(hear(&mut lateness, 70, lag(standing, 0)).is_empty());
            assert!(hear(&mut lateness, 75, lag(Standing::Follows, 0)).is_empty());
            assert!(hear(&mut lateness, 80, lag(standing, 0)).is_empty(), "it is counted anew");
            assert_eq!(hear(&mut lateness, 141, lag(standing, 0)).len(), 1);
        }
    }

    #[test]
    fn a_lag_is_told_once_until_it_is_gone() {
        let mut lateness = Lateness::default();
        let told: Vec<usize> = [0, 60_000, 60_001, 70_000, 10, 61_000]
            .into_iter()
            .map(|late| hear(&mut lateness, 5, lag(Standing::Follows, late)).len())
            .collect();
        assert_eq!(told, [0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn what_cannot_be_looked_at_is_told_once() {
        let mut lateness = Lateness::default();
        let failed = |lateness: &mut Lateness| lateness.hear(Err(Error::NoSource), LAG_MAX, LAG_MAX).len();
        assert_eq!([failed(&mut lateness), failed(&mut lateness)], [1, 0]);
        let mut look = ProtectionLook::default();
        assert!(look.judge(Err(Error::NoBackup)).is_some_and(|said| said.contains("no backup")));
        assert_eq!(look.judge(Err(Error::NoBackup)), None);
    }
}
