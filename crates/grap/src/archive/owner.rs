//! Who may write for a source: the installation whose state directory knows the nonce of the newest start, at
//! the place that it names.
//!
//! Both are needed. A clone of the database's disk has another place (directories made anew have another
//! inode or time of birth); a copy of the state directory on another host has another place, too. What nobody
//! can tell from the original is an exact twin of both; it is noticed when both run, because the first one
//! then meets a start that it did not make.
//!
//! The nonce is written down *before* its start is put: a start whose answer was lost is known as ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grap_core::SourceName;
use grap_disk::{self as disk, DiskError, FileLock};
use grap_task::Clock;
use serde::{Deserialize, Serialize};

use super::names::RunNumber;
use super::start::StartRecord;
use super::store::{Archive, Put};
use super::write_error::WriteError;
use crate::live::Place;
use crate::random::random;

/// The nonces of the starts that this state directory made for one source. Read from the file at each question:
/// an archiver and a backup use it at the same time.
#[derive(Debug, Clone)]
pub struct Nonces {
    path: PathBuf,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    /// Of the newest start that is known to stand.
    last: Option<String>,
    /// Of those since that may stand: an answer was lost, or is still under way.
    intended: Vec<String>,
}

/// More are not remembered.
const INTENDED_MAX: usize = 16;
/// Larger files are not ours.
const SIZE_MAX: u64 = 64 << 10;
/// The file is held for the moment of a change.
const HELD_MAX: Duration = Duration::from_secs(5);
/// A takeover that others overtake so often is given up.
const TRIES: u32 = 50;

const OTHER_STATE: &str = "use the archiver's own (GRAP_STATE_DIR, and its user); --takeover only if that one is gone, for it stops there";
const ELSEWHERE: &str =
    "after a swap of the data directory say --takeover, once; a copy wants a source of its own";

/// Why a start is not this installation's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run {run} of the archive was begun {by} on host {host} at {at}: {remedy}")]
pub struct NotOurs {
    pub run: RunNumber,
    pub by: &'static str,
    pub remedy: &'static str,
    pub host: String,
    pub at: jiff::Timestamp,
}

impl Nonces {
    /// In a state directory.
    pub fn open(state: &Path, source: &SourceName) -> Self {
        Self { path: state.join(format!("archive-{source}.json")) }
    }

    /// A fresh nonce, written down as intended.
    pub fn intend(&self) -> Result<String, WriteError> {
        let nonce = hex::encode(random().map_err(WriteError::NoRandom)?);
        self.change(|known| {
            known.intended.push(nonce.clone());
            let excess = known.intended.len().saturating_sub(INTENDED_MAX);
            known.intended.drain(..excess);
        })?;
        Ok(nonce)
    }

    /// The start with this nonce stands: those intended before it are history.
    pub fn stands(&self, nonce: &str) -> Result<(), WriteError> {
        self.change(|known| {
            let place = known.intended.iter().position(|intended| intended == nonce);
            known.intended.drain(..place.map_or(0, |place| place + 1));
            known.last = Some(nonce.to_owned());
        })
    }

    /// Whether the newest start is this installation's. To be asked **after** the start was read: a nonce is
    /// written down before its start is put.
    pub fn admit(&self, run: RunNumber, start: &StartRecord, place: Place) -> Result<(), WriteError> {
        let known = self.known()?;
        let mut nonces = known.last.iter().chain(&known.intended);
        let (by, remedy) = if start.place != place {
            ("for databases in another place", ELSEWHERE)
        } else if !nonces.any(|nonce| *nonce == start.nonce) {
            ("from another state directory", OTHER_STATE)
        } else {
            return Ok(());
        };
        Err(NotOurs { run, by, remedy, host: start.host.clone(), at: start.at }.into())
    }

    fn known(&self) -> Result<Known, DiskError> {
        if disk::stat(&self.path)?.is_none() {
            return Ok(Known::default());
        }
        let bytes = disk::read(&self.path, SIZE_MAX)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| DiskError::reading(&self.path, std::io::Error::other(error)))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) -> Result<(), WriteError> {
        let lock = FileLock::wait_exclusive(&self.path.with_extension("lock"), HELD_MAX)?;
        let _lock = lock.ok_or_else(|| WriteError::NoncesHeld { path: self.path.clone() })?;
        let mut known = self.known()?;
        change(&mut known);
        let bytes = serde_json::to_vec(&known).expect("nonces are plain data");
        Ok(disk::replace(&self.path, &[&bytes])?)
    }
}

