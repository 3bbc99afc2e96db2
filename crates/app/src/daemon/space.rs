//! Room on the file system of a local repository: told before backups are refused for want of it.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use grap::Code;
use grap_core::is_scarce;
use grap_disk as disk;
use grap_task::Stop;

use super::Daemon;
use super::alarms::SPACE;
use super::job::RunEnd;
use super::status::SpaceView;
use crate::failure::Failure;

/// Between two looks.
const INTERVAL: Duration = Duration::from_mins(1);

impl Daemon {
    pub(super) fn measure_space(&self, stop: &Stop) -> RunEnd {
        loop {
            self.look_at_space();
            // Another thing that only time changes.
            self.judge_drills();
            if self.clock.wait(INTERVAL, stop) {
                return RunEnd::Done;
            }
        }
    }

    /// A file system that hangs holds up nobody but who looks.
    fn look_at_space(&self) {
        let space = self.local_repository().and_then(|directory| disk::space(&directory).ok());
        let view = space.map(|space| SpaceView { available: space.available, total: space.total });
        *self.space.lock().unwrap_or_else(PoisonError::into_inner) = view;
        self.judge_space(view);
    }

    /// Where something failed for want of room the alert about it does not wait for the next look.
    pub(super) fn heed_space(&self, failure: &Failure) {
        if failure.code() == Code::NoSpace {
            self.look_at_space();
        }
    }

    fn local_repository(&self) -> Option<PathBuf> {
        let settings = self.settings();
        let repository = settings.text("repository")?;
        (!grap_remote::is_url(repository)).then(|| PathBuf::from(repository))
    }

    fn judge_space(&self, space: Option<SpaceView>) {
        let Some(SpaceView { available, total }) = space else { return };
        if is_scarce(available, total) {
            let percent = available.saturating_mul(100) / total.max(1);
            let text = format!(
                "{percent} % of the file system of the repository is free, {} MiB: make room, or shorten the retention",
                available >> 20
            );
            self.alerts.raise(SPACE, grap_core::AlertLevel::Warning, &text);
        } else {
            self.alerts.clear(SPACE);
        }
    }
}
