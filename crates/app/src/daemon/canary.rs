//! Canaries: every so often something is written, found in the archive, and removed ([`grap::ops::canary`]).
//!
//! Two in a row that come to nothing are an alert. The last one is the fourth check of the health.

use std::sync::PoisonError;
use std::time::Duration;

use grap::ops::CanaryRun;
use grap_core::AlertLevel;
use grap_task::Stop;
use jiff::Timestamp;

use super::job::RunEnd;
use super::{CANARY, Daemon, alarms};
use crate::config::{SettingError, Settings, parse_duration};
use crate::failure::Failure;

/// A run adds two transactions to the log: not more often.
const INTERVAL_MIN: Duration = Duration::from_secs(10);
const OFF: &str = "off";

#[derive(Debug, Clone)]
pub(crate) struct CanarySeen {
    pub(crate) run: CanaryRun,
    pub(crate) at: Timestamp,
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
        // What an earlier one came to says nothing about other settings.
        self.remember_canary(None);
        let Some(every) = interval(&self.settings())? else {
            self.alerts.clear(alarms::CANARY);
            return Ok(RunEnd::Off);
        };
        let Ok(repository) = self.reach_repository(CANARY, stop) else { return Ok(RunEnd::Done) };
        let mut failed_before = false;
        loop {
            let run = self.own_call(CANARY, stop, |call| call.canary(&repository))?;
            if stop.requested() {
                return Ok(RunEnd::Done);
            }
            failed_before = self.judge_canary(&run, failed_before);
            self.remember_canary(Some(CanarySeen { run, at: self.clock.now() }));
            if self.clock.wait(every, stop) {
                return Ok(RunEnd::Done);
            }
        }
    }

    pub(super) fn last_canary(&self) -> Option<CanarySeen> {
        self.canary.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember_canary(&self, seen: Option<CanarySeen>) {
        *self.canary.write().unwrap_or_else(PoisonError::into_inner) = seen;
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
