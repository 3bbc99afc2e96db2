//! Canaries: every so often something is written, found in the archive, and removed ([`grap::ops::canary`]).
//!
//! Two in a row that come to nothing are an alert. The last one is the fourth check of the health, and it ages: while none
//! can fly, because the repository or the server is away or the job fails, the health is not what it was.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use grap::ops::CanaryRun;
use grap_core::AlertLevel;
use grap_task::Stop;
use jiff::Timestamp;

use super::job::RunEnd;
use super::{CANARY, Daemon, alarms};
use crate::cli::{LOCATIONS, lag_max};
use crate::config::{SettingError, Settings, parse_duration};
use crate::failure::Failure;

/// A run adds two transactions to the log: not more often.
const INTERVAL_MIN: Duration = Duration::from_secs(10);
/// While a promotion is under way.
const SWITCH_LOOK: Duration = Duration::from_secs(1);
const OFF: &str = "off";
/// A run ends within it, and within the limit of the archive: it asks three times, 10 s each.
const RUN_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub(crate) struct CanarySeen {
    pub(crate) run: CanaryRun,
    pub(crate) at: Timestamp,
    /// The same by the boot clock.
    pub(crate) ended: Duration,
}

/// What is known of them. It outlives the runs of the job.
#[derive(Debug, Clone, Default)]
pub(super) struct Canaries {
    /// By the boot clock; `None`: they are off.
    on_since: Option<Duration>,
    /// What came back longer ago says nothing about now.
    age_max: Duration,
    last: Option<CanarySeen>,
    /// By which they fly: what came back from one server into one repository says nothing about others.
    settings: Option<Arc<Settings>>,
}

impl Canaries {
    fn turn_on(&mut self, settings: &Arc<Settings>, every: Duration, archive_limit: Duration, now: Duration) {
        let before = self.settings.replace(Arc::clone(settings));
        if before.is_some_and(|before| before.difference(settings).into_iter().any(is_elsewhere)) {
            *self = Self { settings: self.settings.take(), ..Self::default() };
        }
        self.on_since.get_or_insert(now);
        // One may be lost without anything being wrong, as when the job begins anew.
        self.age_max = every * 2 + RUN_MAX + archive_limit;
    }

    /// For the health: what the last one came to, or that nothing is known of now. `None`: none was due yet.
    fn check(&self, now: Duration) -> Option<CanaryRun> {
        let since = self.on_since?;
        let ended = self.last.as_ref().map_or(since, |seen| seen.ended);
        let age = now.saturating_sub(ended);
        match &self.last {
            Some(seen) if seen.run.outcome.is_err() || age <= self.age_max => Some(seen.run.clone()),
            None if age <= self.age_max => None,
            last => {
                let what = if last.is_some() {
                    "the last one came back"
                } else {
                    "none has flown: they are on since"
                };
                let (age, limit) = (age.as_secs(), self.age_max.as_secs());
                let why = format!("{what} {age} s ago, more than {limit} s: nothing is known of now");
                Some(CanaryRun { outcome: Err(why), duration: Duration::ZERO, archived_after: None })
            }
        }
    }
}

/// Whether, with another value of this setting, they fly from another server, or into another repository.
fn is_elsewhere(key: &str) -> bool {
    LOCATIONS.contains(&key) || ["neo4j.conf", "neo4j.uri"].contains(&key)
}

/// How often; `None`: never.
pub(super) fn interval(settings: &Settings) -> Result<Option<Duration>, SettingError> {
    let parse = |text: &str| match text.trim() {
        "" | OFF => Ok(None),
        text => match parse_duration(text) {
            Ok(every) if every >= INTERVAL_MIN => Ok(Some(every)),
            Ok(_) => Err(format!("it is less than {} s", INTERVAL_MIN.as_secs())),
            Err(why) => Err(format!("{why}, or `{OFF}`")),
        },
    };
    Ok(settings.parsed("health.canary", parse)?.flatten())
}

impl Daemon {
    pub(super) fn fly_canaries(&self, stop: &Stop) -> RunEnd {
        match self.fly_until(stop) {
            Ok(end) => end,
            Err(failure) => self.end_of(&failure),
        }
    }

