//! Hosts with simulated servers, state directories, processes of archivers, one storage, one clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grap::archive::{Archive, WriteError};
use grap::live::{Configuration, FollowOptions, Follower, Installation, ManualRun, Pace, Place, RunProbe};
use grap_core::PinBudget;
use grap_neo4j::CommitTime;
use grap_repository::object::memory::MemoryStore;
use grap_repository::{InitOptions, KdfCost, Repository};
use grap_task::{Clock, ManualClock};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::archiver::{Archiver, Pass, describe, nonce_file};
use crate::history::{History, NodeId};
use crate::keeper::Base;
use crate::ledger::Ledger;
use crate::server::{Database, Saved};
use crate::shelf::{Fault, Plan, Shelf};

pub(crate) struct Host {
    pub(crate) data: PathBuf,
    run: ManualRun,
    /// What it says.
    pub(crate) server_run: String,
    pub(crate) databases: BTreeMap<String, Database>,
    /// Every log file that an archiver has pinned here, by inode: what it held when it was last in the log.
    pub(crate) held: HashMap<u64, (String, Vec<NodeId>)>,
    pub(crate) saved: Vec<BTreeMap<String, Saved>>,
    pub(crate) place: Option<Place>,
}

pub(crate) struct StateDirectory {
    pub(crate) path: PathBuf,
    /// Of every start that was made from it, or from the one that it was copied from.
    pub(crate) nonces: BTreeSet<String>,
}

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) archive: Archive,
    pub(crate) names: Vec<String>,
    pub(crate) history: History,
    pub(crate) hosts: Vec<Host>,
    pub(crate) states: Vec<StateDirectory>,
    pub(crate) archivers: Vec<Option<Archiver>>,
    /// Of each process that ever was: host and state directory.
    pub(crate) actors: Vec<(usize, usize)>,
    pub(crate) ledger: Ledger,
    pub(crate) bases: Vec<Base>,
    pub(crate) log: Vec<String>,
    /// What happens is told at once, too.
    loud: bool,
    /// Bytes that pins may hold back.
    pub(crate) budget: u64,
    /// An object was destroyed, or a log file was not pinned: what follows from that is not held against the code.
    pub(crate) excused: bool,
    /// The server was another one, and nothing showed it.
    pub(crate) unseen: bool,
    pub(crate) segment_bytes: usize,
    /// Of archivers to the storage.
    calls: usize,
    server_runs: usize,
    stores: i64,
}

/// A world that several may look at, one at a time.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<World>>);

const BEGINNING: &str = "2026-11-25T02:00:00Z";
pub(crate) const NEO4J: &str = "neo4j";

