//! What a recovery acts on, without the servers and the stores: a directory, a process, records. Each order looks first,
//! as the real ones do, and can be struck before it acts, while it does, and right after.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use grap::ops::Session;
use grap::recovery::{Answer, Gauge, Lane, Machine, Perform, Promote, Start, WhileItRuns};
use grap::server::ServerError;
use grap::state::StateDirectory;
use grap::{Error, Result};
use grap_core::recovery::{
    INSTANCE_DIED, Instance, Order, Plan, Recovery, RecoveryId, State, Tier, TierVerdict, What, atlas,
};
use grap_repository::LockHolder;
use grap_task::{Clock, ManualClock, Silent, Stop, Stopped};

use super::live::Live;

/// What is there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Things {
    pub(crate) folder: Option<Folder>,
    /// The process of the test instance, with its nonce.
    pub(crate) process: Option<String>,
    pub(crate) scratch: bool,
    /// Of which recoveries.
    pub(crate) records: Vec<RecoveryId>,
    /// How often a candidate was written.
    pub(crate) restores: usize,
    pub(crate) starts: usize,
    /// The live server, and its database.
    pub(crate) live: Live,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// None where it was made and not marked.
    owner: Option<RecoveryId>,
    pub(crate) data: Data,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    Nothing,
    Half,
    Whole,
    /// A server ran on it and was not stopped.
    Open,
    /// And stopped.
    Clean,
}

/// Where an order is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    Inside,
    After,
}

/// And how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Fail,
    /// What it has to look at cannot be looked at.
    Blind,
    /// By a signal that asks the program to stop.
    Stop,
    /// The test instance goes with the program.
    Crash,
    /// It lives on.
    CrashAlone,
}

/// What a crash unwinds with.
#[derive(Debug)]
pub(crate) struct Crash;

/// The performer of one process.
pub(crate) struct Fake {
    pub(super) things: Rc<RefCell<Things>>,
    state: PathBuf,
    /// What comes of the next orders; then they go well.
    pub(super) script: VecDeque<What>,
    /// Strikes the first order behind the script.
    strike: Option<(How, When)>,
    /// Of this process.
    pub(super) pid: u32,
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Ok(mut things) = self.things.try_borrow_mut() {
            things.live.unlock(self.pid);
        }
    }
}

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) directory: StateDirectory,
    pub(crate) things: Rc<RefCell<Things>>,
    pub(crate) clock: Clock,
    holder: LockHolder,
}

