//! A recovery that somebody does not want any more.

use std::sync::Mutex;
use std::time::Duration;

use grap::ops::{Session, cancel_recovery};
use grap::recovery::{
    self, Answer, Cancel, Gauge, Lane, LiveServer, Machine, Perform, Promote, Start, WhileItRuns,
};
use grap::state::Job;
use grap::{Code, Error, Result};
use grap_core::recovery::{Cause, Recovery, Status, Tier, What, atlas};
use grap_disk::FileLock;
use grap_task::{Clock, Finding, Monitor, Stop, Unit};

use crate::world::{World, assert_settled};

/// Its restore takes until it is told to stop.
struct Slow<'a> {
    fake: crate::world::Fake,
    waits: &'a Stop,
}

impl Perform for Slow<'_> {
    fn restore(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.waits.request();
        assert!(session.stop.wait(Duration::from_mins(1)), "nobody stopped it");
        session.stop.check()?;
        self.fake.restore(recovery, session)
    }
    fn reserve(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.fake.reserve(recovery, session)
    }
    fn reread(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.fake.reread(recovery, session)
    }
    fn start_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Start> {
        self.fake.start_instance(recovery, session)
    }
    fn judge(
        &mut self,
        tier: Tier,
        recovery: &Recovery,
        session: &Session<'_>,
    ) -> Result<WhileItRuns<Answer>> {
        self.fake.judge(tier, recovery, session)
    }
    fn stop_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileItRuns<()>> {
        self.fake.stop_instance(recovery, session)
    }
    fn check_store(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Answer> {
        self.fake.check_store(recovery, session)
    }
    fn write_record(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.fake.write_record(recovery, session)
    }
    fn remove_scratch(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.fake.remove_scratch(recovery, session)
    }
    fn end_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.fake.end_instance(recovery, session)
    }
    fn remove_candidate(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.fake.remove_candidate(recovery, session)
    }
    fn promote(&mut self) -> Result<&mut dyn Promote> {
        self.fake.promote()
    }
}

/// Run until the restore waits; then `tell` from another thread.
fn interrupted(world: &World, tell: impl FnOnce(&Stop) + Send) -> Result<Machine> {
    let (waits, stop) = (Stop::new(), Stop::new());
    std::thread::scope(|scope| {
        let (waits, stop) = (&waits, &stop);
        scope.spawn(move || {
            assert!(waits.wait(Duration::from_mins(1)));
            tell(stop);
        });
        let mut slow = Slow { fake: world.fake([], None), waits };
        world.begin().unwrap().run(&mut slow, &world.session(stop), &Gauge::default())
    })
}

#[test]
fn another_process_cancels_it_and_nothing_is_left() {
    let world = World::new();
    let directory = world.directory.clone();
    let machine = interrupted(&world, move |_| {
        assert!(matches!(recovery::look(&directory, Lane::Recovery), Ok((_, true))));
        let cancelled = recovery::cancel(&directory, Lane::Recovery, &Clock::System).unwrap();
        assert!(matches!(cancelled, Cancel::Asked), "{cancelled:?}");
    });
    let machine = machine.unwrap();
    let recovery = machine.state().recovery().unwrap();
    assert_eq!(recovery.cause, Some(Cause::Cancelled));
    assert_settled(&world.things.borrow(), machine.state(), "cancelled");
    assert_eq!(world.things.borrow().folder, None);
    drop(machine);
    assert!(matches!(recovery::look(&world.directory, Lane::Recovery), Ok((_, false))));
    let twice = recovery::cancel(&world.directory, Lane::Recovery, &world.clock).unwrap_err();
    assert_eq!(twice.code(), Code::RecoveryState);
    assert_eq!(world.reset().status(), Status::NotRecovering);
    assert_eq!(
        recovery::cancel(&world.directory, Lane::Recovery, &world.clock).unwrap_err().code(),
        Code::RecoveryState
    );
}

#[test]
fn a_signal_is_no_cancellation() {
    let world = World::new();
    let stopped = interrupted(&world, Stop::request).unwrap_err();
    assert_eq!(stopped.code(), Code::Interrupted);
    let (state, runs) = recovery::look(&world.directory, Lane::Recovery).unwrap();
    assert_eq!((state.status(), runs), (Status::Recovering, false));
    let Cancel::Noted(machine) = recovery::cancel(&world.directory, Lane::Recovery, &world.clock).unwrap()
    else {
        panic!("nobody performs it")
    };
    assert_eq!(machine.state().status(), Status::Failed);
    let machine = world.run(machine, &mut world.fake([], None)).unwrap();
    assert_settled(&world.things.borrow(), machine.state(), "cancelled afterwards");
}

/// Who is at it does not hear: what nobody has seen taken back is none.
#[test]
fn a_promotion_that_is_not_seen_to_be_taken_back_is_no_success() {
    let world = promoting();
    let busy = world.directory.lock(Job::Recovery, &world.clock).unwrap();
    let began = world.clock.since_boot();
    let cancelled = cancel_recovery(&nowhere, &world.directory, &world.session(&Stop::new()));
    assert!(matches!(cancelled, Err(Error::CancelNotHeard { .. })), "{cancelled:?}");
    assert!(world.clock.since_boot() >= began + Duration::from_mins(5));
    drop(busy);
}

/// Who was at it dies when it is told: we do it.
#[test]
fn a_promotion_is_taken_back_by_who_wants_it_where_nobody_is_left() {
    struct Dies(Mutex<Option<FileLock>>);
    impl Monitor for Dies {
        fn finding(&self, _: &Finding) {
            drop(self.0.lock().unwrap().take());
        }
        fn begin(&self, _: &str, _: Unit, _: Option<u64>) {}
        fn advance(&self, _: u64) {}
    }
    let world = promoting();
    let dies = Dies(Mutex::new(Some(world.directory.lock(Job::Recovery, &world.clock).unwrap())));
    let stop = Stop::new();
    let session = Session { monitor: &dies, ..world.session(&stop) };
    let report = cancel_recovery(&nowhere, &world.directory, &session).unwrap();
    let recovery = report.recovery().unwrap();
    assert_eq!((report.status(), &recovery.called_off), (Status::Success, &Some(Cause::Cancelled)));
    assert!(!world.directory.root().join("recovery.cancel").exists());
}

/// Killed when it was asked for.
fn promoting() -> World {
    let world = World::new();
    drop(world.run(world.begin().unwrap(), &mut world.fake([], None)).unwrap());
    drop(world.ask(&What::PromoteAsked { switch: Box::new(atlas::switch(false)) }).unwrap());
    world
}

fn nowhere() -> Result<LiveServer> {
    Err(Error::LiveUnknown { why: "nobody asks for it".to_owned() })
}

/// The wish was written, and whoever was to see it died: the next one sees it. That for another recovery means nothing.
#[test]
fn a_wish_outlives_the_process_and_not_the_recovery() {
    let world = World::new();
    let request = world.directory.root().join("recovery.cancel");
    drop(world.begin().unwrap());
    std::fs::write(&request, "recovery-20261126-015959").unwrap();
    assert_eq!(world.go_on().status(), Status::Success);
    assert_eq!(world.reset().status(), Status::NotRecovering);
    drop(world.begin().unwrap());
    assert!(!request.exists());
    std::fs::write(&request, "recovery-20261126-020000-2").unwrap();
    let state = world.go_on();
    assert_eq!(state.recovery().unwrap().cause, Some(Cause::Cancelled));
}
