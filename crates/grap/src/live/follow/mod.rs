//! The source side of the archiver: it holds the transaction log files of every database of an installation,
//! and knows during which run of the server each of them lay there.
//!
//! An archiver's pins may be the only copy of unshipped log, so they outlive it. They lie in folders, one for
//! each run of the server and process of the archiver (`docs/format/pins.md`); the next archiver *adopts*
//! those of the dead. Two log files belong to one history only if both lay in the source during one run of
//! the server: a crash makes the server give up a file and write another of the same name.
//!
//! Invariants:
//! - A file is shown under a run only if that run held the installation before the file was seen and after it
//!   was linked. A file for which that cannot be said is *in doubt*: it is held, and goes over to the newer
//!   run, linked there before it is removed here. No file is without a link in between.
//! - Folders of an equal [`RunIdentity`] are one history, others never.
//! - A folder whose process lives is not touched.
//! - Only [`Follower::stored_below`] and [`Follower::drop_run`] give up what was not held twice. The two
//!   newest files of the present run stay, also when the follower is dropped: they hold the tail while no
//!   archiver runs.
//! - Beyond the budget nothing new is pinned and nothing held is given up. What is not held is told
//!   ([`Follower::gap`]). Neither that nor an error of the disk ends the thread.
//!
//! Links are not synced: a journal that keeps the order of names (every local file system that Neo4j supports)
//! has a link before the server's removal of the same file.

mod adopt;
mod budget;
mod error;
mod folder;
mod links;
mod look;
mod record;
mod run;
mod state;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test plays the server")]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use grap_core::PinBudget;
use grap_disk::{self as disk, DiskError};
use grap_neo4j::ids::LogVersion;
use grap_task::{Clock, Stop};
use jiff::Timestamp;

use super::pin::Pace;
use super::pinned::{Grip, PinMode, PinnedFile};
use super::{Installation, pin_folder};
pub use adopt::{LeftFolder, LeftReason};
pub use budget::{HeldBack, PinGap};
pub use error::FollowError;
pub(crate) use links::held_before;
pub use run::{ManualRun, Place, RunIdentity, RunProbe};
use state::State;

/// How a [`Follower`] works. The default is for everyday use; the rest is for tests.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    pub probe: RunProbe,
    pub pace: Pace,
    pub clock: Clock,
    /// `None`: by the size of the file system.
    pub budget: Option<PinBudget>,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self { probe: RunProbe::System, pace: Pace::DEFAULT, clock: Clock::System, budget: None }
    }
}

/// Holds the transaction log files of an installation, run by run of the server.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// What is held of one run of the server, in whichever folders.
#[derive(Debug, Clone)]
pub struct HeldRun {
    pub identity: RunIdentity,
    /// Whether this is the run that was there at the last look.
    pub present: bool,
    /// When the first file of it was pinned.
    pub since: Timestamp,
    files: BTreeMap<String, Vec<Arc<PinnedFile>>>,
}

