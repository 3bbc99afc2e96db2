//! A follower of the log files, struck at every local call.
//!
//! The test plays the server, past the calls that are counted: it makes files, prunes them, and makes one anew
//! when it is restarted. What the follower ever showed under a run, and was not told to give up, the next one
//! shows under that run again.

use std::collections::BTreeSet;
use std::os::unix::fs::DirEntryExt;
use std::path::PathBuf;
use std::sync::MutexGuard;

use grap::live::{
    Configuration, FollowError, FollowOptions, Follower, Installation, LeftFolder, ManualRun, Pace, PinMode,
    RunProbe,
};
use grap_disk::faults::Mode;
use grap_neo4j::ids::LogVersion;

use crate::stride;
use crate::world::{calls, scratch, struck, turn};

/// A run as JSON, and an inode.
type Shown = BTreeSet<(String, u64)>;

struct Server {
    folder: tempfile::TempDir,
    run: ManualRun,
    _turn: MutexGuard<'static, ()>,
}

/// What a struck life of a follower left behind.
#[derive(Default)]
struct Life {
    shown: Shown,
    errors: Vec<FollowError>,
    in_descriptors: bool,
}

impl Server {
    /// With the folder of a dead archiver that holds a file which the server has pruned.
    fn new() -> Self {
        let server = Self { folder: scratch(), run: ManualRun::new("a"), _turn: turn() };
        server.begin();
        server
    }

    fn begin(&self) {
        for name in ["databases", "transactions", ".grap"] {
            let _ = std::fs::remove_dir_all(self.path(name));
        }
        for database in ["neo4j", "system"] {
            std::fs::create_dir_all(self.path("databases").join(database)).unwrap();
            std::fs::create_dir_all(self.path("transactions").join(database)).unwrap();
        }
        self.run.set("a");
        self.write(1);
        drop(self.start().unwrap());
        self.prune(1);
        self.write(2);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self, version: u64) -> PathBuf {
        self.path("transactions/neo4j").join(format!("neostore.transaction.db.{version}"))
    }

    fn write(&self, version: u64) {
        std::fs::write(self.log(version), "log").unwrap();
    }

    fn prune(&self, version: u64) {
        std::fs::remove_file(self.log(version)).unwrap();
    }

    fn start(&self) -> Result<Follower, FollowError> {
        let installation = Installation {
            home: None,
            configuration: Configuration::default(),
            configuration_text: None,
            data: self.folder.path().to_owned(),
            transactions: self.path("transactions"),
            databases: vec!["neo4j".into(), "system".into()],
        };
        let options = FollowOptions {
            probe: RunProbe::Manual(self.run.clone()),
            pace: Pace::OnDemand,
            ..FollowOptions::default()
        };
        Follower::start(&installation, &options)
    }

    /// A whole life of a follower. Errors are noted, and it goes on: as the thread does.
    fn life(&self) -> Life {
        let mut life = Life::default();
        let follower = match self.start() {
            Ok(follower) => follower,
            Err(error) => {
                life.errors.push(error);
                return life;
            }
        };
        life.in_descriptors = matches!(follower.mode(), PinMode::Descriptors(_));
        life.note(&follower, Ok(()));
        self.write(3);
        life.note(&follower, follower.look());
        life.note(&follower, follower.claim("here").map(drop));
        self.prune(2);
        self.write(4);
        life.note(&follower, follower.look());
        // A crash right behind the rotation to 4: the server makes it anew.
        self.run.set("b");
        self.prune(4);
        self.write(4);
        life.note(&follower, follower.look());
        self.write(5);
        life.note(&follower, follower.look());
        self.prune(3);

        let runs = follower.runs();
        let present = runs.last().unwrap();
        let name = |run: &grap::live::HeldRun| serde_json::to_string(&run.identity).unwrap();
        for file in present.files("neo4j").iter().filter(|file| file.version() < 4) {
            life.shown.remove(&(name(present), file.inode));
        }
        if let Ok(run) = follower.present_run() {
            life.note_error(follower.stored_below(&run, "neo4j", LogVersion(4)));
        }
        if runs.len() > 1 {
            life.shown.retain(|(run, _)| *run != name(&runs[0]));
            life.note_error(follower.drop_run(&runs[0].identity));
        }
        self.write(6);
        life.note(&follower, follower.look());
        // Whatever failed once: the next look holds everything, and no link is left that is not shown. (Of the
        // dead all this fails.)
        let again =
            follower.claim("here").and_then(|_| follower.look()).and_then(|()| follower.live("neo4j"));
        if let Ok(live) = again {
            let runs = follower.runs();
            let files = runs.last().unwrap().files("neo4j");
            let held: Vec<_> = files.iter().map(|file| (file.name.version(), file.inode)).collect();
            assert!(live.iter().all(|file| held.contains(file)), "{live:?} in {held:?}");
            let inodes = shown(&follower).into_iter().map(|(_, inode)| inode).collect();
            assert!(
                life.in_descriptors || self.links() == inodes,
                "{:?} in {inodes:?}; {:?}",
                self.links(),
                life.errors
            );
        }
        life
    }

