//! `status`: what the repository and the database show, and what a daemon knows.

use grap::Code;
use grap::ops::{self, Protection, StatusOptions, StatusReport};

use super::resolve;
use super::verbs::{Call, lag_max};
use crate::daemon;
use crate::daemon::status::DaemonStatus;
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn status(&self) -> Result<(), Failure> {
        let asked = self.daemon_status();
        let daemon = asked.as_ref().ok().and_then(Option::as_ref);
        match self.status_report() {
            Ok(report) => {
                self.output.status(&report, daemon)?;
                judge(&report)?;
            }
            Err(failure) => {
                if let Some(daemon) = daemon {
                    self.output.daemon_status(daemon)?;
                }
                return Err(failure);
            }
        }
        asked?.as_ref().map_or(Ok(()), judge_daemon)
    }

    fn status_report(&self) -> Result<StatusReport, Failure> {
        let options = StatusOptions {
            installation: resolve::installation_if_named(self.settings)?,
            source: resolve::source(self.settings)?,
            lag_max: lag_max(self.settings)?,
        };
        Ok(ops::status(&options, self.access()?, self.session)?)
    }

    /// Of the daemon of our state directory. Where nobody can say which that is no daemon of ours runs.
    fn daemon_status(&self) -> Result<Option<DaemonStatus>, Failure> {
        match resolve::state_path(self.settings, self.environment) {
            Ok(state) => daemon::ask_status(&state),
            Err(_) => Ok(None),
        }
    }
}

fn judge(report: &StatusReport) -> Result<(), Failure> {
    let (code, message) = match report.protection {
        Protection::Protected => return Ok(()),
        Protection::Unprotected => (Code::Unprotected, report.reasons.join("; ")),
        Protection::Unknown => {
            let why = "without --neo4j-home or --data the lag of the archive cannot be measured";
            (Code::ProtectionUnknown, why.to_owned())
        }
    };
    Err(Failure::Found { code, message })
}

fn judge_daemon(daemon: &DaemonStatus) -> Result<(), Failure> {
    let open = daemon.critical();
    if open.is_empty() {
        return Ok(());
    }
    Err(Failure::Found { code: Code::AlertOpen, message: open.join("; ") })
}
