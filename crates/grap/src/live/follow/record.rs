//! The small files that say what a folder of an archiver holds: `run` and `owner` (`docs/format/pins.md`).
//!
//! `run` is there before the first link: a folder with links and without it belongs to no history that is known,
//! and is mixed with none. It is durable before it is relied on; at the start of an archiver the links come
//! first, because a log file may live for a second only and a busy disk takes that long to sync. (A killed
//! process loses nothing by that; a machine that loses power in that second leaves a folder that is kept and
//! told.)

use std::path::Path;

use grap_disk::{self as disk, DiskError, Sink};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RunIdentity;

pub(super) const RUN: &str = "run";
pub(super) const OWNER: &str = "owner";
/// Of both, bytes; they have some hundred.
const SIZE_MAX: u64 = 64 << 10;
const VERSION: u32 = 1;

/// What `run` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    version: u32,
    /// Folders of one place are numbered in the order of their making: clocks step.
    pub(super) number: u64,
    /// For people.
    pub(super) made: Timestamp,
    pub(super) identity: RunIdentity,
}

/// How a `run` was found.
pub(super) enum FoundRun {
    Readable(RunRecord),
    /// And why.
    Unreadable(String),
    Missing,
}

impl RunRecord {
    pub(super) fn new(number: u64, made: Timestamp, identity: RunIdentity) -> Self {
        Self { version: VERSION, number, made, identity }
    }

    /// In place at once, and not yet durable.
    pub(super) fn place(&self, folder: &Path) -> Result<(), DiskError> {
        let new = folder.join("tmp-run");
        let mut sink = Sink::create_private(&new)?;
        sink.write_all(&self.bytes())?;
        disk::rename(&new, &folder.join(RUN))
    }

    /// Durably, in place of what [`RunRecord::place`] put there.
    pub(super) fn write(&self, folder: &Path) -> Result<(), DiskError> {
        disk::replace(&folder.join(RUN), &[&self.bytes()])
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("plain data with names as keys is JSON");
        text.push(b'\n');
        text
    }

    pub(super) fn read(folder: &Path) -> FoundRun {
        let bytes = match disk::read(&folder.join(RUN), SIZE_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return FoundRun::Missing,
            Err(error) => return FoundRun::Unreadable(format!("{error}: {}", error.source)),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(record) if record.version == VERSION => FoundRun::Readable(record),
            Ok(record) => FoundRun::Unreadable(format!("it has version {}", record.version)),
            Err(error) => FoundRun::Unreadable(error.to_string()),
        }
    }
}

pub(super) fn write_owner(folder: &Path, owner: &str) -> Result<(), DiskError> {
    disk::replace(&folder.join(OWNER), &[owner.as_bytes()])
}

/// `None` where none was noted.
pub(super) fn read_owner(folder: &Path) -> Result<Option<String>, DiskError> {
    match disk::read(&folder.join(OWNER), SIZE_MAX) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test looks at the disk past the code under test")]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_frozen() {
        let frozen = include_str!("../../../../../testdata/pins/run");
        let record: RunRecord = serde_json::from_str(frozen).unwrap();
        let folder = tempfile::tempdir().unwrap();
        record.write(folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(RUN)).unwrap(), frozen);
        assert!(matches!(RunRecord::read(folder.path()), FoundRun::Readable(read) if read == record));
    }

    #[test]
    fn another_version_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(RunRecord::read(folder.path()), FoundRun::Missing));
        let frozen = include_str!("../../../../../testdata/pins/run");
        let newer = frozen.replace("\"version\":1", "\"version\":2");
        std::fs::write(folder.path().join(RUN), newer).unwrap();
        assert!(matches!(RunRecord::read(folder.path()), FoundRun::Unreadable(_)));
    }
}
