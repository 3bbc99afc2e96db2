//! What performs a rollback in the real world, struck at every local call: the barrier and what is noted beside it, the
//! exchanges, the mark of what is retired, and the way back. The stores are real ones, nobody serves them, and that a server
//! starts and answers is taken as given.
//!
//! Whenever the process dies, a server that is started finds a store and a log that belong together, or the barrier. Whoever
//! goes on comes to an end at which one of the two databases is live and the other one lies, marked, where it should; so does
//! whoever has lost the journal.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use grap::live::InstallationOptions;
use grap::ops::{Access, Session, lost_switch, recovery_status, reset_recovery};
use grap::recovery::{
    Answer, Archived, Confirmation, Gauge, Lane, LiveServer, LiveSwitch, Machine, Perform, Promote, Start,
    UndoEnd, WhileItRuns, WhileLocked, retired_stores,
};
use grap::server::control::ServerControl;
use grap::state::StateDirectory;
use grap::{Code, Error, Result};
use grap_bolt::client::{Auth, Options};
use grap_core::recovery::{
    Guard, Halves, Part, Phase, Plan, Recovery, RecoveryId, State, Status, Switch, SwitchLimits, Tier, atlas,
};
use grap_disk::FileLock;
use grap_disk::faults::{self, Fault, Mode};
use grap_repository::LockHolder;
use grap_task::{Clock, Silent, Stop};
use grap_testkit::{installation_fixture, tree};

use crate::stride;
use crate::world::{scratch, turn};

const BEFORE: &str = "recovery-20261126-020000";
const MARK: &[u8] = include_bytes!("../../../../testdata/promotion-v1/retired.json");

/// A live database, and a retired one of the same store; and as much of `system`, where that goes with it.
struct World {
    with_system: bool,
    folder: tempfile::TempDir,
    holder: LockHolder,
    stop: Stop,
    old: Side,
    new: Side,
}

/// Inodes of a store and its log, of each database that goes.
type Side = Vec<(u64, u64)>;

impl World {
    fn new(template: &Path, with_system: bool) -> Self {
        let folder = scratch();
        tree::copy(template, &folder.path().join("data")).unwrap();
        let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
        let (old, new) = (Vec::new(), Vec::new());
        let mut world = Self { with_system, folder, holder, stop: Stop::new(), old, new };
        world.old = world.side("").unwrap();
        world.new = world.side(&format!(".grap/retired/{BEFORE}")).unwrap();
        world
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn databases(&self) -> &[&str] {
        if self.with_system { &["neo4j", "system"] } else { &["neo4j"] }
    }

    fn halves(&self, below: &str, database: &str) -> Halves {
        let half = |side: &str| self.data().join(below).join(side).join(database).display().to_string();
        Halves { store: half("databases"), log: half("transactions") }
    }

    /// None: half of one of them is missing.
    fn side(&self, below: &str) -> Option<Side> {
        self.databases().iter().map(|database| pair(&self.halves(below, database))).collect()
    }

    fn live(&self) -> Halves {
        self.halves("", "neo4j")
    }

    fn barrier_of_system(&self) -> bool {
        self.with_system && Path::new(&self.halves("", "system").log).is_file()
    }

    fn state(&self) -> Result<StateDirectory> {
        Ok(StateDirectory::open(&self.folder.path().join("state"))?)
    }

    fn session(&self) -> Session<'_> {
        Session {
            clock: &Clock::System,
            stop: &self.stop,
            monitor: &Silent,
            holder: &self.holder,
            program: "grap test",
        }
    }

    fn server(&self) -> LiveServer {
        LiveServer {
            installation: InstallationOptions::Data {
                data: self.data(),
                transactions: None,
                database: Some("neo4j".to_owned()),
            },
            control: ServerControl::commands(":", ":"),
            connection: Options::new("bolt://127.0.0.1:1".parse().unwrap(), Auth::None),
        }
    }

