//! A stopped installation, a repository, a state directory; and runs on them in this process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grap::live::{InstallationOptions, Pace};
use grap::ops::{
    self, Access, BackupOptions, BackupReport, RestoreOptions, RestoreReport, Session, VerifyOptions,
};
use grap::state::StateDirectory;
use grap::{Error, Result};
use grap_disk::faults::{self, Fault, Mode, Step};
use grap_repository::{KdfCost, LockHolder, WriterOptions};
use grap_task::{Clock, ManualClock, Silent, Stop};
use grap_testkit::{store_fixture, tree};
use secrecy::SecretString;

/// The fault plan is one for the process: worlds take turns.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) fn turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    faults::clear();
    turn
}

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    clock: Clock,
    holder: LockHolder,
    _turn: MutexGuard<'static, ()>,
}

/// Wait for the turn of this test.
/// Errno values that a fault may give.
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;

impl World {
    /// Two fixture stores as `neo4j` and `system`, and an empty repository.
    pub(crate) fn new() -> Self {
        let turn = turn();
        let folder = scratch();
        let data = folder.path().join("data");
        store_fixture("5.26.30", &data).unwrap();
        let other = folder.path().join("other");
        store_fixture("5.13.0", &other).unwrap();
        for side in ["databases", "transactions"] {
            std::fs::rename(other.join(side).join("neo4j"), data.join(side).join("system")).unwrap();
        }
        let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
        let clock = Clock::Manual(ManualClock::at("2026-11-25T02:00:00Z".parse().unwrap()));
        let world = Self { folder, clock, holder, _turn: turn };
        let state = world.state().unwrap();
        ops::init(world.access(), "neo4j".parse().unwrap(), KdfCost::cheapest(), &state, &world.session())
            .unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn access(&self) -> Access {
        Access::local(self.path("repository"), SecretString::from("secret"))
    }

    fn session(&self) -> Session<'_> {
        Session {
            clock: &self.clock,
            stop: stop(),
            monitor: &Silent,
            holder: &self.holder,
            program: "grap test",
        }
    }

    fn state(&self) -> Result<StateDirectory> {
        StateDirectory::open(&self.path("state")).map_err(Error::from)
    }

    /// A later second, so that the next backup has an id of its own.
    pub(crate) fn tick(&self) {
        if let Clock::Manual(clock) = &self.clock {
            clock.advance(std::time::Duration::from_secs(1));
        }
    }

    pub(crate) fn backup(&self) -> Result<BackupReport> {
        let options = BackupOptions {
            installation: InstallationOptions::Data {
                data: self.path("data"),
                transactions: None,
                database: None,
            },
            source: None,
            tags: Vec::new(),
            note: None,
            read_limit: None,
            niceness: 0,
            writer: WriterOptions { workers: 1, pack_size: 64 << 10, ..WriterOptions::default() },
            pace: Pace::OnDemand,
            takeover: false,
            settings: None,
        };
        ops::backup(&options, self.access(), &self.state()?, &self.session())
    }

    pub(crate) fn restore(&self, to: &str) -> Result<RestoreReport> {
        let options = RestoreOptions {
            target: "latest".parse().unwrap(),
            source: None,
            timeline: None,
            to: self.path(to),
            databases: Vec::new(),
            owner: None,
            keep_going: false,
            no_lock: false,
        };
        ops::restore(&options, self.access(), &self.state()?, &self.session())
    }

    /// Everything in the repository, read whole.
    pub(crate) fn verify(&self) -> Vec<String> {
        let options = VerifyOptions { backup: None, source: None, read_data_percent: Some(100) };
        ops::verify(&options, self.access(), &self.session()).unwrap().problems
    }

    pub(crate) fn backups(&self) -> Vec<String> {
        let report = ops::list(self.access(), None, &self.state().unwrap(), &self.session()).unwrap();
        let complete = report.rows.iter().filter(|row| row.manifest.is_some());
        complete.map(|row| row.id.clone()).collect()
    }

    /// Neo4j's directories hold nothing of ours: no pin, no folder of a backup.
    pub(crate) fn pins(&self) -> Vec<String> {
        let pins = self.path("data/.grap/pins");
        let names = grap_disk::list(&pins).unwrap().unwrap_or_default();
        names.into_iter().filter(|name| name != "gate").collect()
    }

    /// Save and bring back everything but the clock.
    pub(crate) fn save(&self) -> Saved {
        let saved = scratch();
        for name in PARTS {
            if self.path(name).exists() {
                tree::copy(&self.path(name), &saved.path().join(name)).unwrap();
            }
        }
        Saved(saved)
    }

    pub(crate) fn bring_back(&self, saved: &Saved) {
        for name in PARTS {
            let _ = std::fs::remove_dir_all(self.path(name));
            if saved.0.path().join(name).exists() {
                tree::copy(&saved.0.path().join(name), &self.path(name)).unwrap();
            }
        }
        let _ = std::fs::remove_dir_all(self.path("data/.grap"));
    }
}

const PARTS: [&str; 2] = ["repository", "state"];

pub(crate) struct Saved(tempfile::TempDir);

/// In memory where there is such a place: thousands of runs sync hundreds of times each, and here nothing
/// loses power.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Nobody asks these runs to stop.
fn stop() -> &'static Stop {
    static STOP: std::sync::OnceLock<Stop> = std::sync::OnceLock::new();
    STOP.get_or_init(Stop::new)
}

/// The local calls of a run.
pub(crate) fn calls(run: impl FnOnce()) -> Vec<Step> {
    faults::record();
    run();
    faults::clear()
}

/// Run with call `at` of those that `only` chooses struck; says whether it was.
pub(crate) fn struck<T>(at: usize, mode: Mode, run: impl FnOnce() -> T) -> (T, bool) {
    faults::inject(Fault { at, mode, only: |_, _| true });
    let result = run();
    let hit = faults::hits() > 0;
    faults::clear();
    (result, hit)
}

/// Every file of a store is there, and a log: byte for byte what the source holds, the log up to where it was
/// cut. (A clean store: nothing is left out.)
pub(crate) fn same_stores(data: &Path, restored: &Path) {
    for database in ["neo4j", "system"] {
        let (before, after) =
            (data.join("databases").join(database), restored.join("databases").join(database));
        assert_eq!(names(&before), names(&after));
        let logs = restored.join("transactions").join(database);
        let kept = names(&logs);
        assert!(kept.iter().any(|name| name.contains("transaction.db")), "{kept:?}");
        assert!(kept.iter().any(|name| name.contains("checkpoint")), "{kept:?}");
        for name in kept {
            let whole = std::fs::read(data.join("transactions").join(database).join(&name)).unwrap();
            assert!(whole.starts_with(&std::fs::read(logs.join(&name)).unwrap()), "{name} differs");
        }
        for entry in grap_disk::walk(&after).unwrap() {
            if entry.stat.kind == grap_disk::Kind::File {
                let relative = entry.path.strip_prefix(&after).unwrap();
                let (expected, found) =
                    (std::fs::read(before.join(relative)).unwrap(), std::fs::read(&entry.path).unwrap());
                assert!(expected == found, "{} differs", entry.path.display());
            }
        }
    }
}

/// The files below a directory, by their paths in it.
fn names(root: &Path) -> Vec<String> {
    let files =
        grap_disk::walk(root).unwrap().into_iter().filter(|entry| entry.stat.kind == grap_disk::Kind::File);
    files.map(|entry| entry.path.strip_prefix(root).unwrap().to_string_lossy().into_owned()).collect()
}