/// What a backup asks, and an archiver: may this installation write for the source?
pub struct Ownership<'a> {
    pub archive: &'a Archive,
    pub nonces: Nonces,
    pub place: Place,
    pub host: &'a str,
    pub clock: &'a Clock,
}

impl Ownership<'_> {
    /// The newest start, which is ours; `None` where there is none yet.
    pub fn prove(&self) -> Result<Option<RunNumber>, WriteError> {
        let Some(newest) = self.archive.newest()? else { return Ok(None) };
        let unreadable = |why: String| WriteError::StartUnreadable { run: newest, why };
        match self.archive.start(newest) {
            Ok(Some(start)) => self.nonces.admit(newest, &start, self.place)?,
            Ok(None) => return Err(unreadable("it is missing".to_owned())),
            Err(error) if error.is_damage() => return Err(unreadable(error.to_string())),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(newest))
    }

    /// As `prove`; where another writes, put a start that covers no database and says so. The other archiver
    /// stops at its next round, and whatever begins next begins a new timeline.
    pub fn take_over(&self) -> Result<Option<RunNumber>, WriteError> {
        for _ in 0..TRIES {
            match self.prove() {
                Err(WriteError::NotOurs(_) | WriteError::StartUnreadable { .. }) => {}
                other => return other,
            }
            let nonce = self.nonces.intend()?;
            let server_run = String::new();
            let start = StartRecord::new(
                (&nonce, self.place, self.host, self.clock),
                (server_run, true, std::collections::BTreeMap::new()),
            );
            let number = self.archive.newest()?.map_or(RunNumber::FIRST, RunNumber::next);
            if self.archive.put_start(number, &start)? == Put::Stored {
                self.nonces.stands(&nonce)?;
                return Ok(Some(number));
            }
        }
        Err(WriteError::Contended { tries: TRIES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(nonce: &str, inode: u64) -> StartRecord {
        StartRecord {
            version: StartRecord::VERSION,
            nonce: nonce.to_owned(),
            place: Place { inode, born: Some(1) },
            host: "host".to_owned(),
            server_run: String::new(),
            at: jiff::Timestamp::UNIX_EPOCH,
            since_boot_ms: 0,
            takeover: false,
            databases: std::collections::BTreeMap::new(),
        }
    }

    /// A backup that goes on while an archiver begins runs, and the other way round.
    #[test]
    fn what_another_process_of_the_state_directory_began_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let source: SourceName = "neo4j".parse().unwrap();
        let (backup, archiver) = (Nonces::open(folder.path(), &source), Nonces::open(folder.path(), &source));
        let place = Place { inode: 7, born: Some(1) };
        for process in [&archiver, &backup, &archiver] {
            let nonce = process.intend().unwrap();
            process.stands(&nonce).unwrap();
            for asking in [&backup, &archiver] {
                asking.admit(RunNumber(1), &start(&nonce, 7), place).unwrap();
            }
        }
    }

    #[test]
    fn a_start_is_ours_by_nonce_and_place_also_when_its_answer_was_lost() {
        let folder = tempfile::tempdir().unwrap();
        let source: SourceName = "neo4j".parse().unwrap();
        let open = || Nonces::open(folder.path(), &source);
        let place = Place { inode: 7, born: Some(1) };
        let first = open().intend().unwrap();
        let admit = |start: &StartRecord| open().admit(RunNumber(1), start, place);
        admit(&start(&first, 7)).unwrap();
        assert!(admit(&start(&first, 8)).is_err(), "another place");
        assert!(admit(&start("other", 7)).is_err(), "another state directory");
        // The answer was lost, the process died, the next one intends another: the first may still be the newest.
        let second = open().intend().unwrap();
        admit(&start(&first, 7)).unwrap();
        admit(&start(&second, 7)).unwrap();
        open().stands(&second).unwrap();
        assert!(admit(&start(&first, 7)).is_err(), "an older one is not the newest start");
    }
}
