//! SIGHUP: the settings are read anew from the places they were read from at the start, checked as a whole, and taken;
//! or refused, and the old ones stay.
//!
//! A reload without a change does nothing: `restic unlock` sends SIGHUP to the holder of a lock.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use grap::in_one_line;
use grap_task::Stop;
use signal_hook::consts::SIGHUP;

use super::alarms::sinks;
use super::{CANARY, Daemon, HTTP, PROMOTION, SCHEDULER};
use crate::cli::LOCATIONS;
use crate::config::Settings;
use crate::failure::Failure;
use crate::log::LogStyle;
use crate::notify;
use crate::view::{Output, Stdout};

/// Whether SIGHUP has come.
pub(super) struct Hangups(Arc<AtomicBool>);

impl Hangups {
    pub(super) fn listen() -> Result<Self, Failure> {
        let came = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, Arc::clone(&came))
            .map_err(|error| Failure::Usage(format!("cannot heed SIGHUP: {error}")))?;
        Ok(Self(came))
    }

    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Daemon {
    pub(super) fn reload(&self) {
        notify::reloading();
        let refused = match self.read_anew() {
            Ok(new) => {
                self.take_settings(new);
                None
            }
            Err(failure) => {
                let why = in_one_line(&failure);
                self.log
                    .error(&format!("the settings were read anew and are refused, the old ones stay: {why}"));
                Some(why)
            }
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        self.judge_state();
        notify::ready();
    }

    /// The settings as they are now, if every one of them makes sense.
    fn read_anew(&self) -> Result<Settings, Failure> {
        let config = self.arguments.common.config.as_deref();
        let settings = Settings::resolve(config, &self.environment, self.arguments.flags())?;
        let output = Output { json: false, stdout: &Stdout::Nowhere };
        self.call(&settings, (&Stop::new(), &self.log), output, |call| {
            call.check_settings()?;
            self.require_our_state(&call.state_root()?)
        })?;
        Ok(settings)
    }

    /// Our lock, our journals and what proves that the archive is ours lie where we started.
    fn require_our_state(&self, root: &Path) -> Result<(), Failure> {
        let own = self.state.root();
        if root == own {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "state_dir is {}, and the daemon runs on {}: end it and start it anew to move there",
            root.display(),
            own.display()
        )))
    }

    fn take_settings(&self, new: Settings) {
        let old = self.settings();
        let changed = old.difference(&new);
        if changed.is_empty() {
            self.log.info("the settings were read anew; none has changed");
            return;
        }
        self.log.info(&format!("the settings were read anew; changed: {}", changed.join(", ")));
        if let Ok(style) = LogStyle::of(&new) {
            self.log.restyle(style);
        }
        if let (Ok(timetable), Some(scheduler)) = (self.timetable(&new), self.scheduler()) {
            scheduler.replace(timetable);
        }
        if changed.iter().any(|key| key.starts_with("alert."))
            && let Ok(sinks) = sinks(&new, &self.holder.hostname)
        {
            self.alerts.replace_sinks(sinks);
        }
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        for job in self.jobs() {
            if changed.iter().any(|key| needs_new_start(job.name(), key)) {
                job.start_anew();
            }
        }
    }
}

/// With what the canaries log on.
const LOGON: [&str; 4] = ["neo4j.uri", "neo4j.auth", "neo4j.auth_file", "neo4j.ca_file"];

/// Whether this job works by the old value until it is started anew. Tasks take what is set when they begin.
fn needs_new_start(job: &str, key: &str) -> bool {
    let parts = ["archive.", "remote.", "password"];
    let archived =
        LOCATIONS.contains(&key) || key == "neo4j.conf" || parts.iter().any(|part| key.starts_with(part));
    match job {
        SCHEDULER | PROMOTION => false,
        HTTP => key.starts_with("http."),
        CANARY => archived || key == "health.canary" || LOGON.contains(&key),
        _ => archived,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_begins_anew_where_it_works_by_what_has_changed() {
        for (job, key, anew) in [
            (CANARY, "neo4j.uri", true),
            (CANARY, "neo4j.auth", true),
            (CANARY, "neo4j.auth_file", true),
            (CANARY, "neo4j.ca_file", true),
            (CANARY, "repository", true),
            (CANARY, "http.listen", false),
            ("archiver", "neo4j.uri", false),
            ("archiver", "repository", true),
            (HTTP, "http.listen", true),
            (SCHEDULER, "repository", false),
            (PROMOTION, "repository", false),
        ] {
            assert_eq!(needs_new_start(job, key), anew, "{job} {key}");
        }
    }
}