    fn switch(&self, id: &RecoveryId) -> Switch {
        Switch {
            user: self.part(id, "neo4j"),
            archived: Vec::new(),
            limits: SwitchLimits { start_s: 0, ..SwitchLimits::default() },
            system: self.with_system.then(|| self.part(id, "system")),
            ..atlas::switch(false)
        }
    }

    fn part(&self, id: &RecoveryId, database: &str) -> Part {
        let side = self.halves(&format!(".grap/retired/{BEFORE}"), database);
        Part {
            database: database.to_owned(),
            live: self.halves("", database),
            found: side.clone(),
            side,
            retired: self.halves(&format!(".grap/retired/{id}"), database),
        }
    }

    /// One process: it begins, where there is nothing yet, and does what is owed.
    fn process(&self, confirms: bool) -> Result<State> {
        let state = self.state()?;
        let machine = Machine::open(&state, Lane::Recovery, &Clock::System)?;
        let machine = if *machine.state() == State::Idle {
            let id = machine.next_id(Clock::System.now());
            let plan = Plan {
                undoes: Some(BEFORE.parse().unwrap()),
                ..atlas::plan(&self.data().join(".grap/retired").join(BEFORE).display().to_string())
            };
            let switch = self.switch(&id);
            machine.begin_rollback(id, plan, switch, &Clock::System)?
        } else {
            machine
        };
        let find = || Ok(self.server());
        let mut performer = Served { inner: LiveSwitch::new(&find, None), confirms };
        Ok(machine.run(&mut performer, &self.session(), &Gauge::default())?.state().clone())
    }

    /// As often as somebody finds that something is owed.
    fn go_on(&self, confirms: bool, told: &str) -> State {
        for _ in 0..3 {
            if let Ok(state) = self.process(confirms) {
                return state;
            }
        }
        self.process(confirms).unwrap_or_else(|error| panic!("{told}: {error}"))
    }

    /// Nobody of another state directory takes back what a Grap is in the middle of, or is told that nobody is at it.
    fn assert_left_alone(&self, told: &str) {
        let other = StateDirectory::open(&self.folder.path().join("other")).unwrap();
        let open = || -> Result<Access> { Err(Error::NotOpenedAgain { why: "nobody asks".to_owned() }) };
        let find = || Ok(self.server());
        let claim = FileLock::try_exclusive(&self.data().join(".grap/retired/switch.lock")).unwrap().unwrap();
        let refused = reset_recovery(&find, &open, &other, &self.session()).unwrap_err();
        assert!(matches!(refused, Error::ClaimHeld { .. }), "{told}: {refused}");
        let status = recovery_status(&other, &self.session()).unwrap();
        assert_eq!((status.state, lost_switch(&find, &other).unwrap()), (State::Idle, None), "{told}");
        drop(claim);
        assert!(lost_switch(&find, &other).unwrap().is_some(), "{told}");
    }

    /// The journal is lost, and somebody resets.
    fn reset(&self, told: &str) {
        let state = self.state().unwrap();
        std::fs::write(state.root().join("recovery.journal"), "lost").unwrap();
        let (find, open) = (
            || Ok(self.server()),
            || -> Result<Access> { Err(Error::NotOpenedAgain { why: "nobody asks".to_owned() }) },
        );
        // The server that is not there is not seen to serve: the second reset leaves it.
        if let Err(first) = reset_recovery(&find, &open, &state, &self.session()) {
            assert_eq!(first.code(), Code::ServerStartFailed, "{told}: {first}");
            reset_recovery(&find, &open, &state, &self.session())
                .unwrap_or_else(|error| panic!("{told}: {error}"));
        }
    }

    /// Nobody could be served a mix.
    fn assert_no_mix(&self, told: &str) {
        let live = self.live();
        // A server ends where it finds that of `system`; where only the other lies there it serves `system`.
        if self.barrier_of_system() || !self.with_system && Path::new(&live.log).is_file() {
            let barrier = if self.with_system { self.halves("", "system").log } else { live.log };
            let words = std::fs::read_to_string(barrier).unwrap();
            assert!(words.starts_with("Grap is in the middle of"), "{told}: {words}");
            return;
        }
        let found = self.side("").unwrap_or_else(|| panic!("{told}: half of the live database is missing"));
        assert!(found == self.old || found == self.new, "{told}: a mix");
    }

