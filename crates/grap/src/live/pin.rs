//! Pins: second names (hard links) or open descriptors for log files, so that a log file stays readable when
//! the server prunes it.
//!
//! Under `keep_none` a log file lives about a second after its rotation, so the pinner is a thread of its own
//! that looks every 50 ms, from before the checkpoint is chosen until the end of the log is fixed. Pruning
//! unlinks; it never truncates or recycles: a pinned file stays byte-identical.
//!
//! Invariants:
//! - Hard links lie in a private folder `<root>/.grap/pins/backup-*` on the logs' own mount, held under
//!   `flock` by its process. A folder whose lock is free belongs to a dead process, and the next run removes
//!   it.
//! - Where no link can be made (another uid under `protected_hardlinks`, another mount, a read-only mount)
//!   the files are held open instead.
//! - No pin is dropped before the end. Beyond the budget (bytes held back that Neo4j has deleted) the pinner
//!   fails, and with it the backup.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use grap_core::PinBudget;
use grap_disk::{self as disk, DiskError};
use grap_neo4j::files::LogFile;
use grap_task::Stop;

use super::Installation;
use super::pin_folder::{PinFolder, places};
use super::pinned::{Grip, PinMode, PinnedFile};

/// How often the pinner looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Every(Duration),
    /// Only when it is asked to ([`Pinner::look`]): for tests that count calls.
    OnDemand,
}

impl Pace {
    pub const DEFAULT: Self = Self::Every(Duration::from_millis(50));
}

#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("log files that the server has deleted hold back {held} bytes on {}; the budget is {held_max} bytes and {free_min} bytes left free ({available} are)", root.display())]
    BudgetExceeded { root: PathBuf, held: u64, held_max: u64, free_min: u64, available: u64 },
    #[error("too many log files to hold open ({count}), and hard links are not possible: {reason}")]
    TooManyDescriptors { count: usize, reason: String },
}

/// Holds the log files of every database of an installation.
#[derive(Debug)]
pub struct Pinner {
    shared: Arc<Shared>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    databases: Vec<(String, PathBuf)>,
    transactions: PathBuf,
}

#[derive(Debug)]
struct State {
    /// `None`: descriptors, for this reason.
    folder: Option<PinFolder>,
    reason: String,
    files: BTreeMap<String, Vec<Arc<PinnedFile>>>,
    failure: Option<PinError>,
}

/// Descriptors are few (1024 by default); leave most of them to the rest of the program.
const DESCRIPTORS_MAX: usize = 700;

impl Pinner {
    /// Pin what is there now, and go on at `pace`.
    pub fn start(installation: &Installation, pace: Pace) -> Result<Self, PinError> {
        let databases: Vec<_> =
            installation.databases.iter().map(|name| (name.clone(), installation.log(name))).collect();
        let (folder, reason) = match choose_folder(installation, &databases) {
            Ok(folder) => (Some(folder), String::new()),
            Err(reason) => (None, reason),
        };
        let state = State { folder, reason, files: BTreeMap::new(), failure: None };
        let transactions = installation.transactions.clone();
        let shared = Arc::new(Shared { state: Mutex::new(state), databases, transactions });
        let mut pinner = Self { shared: Arc::clone(&shared), stop: Stop::new(), thread: None };
        shared.look(&mut shared.lock())?;
        if let Pace::Every(interval) = pace {
            let stop = pinner.stop.clone();
            let thread = std::thread::Builder::new()
                .name("pinner".to_owned())
                .spawn(move || shared.watch(interval, &stop));
            pinner.thread = Some(thread.map_err(|error| DiskError {
                call: disk::Call::Open,
                path: PathBuf::from("a thread for the pinner"),
                source: error,
            })?);
        }
        Ok(pinner)
    }

    /// Look once, now. Also tells what went wrong in the thread since.
    pub fn look(&self) -> Result<(), PinError> {
        let mut state = self.shared.lock();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        self.shared.look(&mut state)
    }

    /// What went wrong in the thread since, if anything did. Cheap.
    pub fn check(&self) -> Result<(), PinError> {
        self.shared.lock().failure.take().map_or(Ok(()), Err)
    }

    /// Everything pinned for a database so far, in the order in which it was met.
    pub fn files(&self, database: &str) -> Vec<Arc<PinnedFile>> {
        self.shared.lock().files.get(database).cloned().unwrap_or_default()
    }

    pub fn mode(&self) -> PinMode {
        let state = self.shared.lock();
        match &state.folder {
            Some(folder) => PinMode::Links(folder.path().to_owned()),
            None => PinMode::Descriptors(state.reason.clone()),
        }
    }
}

