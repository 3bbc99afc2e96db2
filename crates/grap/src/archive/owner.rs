//! Who may write for a source: the installation whose state directory knows the nonce of the newest start, at
//! the place that it names.
//!
//! Both are needed. A clone of the database's disk has another place (directories made anew have another
//! inode or time of birth); a copy of the state directory on another host has another place, too. What nobody
//! can tell from the original is an exact twin of both; it is noticed when both run, because the first one
//! then meets a start that it did not make.
//!
//! The nonce is written down *before* its start is put: a start whose answer was lost is known as ours.

use std::path::PathBuf;

use grap_core::SourceName;
use grap_disk::{self as disk, DiskError};
use grap_task::Clock;
use serde::{Deserialize, Serialize};

use super::names::RunNumber;
use super::start::StartRecord;
use super::store::{Archive, Put};
use super::write_error::WriteError;
use crate::live::Place;

/// The nonces of the starts that this state directory made for one source.
#[derive(Debug, Clone)]
pub struct Nonces {
    path: PathBuf,
    known: Known,
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

/// Larger ones are not ours.
const SIZE_MAX: u64 = 64 << 10;

/// Why a start is not this installation's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run {run} of the archive was begun {by} on host {host} at {at}")]
pub struct NotOurs {
    pub run: RunNumber,
    pub by: &'static str,
    pub host: String,
    pub at: jiff::Timestamp,
}

impl Nonces {
    pub fn open(state: &std::path::Path, source: &SourceName) -> Result<Self, DiskError> {
        let path = state.join(format!("archive-{source}.json"));
        let mut known = Known::default();
        if disk::stat(&path)?.is_some() {
            let bytes = disk::read(&path, SIZE_MAX)?;
            let malformed = |error| DiskError::reading(&path, std::io::Error::other(error));
            known = serde_json::from_slice(&bytes).map_err(malformed)?;
        }
        Ok(Self { path, known })
    }

    /// A fresh nonce, written down as intended.
    pub fn intend(&mut self) -> Result<String, DiskError> {
        let nonce = random()?;
        self.known.intended.push(nonce.clone());
        let excess = self.known.intended.len().saturating_sub(INTENDED_MAX);
        self.known.intended.drain(..excess);
        self.save()?;
        Ok(nonce)
    }

    /// The start with this nonce stands: those before it are history.
    pub fn stands(&mut self, nonce: &str) -> Result<(), DiskError> {
        self.known = Known { last: Some(nonce.to_owned()), intended: Vec::new() };
        self.save()
    }

    /// Whether the newest start is this installation's.
    pub fn admit(&self, run: RunNumber, start: &StartRecord, place: Place) -> Result<(), NotOurs> {
        let mut known = self.known.last.iter().chain(&self.known.intended);
        let by = if !known.any(|nonce| *nonce == start.nonce) {
            "by another state directory"
        } else if start.place != place {
            "for a database in another place"
        } else {
            return Ok(());
        };
        Err(NotOurs { run, by, host: start.host.clone(), at: start.at })
    }

    fn save(&self) -> Result<(), DiskError> {
        let bytes = serde_json::to_vec(&self.known).expect("nonces are plain data");
        disk::replace(&self.path, &[&bytes])
    }
}

fn random() -> Result<String, DiskError> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(|error| {
        DiskError::reading(std::path::Path::new("the system's random numbers"), error.into())
    })?;
    Ok(hex::encode(bytes))
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
    pub fn take_over(&mut self) -> Result<Option<RunNumber>, WriteError> {
        loop {
            match self.prove() {
                Err(WriteError::NotOurs(_) | WriteError::StartUnreadable { .. }) => {}
                other => return other,
            }
            let nonce = self.nonces.intend()?;
            let since_boot = self.clock.since_boot().as_millis();
            let start = StartRecord {
                version: StartRecord::VERSION,
                nonce: nonce.clone(),
                place: self.place,
                host: self.host.to_owned(),
                server_run: String::new(),
                at: self.clock.now(),
                since_boot_ms: u64::try_from(since_boot).unwrap_or(u64::MAX),
                takeover: true,
                databases: std::collections::BTreeMap::new(),
            };
            let number = self.archive.newest()?.map_or(RunNumber::FIRST, RunNumber::next);
            if self.archive.put_start(number, &start)? == Put::Stored {
                self.nonces.stands(&nonce)?;
                return Ok(Some(number));
            }
        }
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

    #[test]
    fn a_start_is_ours_by_nonce_and_place_also_when_its_answer_was_lost() {
        let folder = tempfile::tempdir().unwrap();
        let source: SourceName = "neo4j".parse().unwrap();
        let open = || Nonces::open(folder.path(), &source).unwrap();
        let place = Place { inode: 7, born: Some(1) };
        let first = open().intend().unwrap();
        let admit = |start: &StartRecord| open().admit(RunNumber(1), start, place);
        assert_eq!(admit(&start(&first, 7)), Ok(()));
        assert!(admit(&start(&first, 8)).is_err(), "another place");
        assert!(admit(&start("other", 7)).is_err(), "another state directory");
        // The answer was lost, the process died, the next one intends another: the first may still be the newest.
        let second = open().intend().unwrap();
        assert_eq!(admit(&start(&first, 7)), Ok(()));
        assert_eq!(admit(&start(&second, 7)), Ok(()));
        open().stands(&second).unwrap();
        assert!(admit(&start(&first, 7)).is_err(), "an older one is not the newest start");
    }
}