    /// The inodes of all links in folders of archivers; past the calls that are counted.
    fn links(&self) -> BTreeSet<u64> {
        let mut links = BTreeSet::new();
        for folder in self.folders() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_name().to_string_lossy().contains(".db.") {
                    links.insert(entry.ino());
                }
            }
        }
        links
    }

    /// Folders of archivers.
    fn folders(&self) -> Vec<PathBuf> {
        let roots = [self.path(".grap/pins"), self.path("transactions/.grap/pins")];
        let entries = roots.iter().filter_map(|pins| std::fs::read_dir(pins).ok()).flatten();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
    }
}

impl Life {
    fn note(&mut self, follower: &Follower, result: Result<(), FollowError>) {
        self.note_error(result);
        self.shown.extend(shown(follower));
    }

    fn note_error(&mut self, result: Result<(), FollowError>) {
        self.errors.extend(result.err());
    }
}

fn shown(follower: &Follower) -> Shown {
    let mut shown = Shown::new();
    for run in follower.runs() {
        let name = serde_json::to_string(&run.identity).unwrap();
        shown.extend(run.files("neo4j").iter().map(|file| (name.clone(), file.inode)));
    }
    shown
}

fn enumerate(mode: Mode) {
    let server = Server::new();
    let count = calls(|| assert!(server.life().errors.is_empty())).len();
    assert!(count > 100, "a life makes {count} calls");
    for at in (1..=count).step_by(stride(1)) {
        server.begin();
        let (life, hit) = struck(at, mode, || server.life());
        assert!(hit, "call {at} of {count} was not reached");
        let links = server.links();

        let next = server.start().unwrap();
        next.claim("here").unwrap();
        next.look().unwrap();
        assert_eq!(next.left(), Vec::<LeftFolder>::new(), "call {at} of {count}");
        let after = shown(&next);
        if !life.in_descriptors {
            let lost: Vec<_> = life.shown.difference(&after).collect();
            assert!(lost.is_empty(), "call {at} of {count}: {lost:?} of {:?}; {:?}", life.shown, life.errors);
        }
        let held: BTreeSet<u64> = after.iter().map(|(_, inode)| *inode).collect();
        assert!(links.is_subset(&held), "call {at} of {count}: {links:?} in {held:?}");

        // When everything is stored nothing is left but the present folder and the two newest files.
        server.write(7);
        server.write(8);
        next.look().unwrap();
        next.stored_below(&next.present_run().unwrap(), "neo4j", LogVersion(9)).unwrap();
        for run in next.runs().iter().filter(|run| !run.present) {
            next.drop_run(&run.identity).unwrap();
        }
        assert_eq!((server.folders().len(), server.links().len()), (1, 2), "call {at} of {count}");
    }
}

struck_by_every_fault!(enumerate);