impl HeldRun {
    /// Sorted by version, then in the order of pinning. One version may be there with two inodes, if the server
    /// made a file anew and it could not be seen that another run of it did.
    pub fn files(&self, database: &str) -> Vec<Arc<PinnedFile>> {
        self.files.get(database).cloned().unwrap_or_default()
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    probe: run::Probe,
    clock: Clock,
    budget: Option<PinBudget>,
    pace: Pace,
    /// Name and directory of the logs.
    databases: Vec<(String, PathBuf)>,
    /// Where folders of pins may lie.
    places: [PathBuf; 2],
    transactions: PathBuf,
    /// `<data>/databases`
    stores: PathBuf,
}

impl Follower {
    /// Pin what is there now, and go on at the pace of `options`. Nothing slow happens before the first pin.
    pub fn start(installation: &Installation, options: &FollowOptions) -> Result<Self, FollowError> {
        let probe = run::Probe::new(installation, &options.probe)?;
        let databases: Vec<_> =
            installation.databases.iter().map(|name| (name.clone(), installation.log(name))).collect();
        let places = pin_folder::places(installation);
        let (present, ground) = folder::first_folder(&places, &databases, probe.ask()?, options.clock.now());
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(present, ground)),
            probe,
            clock: options.clock.clone(),
            budget: options.budget,
            pace: options.pace,
            databases,
            places,
            transactions: installation.transactions.clone(),
            stores: installation.data.join("databases"),
        });
        let mut follower = Self { shared: Arc::clone(&shared), stop: Stop::new(), thread: None };
        let to_settle = {
            let mut state = shared.lock();
            let made = state.present.path().map(|path| (path.to_owned(), state.present.record.clone()));
            shared.look(&mut state)?;
            made
        };
        if let Pace::Every(interval) = options.pace {
            let stop = follower.stop.clone();
            let thread = std::thread::Builder::new()
                .name("follower".to_owned())
                .spawn(move || shared.watch(interval, &stop));
            follower.thread = Some(thread.map_err(|error| DiskError {
                call: disk::Call::Open,
                path: PathBuf::from("a thread for the follower"),
                source: error,
            })?);
        }
        // The links came first: a log file may live for a second only, and a busy disk takes that long to sync.
        if let Some((path, record)) = to_settle {
            match folder::settle(&path, &record) {
                // Another run of the server is there already, and the folder was given up.
                Err(error) if error.is_not_found() => {}
                settled => settled?,
            }
        }
        Ok(follower)
    }

    /// Look once, now: everything that is in the live directories when this is called is held when it returns
    /// well, but for what is stored and what the budget does not allow ([`Follower::gap`]). Fails also with
    /// what went wrong in the thread since; the look is made all the same.
    pub fn look(&self) -> Result<(), FollowError> {
        let mut state = self.shared.lock();
        let earlier = state.failure.take();
        self.shared.look(&mut state)?;
        earlier.map_or(Ok(()), Err)
    }

    /// Look, and hold again what is there still and was given up because it was stored: who begins anew must see
    /// all of the log.
    pub fn look_anew(&self) -> Result<(), FollowError> {
        self.shared.lock().stored.clear();
        self.look()
    }

    /// What is held: our own folders and the adopted ones. Oldest first, the present run last.
    pub fn runs(&self) -> Vec<HeldRun> {
        self.shared.lock().runs()
    }

    /// Note `owner` (which archive these pins are for) in our folders, and adopt the folders of dead archivers
    /// that have the same owner or none. Says how many were adopted. May be called again at any time.
    pub fn claim(&self, owner: &str) -> Result<usize, FollowError> {
        self.shared.claim(owner)
    }

    /// The folders of archivers that the last claim left alone, and why.
    pub fn left(&self) -> Vec<LeftFolder> {
        self.shared.lock().left.clone()
    }

    /// A fresh listing of the live log files of a database: version and inode, by version.
    pub fn live(&self, database: &str) -> Result<Vec<(LogVersion, u64)>, FollowError> {
        let known = self.shared.databases.iter().find(|(name, _)| name == database);
        let (_, directory) =
            known.ok_or_else(|| FollowError::UnknownDatabase { database: database.to_owned() })?;
        let files = look::list_logs(directory)?;
        Ok(files.into_iter().map(|file| (file.name.version(), file.inode)).collect())
    }

    /// The newest live log file, held open by the caller alone: where the budget allows no pin, the archiver can go
    /// on from it all the same, and make room.
    pub fn open_newest(&self, database: &str) -> Result<Option<Arc<PinnedFile>>, FollowError> {
        let known = self.shared.databases.iter().find(|(name, _)| name == database);
        let (_, directory) =
            known.ok_or_else(|| FollowError::UnknownDatabase { database: database.to_owned() })?;
        let Some(newest) = look::list_logs(directory)?.pop() else { return Ok(None) };
        let taken = PinnedFile::take(&newest.path, (database, newest.name, newest.inode), Grip::Descriptor)?;
        Ok(taken.map(Arc::new))
    }

    /// The run of the server that is there now, asked of the system.
    pub fn present_run(&self) -> Result<RunIdentity, FollowError> {
        self.shared.probe.ask()
    }

    pub fn place(&self) -> Result<Place, FollowError> {
        Place::of(&self.shared.stores)
    }

    /// Everything of the files of `run` below `version` is stored: their pins go, but for those of the two
    /// newest versions, held or live. If another run is present by now, nothing goes.
    pub fn stored_below(
        &self,
        run: &RunIdentity,
        database: &str,
        version: LogVersion,
    ) -> Result<(), FollowError> {
        let live: Vec<LogVersion> = self.live(database)?.into_iter().map(|(version, _)| version).collect();
        self.shared.lock().give_up_below(run, (database, version), &live);
        self.shared.sweep()
    }

    /// Everything of an earlier run is stored: all its folders go.
    pub fn drop_run(&self, run: &RunIdentity) -> Result<(), FollowError> {
        self.shared.lock().give_up_run(run)?;
        self.shared.sweep()
    }

    /// What only our pins keep, as last measured (once a second; without a pace, at each look).
    pub fn held_back(&self) -> HeldBack {
        self.shared.lock().held_back
    }

    /// The first file that was not pinned because the budget did not allow it. Stays until
    /// [`Follower::clear_gap`].
    pub fn gap(&self) -> Option<PinGap> {
        self.shared.lock().gap.clone()
    }

    pub fn clear_gap(&self) {
        self.shared.lock().gap = None;
    }

    pub fn mode(&self) -> PinMode {
        self.shared.lock().mode()
    }
}

impl Drop for Follower {
    /// The thread ends and the locks go; the links stay.
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, interval: Duration, stop: &Stop) {
        while !stop.wait(interval) {
            let mut state = self.lock();
            if let Err(error) = self.look(&mut state) {
                state.failure.get_or_insert(error);
            }
        }
    }

    /// Remove the links that were given up, then the folders that are empty. The state is locked only from
    /// link to link: the thread must not miss a log file because large ones are being removed.
    fn sweep(&self) -> Result<(), FollowError> {
        loop {
            let Some(link) = self.lock().leaving.pop() else { break };
            if let Err(error) = disk::remove_file(&link) {
                self.lock().leaving.push(link);
                return Err(error.into());
            }
        }
        self.lock().remove_empty_folders()
    }
}
