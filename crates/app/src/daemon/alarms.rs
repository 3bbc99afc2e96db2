//! What the daemon raises an alert for, by key. One situation has one key: while it lasts there is one alert, and one
//! all-clear when it has passed.

use std::sync::Arc;

use grap::recovery::{self, Lane};
use grap::state::{SetAside, StateDirectory};
use grap_core::AlertLevel;
use grap_task::{Clock, Level};

use super::Daemon;
use super::job::{JobState, JobView};
use crate::alert::{AlertCenter, Origin, Sink};
use crate::config::{SettingError, Settings};
use crate::failure::Failure;
use crate::host;
use crate::log::Log;

/// The repository cannot be opened.
pub(super) const REPOSITORY: &str = "repository";
/// The archive is behind, or does not go on from the log.
pub(super) const LAG: &str = "lag";
/// Transactions can be lost.
pub(super) const PROTECTION: &str = "protection";
/// What is written does not come back, or not into the archive.
pub(super) const CANARY: &str = "canary";
/// The lag and the protection cannot be looked at.
pub(super) const WATCH: &str = "watch";
/// What is to be done cannot be noted.
pub(super) const SCHEDULE: &str = "schedule";
/// A journal could not be read, was set aside, and lies there still.
const JOURNAL: &str = "journal";
/// No drill has gone well for long.
pub(super) const DRILL_AGE: &str = "drill.age";
/// Little room on the repository's file system.
pub(super) const SPACE: &str = "space";

/// A run of this length has shown that the job works again.
const WORKS_AGAIN_S: i64 = 60;

/// The sinks as they are set. A webhook that is no URL is refused.
pub(super) fn sinks(settings: &Settings, host: &str) -> Result<Vec<Sink>, SettingError> {
    let origin = || Origin { host: host.to_owned(), program: host::PROGRAM.to_owned() };
    let exec = settings
        .text("alert.exec")
        .map(|command| Sink::Exec { command: command.to_owned(), origin: origin() });
    let is_url = |text: &str| {
        let http = text.starts_with("http://") || text.starts_with("https://");
        if http { Ok(text.to_owned()) } else { Err("it begins with neither http:// nor https://".to_owned()) }
    };
    // It may hold a secret, so it is not shown where it makes no sense.
    let webhook = settings.parsed_secret("alert.webhook", is_url)?;
    let webhook = webhook.map(|url| Sink::Webhook { url, origin: origin() });
    Ok(exec.into_iter().chain(webhook).collect())
}

/// The alerts of this state directory, told to its log.
pub(super) fn open(
    state: &StateDirectory,
    sinks: Vec<Sink>,
    clock: &Clock,
    log: &Log,
) -> Result<AlertCenter, Failure> {
    let log = log.of("alert");
    let tell = move |level: Level, text: &str| match level {
        Level::Info => log.info(text),
        Level::Warning => log.warning(text),
    };
    let opened = AlertCenter::open(state, sinks, clock.clone(), Arc::new(tell));
    Ok(opened.map_err(grap::Error::from)?)
}

impl Daemon {
    /// Of journals that were set aside, until somebody has moved them away: what was in them is not known any more.
    pub(super) fn judge_state(&self) {
        self.judge_recovery_journals();
        let Ok(names) = self.state.set_aside() else { return };
        if names.is_empty() {
            return self.alerts.clear(JOURNAL);
        }
        let say = |name: &String| format!("{name} ({})", SetAside::forgotten(name));
        let text = format!(
            "in the state directory {} lies what could not be read and was set aside: {}. Look for errors of its disk, or for a newer release that wrote there; then move it away",
            self.state.root().display(),
            names.iter().map(say).collect::<Vec<_>>().join("; ")
        );
        self.alerts.raise(JOURNAL, AlertLevel::Critical, &text);
    }

    /// Of a recovery or a drill that nobody can tell any more how it stands.
    pub(super) fn judge_recovery_journals(&self) {
        for (lane, help) in [
            (Lane::Recovery, "`grap recover reset` sets it aside"),
            (Lane::Drill, "the next drill sets it aside"),
        ] {
            let key = format!("journal.{}", lane.name());
            match recovery::unreadable(&self.state, lane) {
                // What cannot be looked at now is neither: an alert that stands goes on.
                Err(_) => {}
                Ok(None) => self.alerts.clear(&key),
                Ok(Some(why)) => {
                    let text = format!("whether a {} is under way is not known: {why}; {help}", lane.name());
                    self.alerts.raise(&key, AlertLevel::Critical, &text);
                }
            }
        }
    }

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
