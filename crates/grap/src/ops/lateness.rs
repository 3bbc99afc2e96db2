//! How long the archive has been behind, or not going on from the log: what of it is too long.

use std::time::Duration;

use crate::archive::{DatabaseLag, Standing};
use crate::error::{Result, in_one_line};

/// Something that has lasted too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) text: String,
    /// It was not late at the last look.
    pub(super) new: bool,
}

/// How the archive stood to each database's log the last time, so that what lasts too long is known, and told once.
#[derive(Default)]
pub(super) struct Lateness {
    seen: Vec<Seen>,
    /// So often in a row it could not be measured.
    failures: usize,
}

#[derive(Clone)]
struct Seen {
    database: String,
    standing: Standing,
    /// By the boot clock.
    since: Duration,
    /// It had lasted too long then.
    over: bool,
    told: bool,
}

impl Lateness {
    /// What cannot be measured once is no news: between two exchanges of a promotion there is no log to look at.
    pub(super) fn hear(
        &mut self,
        measured: Result<Vec<DatabaseLag>>,
        now: Duration,
        lag_max: Duration,
    ) -> Vec<Late> {
        self.failures = if measured.is_err() { self.failures + 1 } else { 0 };
        match measured {
            Ok(lags) => {
                let before = std::mem::take(&mut self.seen);
                lags.iter().filter_map(|lag| self.hear_one(lag, &before, now, lag_max)).collect()
            }
            Err(_) if self.failures == 1 => Vec::new(),
            Err(error) => {
                let why = in_one_line(&error);
                let text = format!("how far the archive is behind cannot be measured: {why}");
                vec![Late { text, new: self.failures == 2 }]
            }
        }
    }

    /// A lag lasts since its oldest transaction was committed; whatever else is wrong since it was first seen: a new
    /// run of the archiver mostly ends it. A lag is believed when it is seen twice in a row: behind a wall clock that
    /// was just set ahead, what was committed a moment before looks old, and is archived by the next look.
    fn hear_one(
        &mut self,
        lag: &DatabaseLag,
        before: &[Seen],
        now: Duration,
        lag_max: Duration,
    ) -> Option<Late> {
        let DatabaseLag { database, standing, milliseconds, .. } = lag;
        let known = before.iter().find(|seen| seen.database == *database && seen.standing == *standing);
        let (since, told) = known.map_or((now, false), |seen| (seen.since, seen.told));
        let over_before = *standing != Standing::Follows || known.is_some_and(|seen| seen.over);
        let lasts = match standing {
            Standing::Follows => Duration::from_millis(milliseconds.unsigned_abs()),
            _ => now.saturating_sub(since),
        };
        let over = lasts > lag_max;
        let late = over && over_before;
        self.seen.push(Seen { database: database.clone(), standing: *standing, since, over, told: late });
        late.then(|| Late { text: lag.to_string(), new: !told })
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

    /// What is told.
    fn hear(lateness: &mut Lateness, second: u64, lag: DatabaseLag) -> Vec<Late> {
        news(lateness.hear(Ok(vec![lag]), Duration::from_secs(second), LAG_MAX))
    }

    fn news(late: Vec<Late>) -> Vec<Late> {
        late.into_iter().filter(|late| late.new).collect()
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
        let told: Vec<usize> = [0, 60_000, 60_001, 70_000, 75_000, 10, 61_000, 66_000]
            .into_iter()
            .map(|late| hear(&mut lateness, 5, lag(Standing::Follows, late)).len())
            .collect();
        assert_eq!(told, [0, 0, 0, 1, 0, 0, 0, 1]);
    }

    /// What was committed a moment before looks an hour old, once.
    #[test]
    fn a_clock_that_is_set_ahead_makes_no_lag() {
        let mut lateness = Lateness::default();
        for milliseconds in [40, 3_600_040, 30, 50, 7_200_000, 0] {
            let late = lateness.hear(Ok(vec![lag(Standing::Follows, milliseconds)]), LAG_MAX, LAG_MAX);
            assert_eq!(late, [], "{milliseconds}");
        }
    }

    #[test]
    fn what_cannot_be_measured_twice_is_late_and_told_once() {
        let mut lateness = Lateness::default();
        let failed = |lateness: &mut Lateness| lateness.hear(Err(Error::NoSource), LAG_MAX, LAG_MAX);
        for _ in 0..2 {
            assert_eq!(failed(&mut lateness), [], "a promotion was under way");
            hear(&mut lateness, 5, lag(Standing::Follows, 0));
        }
        failed(&mut lateness);
        assert_eq!(news(failed(&mut lateness)).len(), 1);
        let again = failed(&mut lateness);
        assert_eq!((again.len(), news(again).len()), (1, 0));
    }

    #[test]
    fn what_is_late_stays_late_until_it_is_not() {
        let mut lateness = Lateness::default();
        let mut hear = |second, standing| {
            lateness.hear(Ok(vec![lag(standing, 0)]), Duration::from_secs(second), LAG_MAX).len()
        };
        let late = [
            hear(5, Standing::Gap),
            hear(70, Standing::Gap),
            hear(75, Standing::Gap),
            hear(80, Standing::Follows),
        ];
        assert_eq!(late, [0, 1, 1, 0]);
    }
}
