//! What HTTP is told ([`crate::http`]): it runs as a job, and asks here.

use std::sync::Arc;

use grap::recovery;
use grap_core::recovery::{Recovery, State};
use grap_task::Stop;
use jiff::Timestamp;

use super::alarms::REPOSITORY;
use super::job::{JobError, JobState, RunEnd};
use super::status::DaemonStatus;
use super::{CanarySeen, Daemon, HTTP, HealthSeen, Log};
use crate::failure::Failure;
use crate::http;

/// A recovery that a process is performing.
#[derive(Debug)]
pub(crate) struct RecoverySeen {
    pub(crate) recovery: Box<Recovery>,
}

/// What the figures are made from.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) status: DaemonStatus,
    /// As it was last seen.
    pub(crate) health: Option<Arc<HealthSeen>>,
    pub(crate) canary: Option<CanarySeen>,
    pub(crate) recovery: Option<RecoverySeen>,
}

impl Daemon {
    pub(super) fn serve_http(self: &Arc<Self>, stop: &Stop) -> RunEnd {
        let address = match http::listen_address(&self.settings()) {
            Ok(Some(address)) => address,
            Ok(None) => return RunEnd::Off,
            Err(error) => return self.end_of(&error.into()),
        };
        match http::serve(self, address, stop) {
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

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// On its way to a candidate, with a process at it. One that nobody performs keeps nobody from the database, which
    /// it has not touched.
    pub(crate) fn recovery(&self) -> Result<Option<RecoverySeen>, Failure> {
        let (state, runs) = recovery::look(&self.state)?;
        Ok(match state {
            State::Active(recovery) if runs && recovery.phase.is_forward() => Some(RecoverySeen { recovery }),
            _ => None,
        })
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures {
            status: self.status(),
            health: self.health.last(),
            canary: self.last_canary(),
            // A journal that cannot be read is an alert, and the answer to who asks about the health.
            recovery: self.recovery().unwrap_or_default(),
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