    fn assert_settled(&self, state: &State, told: &str) {
        let recovery = state.recovery().unwrap_or_else(|| panic!("{told}: it is forgotten"));
        match state.status() {
            Status::Promoted => {
                self.assert_are((&self.new, &self.old), recovery.id.as_str(), told);
            }
            Status::Failed => self.assert_as_it_was(told),
            other => panic!("{told}: {other}"),
        }
        self.assert_nothing_is_left(told);
    }

    /// Its old store is on its way to where it is kept.
    fn is_being_retired(&self) -> bool {
        let mut sides =
            self.databases().iter().map(|database| self.halves(&format!(".grap/retired/{BEFORE}"), database));
        let is_gone = |side: Halves| !Path::new(&side.store).exists() || !Path::new(&side.log).exists();
        self.side("").as_ref() == Some(&self.new) && sides.any(is_gone)
    }

    /// Whoever it was.
    fn assert_came(&self, told: &str) {
        let retired = retired_stores(&self.data()).unwrap();
        let [store] = retired.stores.as_slice() else { panic!("{told}: {retired:?}") };
        self.assert_are((&self.new, &self.old), store.recovery.as_str(), told);
    }

    fn assert_as_it_was(&self, told: &str) {
        self.assert_are((&self.old, &self.new), BEFORE, told);
    }

    fn assert_are(&self, (live, aside): (&Side, &Side), whose: &str, told: &str) {
        assert_eq!(self.side("").as_ref(), Some(live), "{told}");
        let retired = retired_stores(&self.data()).unwrap();
        let [store] = retired.stores.as_slice() else { panic!("{told}: {retired:?}") };
        let lies: Option<Side> = std::iter::once(&store.halves).chain(&store.system).map(pair).collect();
        assert_eq!((store.recovery.as_str(), lies.as_ref()), (whose, Some(aside)), "{told}");
    }

    /// Beside the one that is retired.
    fn assert_nothing_is_left(&self, told: &str) {
        let left: Vec<PathBuf> = grap_disk::walk(&self.data().join(".grap"))
            .unwrap()
            .into_iter()
            .map(|entry| entry.path)
            .collect();
        let is_open = |path: &&PathBuf| {
            let is_log = path.ends_with("transactions/neo4j") || path.ends_with("transactions/system");
            path.ends_with("in-progress.json") || path.is_file() && is_log
        };
        assert_eq!(left.iter().find(is_open), None, "{told}");
        // An empty directory may stay: that it is removed may be what has failed.
        let of_another = |path: &&PathBuf| {
            path.is_file()
                && path.iter().any(|part| part.to_string_lossy().starts_with("recovery-") && part != BEFORE)
        };
        let wanted = retired_stores(&self.data()).unwrap().stores;
        if wanted.iter().all(|store| store.recovery.as_str() == BEFORE) {
            assert_eq!(left.iter().find(of_another), None, "{told}: something of what did not come is left");
        }
    }
}

fn pair(halves: &Halves) -> Option<(u64, u64)> {
    let inode =
        |half: &str| Some(std::fs::symlink_metadata(half).ok().filter(std::fs::Metadata::is_dir)?.ino());
    Some((inode(&halves.store)?, inode(&halves.log)?))
}

/// The real one, but for the server.
struct Served<'a> {
    inner: LiveSwitch<'a>,
    confirms: bool,
}