impl World {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let directory = StateDirectory::open(&folder.path().join("state")).unwrap();
        let things = Things { live: Live::new(&folder.path().join("data")), ..Things::default() };
        let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
        let clock = Clock::Manual(ManualClock::at("2026-11-26T02:00:00Z".parse().unwrap()));
        Self { _folder: folder, directory, things: Rc::new(RefCell::new(things)), clock, holder }
    }

    pub(crate) fn session<'a>(&'a self, stop: &'a Stop) -> Session<'a> {
        Session { clock: &self.clock, stop, monitor: &Silent, holder: &self.holder, program: "grap test" }
    }

    pub(crate) fn open(&self) -> Result<Machine> {
        Machine::open(&self.directory, Lane::Recovery, &self.clock)
    }

    pub(crate) fn begin(&self) -> Result<Machine> {
        let machine = self.open()?;
        let id = machine.next_id(self.clock.now());
        let plan = atlas::plan(&format!("/data/.grap/candidate/{id}"));
        machine.begin(id, plan, &self.clock)
    }

    /// What somebody asks for.
    pub(crate) fn ask(&self, wish: &What) -> Result<Machine> {
        if let What::Begun { .. } = wish {
            return self.begin();
        }
        let (machine, clock) = (self.open()?, &self.clock);
        let state = machine.state().clone();
        match wish {
            What::ResetAsked => machine.reset(clock),
            What::ConfirmAsked => machine.ask_again(clock),
            What::PromoteAsked { switch } => {
                let recovery = state.recovery().unwrap();
                let switch = self.things.borrow_mut().live.promotion(recovery, switch.live_is_lost);
                machine.ask_promotion(switch, clock)
            }
            What::RollbackBegun { switch, .. } => {
                self.tick();
                let id = machine.next_id(clock.now());
                let switch = self.things.borrow_mut().live.rollback(&state, id.as_str(), switch.live_is_lost);
                let undoes = Some("recovery-20261126-020000".parse().unwrap());
                let plan = Plan { undoes, ..atlas::plan("/data/.grap/retired/before") };
                machine.begin_rollback(id, plan, switch, clock)
            }
            What::SwitchFound { plan, switch, .. } => {
                let id = machine.next_id(clock.now());
                let mut things = self.things.borrow_mut();
                if plan.undoes.is_none() {
                    things.folder = Some(Folder { owner: Some(id.clone()), data: Data::Clean });
                    things.restores = 1;
                }
                let found = things.live.interrupted(&id, plan, switch.live_is_lost);
                machine.take_up(id, plan.clone(), found, clock)
            }
            what => panic!("nobody asks for {}", what.name()),
        }
    }

    pub(crate) fn fake(&self, script: impl IntoIterator<Item = What>, strike: Option<(How, When)>) -> Fake {
        let pid = self.things.borrow_mut().live.next_pid();
        Fake {
            things: Rc::clone(&self.things),
            state: self.directory.root().to_owned(),
            script: script.into_iter().collect(),
            strike,
            pid,
        }
    }

    /// A later second, so that the next recovery has an id of its own.
    pub(crate) fn tick(&self) {
        if let Clock::Manual(clock) = &self.clock {
            clock.advance(std::time::Duration::from_secs(1));
        }
    }

    /// One process: perform what is owed.
    pub(crate) fn run(&self, machine: Machine, fake: &mut Fake) -> Result<Machine> {
        machine.run(fake, &self.session(&Stop::new()), &Gauge::default())
    }

    /// The next process, and those behind it where an order has to be tried again.
    pub(crate) fn go_on(&self) -> State {
        self.run(self.open().unwrap(), &mut self.fake([], None)).unwrap().state().clone()
    }

    pub(crate) fn reset(&self) -> State {
        let machine = self.open().unwrap().reset(&self.clock).unwrap();
        self.run(machine, &mut self.fake([], None)).unwrap().state().clone()
    }
}

impl Fake {
    /// Whether the strike was used.
    pub(crate) fn struck(&self) -> bool {
        self.strike.is_none()
    }

    /// One order: `act` changes the things, in two steps.
    pub(super) fn order<T>(
        &mut self,
        recovery: &Recovery,
        act: impl FnOnce(&mut Things, &mut dyn FnMut(&mut Things) -> Result<()>) -> Result<T>,
    ) -> Result<T> {
        match self.script.pop_front() {
            Some(What::Failed { failure, .. }) if failure.code == INSTANCE_DIED => return Err(died()),
            Some(What::Failed { .. } | What::RecordMissed { .. }) => return Err(no_luck()),
            Some(What::CancelAsked) => {
                std::fs::write(self.state.join("recovery.cancel"), recovery.id.as_str()).unwrap();
                return Err(Stopped.into());
            }
            Some(_) => return act(&mut self.things.borrow_mut(), &mut |_| Ok(())),
            None => {}
        }
        let strike = self.strike.take();
        let things = Rc::clone(&self.things);
        let mut things = things.borrow_mut();
        let hit = |things: &mut Things, now: When| match strike {
            Some((how, when)) if when == now => how.strike(things),
            _ => Ok(()),
        };
        hit(&mut things, When::Before)?;
        let result = act(&mut things, &mut |things| hit(things, When::Inside))?;
        hit(&mut things, When::After)?;
        Ok(result)
    }
}

