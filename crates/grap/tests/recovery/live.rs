//! The live server without a server: two directories that say whose they are, a lock, and a process that reads them when it
//! starts, and dies of a mix. The exchanges are the real ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use grap::Result;
use grap::ops::Session;
use grap::recovery::{Archived, Confirmation, Promote, Swap, Swapped, UndoEnd, WhileLocked};
use grap_core::recovery::{
    Guard, Halves, Part, Phase, Plan, Recovery, RecoveryId, State, Status, Switch, What, apply, atlas,
};

use super::world::Fake;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Live {
    data: PathBuf,
    /// `system` goes with each promotion and each rollback.
    with_system: bool,
    running: Running,
    lock: Option<u32>,
    pids: u32,
    /// Of each wish, by where what was live goes: whose that is, and whose takes its place.
    wishes: BTreeMap<String, (String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Running {
    #[default]
    Nothing,
    /// It refuses the database.
    Refusing,
    /// The database of this name.
    Serving(String),
}

impl Live {
    pub(crate) fn new(data: &Path, with_system: bool) -> Self {
        let mut live = Self { data: data.to_owned(), with_system, ..Self::default() };
        live.write_side("", "first");
        live.start();
        live
    }

    pub(crate) fn next_pid(&mut self) -> u32 {
        self.pids += 1;
        self.pids
    }

    pub(crate) fn unlock(&mut self, pid: u32) {
        if self.lock == Some(pid) {
            self.lock = None;
        }
    }

    /// Somebody starts the server by hand, whatever stands in the way. It ends at once where the stores are locked, and where it
    /// finds a file in the place of the log of `system`.
    pub(crate) fn start(&mut self) {
        let system = self.halves_of("", "system");
        let is_ended = self.with_system && Path::new(&system.log).is_file();
        if self.lock.is_some() || self.running != Running::Nothing || is_ended {
            return;
        }
        let live = self.halves("");
        let (store, log) = (Path::new(&live.store), Path::new(&live.log));
        self.running = match (store.is_dir(), log.is_dir()) {
            (true, true) => {
                let (store, log) = (whose(store), whose(log));
                assert_eq!(store, log, "a mix is served");
                if self.with_system {
                    for half in [&system.store, &system.log] {
                        assert_eq!(whose(Path::new(half)), store, "it is served with another one's `system`");
                    }
                }
                Running::Serving(store)
            }
            (false, false) if !log.exists() => panic!("an empty database is served"),
            // The barrier, or half of it is missing.
            _ => {
                assert!(!self.with_system, "`system` is served without its database");
                Running::Refusing
            }
        };
    }

    /// A client writes, if it is served.
    pub(crate) fn write(&self) {
        if let Running::Serving(_) = &self.running {
            let log = PathBuf::from(self.halves("").log);
            fs::write(log.join("written"), "").unwrap();
        }
    }

    fn written(path: &str) -> bool {
        Path::new(path).join("written").exists()
    }

    fn halves(&self, below: &str) -> Halves {
        self.halves_of(below, "neo4j")
    }

    fn halves_of(&self, below: &str, database: &str) -> Halves {
        let half = |side: &str| self.data.join(below).join(side).join(database).display().to_string();
        Halves { store: half("databases"), log: half("transactions") }
    }

    fn write_side(&self, below: &str, whose: &str) {
        write(&self.halves(below), whose);
        if self.with_system {
            write(&self.halves_of(below, "system"), whose);
        }
    }

    /// Of the candidate of this recovery, which is there.
    pub(crate) fn promotion(&mut self, recovery: &Recovery, live_is_lost: bool) -> Switch {
        let side = format!(".grap/candidate/{}/data", recovery.id);
        self.write_side(&side, recovery.id.as_str());
        self.switch(&side, recovery.id.as_str(), live_is_lost)
    }

    /// Of what the promotion retired, else of one that is there.
    pub(crate) fn rollback(&mut self, state: &State, id: &str, live_is_lost: bool) -> Switch {
        let promoted = state.recovery().filter(|_| state.status() == Status::Promoted);
        let side = promoted.map_or_else(
            || {
                self.write_side(".grap/retired/before", "before");
                ".grap/retired/before".to_owned()
            },
            |recovery| format!(".grap/retired/{}", recovery.id),
        );
        self.switch(&side, id, live_is_lost)
    }

    /// A switch that was killed between its exchanges, with its journal lost: what was noted beside its barrier.
    pub(crate) fn interrupted(
        &mut self,
        id: &RecoveryId,
        plan: &Plan,
        live_is_lost: bool,
    ) -> (Switch, Guard) {
        let side = match &plan.undoes {
            None => format!(".grap/candidate/{id}/data"),
            Some(_) => ".grap/retired/before".to_owned(),
        };
        self.write_side(&side, "before");
        let switch = self.switch(&side, id.as_str(), live_is_lost);
        let what = What::SwitchFound {
            id: id.clone(),
            plan: plan.clone(),
            switch: Box::new(switch.clone()),
            guard: atlas::guard(),
        };
        let State::Active(recovery) = apply(State::Idle, &atlas::event(what)).unwrap() else { panic!() };
        let swap = Swap::of(&switch);
        let end = atlas::guard().end;
        let guard = swap.guard(&recovery, end, self.with_system.then_some(end)).unwrap();
        self.running = Running::Nothing;
        swap.take_log(&guard).unwrap();
        if plan.undoes.is_none() {
            swap.swap_stores(&guard).unwrap();
        }
        (switch, guard)
    }

    fn switch(&mut self, side: &str, id: &str, live_is_lost: bool) -> Switch {
        let user = self.part("neo4j", side, id);
        let (old, new) = (whose(Path::new(&user.live.store)), whose(Path::new(&user.side.store)));
        self.wishes.insert(user.retired.store.clone(), (old, new));
        let system = self.with_system.then(|| self.part("system", side, id));
        Switch { user, system, ..atlas::switch(live_is_lost) }
    }

    fn part(&self, database: &str, side: &str, id: &str) -> Part {
        let side = self.halves_of(side, database);
        Part {
            database: database.to_owned(),
            live: self.halves_of("", database),
            found: side.clone(),
            side,
            retired: self.halves_of(&format!(".grap/retired/{id}"), database),
        }
    }

    /// What was stopped serves, or is in the middle of the exchanges.
    pub(crate) fn assert_not_left_down(&self, told: &str) {
        let live = self.halves("");
        let is_barred = self.with_system && Path::new(&self.halves_of("", "system").log).is_file();
        let is_mixed = is_barred
            || !Path::new(&live.log).is_dir()
            || whose(Path::new(&live.store)) != whose(Path::new(&live.log));
        assert!(is_mixed || matches!(self.running, Running::Serving(_)), "{told}: it is left down");
    }

    /// One whole database serves: the one that the state says. Nothing of the other is lost.
    pub(crate) fn assert_whole(&self, state: &State, told: &str) {
        let live = self.halves("");
        let (store, log) = (whose(Path::new(&live.store)), whose(Path::new(&live.log)));
        assert_eq!(store, log, "{told}");
        assert_eq!(self.running, Running::Serving(store.clone()), "{told}: it is not served");
        let Some(switch) = state.recovery().and_then(|recovery| recovery.switch.as_deref()) else { return };
        let (old, new) = self.wishes[&switch.user.retired.store].clone();
        let is_promoted = state.status() == Status::Promoted;
        let (is, other) = if is_promoted { (new, old) } else { (old, new) };
        assert_eq!(store, is, "{told}");
        for part in switch.parts() {
            let aside = if is_promoted { &part.retired } else { &part.side };
            for (half, of) in
                [(&part.live.store, &is), (&part.live.log, &is), (&aside.store, &other), (&aside.log, &other)]
            {
                assert_eq!(whose(Path::new(half)), *of, "{told}: {half}");
            }
            let barrier = Path::new(&part.retired.log);
            assert!(is_promoted || !barrier.exists(), "{told}: the barrier is left");
        }
    }

    fn require_lock(&mut self, pid: u32) {
        if self.lock != Some(pid) {
            assert_eq!(self.lock, None, "two processes");
            self.running = Running::Nothing;
            self.lock = Some(pid);
        }
    }

    fn is_ours(&self, pid: u32) -> bool {
        self.lock == Some(pid)
    }

    fn serve(&mut self, pid: u32) {
        self.unlock(pid);
        self.start();
        assert!(matches!(self.running, Running::Serving(_)), "it was told to serve what is not whole");
    }
}

fn write(halves: &Halves, whose: &str) {
    for half in [&halves.store, &halves.log] {
        if !Path::new(half).exists() {
            fs::create_dir_all(half).unwrap();
            fs::write(Path::new(half).join("whose"), whose).unwrap();
        }
    }
}

fn whose(half: &Path) -> String {
    fs::read_to_string(half.join("whose")).unwrap_or_else(|error| panic!("{}: {error}", half.display()))
}

fn parts(recovery: &Recovery) -> (Switch, Swap) {
    let switch = recovery.switch.as_deref().expect("it is planned").clone();
    let swap = Swap::of(&switch);
    (switch, swap)
}

fn guard(recovery: &Recovery) -> &Guard {
    recovery.guard.as_ref().expect("it was noted")
}

impl Fake {
    /// What is done under the lock, while nothing is exchanged.
    fn locked<T>(&mut self, recovery: &Recovery, act: impl FnOnce() -> Result<T>) -> Result<WhileLocked<T>> {
        let lost = matches!(self.script.front(), Some(What::LockLost { .. }));
        let pid = self.pid;
        self.order(recovery, |things, inside| {
            if lost {
                things.live.unlock(pid);
            }
            if !things.live.is_ours(pid) {
                return Ok(WhileLocked::Lost(atlas::failure()));
            }
            let done = act()?;
            inside(things)?;
            Ok(WhileLocked::Done(done))
        })
    }

    fn exchange(
        &mut self,
        recovery: &Recovery,
        until: Swapped,
        act: impl FnOnce(&Swap, &Guard) -> Result<()>,
    ) -> Result<()> {
        let pid = self.pid;
        let ((_, swap), guard) = (parts(recovery), guard(recovery));
        self.order(recovery, |things, inside| {
            if swap.look(guard)? < until {
                things.live.require_lock(pid);
            }
            act(&swap, guard)?;
            inside(things)
        })
    }
}

impl Promote for Fake {
    fn look_again(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<bool> {
        let down = matches!(self.script.front(), Some(What::LookedAgain { ran: false }));
        self.order(recovery, |things, inside| {
            if down {
                things.live.running = Running::Nothing;
            }
            inside(things)?;
            Ok(things.live.running != Running::Nothing)
        })
    }

    fn stage(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| inside(things))
    }

    fn drain(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<bool> {
        let down = matches!(self.script.front(), Some(What::Drained { ran: false }));
        self.order(recovery, |things, inside| {
            if down {
                things.live.running = Running::Nothing;
            }
            inside(things)?;
            Ok(things.live.running != Running::Nothing)
        })
    }

    fn stop_live(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<bool> {
        let pid = self.pid;
        let down = matches!(self.script.front(), Some(What::LiveStopped { ran: false }));
        self.order(recovery, |things, inside| {
            if down {
                things.live.running = Running::Nothing;
            }
            let ran = std::mem::take(&mut things.live.running) != Running::Nothing;
            inside(things)?;
            things.live.require_lock(pid);
            Ok(ran)
        })
    }

    fn await_archive(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<WhileLocked<Archived>> {
        let missed = matches!(self.script.front(), Some(What::ArchiveMissed { .. }));
        let archived = if missed { Archived::Missed(atlas::failure()) } else { Archived::Reached };
        self.locked(recovery, || Ok(archived))
    }

    fn guard(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<WhileLocked<Guard>> {
        let ((switch, swap), end) = (parts(recovery), atlas::guard().end);
        self.locked(recovery, || swap.guard(recovery, end, switch.system.as_ref().map(|_| end)))
    }

    fn take_log(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<WhileLocked<()>> {
        let ((_, swap), guard) = (parts(recovery), guard(recovery));
        if swap.look(guard)? > Swapped::Nothing {
            return self.exchange(recovery, Swapped::LogTaken, Swap::take_log).map(WhileLocked::Done);
        }
        self.locked(recovery, || swap.take_log(guard))
    }

    fn swap_stores(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.exchange(recovery, Swapped::StoresSwapped, Swap::swap_stores)
    }

    fn put_log(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.exchange(recovery, Swapped::LogPut, Swap::put_log)
    }

    fn start_live(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        let pid = self.pid;
        self.order(recovery, |things, inside| {
            things.live.serve(pid);
            inside(things)
        })
    }

    fn confirm(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<Confirmation> {
        let unsure = matches!(self.script.front(), Some(What::Unconfirmed { .. }));
        self.order(recovery, |things, inside| {
            inside(things)?;
            Ok(if unsure { Confirmation::Unsure(atlas::failure()) } else { Confirmation::Confirmed })
        })
    }

    fn retire(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        let ((_, swap), guard) = (parts(recovery), guard(recovery));
        self.order(recovery, |things, inside| {
            assert!(swap.retire(guard)?.is_empty(), "the old store is there");
            inside(things)?;
            if !recovery.is_rollback() {
                things.folder = None;
            }
            Ok(())
        })
    }

    fn record_promotion(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| inside(things))
    }

    fn undo(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<UndoEnd> {
        let pid = self.pid;
        let (switch, swap) = parts(recovery);
        let written = matches!(self.script.front(), Some(What::Written));
        self.order(recovery, |things, inside| {
            let done = recovery.guard.as_ref().map_or(Ok(Swapped::Nothing), |guard| swap.look_back(guard))?;
            if done > Swapped::Nothing {
                things.live.require_lock(pid);
            }
            if written || (done == Swapped::LogPut && Live::written(&switch.user.live.log)) {
                return Ok(UndoEnd::Written);
            }
            inside(things)?;
            if let Some(guard) = &recovery.guard {
                swap.undo_exchanges(guard)?;
            }
            swap.remove_barrier()?;
            Ok(UndoEnd::Undone)
        })
    }

    fn start_old(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        let pid = self.pid;
        self.order(recovery, |things, inside| {
            assert_eq!(recovery.phase, Phase::Restarting);
            if recovery.ran {
                things.live.serve(pid);
            } else {
                things.live.unlock(pid);
            }
            inside(things)
        })
    }

    fn leave(&mut self, recovery: &Recovery, _: &Session<'_>) {
        let (pid, (_, swap)) = (self.pid, parts(recovery));
        if let Some(guard) = recovery.guard.as_ref()
            && self.things.borrow().live.is_ours(pid)
            && matches!(
                swap.look_back(guard),
                Ok(Swapped::SystemTaken | Swapped::LogTaken | Swapped::StoresSwapped)
            )
        {
            // As far as it goes: it may be struck, too.
            let _ = match recovery.phase {
                Phase::Undoing => swap.undo_exchanges(guard),
                _ => swap
                    .take_log(guard)
                    .and_then(|()| swap.swap_stores(guard))
                    .and_then(|()| swap.put_log(guard)),
            };
        }
        let done = recovery.guard.as_ref().map_or(Ok(Swapped::Nothing), |guard| swap.look_back(guard));
        let is_whole = matches!(done, Ok(Swapped::Nothing | Swapped::LogPut));
        let mut things = self.things.borrow_mut();
        let ours = things.live.is_ours(pid);
        let is_down = recovery.phase.live_may_be_down() && things.live.running == Running::Nothing;
        if is_whole && recovery.ran && (ours || is_down) {
            things.live.serve(pid);
        }
    }
}
