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
use grap::ops::{Access, Session, reset_recovery};
use grap::recovery::{
    Answer, Archived, Confirmation, Gauge, Lane, LiveServer, LiveSwitch, Machine, Perform, Promote, Start,
    UndoEnd, WhileItRuns, WhileLocked, retired_stores,
};
use grap::server::control::ServerControl;
use grap::state::StateDirectory;
use grap::{Code, Error, Result};
use grap_bolt::client::{Auth, Options};
use grap_core::recovery::{
    Guard, Halves, Phase, Plan, Recovery, RecoveryId, State, Status, Switch, SwitchLimits, Tier, atlas,
};
use grap_disk::faults::{self, Fault, Mode};
use grap_repository::LockHolder;
use grap_task::{Clock, Silent, Stop};
use grap_testkit::{installation_fixture, tree};

use crate::stride;
use crate::world::{scratch, turn};

const BEFORE: &str = "recovery-20261126-020000";
const MARK: &[u8] = include_bytes!("../../../../testdata/promotion-v1/retired.json");

/// A live database, and a retired one of the same store.
struct World {
    folder: tempfile::TempDir,
    holder: LockHolder,
    stop: Stop,
    old: Pair,
    new: Pair,
}

/// Inodes of a store and its log.
type Pair = (u64, u64);

impl World {
    fn new(template: &Path) -> Self {
        let folder = scratch();
        tree::copy(template, &folder.path().join("data")).unwrap();
        let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
        let mut world = Self { folder, holder, stop: Stop::new(), old: (0, 0), new: (0, 0) };
        world.old = pair(&world.live()).unwrap();
        world.new = pair(&world.retired(BEFORE)).unwrap();
        world
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn halves(&self, below: &str) -> Halves {
        let half = |side: &str| self.data().join(below).join(side).join("neo4j").display().to_string();
        Halves { store: half("databases"), log: half("transactions") }
    }

    fn live(&self) -> Halves {
        self.halves("")
    }

    fn retired(&self, id: &str) -> Halves {
        self.halves(&format!(".grap/retired/{id}"))
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
            control: ServerControl::Commands { stop: ":".to_owned(), start: ":".to_owned(), wanted: None },
            connection: Options::new("bolt://127.0.0.1:1".parse().unwrap(), Auth::None),
        }
    }

