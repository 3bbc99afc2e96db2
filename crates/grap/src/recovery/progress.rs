//! How far a recovery is, for whoever asks in another process: a small file, `recovery.progress` (`drill.progress`) in the
//! state directory, written again as long as somebody performs orders.
//!
//! It is no evidence: where it is missing, or of another recovery, the orders that are done say how far it is.

use std::path::PathBuf;
use std::time::Duration;

use grap_core::recovery::RecoveryId;
use grap_disk as disk;
use grap_task::{Clock, Stop};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Gauge, Lane};
use crate::error::{Error, Result};
use crate::state::StateDirectory;
use crate::substop::RequestOnDrop;

const EVERY: Duration = Duration::from_secs(1);
const SIZE_MAX: u64 = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub recovery: RecoveryId,
    pub percent: u8,
    /// How long it may take from `at` on, where that can be said.
    pub remaining_s: Option<u64>,
    pub at: Timestamp,
}

impl Progress {
    /// What was last written of this recovery.
    pub fn read(directory: &StateDirectory, lane: Lane, of: &RecoveryId) -> Option<Self> {
        let text = disk::read(&path(directory, lane), SIZE_MAX).ok()?;
        serde_json::from_slice::<Self>(&text).ok().filter(|progress| progress.recovery == *of)
    }
}

/// Act, and write meanwhile what the gauge shows. The file is gone afterwards.
pub fn publishing<T>(
    (directory, lane): (&StateDirectory, Lane),
    id: &RecoveryId,
    gauge: &Gauge,
    clock: &Clock,
    act: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (path, done) = (path(directory, lane), Stop::new());
    let write = || {
        let mut written = None;
        loop {
            let reading = gauge.read(clock);
            if let Some(reading) = reading.filter(|reading| Some(reading.percent) != written) {
                let remaining_s = reading.remaining.map(|remaining| remaining.as_secs());
                let (recovery, at) = (id.clone(), clock.now());
                let progress = Progress { recovery, percent: reading.percent, remaining_s, at };
                let text = serde_json::to_vec(&progress).unwrap_or_default();
                // Who asks is told by the orders that are done, then.
                let _ = disk::replace(&path, &[&text]);
                written = Some(reading.percent);
            }
            if done.wait(EVERY) {
                break;
            }
        }
        let _ = disk::remove_file(&path);
    };
    std::thread::scope(|scope| {
        let _done = RequestOnDrop(&done);
        let writer = std::thread::Builder::new().name("recovery progress".to_owned());
        writer.spawn_scoped(scope, write).map_err(Error::Thread)?;
        act()
    })
}

fn path(directory: &StateDirectory, lane: Lane) -> PathBuf {
    directory.root().join(format!("{}.progress", lane.name()))
}