impl Promote for Served<'_> {
    fn look_again(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        self.inner.look_again(recovery, session)
    }
    fn stage(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.inner.stage(recovery, session)
    }
    fn drain(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        self.inner.drain(recovery, session)
    }
    fn stop_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        self.inner.stop_live(recovery, session)
    }
    fn await_archive(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Archived>> {
        self.inner.await_archive(recovery, session)
    }
    fn guard(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Guard>> {
        self.inner.guard(recovery, session)
    }
    fn take_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<()>> {
        self.inner.take_log(recovery, session)
    }
    fn swap_stores(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.inner.swap_stores(recovery, session)
    }
    fn put_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.inner.put_log(recovery, session)
    }
    fn start_live(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        Ok(())
    }
    fn confirm(&mut self, _: &Recovery, _: &Session<'_>) -> Result<Confirmation> {
        if self.confirms {
            Ok(Confirmation::Confirmed)
        } else {
            Err(Error::NotConfirmed { why: "so it is wanted here".to_owned() })
        }
    }
    fn retire(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.inner.retire(recovery, session)
    }
    fn record_promotion(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        Ok(())
    }
    fn undo(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<UndoEnd> {
        self.inner.undo(recovery, session)
    }
    fn start_old(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        assert_eq!(recovery.phase, Phase::Restarting);
        Ok(())
    }
    fn leave(&mut self, _: &Recovery, _: &Session<'_>) {}
}

const NO_CANDIDATE: &str = "a rollback has no candidate";

impl Perform for Served<'_> {
    fn promote(&mut self) -> Result<&mut dyn Promote> {
        Ok(self)
    }
    fn reserve(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn restore(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn reread(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn start_instance(&mut self, _: &Recovery, _: &Session<'_>) -> Result<Start> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn judge(&mut self, _: Tier, _: &Recovery, _: &Session<'_>) -> Result<WhileItRuns<Answer>> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn stop_instance(&mut self, _: &Recovery, _: &Session<'_>) -> Result<WhileItRuns<()>> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn check_store(&mut self, _: &Recovery, _: &Session<'_>) -> Result<Answer> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn write_record(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn remove_scratch(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn end_instance(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        unreachable!("{NO_CANDIDATE}")
    }
    fn remove_candidate(&mut self, _: &Recovery, _: &Session<'_>) -> Result<()> {
        unreachable!("{NO_CANDIDATE}")
    }
}

/// A data directory with its `system`, and both of them retired.
fn template() -> tempfile::TempDir {
    let folder = scratch();
    let data = folder.path().join("data");
    installation_fixture("5.26.30", &data).unwrap();
    let retired = data.join(".grap/retired").join(BEFORE);
    for side in ["databases", "transactions"] {
        std::fs::create_dir_all(retired.join(side)).unwrap();
        for database in ["neo4j", "system"] {
            tree::copy(&data.join(side).join(database), &retired.join(side).join(database)).unwrap();
        }
    }
    folder
}

fn world(template: &tempfile::TempDir, with_system: bool) -> World {
    let world = World::new(&template.path().join("data"), with_system);
    let (data, retired) =
        (world.data().display().to_string(), world.data().join(".grap/retired").join(BEFORE));
    let mut mark: serde_json::Value = serde_json::from_slice(MARK).unwrap();
    if with_system {
        let half = |side: &str| format!("/data/.grap/retired/{BEFORE}/{side}/system");
        mark["version"] = 2.into();
        mark["system"] = serde_json::json!({ "store": half("databases"), "log": half("transactions") });
    } else {
        for side in ["databases", "transactions"] {
            std::fs::remove_dir_all(retired.join(side).join("system")).unwrap();
        }
    }
    let text = mark.to_string().replace("\"/data/", &format!("\"{data}/"));
    std::fs::write(retired.join("retired.json"), text).unwrap();
    world
}

/// How often a lock is asked for depends on the machine.
fn counts(_: grap_disk::Call, path: &Path) -> bool {
    !path.ends_with("store_lock")
}

fn struck(at: usize, mode: Mode, world: &World, confirms: bool) -> bool {
    faults::inject(Fault { at, mode, only: counts });
    // Where it ends in an error the next process goes on.
    let _ = world.process(confirms);
    let hit = faults::hits() > 0;
    faults::clear();
    hit
}

/// Who waits for a process looks once more, or once less.
fn assert_near_the_end(at: usize, count: usize, told: &str) {
    assert!(at + 10 > count, "{told}: it was not reached");
}

fn enumerate(mode: Mode, offset: usize, with_system: bool) {
    let _turn = turn();
    let template = template();
    for confirms in [true, false] {
        faults::record();
        let first = world(&template, with_system);
        let state = first.process(confirms).unwrap();
        let count = faults::clear().iter().filter(|step| counts(step.call, &step.path)).count();
        first.assert_settled(&state, "unstruck");
        assert_eq!(state.status(), if confirms { Status::Promoted } else { Status::Failed });
        assert!(count > 150, "it makes {count} calls");
        for at in (1 + offset..=count).step_by(stride(37)) {
            let told =
                format!("call {at} of {count}, {mode:?}, confirms: {confirms}, with system: {with_system}");
            let struck_one = world(&template, with_system);
            if !struck(at, mode, &struck_one, confirms) {
                assert_near_the_end(at, count, &told);
                break;
            }
            struck_one.assert_no_mix(&told);
            let state = struck_one.go_on(confirms, &told);
            struck_one.assert_settled(&state, &told);
        }
    }
}

/// Struck, and then the journal is lost: what stands beside the barrier is enough.
fn enumerate_without_journal(mode: Mode, offset: usize, with_system: bool) {
    let _turn = turn();
    let template = template();
    let new = || world(&template, with_system);
    let [(back, finished), (back_unconfirmed, _)] =
        [true, false].map(|confirms| without_journal(mode, offset, &new, confirms));
    assert!(back > 0 && finished > 0 && back_unconfirmed > 0);
}

/// How many were taken back, and finished.
fn without_journal(mode: Mode, offset: usize, world: &dyn Fn() -> World, confirms: bool) -> (usize, usize) {
    faults::record();
    world().process(confirms).unwrap();
    let count = faults::clear().iter().filter(|step| counts(step.call, &step.path)).count();
    let (mut taken_back, mut finished) = (0, 0);
    for at in (1 + offset..=count).step_by(stride(37)) {
        let told = format!("call {at} of {count}, {mode:?}, confirms: {confirms}, without its journal");
        let struck_one = world();
        if !struck(at, mode, &struck_one, confirms) {
            assert_near_the_end(at, count, &told);
            break;
        }
        // Also behind the last exchange, where the old store lies under the name of what came.
        let is_mixed = Path::new(&struck_one.live().log).is_file()
            || struck_one.barrier_of_system()
            || grap::recovery::switch_in_progress(&struck_one.data()).unwrap();
        let has_confirmed = is_mixed && struck_one.is_being_retired();
        if is_mixed {
            struck_one.assert_left_alone(&told);
        }
        struck_one.reset(&told);
        struck_one.assert_no_mix(&told);
        let is_left = Path::new(&struck_one.live().log).is_file() || struck_one.barrier_of_system();
        assert!(!is_left, "{told}: the barrier is left");
        if has_confirmed {
            struck_one.assert_came(&told);
            finished += 1;
        } else if is_mixed {
            struck_one.assert_as_it_was(&told);
            taken_back += 1;
        }
        if is_mixed {
            struck_one.assert_nothing_is_left(&told);
        }
    }
    (taken_back, finished)
}

#[test]
fn every_call_fails() {
    enumerate(Mode::Fail(crate::world::EIO), 0, false);
    enumerate(Mode::Fail(crate::world::EIO), 2, true);
}

#[test]
fn every_call_is_the_last() {
    enumerate(Mode::Kill, 1, false);
    enumerate(Mode::Kill, 3, true);
}

#[test]
fn every_call_is_the_last_and_its_journal_is_lost() {
    enumerate_without_journal(Mode::Kill, 0, false);
    enumerate_without_journal(Mode::Kill, 4, true);
}