    fn switch(&self, id: &RecoveryId) -> Switch {
        let side = self.retired(BEFORE);
        Switch {
            database: "neo4j".to_owned(),
            live: self.live(),
            found: side.clone(),
            side,
            retired: self.retired(id.as_str()),
            archived: Vec::new(),
            archive_unknown: None,
            live_is_lost: false,
            made_of: None,
            limits: SwitchLimits { start_s: 0, ..SwitchLimits::default() },
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
        if Path::new(&live.log).is_file() {
            let words = std::fs::read_to_string(&live.log).unwrap();
            assert!(words.starts_with("Grap is in the middle of"), "{told}: {words}");
            return;
        }
        let found = pair(&live).unwrap_or_else(|| panic!("{told}: half of the live database is missing"));
        assert!(found == self.old || found == self.new, "{told}: a mix");
    }

    fn assert_settled(&self, state: &State, told: &str) {
        let recovery = state.recovery().unwrap_or_else(|| panic!("{told}: it is forgotten"));
        match state.status() {
            Status::Promoted => {
                let came = self.assert_came(told);
                assert_eq!(came, recovery.id, "{told}");
            }
            Status::Failed => self.assert_as_it_was(told),
            other => panic!("{told}: {other}"),
        }
        self.assert_nothing_is_left(told);
    }

    /// Its old store is on its way to where it is kept.
    fn is_being_retired(&self) -> bool {
        let side = self.retired(BEFORE);
        pair(&self.live()) == Some(self.new)
            && (!Path::new(&side.store).exists() || !Path::new(&side.log).exists())
    }

    /// By whom what was live is retired.
    fn assert_came(&self, told: &str) -> RecoveryId {
        assert_eq!(pair(&self.live()), Some(self.new), "{told}");
        let retired = retired_stores(&self.data()).unwrap();
        let [store] = retired.stores.as_slice() else { panic!("{told}: {retired:?}") };
        assert_eq!(pair(&store.halves), Some(self.old), "{told}");
        store.recovery.clone()
    }

    fn assert_as_it_was(&self, told: &str) {
        assert_eq!(pair(&self.live()), Some(self.old), "{told}");
        let retired = retired_stores(&self.data()).unwrap();
        let [store] = retired.stores.as_slice() else { panic!("{told}: {retired:?}") };
        assert_eq!((store.recovery.as_str(), pair(&store.halves)), (BEFORE, Some(self.new)), "{told}");
    }

    /// Beside the one that is retired.
    fn assert_nothing_is_left(&self, told: &str) {
        let left: Vec<PathBuf> = grap_disk::walk(&self.data().join(".grap"))
            .unwrap()
            .into_iter()
            .map(|entry| entry.path)
            .collect();
        let is_open = |path: &&PathBuf| {
            path.ends_with("in-progress.json") || path.is_file() && path.ends_with("transactions/neo4j")
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

fn pair(halves: &Halves) -> Option<Pair> {
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
    fn drain(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
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

/// A data directory with its `system`, and a retired `neo4j`.
fn template() -> tempfile::TempDir {
    let folder = scratch();
    let data = folder.path().join("data");
    installation_fixture("5.26.30", &data).unwrap();
    let retired = data.join(".grap/retired").join(BEFORE);
    for side in ["databases", "transactions"] {
        let live = data.join(side).join("neo4j");
        std::fs::create_dir_all(retired.join(side)).unwrap();
        tree::copy(&live, &retired.join(side).join("neo4j")).unwrap();
    }
    folder
}

fn world(template: &tempfile::TempDir) -> World {
    let world = World::new(&template.path().join("data"));
    let data = world.data().display().to_string();
    let mark = String::from_utf8_lossy(MARK).replace("\"/data/", &format!("\"{data}/"));
    std::fs::write(world.data().join(".grap/retired").join(BEFORE).join("retired.json"), mark).unwrap();
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

fn enumerate(mode: Mode, offset: usize) {
    let _turn = turn();
    let template = template();
    for confirms in [true, false] {
        faults::record();
        let first = world(&template);
        let state = first.process(confirms).unwrap();
        let count = faults::clear().iter().filter(|step| counts(step.call, &step.path)).count();
        first.assert_settled(&state, "unstruck");
        assert_eq!(state.status(), if confirms { Status::Promoted } else { Status::Failed });
        assert!(count > 150, "it makes {count} calls");
        for at in (1 + offset..=count).step_by(stride(17)) {
            let told = format!("call {at} of {count}, {mode:?}, confirms: {confirms}");
            let struck_one = world(&template);
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
fn enumerate_without_journal(mode: Mode, offset: usize) {
    let _turn = turn();
    let template = template();
    let [(back, finished), (back_unconfirmed, _)] =
        [true, false].map(|confirms| without_journal(mode, offset, &template, confirms));
    assert!(back > 0 && finished > 0 && back_unconfirmed > 0);
}

/// How many were taken back, and finished.
fn without_journal(
    mode: Mode,
    offset: usize,
    template: &tempfile::TempDir,
    confirms: bool,
) -> (usize, usize) {
    faults::record();
    world(template).process(confirms).unwrap();
    let count = faults::clear().iter().filter(|step| counts(step.call, &step.path)).count();
    let (mut taken_back, mut finished) = (0, 0);
    for at in (1 + offset..=count).step_by(stride(17)) {
        let told = format!("call {at} of {count}, {mode:?}, confirms: {confirms}, without its journal");
        let struck_one = world(template);
        if !struck(at, mode, &struck_one, confirms) {
            assert_near_the_end(at, count, &told);
            break;
        }
        // Also behind the last exchange, where the old store lies under the name of what came.
        let is_mixed = Path::new(&struck_one.live().log).is_file()
            || grap::recovery::switch_in_progress(&struck_one.data()).unwrap();
        let has_confirmed = is_mixed && struck_one.is_being_retired();
        struck_one.reset(&told);
        struck_one.assert_no_mix(&told);
        assert!(Path::new(&struck_one.live().log).is_dir(), "{told}: the barrier is left");
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
    enumerate(Mode::Fail(crate::world::EIO), 0);
}

#[test]
fn every_call_is_the_last() {
    enumerate(Mode::Kill, 1);
}

#[test]
fn every_call_is_the_last_and_its_journal_is_lost() {
    enumerate_without_journal(Mode::Kill, 0);
}
