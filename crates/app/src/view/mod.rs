//! What is shown: reports as text or JSON on stdout, progress and errors on stderr.

mod check;
mod copy;
mod daemon;
mod failure;
mod health;
mod maintenance;
mod open;
mod points;
mod progress;
mod promote;
mod recover;
mod release_store;
mod retention;
mod shapes;
mod text;
mod timeline;
mod validation;

use std::io::{IsTerminal, Write};

use grap::ops::{
    ArchiveReport, BackupReport, DoctorReport, InitReport, ListReport, PlanReport, RestoreReport, ShowReport,
    SourceReport, StatusReport, UnlockReport, VerifyReport, WindowReport,
};
use grap_core::RetentionRules;
use serde::Serialize;

use crate::config::Settings;
use crate::daemon::status::DaemonStatus;
use crate::failure::Failure;

pub(crate) use failure::{failure, failure_shape, failure_text};
pub(crate) use health::health_shape;
pub(crate) use progress::monitor;
pub(crate) use shapes::SCHEMA_VERSION;

/// What takes a report somewhere else.
pub(crate) type Printer = dyn Fn(&str) -> std::io::Result<()> + Send + Sync;

/// Where reports go.
pub(crate) enum Stdout {
    /// The program's own.
    Process,
    /// To whoever asked, over the socket of the daemon.
    Asker(Box<Printer>),
    /// The daemon's own work is reported by its log.
    Nowhere,
}

impl Stdout {
    fn print(&self, text: &str) -> std::io::Result<()> {
        match self {
            Self::Process => {
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
            }
            Self::Asker(send) => send(text),
            Self::Nowhere => Ok(()),
        }
    }

    fn is_terminal(&self) -> bool {
        matches!(self, Self::Process) && std::io::stdout().is_terminal()
    }
}

/// How reports are printed.
#[derive(Clone, Copy)]
pub(crate) struct Output<'a> {
    pub(crate) json: bool,
    pub(crate) stdout: &'a Stdout,
}

impl Output<'_> {
    fn print(self, shape: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = if self.json {
            serde_json::to_string(shape).map_err(|error| Failure::Output(error.into()))? + "\n"
        } else {
            text()
        };
        self.stdout.print(&text).map_err(Failure::Output)
    }

    pub(crate) fn init(self, report: &InitReport) -> Result<(), Failure> {
        self.print(&shapes::init(report), || text::init(report))
    }

    pub(crate) fn backup(self, report: &BackupReport, rules: &RetentionRules) -> Result<(), Failure> {
        self.print(&shapes::backup(report, rules), || text::backup(report))
    }

    pub(crate) fn archive(self, report: &ArchiveReport) -> Result<(), Failure> {
        self.print(&shapes::archive(report), || text::archive(report))
    }

    pub(crate) fn list(self, report: &ListReport, rules: &RetentionRules) -> Result<(), Failure> {
        self.print(&shapes::list(report, rules), || text::list(report))
    }

    pub(crate) fn show(self, report: &ShowReport, rules: &RetentionRules) -> Result<(), Failure> {
        self.print(&shapes::show(report, rules), || text::show(report, rules))
    }

    pub(crate) fn verify(self, report: &VerifyReport) -> Result<(), Failure> {
        self.print(&shapes::verify(report), || text::verify(report))
    }

    pub(crate) fn restore(self, report: &RestoreReport) -> Result<(), Failure> {
        self.print(&shapes::restore(report), || text::restore(report))
    }

    pub(crate) fn plan(self, report: &PlanReport) -> Result<(), Failure> {
        self.print(&points::plan(report), || text::plan(report))
    }

    pub(crate) fn window(self, report: &WindowReport) -> Result<(), Failure> {
        let picture = self.stdout.is_terminal();
        self.print(&points::window(report), || timeline::window(report, picture))
    }

    pub(crate) fn status(self, report: &StatusReport, daemon: Option<&DaemonStatus>) -> Result<(), Failure> {
        let shape = daemon::beside(points::status(report), daemon);
        self.print(&shape, || text::status(report) + &daemon::text(daemon))
    }

    /// Where the repository cannot be asked.
    pub(crate) fn daemon_status(self, daemon: &DaemonStatus) -> Result<(), Failure> {
        let shape =
            daemon::beside(serde_json::json!({ "schema_version": shapes::SCHEMA_VERSION }), Some(daemon));
        self.print(&shape, || daemon::text(Some(daemon)))
    }

    pub(crate) fn doctor(self, report: &DoctorReport) -> Result<(), Failure> {
        self.print(&shapes::doctor(report), || text::doctor(report))
    }

    pub(crate) fn unlock(self, report: &UnlockReport) -> Result<(), Failure> {
        self.print(&shapes::unlock(report), || text::unlock(report))
    }

    pub(crate) fn sources(self, report: &SourceReport) -> Result<(), Failure> {
        self.print(&shapes::sources(report), || text::sources(report))
    }

    pub(crate) fn config(self, settings: &Settings) -> Result<(), Failure> {
        self.print(&shapes::config(settings), || text::config(settings))
    }
}
