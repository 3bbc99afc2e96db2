//! What the daemon raises an alert for, by key. One situation has one key: while it lasts there is one alert, and one
//! all-clear when it has passed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Daemon;
use super::job::{JobState, JobView};
use super::log::Log;
use super::status::AlertView;

/// The repository cannot be opened.
pub(super) const REPOSITORY: &str = "repository";
/// The archive is behind, or does not go on from the log.
pub(super) const LAG: &str = "lag";
/// Transactions can be lost.
pub(super) const PROTECTION: &str = "protection";
/// The lag and the protection cannot be looked at.
pub(super) const WATCH: &str = "watch";
/// What is to be done cannot be noted.
pub(super) const SCHEDULE: &str = "schedule";
/// Little room on the repository's file system.
pub(super) const SPACE: &str = "space";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlertLevel {
    Warning,
    Critical,
}

/// INTERIM: until the alert centre is there.
pub(super) struct Alerts {
    log: Log,
    open: Mutex<BTreeMap<String, (AlertLevel, String)>>,
}

impl Alerts {
    pub(super) fn new(log: &Log) -> Self {
        Self { log: log.of("alert"), open: Mutex::default() }
    }

    pub(super) fn raise(&self, key: &str, level: AlertLevel, text: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let before = open.insert(key.to_owned(), (level, text.to_owned()));
        if before.is_none_or(|(before, _)| before != level) {
            self.log.warning(&format!("{level:?} {key}: {text}"));
        }
    }

    pub(super) fn view(&self) -> Vec<AlertView> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .map(|(key, (level, message))| AlertView {
                key: key.clone(),
                critical: *level == AlertLevel::Critical,
                message: message.clone(),
            })
            .collect()
    }

    pub(super) fn clear(&self, key: &str) {
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(key).is_some() {
            self.log.info(&format!("over: {key}"));
        }
    }
}

/// A run of this length has shown that the job works again.
const WORKS_AGAIN_S: i64 = 60;

impl Daemon {
    /// Of a job that fails again and again, or waits for an operator.
    pub(super) fn judge_job(&self, job: &JobView) {
        let key = format!("job.{}", job.name);
        let lasts = self.clock.now().duration_since(job.since).as_secs();
        match (&job.last_error, job.state) {
            (Some(error), JobState::Waiting | JobState::Stopped) => {
                let level =
                    if job.state == JobState::Stopped { AlertLevel::Critical } else { AlertLevel::Warning };
                let what = if job.state == JobState::Stopped { "has stopped" } else { "fails" };
                let text = format!("the {} {what}: error[{}]: {}", job.name, error.code, error.message);
                self.alerts.raise(&key, level, &text);
            }
            (_, JobState::Running) if lasts >= WORKS_AGAIN_S => self.alerts.clear(&key),
            _ => {}
        }
    }
}
