//! What the pins may keep, and what is told when they may not keep more.
//!
//! What counts is what the server has deleted and we hold: a held file that its live directory does not show,
//! once, in however many folders it is linked. (The number of links says nothing: a file may be in several
//! folders of ours, of other archivers, of backups.)
//!
//! Beyond the budget the oldest files are kept and new ones are not pinned: the oldest lengthen what can be
//! restored without a hole, the newest alone do not.

use std::collections::HashSet;
use std::time::Duration;

use grap_core::PinBudget;
use grap_disk as disk;
use grap_neo4j::files::LogFile;
use grap_neo4j::ids::LogVersion;
use jiff::Timestamp;

use super::state::State;
use super::{FollowError, Shared};
use crate::live::Pace;

/// Measuring costs a stat of every pin.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// What only the pins keep, against what they may. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldBack {
    pub bytes: u64,
    /// Free on the file system of the logs.
    pub available: u64,
    /// `None`: not measured yet.
    pub budget: Option<PinBudget>,
}

impl HeldBack {
    /// Whether new files are pinned.
    pub fn allows(&self) -> bool {
        self.budget.is_none_or(|budget| budget.allows(self.bytes, self.available))
    }
}

/// A log file was not pinned: unless it is read in time, the archive has a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinGap {
    pub database: String,
    /// The first one.
    pub version: LogVersion,
    pub since: Timestamp,
    /// As it was measured when the first file was not pinned.
    pub held_back: HeldBack,
}

impl Shared {
    pub(super) fn measure(
        &self,
        state: &mut State,
        live: &HashSet<(&str, LogFile, u64)>,
    ) -> Result<(), FollowError> {
        let now = self.clock.since_boot();
        let is_due = state.measured.is_none_or(|last| now.saturating_sub(last) >= MEASURE_INTERVAL);
        if !is_due && self.pace != Pace::OnDemand {
            return Ok(());
        }
        let mut counted = HashSet::new();
        let mut bytes: u64 = 0;
        for (database, file) in state.held() {
            if live.contains(&(database, file.name, file.inode)) {
                continue;
            }
            if let Some(stat) = file.stat()?
                && counted.insert((stat.device, stat.inode))
            {
                bytes = bytes.saturating_add(stat.allocated);
            }
        }
        let space = disk::space(&self.transactions)?;
        let budget = self.budget.unwrap_or_else(|| PinBudget::for_file_system(space.total));
        state.held_back = super::HeldBack { bytes, available: space.available, budget: Some(budget) };
        state.measured = Some(now);
        Ok(())
    }

    pub(super) fn note_gap(&self, state: &mut State, database: &str, version: LogVersion) {
        let held_back = state.held_back;
        state.gap.get_or_insert_with(|| PinGap {
            database: database.to_owned(),
            version,
            since: self.clock.now(),
            held_back,
        });
    }
}
