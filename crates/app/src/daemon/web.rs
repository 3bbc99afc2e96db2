//! What HTTP is told ([`crate::http`]): it runs as a job, and asks here.

use std::sync::Arc;

use grap::ops::{self, RecoveryReport};
use grap_task::Stop;

use super::alarms::REPOSITORY;
use super::job::{JobError, JobState, RunEnd};
use super::status::DaemonStatus;
use super::{CanarySeen, Daemon, HTTP, HealthSeen, Log};
use crate::cli::Call;
use crate::failure::Failure;
use crate::http;

/// What the figures are made from.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) status: DaemonStatus,
    /// As it was last seen.
    pub(crate) health: Option<Arc<HealthSeen>>,
    pub(crate) canary: Option<CanarySeen>,
    /// An error: it cannot be said.
    pub(crate) recovery: Result<Option<RecoveryReport>, Failure>,
}

impl Daemon {
    pub(super) fn serve_http(self: &Arc<Self>, stop: &Stop) -> RunEnd {
        let place = match http::place(&self.settings()) {
            Ok(Some(place)) => place,
            Ok(None) => return RunEnd::Off,
            Err(error) => return self.end_of(&error.into()),
        };
        let address = place.address;
        match http::serve(self, place, stop) {
            Ok(()) => RunEnd::Done,
            Err(error) => RunEnd::Failed(JobError {
                code: grap::Code::FileFailed.name().to_owned(),
                message: format!("cannot listen on {address}: {error}"),
                at: self.clock.now(),
            }),
        }
    }

    pub(crate) fn log_of(&self, job: &'static str) -> Log {
        self.log.of(job)
    }

    /// On its way to a candidate, with a process at it. One that nobody performs keeps nobody from the database, which
    /// it has not touched.
    pub(crate) fn recovery(&self, stop: &Stop) -> Result<Option<RecoveryReport>, Failure> {
        self.own_call(HTTP, stop, |call: &Call<'_>| Ok(ops::recovery_at_work(&self.state, call.session)?))
    }

    pub(crate) fn figures(&self, stop: &Stop) -> Figures {
        Figures {
            status: self.status(),
            health: self.health.last(),
            canary: self.last_canary(),
            recovery: self.recovery(stop),
        }
    }

    /// What keeps the daemon from its work.
    pub(crate) fn hindrances(&self) -> Vec<String> {
        let works = |state| matches!(state, JobState::Running | JobState::Off);
        let jobs = self.jobs().into_iter().map(|job| job.view()).filter(|job| job.name != HTTP);
        let mut found: Vec<String> = jobs
            .filter(|job| !works(job.state))
            .map(|job| {
                let why = job.last_error.map(|error| format!(": error[{}]: {}", error.code, error.message));
                format!("the {} does not run{}", job.name, why.unwrap_or_default())
            })
            .collect();
        let alerts = self.alerts.alerts().into_iter().filter(|alert| alert.key == REPOSITORY);
        found.extend(alerts.map(|alert| alert.message));
        found
    }
}