impl How {
    fn strike(self, things: &mut Things) -> Result<()> {
        match self {
            Self::Fail => Err(no_luck()),
            Self::Blind => Err(Error::StillOwed(Box::new(no_luck()))),
            Self::Stop => Err(Stopped.into()),
            Self::Crash => {
                things.process = None;
                std::panic::resume_unwind(Box::new(Crash))
            }
            Self::CrashAlone => std::panic::resume_unwind(Box::new(Crash)),
        }
    }
}

fn died() -> Error {
    let status = std::os::unix::process::ExitStatusExt::from_raw(9);
    ServerError::Died { database: "neo4j".to_owned(), status, said: "died".to_owned() }.into()
}

fn no_luck() -> Error {
    Error::NoRepository { location: "nowhere".to_owned() }
}

fn answer(verdict: TierVerdict) -> Answer {
    Answer { verdict, findings: vec!["a finding".to_owned()], measured: None, print: None }
}

impl Things {
    fn owned(&mut self, recovery: &Recovery) -> &mut Folder {
        let folder = self.folder.as_mut().expect("the candidate is there");
        assert_eq!(folder.owner.as_ref(), Some(&recovery.id), "the candidate is this recovery's");
        folder
    }

    /// The instance that the journal knows is the one that runs.
    fn runs(&self, recovery: &Recovery) -> bool {
        let known = recovery.instance.as_ref().expect("an instance is known");
        self.process.as_ref() == Some(&known.nonce)
    }
}

impl Perform for Fake {
    fn reserve(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        let id = recovery.id.clone();
        self.order(recovery, |things, inside| {
            let folder = things.folder.get_or_insert(Folder { owner: None, data: Data::Nothing });
            assert!(folder.owner.as_ref().is_none_or(|owner| *owner == id), "another one's");
            inside(things)?;
            things.folder.as_mut().unwrap().owner = Some(id);
            Ok(())
        })
    }

    fn restore(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| {
            if matches!(things.owned(recovery).data, Data::Nothing | Data::Half) {
                things.owned(recovery).data = Data::Half;
                inside(things)?;
                things.restores += 1;
                things.owned(recovery).data = Data::Whole;
                return Ok(());
            }
            inside(things)
        })
    }

    fn reread(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| {
            inside(things)?;
            assert_eq!(things.owned(recovery).data, Data::Whole);
            Ok(())
        })
    }

    fn start_instance(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<Start> {
        let refused = matches!(self.script.front(), Some(What::Judged { .. }));
        self.order(recovery, |things, inside| {
            things.process = None;
            things.owned(recovery).data = Data::Open;
            things.scratch = true;
            things.starts += 1;
            let nonce = format!("nonce {}", things.starts);
            things.process = Some(nonce.clone());
            inside(things)?;
            if refused {
                return Ok(Start::Refused(answer(atlas::failed())));
            }
            Ok(Start::Running(Instance { nonce, ..atlas::instance() }))
        })
    }

    fn judge(&mut self, tier: Tier, recovery: &Recovery, _: &Session<'_>) -> Result<WhileItRuns<Answer>> {
        let (verdict, lost) = match self.script.front() {
            Some(What::Judged { judgement, .. }) => {
                assert_eq!(judgement.tier, tier);
                (judgement.verdict.clone(), false)
            }
            Some(What::InstanceLost { .. }) => (atlas::passed(), true),
            _ => (atlas::passed(), false),
        };
        self.order(recovery, |things, inside| {
            inside(things)?;
            if lost {
                things.process = None;
            }
            if !things.runs(recovery) {
                return Ok(WhileItRuns::Lost(atlas::failure()));
            }
            Ok(WhileItRuns::Done(answer(verdict)))
        })
    }

    fn stop_instance(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<WhileItRuns<()>> {
        let lost = matches!(self.script.front(), Some(What::InstanceLost { .. }));
        self.order(recovery, |things, inside| {
            if lost {
                things.process = None;
            }
            if things.owned(recovery).data == Data::Clean {
                inside(things)?;
                return Ok(WhileItRuns::Done(()));
            }
            if !things.runs(recovery) {
                return Ok(WhileItRuns::Lost(atlas::failure()));
            }
            inside(things)?;
            things.process = None;
            things.owned(recovery).data = Data::Clean;
            Ok(WhileItRuns::Done(()))
        })
    }

    fn check_store(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<Answer> {
        let verdict = match self.script.front() {
            Some(What::Judged { judgement, .. }) => judgement.verdict.clone(),
            _ => atlas::passed(),
        };
        self.order(recovery, |things, inside| {
            assert_eq!((things.owned(recovery).data, &things.process), (Data::Clean, &None));
            inside(things)?;
            Ok(answer(verdict))
        })
    }

    fn write_record(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| {
            assert_eq!(things.process, None);
            inside(things)?;
            if !things.records.contains(&recovery.id) {
                things.records.push(recovery.id.clone());
            }
            Ok(())
        })
    }

    fn remove_scratch(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| {
            assert_eq!(things.process, None);
            inside(things)?;
            things.scratch = false;
            Ok(())
        })
    }

    fn end_instance(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| {
            inside(things)?;
            things.process = None;
            Ok(())
        })
    }

    fn remove_candidate(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        self.order(recovery, |things, inside| {
            assert_eq!(things.process, None, "an instance runs on it");
            things.scratch = false;
            if let Some(folder) = &mut things.folder {
                assert!(folder.owner.as_ref().is_none_or(|owner| *owner == recovery.id));
                folder.data = Data::Half;
            }
            inside(things)?;
            things.folder = None;
            Ok(())
        })
    }

    fn promote(&mut self) -> Result<&mut dyn Promote> {
        Ok(self)
    }
}