impl Drop for Pinner {
    /// The thread ends, the links go. What cannot be removed here the next run removes.
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut state = self.shared.lock();
        state.files.clear();
        if let Some(folder) = state.folder.take() {
            let _ = folder.remove();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, interval: Duration, stop: &Stop) {
        let mut looks: u32 = 0;
        while !stop.wait(interval) {
            let mut state = self.lock();
            let mut outcome = self.look(&mut state);
            looks = looks.wrapping_add(1);
            // The budget is measured once a second: it costs a stat of every pin.
            if outcome.is_ok() && looks.is_multiple_of(20) {
                outcome = self.check_budget(&state);
            }
            if let Err(error) = outcome {
                state.failure.get_or_insert(error);
                return;
            }
        }
    }

    fn look(&self, state: &mut State) -> Result<(), PinError> {
        for (database, directory) in &self.databases {
            for name in disk::list(directory)?.unwrap_or_default() {
                if let Some(log_name) = LogFile::parse(&name) {
                    pin(state, database, &directory.join(&name), log_name)?;
                }
            }
        }
        Ok(())
    }

    fn check_budget(&self, state: &State) -> Result<(), PinError> {
        let mut held = 0;
        for file in state.files.values().flatten() {
            held += file.held_bytes()?;
        }
        let space = disk::space(&self.transactions)?;
        let budget = PinBudget::for_file_system(space.total);
        if budget.allows(held, space.available) {
            return Ok(());
        }
        Err(PinError::BudgetExceeded {
            root: self.transactions.clone(),
            held,
            held_max: budget.held_max,
            free_min: budget.free_min,
            available: space.available,
        })
    }
}

/// Hold one file, unless it is held already.
fn pin(state: &mut State, database: &str, path: &Path, name: LogFile) -> Result<(), PinError> {
    let Some(stat) = disk::stat(path)? else { return Ok(()) };
    let held_count: usize = state.files.values().map(Vec::len).sum();
    let files = state.files.entry(database.to_owned()).or_default();
    let known = files.iter().any(|file| (file.name, file.inode) == (name, stat.inode));
    if known {
        return Ok(());
    }
    let grip = match (&state.folder, &state.reason) {
        (Some(folder), _) => Grip::Link(folder.path()),
        (None, reason) => {
            let count = held_count + 1;
            if count > DESCRIPTORS_MAX {
                return Err(PinError::TooManyDescriptors { count, reason: reason.clone() });
            }
            Grip::Descriptor
        }
    };
    files.extend(PinnedFile::take(path, (database, name, stat.inode), grip)?.map(Arc::new));
    Ok(())
}

/// Links where a link can be made; else the reason why not.
fn choose_folder(installation: &Installation, databases: &[(String, PathBuf)]) -> Result<PinFolder, String> {
    let mut reason = String::from("another process held the folder of pins for too long");
    for pins in places(installation) {
        match try_folder(&pins, databases) {
            Ok(Some(folder)) => return Ok(folder),
            Ok(None) => {}
            Err(error) => reason = format!("{error}: {}", error.source),
        }
    }
    Err(reason)
}

/// Make our folder under `pins` (removing those of the dead) and prove that a log file of every database can
/// be linked into it.
fn try_folder(pins: &Path, databases: &[(String, PathBuf)]) -> Result<Option<PinFolder>, DiskError> {
    let Some(folder) = PinFolder::make(pins, choose_name)? else { return Ok(None) };
    if let Err(error) = folder.probe(databases) {
        let _ = folder.remove();
        return Err(error);
    }
    Ok(Some(folder))
}

/// A name that is free, once the folders of dead backups are gone.
fn choose_name(pins: &Path) -> Result<String, DiskError> {
    remove_dead_folders(pins)?;
    let mut names = (1..).map(|n: u32| format!("backup-{}-{n}", std::process::id()));
    loop {
        let candidate = names.next().expect("the names do not end");
        if disk::stat(&pins.join(&candidate))?.is_none() {
            return Ok(candidate);
        }
    }
}

/// Folders of backups whose process is gone. Those of an archiver are never touched here: they may be the
/// only copy of unshipped log.
fn remove_dead_folders(pins: &Path) -> Result<(), DiskError> {
    for name in disk::list(pins)?.unwrap_or_default() {
        if name.starts_with("backup-")
            && let Some(folder) = PinFolder::try_take(pins.join(&name))?
        {
            folder.remove()?;
        }
    }
    Ok(())
}