impl World {
    fn new(databases: &[&str], kernel: u8) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let clock = ManualClock::at(BEGINNING.parse().unwrap());
        let shelf = Arc::new(Shelf::new(MemoryStore::new(Clock::Manual(clock.clone()))));
        let options = InitOptions {
            hostname: "host".to_owned(),
            username: "user".to_owned(),
            created: BEGINNING.parse().unwrap(),
            cost: KdfCost::cheapest(),
        };
        let store = Box::new(Arc::clone(&shelf));
        let (repository, _) = Repository::init(store, &SecretString::from("secret"), &options).unwrap();
        shelf.take_notes();
        let mut world = Self {
            archive: Archive::new(repository, "prod".parse().unwrap()),
            folder,
            clock,
            shelf,
            names: databases.iter().map(|name| (*name).to_owned()).collect(),
            history: History::default(),
            hosts: Vec::new(),
            states: Vec::new(),
            archivers: Vec::new(),
            actors: Vec::new(),
            ledger: Ledger::default(),
            bases: Vec::new(),
            log: Vec::new(),
            loud: std::env::var_os("GRAP_MODEL_LOUD").is_some(),
            budget: 1 << 30,
            excused: false,
            unseen: false,
            segment_bytes: 4 << 20,
            calls: 0,
            server_runs: 0,
            stores: 0,
        };
        world.add_host();
        for name in databases {
            let random = world.new_store();
            let directory = world.hosts[0].data.join("transactions").join(name);
            let database = Database::new(&directory, kernel, random);
            world.hosts[0].databases.insert((*name).to_owned(), database);
        }
        world.new_state();
        world
    }

    pub(crate) fn new_store(&mut self) -> i64 {
        self.stores += 1;
        self.stores
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.loud {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        self.log.push(text);
    }

    fn add_host(&mut self) -> usize {
        let index = self.hosts.len();
        let data = self.folder.path().join(format!("host-{index}"));
        for name in &self.names {
            std::fs::create_dir_all(data.join("databases").join(name)).unwrap();
            std::fs::create_dir_all(data.join("transactions").join(name)).unwrap();
        }
        self.server_runs += 1;
        let server_run = format!("run {}", self.server_runs);
        let run = ManualRun::new(&server_run);
        let host = Host {
            data,
            run,
            server_run,
            databases: BTreeMap::new(),
            held: HashMap::new(),
            saved: Vec::new(),
            place: None,
        };
        self.hosts.push(host);
        index
    }

    /// Copy an installation; `pins`: what archivers pinned is copied along.
    pub(crate) fn clone_host(&mut self, from: usize, pins: bool) -> usize {
        let to = self.add_host();
        let data = self.hosts[to].data.clone();
        for name in self.names.clone() {
            let copy = self.hosts[from].databases[&name].copy_to(&data.join("transactions").join(&name));
            self.hosts[to].databases.insert(name, copy);
        }
        let grap = self.hosts[from].data.join(".grap");
        if pins && grap.exists() {
            grap_testkit::tree::copy(&grap, &data.join(".grap")).unwrap();
        }
        to
    }

    pub(crate) fn new_state(&mut self) -> usize {
        let index = self.states.len();
        let path = self.folder.path().join(format!("state-{index}"));
        std::fs::create_dir_all(&path).unwrap();
        self.states.push(StateDirectory { path, nonces: BTreeSet::new() });
        index
    }

    pub(crate) fn copy_state(&mut self, from: usize) -> usize {
        let to = self.new_state();
        let [source, target] = [from, to].map(|index| nonce_file(&self.states[index].path, &self.archive));
        if source.exists() {
            std::fs::copy(source, target).unwrap();
        }
        self.states[to].nonces = self.states[from].nonces.clone();
        to
    }

    pub(crate) fn database(&mut self, host: usize, name: &str) -> (&mut Database, &mut History) {
        (self.hosts[host].databases.get_mut(name).unwrap(), &mut self.history)
    }

    /// Another run of the server, or none, is there from now on.
    pub(crate) fn new_run(&mut self, host: usize) {
        self.server_runs += 1;
        let run = format!("run {}", self.server_runs);
        self.hosts[host].run.set(&run);
        self.hosts[host].server_run = run;
    }

    pub(crate) fn time(&self) -> CommitTime {
        CommitTime(Clock::Manual(self.clock.clone()).now().as_millisecond())
    }

    pub(crate) fn step_clock(&mut self, seconds: i64) {
        let now = Clock::Manual(self.clock.clone()).now();
        let to = Timestamp::from_second(now.as_second() + seconds).unwrap();
        self.clock.step_wall(to);
    }

    pub(crate) fn is_free(&self, state: usize) -> bool {
        self.archivers.iter().flatten().all(|archiver| archiver.state != state)
    }

    /// A new process.
    pub(crate) fn start(&mut self, host: usize, state: usize, takeover: bool) -> usize {
        let id = self.archivers.len();
        let data = self.hosts[host].data.clone();
        let installation = Installation {
            home: None,
            configuration: Configuration::default(),
            configuration_text: None,
            transactions: data.join("transactions"),
            data,
            databases: self.names.clone(),
        };
        let clock = Clock::Manual(self.clock.clone());
        let options = FollowOptions {
            probe: RunProbe::Manual(self.hosts[host].run.clone()),
            pace: Pace::OnDemand,
            clock: clock.clone(),
            budget: Some(PinBudget { held_max: self.budget, free_min: 0 }),
        };
        let follower = Follower::start(&installation, &options).unwrap();
        self.hosts[host].place = Some(follower.place().unwrap());
        let archiver = Archiver {
            id,
            host,
            state,
            takeover,
            follower,
            databases: self.names.clone(),
            archive: self.archive.clone(),
            clock,
            shelf: Arc::clone(&self.shelf),
            nonces: Archiver::nonces(&self.states[state].path, &self.archive),
            active: None,
            floors: BTreeMap::new(),
            segment_bytes: self.segment_bytes,
            log: Vec::new(),
        };
        self.archivers.push(Some(archiver));
        self.actors.push((host, state));
        self.note_pins(host);
        id
    }

    pub(crate) fn kill(&mut self, archiver: usize) {
        self.archivers[archiver] = None;
    }

    pub(crate) fn living(&self) -> Vec<usize> {
        self.archivers.iter().flatten().map(|archiver| archiver.id).collect()
    }

    /// Every process on the host looks, as its pinner does twenty times a second.
    pub(crate) fn look(&mut self, host: usize) {
        for archiver in self.archivers.iter().flatten().filter(|archiver| archiver.host == host) {
            archiver.follower.look().unwrap();
        }
        self.note_pins(host);
    }

    /// The links in folders of archivers: database, inode.
    pub(crate) fn pins(&self, host: usize) -> Vec<(String, u64, PathBuf)> {
        let mut found = Vec::new();
        for root in [".grap/pins", "transactions/.grap/pins"] {
            let root = self.hosts[host].data.join(root);
            for folder in grap_disk::list(&root).unwrap().unwrap_or_default() {
                for name in grap_disk::list(&root.join(&folder)).ok().flatten().unwrap_or_default() {
                    let Some((front, inode)) = name.rsplit_once('.') else { continue };
                    let Some((database, _)) = front.split_once(".neostore.transaction.db.") else { continue };
                    let Ok(inode) = inode.parse() else { continue };
                    found.push((database.to_owned(), inode, root.join(&folder).join(&name)));
                }
            }
        }
        found
    }

    /// Note what is pinned now, and what the files in the log hold.
    pub(crate) fn note_pins(&mut self, host: usize) {
        for (database, inode, _) in self.pins(host) {
            self.hosts[host].held.entry(inode).or_insert_with(|| (database, Vec::new()));
        }
        self.refresh(host);
    }

    pub(crate) fn refresh(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        for database in host.databases.values() {
            for file in &database.files {
                if let Some((_, nodes)) = host.held.get_mut(&file.inode) {
                    nodes.clone_from(&file.nodes);
                }
            }
        }
    }
}