/// What has to be so when nothing is owed.
pub(crate) fn assert_settled(things: &Things, state: &State, told: &str) {
    use grap_core::recovery::{Fate, Status, order};
    assert_eq!(order(state), None, "{told}");
    things.live.assert_whole(state, told);
    assert_eq!(things.process, None, "{told}: no process is left");
    let data = things.folder.as_ref().map(|folder| folder.data);
    let recovery = state.recovery();
    match state.status() {
        Status::NotRecovering => {
            assert_eq!((data, things.scratch), (None, false), "{told}: nothing is left");
        }
        Status::Success => {
            assert!(!recovery.unwrap().is_rollback(), "{told}");
            assert_eq!((data, things.scratch), (Some(Data::Clean), false), "{told}");
            assert_eq!(things.restores, 1, "{told}: it was written once");
        }
        Status::Promoted => {}
        Status::Failed if recovery.unwrap().is_rollback() => {}
        Status::Failed if recovery.unwrap().fate == Fate::Kept => {
            assert!(matches!(data, Some(Data::Whole | Data::Open | Data::Clean)), "{told}: {data:?}");
        }
        Status::Failed => assert_eq!((data, things.scratch), (None, false), "{told}: it is removed"),
        other => panic!("{told}: {other}"),
    }
    if let Some(recovery) = recovery.filter(|recovery| !recovery.is_rollback()) {
        let judged = recovery.judgements.iter().any(grap_core::recovery::Judgement::failed);
        let recorded = things.records.iter().filter(|id| **id == recovery.id).count();
        let told_so = recovery.steps.iter().any(|step| step.order == Order::WriteRecord);
        let has_to = judged || state.status() == Status::Success;
        assert!(told_so || !has_to || recovery.unrecorded.is_some(), "{told}: not recorded, and not said");
        assert!(recorded <= 1, "{told}: {recorded} records");
        assert!(
            recorded == usize::from(told_so) || recovery.unrecorded.is_some(),
            "{told}: {recorded} records"
        );
    }
}