    fn fly_until(&self, stop: &Stop) -> Result<RunEnd, Failure> {
        let settings = self.settings();
        let Some(every) = interval(&settings)? else {
            *self.canaries() = Canaries::default();
            self.alerts.clear(alarms::CANARY);
            return Ok(RunEnd::Off);
        };
        self.canaries().turn_on(&settings, every, lag_max(&settings)?, self.clock.since_boot());
        let Ok(repository) = self.reach_repository(CANARY, stop) else { return Ok(RunEnd::Done) };
        let mut failed_before = false;
        loop {
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the method itself is not of every lifetime"
            )]
            let is_switching = self.own_call(CANARY, stop, |call| call.is_switching())?;
            if is_switching {
                // It would be taken for a client that writes to the new database.
                if self.clock.wait(SWITCH_LOOK, stop) {
                    return Ok(RunEnd::Done);
                }
                continue;
            }
            let run = self.own_call(CANARY, stop, |call| call.canary(&repository))?;
            if stop.requested() {
                return Ok(RunEnd::Done);
            }
            failed_before = self.judge_canary(&run, failed_before);
            let (at, ended) = (self.clock.now(), self.clock.since_boot());
            self.canaries().last = Some(CanarySeen { run, at, ended });
            if self.clock.wait(every, stop) {
                return Ok(RunEnd::Done);
            }
        }
    }

    /// As a check of the health.
    pub(super) fn canary_check(&self) -> Option<CanaryRun> {
        self.canaries().check(self.clock.since_boot())
    }

    /// The last one that flew, and what it is worth now.
    pub(super) fn last_canary(&self) -> Option<CanarySeen> {
        let (now, canaries) = (self.clock.since_boot(), self.canaries());
        let seen = canaries.last.clone()?;
        Some(CanarySeen { run: canaries.check(now)?, ..seen })
    }

    fn canaries(&self) -> MutexGuard<'_, Canaries> {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it failed. Once may be a restart of the server.
    fn judge_canary(&self, run: &CanaryRun, failed_before: bool) -> bool {
        let log = self.log.of(CANARY);
        match &run.outcome {
            Ok(outcome) => {
                log.debug(&outcome.message);
                self.alerts.clear(alarms::CANARY);
                false
            }
            Err(why) => {
                log.warning(why);
                if failed_before {
                    let text = format!("the canary fails: {why}");
                    self.alerts.raise(alarms::CANARY, AlertLevel::Critical, &text);
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    const EVERY: Duration = Duration::from_mins(5);

    fn seen(passed: bool, ended: Duration) -> CanarySeen {
        let outcome = if passed { Ok(grap_core::CheckOutcome::default()) } else { Err("lost".to_owned()) };
        let run = CanaryRun { outcome, duration: Duration::ZERO, archived_after: None };
        CanarySeen { run, at: Timestamp::UNIX_EPOCH, ended }
    }

    /// What the health says of it so long after: that it passed, or why not; `None`: nothing yet.
    fn told(canaries: &Canaries, seconds: u64) -> Option<Result<(), String>> {
        canaries.check(Duration::from_secs(seconds)).map(|run| run.outcome.map(drop))
    }

    #[test]
    fn what_came_back_long_ago_is_no_health_of_now() {
        let mut canaries = Canaries::default();
        assert_eq!(told(&canaries, 9999), None, "they are off");
        let settings = Arc::new(Settings::default());
        let turn_on = |canaries: &mut Canaries, now: u64| {
            canaries.turn_on(&settings, EVERY, Duration::from_mins(1), Duration::from_secs(now));
        };
        turn_on(&mut canaries, 1000);
        // Until the first is due nothing is claimed, and none that does not come is not taken for one.
        assert_eq!(told(&canaries, 1690), None);
        assert!(told(&canaries, 1691).unwrap().unwrap_err().contains("none has flown"));
        canaries.last = Some(seen(true, Duration::from_secs(2000)));
        assert_eq!((told(&canaries, 2001), told(&canaries, 2690)), (Some(Ok(())), Some(Ok(()))));
        assert!(told(&canaries, 2691).unwrap().unwrap_err().contains("691 s ago"));
        // The job begins anew, and cannot reach the repository: what is known stays, and ages.
        turn_on(&mut canaries, 2700);
        assert!(told(&canaries, 2701).unwrap().is_err());
        canaries.last = Some(seen(false, Duration::from_secs(2800)));
        for seconds in [2801, 99_999] {
            assert_eq!(told(&canaries, seconds), Some(Err("lost".to_owned())));
        }
    }

    /// SIGHUP, in the middle of it.
    #[test]
    fn what_came_back_from_elsewhere_is_no_health_of_here() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |key: &'static str, value: &str| {
            let said = vec![(key, value.to_owned())];
            Arc::new(Settings::resolve(Some(file.path()), &Environment::default(), said).unwrap())
        };
        for (key, stays) in [
            ("repository", false),
            ("source", false),
            ("neo4j.uri", false),
            ("remote.timeout_s", true),
            ("neo4j.auth", true),
            ("health.canary", true),
        ] {
            let mut canaries = Canaries::default();
            let turn_on = |canaries: &mut Canaries, value: &str, now: u64| {
                let limit = Duration::from_mins(1);
                canaries.turn_on(&with(key, value), EVERY, limit, Duration::from_secs(now));
            };
            turn_on(&mut canaries, "5m", 1000);
            canaries.last = Some(seen(true, Duration::from_secs(1001)));
            turn_on(&mut canaries, "6m", 1100);
            assert_eq!(told(&canaries, 1101), stays.then_some(Ok(())), "{key}");
            // None is due before its time is over, counted anew.
            let none = told(&canaries, 1790).is_none();
            assert_eq!(none, !stays, "{key}");
            assert!(told(&canaries, 1800).unwrap().is_err(), "{key}");
        }
    }

    #[test]
    fn it_is_off_or_not_too_often() {
        let every = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let said = vec![("health.canary", text.to_owned())];
            let settings = Settings::resolve(Some(file.path()), &Environment::default(), said).unwrap();
            interval(&settings).map_err(|error| error.to_string())
        };
        assert_eq!(every("off"), Ok(None));
        assert_eq!(every("5m"), Ok(Some(Duration::from_mins(5))));
        for wrong in ["9s", "often", "0s"] {
            assert!(every(wrong).unwrap_err().starts_with("health.canary = "), "{wrong}");
        }
    }
}