impl Sim {
    pub(crate) fn new(databases: &[&str], kernel: u8) -> Self {
        Self(Arc::new(Mutex::new(World::new(databases, kernel))))
    }

    /// One database, a modern kernel.
    pub(crate) fn simple() -> Self {
        Self::new(&[NEO4J], 32)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One pass of a process; the world is free meanwhile, for what a plan lets happen inside.
    pub(crate) fn pass_with(&self, archiver: usize, plan: Plan) -> Pass {
        let taken = self.world().archivers[archiver].take();
        let mut process = taken.expect("a living archiver");
        let (pass, seen) = process.pass(plan);
        let mut world = self.world();
        world.clock.advance(Duration::from_millis(500));
        let host = process.host;
        world.calls += seen.calls;
        for text in process.log.drain(..) {
            world.note(text);
        }
        world.note(format!("archiver {archiver} passed: {pass:?} {seen:?}"));
        if !matches!(pass, Pass::Killed | Pass::Deposed(_)) {
            world.archivers[archiver] = Some(process);
        }
        world.settle();
        world.note_pins(host);
        pass
    }

    pub(crate) fn pass(&self, archiver: usize) -> Pass {
        self.pass_with(archiver, Plan::default())
    }

    /// Call `at` of the next pass goes wrong.
    pub(crate) fn pass_faulty(&self, archiver: usize, at: usize, fault: Fault) -> Pass {
        self.pass_with(archiver, Plan { fault: Some((at, fault)), ..Plan::default() })
    }

    /// Call `at`, counted over several passes, goes wrong; says whether it came to that.
    pub(crate) fn strike(&self, archiver: usize, at: usize, fault: Fault) -> bool {
        let mut left = at;
        for _ in 0..12 {
            let calls = self.world().calls;
            let pass = self.pass_faulty(archiver, left, fault);
            let made = self.world().calls - calls;
            if left <= made {
                return true;
            }
            left -= made;
            if matches!(pass, Pass::Deposed(_) | Pass::Killed) {
                return true;
            }
        }
        false
    }

    /// The storage is away.
    pub(crate) fn pass_down(&self, archiver: usize) -> Pass {
        self.pass_with(archiver, Plan { down: true, ..Plan::default() })
    }

    /// Passes until nothing comes any more, with time for what is odd to settle. `false`: it is deposed.
    pub(crate) fn to_idle(&self, archiver: usize) -> bool {
        let mut idle = 0;
        for _ in 0..400 {
            match self.pass(archiver) {
                Pass::Idle => {
                    idle += 1;
                    if idle == 2 {
                        self.world().clock.advance(Duration::from_secs(12));
                    }
                    if idle == 4 {
                        self.world().check_idle(archiver);
                        return true;
                    }
                }
                Pass::Busy => idle = 0,
                // Beyond the budget a log is read when room was made.
                Pass::Failed(WriteError::NoLog { .. }) if self.world().excused => idle = 0,
                Pass::Failed(error) => panic!("without a fault a pass failed: {error:?}"),
                Pass::Deposed(_) => return false,
                Pass::Killed => unreachable!("nobody kills it"),
            }
        }
        panic!("no end of passes");
    }

    /// For traces.
    pub(crate) fn write(&self, host: usize, count: usize) {
        for _ in 0..count {
            let mut world = self.world();
            let time = world.time();
            let (database, history) = world.database(host, NEO4J);
            database.write(history, 40, time);
            world.refresh(host);
        }
    }

    /// Do something to the one database of a host.
    pub(crate) fn server(&self, host: usize, work: impl FnOnce(&mut Database, &mut History)) {
        let mut world = self.world();
        let (database, history) = world.database(host, NEO4J);
        work(database, history);
        world.refresh(host);
    }

    pub(crate) fn describe_runs(&self) -> Vec<String> {
        let world = self.world();
        let runs = world.archive.runs().unwrap();
        runs.iter().map(|(number, run)| format!("run {number}: {}", describe(&run.start))).collect()
    }
}
