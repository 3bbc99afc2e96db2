//! The real orders on real stores, of a rollback, with nobody in the server's place: what is looked at before anything is
//! exchanged, and who else may be at it. A whole promotion with a server: `crates/app/tests/it/promoted.rs`.

use std::path::PathBuf;

use grap_core::recovery::{Cause, Halves, Order, Part, Phase, SwitchLimits, What, apply, atlas};
use grap_disk::{self as disk, ForeignLock};
use grap_repository::LockHolder;
use grap_task::{Clock, Silent, Stop};

use super::*;
use crate::live::SYSTEM;
use crate::recovery::promote::{Promote as _, UndoEnd, WhileLocked};
use crate::recovery::swap::Swapped;
use crate::server::control::{Manager, StoresLock};

struct World {
    folder: tempfile::TempDir,
    recovery: Recovery,
}

impl World {
    /// A stopped live database, and a retired copy of it that is to come back.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        grap_testkit::installation_fixture("5.26.30", &data).unwrap();
        for side in ["databases", "transactions"] {
            let (half, retired) = (data.join(side), data.join(".grap/retired/before").join(side));
            disk::create_dir_all(&retired).unwrap();
            grap_testkit::tree::copy(&half.join("neo4j"), &retired.join("neo4j")).unwrap();
        }
        let halves = |of: &str| {
            let half = |side: &str| data.join(of).join(side).join("neo4j").display().to_string();
            Halves { store: half("databases"), log: half("transactions") }
        };
        let found = halves(".grap/retired/before");
        let user = Part {
            live: halves(""),
            side: found.clone(),
            found,
            retired: halves(".grap/retired/now"),
            ..atlas::switch(false).user
        };
        let switch = Box::new(Switch {
            user,
            archived: Vec::new(),
            limits: SwitchLimits { start_s: 1, stop_s: 5, ..SwitchLimits::default() },
            ..atlas::switch(false)
        });
        let What::RollbackBegun { id, plan, .. } = atlas::rollback_begun(false) else { panic!() };
        let begun =
            apply(grap_core::recovery::State::Idle, &atlas::event(What::RollbackBegun { id, plan, switch }));
        let recovery = begun.unwrap().recovery().unwrap().clone();
        Self { folder, recovery }
    }

    /// And of its `system`.
    fn with_system() -> Self {
        let mut world = Self::new();
        let data = world.data();
        for side in ["databases", "transactions"] {
            let (half, retired) = (data.join(side), data.join(".grap/retired/before").join(side));
            grap_testkit::tree::copy(&half.join(SYSTEM), &retired.join(SYSTEM)).unwrap();
        }
        let of_system = |halves: &Halves| {
            let other = |half: &String| half.replace("/neo4j", "/system");
            Halves { store: other(&halves.store), log: other(&halves.log) }
        };
        let switch = world.recovery.switch.as_deref_mut().unwrap();
        switch.system = Some(Part {
            database: SYSTEM.to_owned(),
            live: of_system(&switch.user.live),
            found: of_system(&switch.user.found),
            side: of_system(&switch.user.side),
            retired: of_system(&switch.user.retired),
        });
        world
    }

    /// Killed in between.
    fn take_log_of_system(&self) {
        let log = |of: &str| self.data().join(of).join("transactions/system");
        disk::exchange(&log(""), &log(".grap/retired/now")).unwrap();
    }

    /// Up to the last exchange.
    fn put(&mut self, find: &FindLive<'_>) {
        let mut orders = LiveSwitch::new(find, None);
        self.guarded(&mut orders);
        with_session(|session| {
            orders.take_log(&self.recovery, session).unwrap();
            orders.swap_stores(&self.recovery, session).unwrap();
            orders.put_log(&self.recovery, session).unwrap();
        });
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn live(&self) -> LiveServer {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("bolt://{}", taken.local_addr().unwrap());
        let at = format!("cd '{}' && ", self.folder.path().display());
        LiveServer {
            installation: InstallationOptions::Data {
                data: self.data(),
                transactions: None,
                database: Some("neo4j".to_owned()),
            },
            control: ServerControl::Commands {
                stop: ":".to_owned(),
                start: format!("{at} echo x >>started"),
                manager: Some(Manager {
                    unit: "neo4j".to_owned(),
                    wanted: "false".to_owned(),
                    known: "true".to_owned(),
                }),
            },
            connection: Options::new(address.parse().unwrap(), grap_bolt::client::Auth::None),
        }
    }

    fn swap(&self) -> Swap {
        switch_of(&self.recovery).unwrap().1
    }

    /// It is free. (A program that another test of this process starts holds it from its fork to its exec.)
    fn await_claim(&self) {
        let is_free = || super::locked::claim_if_retired(&self.data()).is_ok();
        with_session(|session| {
            for _ in 0..1000 {
                if is_free() {
                    return;
                }
                session.clock.wait(Duration::from_millis(10), session.stop);
            }
            panic!("it is held");
        });
    }

    fn is_started(&self) -> bool {
        disk::stat(&self.folder.path().join("started")).unwrap().is_some()
    }

    /// Up to the barrier, noted as the journal would.
    fn guarded(&mut self, orders: &mut LiveSwitch<'_>) {
        with_session(|session| {
            orders.look_again(&self.recovery, session).unwrap();
            orders.stage(&self.recovery, session).unwrap();
            orders.stop_live(&self.recovery, session).unwrap();
            let WhileLocked::Done(guard) = orders.guard(&self.recovery, session).unwrap() else { panic!() };
            self.recovery.guard = Some(guard);
        });
    }
}

fn with_session<T>(work: impl FnOnce(&Session<'_>) -> T) -> T {
    let holder = LockHolder { hostname: "host".to_owned(), username: "user".to_owned(), uid: 0, gid: 0 };
    let stop = Stop::new();
    work(&Session {
        clock: &Clock::System,
        stop: &stop,
        monitor: &Silent,
        holder: &holder,
        program: "grap test",
    })
}

#[test]
fn nothing_is_exchanged_while_an_admin_tool_has_the_database_open() {
    let mut world = World::new();
    let live = world.live();
    let find = || Ok(live.clone());
    let admin = || {
        let path = world.data().join("databases/neo4j/database_lock");
        ForeignLock::try_take(&path).unwrap().unwrap()
    };
    let mut orders = LiveSwitch::new(&find, None);
    let held = admin();
    let refused =
        with_session(|session| orders.look_again(&world.recovery, session)).unwrap_err().to_string();
    assert!(refused.contains("neo4j-admin"), "{refused}");
    drop(held);
    world.guarded(&mut orders);
    let path = world.data().join("databases/neo4j/database_lock");
    let held = ForeignLock::try_take(&path).unwrap().unwrap();
    let (recovery, swap) = (&world.recovery, world.swap());
    let guard = recovery.guard.as_ref().unwrap();
    assert!(with_session(|session| orders.take_log(recovery, session)).is_err());
    assert_eq!(swap.look(guard).unwrap(), Swapped::Nothing);
    drop(held);
    with_session(|session| orders.take_log(recovery, session)).unwrap();
    // Nor back.
    let held = ForeignLock::try_take(&path).unwrap().unwrap();
    assert!(with_session(|session| orders.undo(recovery, session)).is_err());
    assert_eq!(swap.look(guard).unwrap(), Swapped::LogTaken);
    drop(held);
}

/// Called off, with neither half of the old database there: a server would make an empty one, and serve that.
#[test]
fn in_the_place_of_a_database_that_is_gone_no_server_is_started() {
    let mut world = World::new();
    let live = world.live();
    let find = || Ok(live.clone());
    let mut orders = LiveSwitch::new(&find, None);
    world.guarded(&mut orders);
    world.recovery.ran = true;
    for side in ["databases", "transactions"] {
        disk::remove_tree(&world.data().join(side).join("neo4j")).unwrap();
    }
    let gone = with_session(|session| orders.start_old(&world.recovery, session)).unwrap_err();
    let Error::StillOwed(why) = &gone else { panic!("{gone:?}") };
    assert!(matches!(**why, Error::LiveGone { .. }), "{why:?}");
    with_session(|session| orders.leave(&world.recovery, session));
    assert!(!world.is_started());
}

/// The look saw none: it was started since, and has been told to stop.
#[test]
fn a_server_that_was_told_to_stop_is_started_whatever_the_look_saw() {
    let mut world = World::new();
    let live = world.live();
    let find = || Ok(live.clone());
    world.recovery.ran = false;
    world.recovery.switch.as_deref_mut().unwrap().limits.start_s = 1;
    let mut orders = LiveSwitch::new(&find, None);
    with_session(|session| orders.start_old(&world.recovery, session)).unwrap();
    assert!(!world.is_started());
    orders.stop_failed = true;
    let _ = with_session(|session| orders.start_old(&world.recovery, session));
    assert!(world.is_started());
}

/// Behind damage there may be more: what a release goes by is the end of everything.
#[test]
fn a_log_that_is_damaged_behind_its_last_transaction_has_no_end() {
    let world = World::new();
    let log = world.data().join(".grap/retired/before/transactions/neo4j");
    let end = end_of_retired(&log, "neo4j").unwrap();
    let file = log.join(format!("neostore.transaction.db.{}", end.position.version.0));
    let mut bytes = disk::read(&file, 1 << 30).unwrap();
    let at = usize::try_from(end.position.offset).unwrap();
    bytes.resize(bytes.len().max(at + 4096), 0);
    bytes[at + 2048..at + 2060].fill(0xab);
    disk::remove_file(&file).unwrap();
    disk::publish(&file, &[&bytes]).unwrap();
    let refused = end_of_retired(&log, "neo4j").unwrap_err();
    assert!(matches!(refused, Error::PromotionRefused { .. }), "{refused}");
}

#[test]
fn a_lock_whose_file_was_removed_is_lost() {
    let mut world = World::new();
    let live = world.live();
    let find = || Ok(live.clone());
    let mut orders = LiveSwitch::new(&find, None);
    world.guarded(&mut orders);
    disk::remove_file(&world.data().join("databases/store_lock")).unwrap();
    // Somebody's start script does that, and the server takes the lock of a new file.
    let server = StoresLock::try_take(&world.data()).unwrap().unwrap();
    let (recovery, swap) = (&world.recovery, world.swap());
    let lost = with_session(|session| orders.take_log(recovery, session)).unwrap();
    assert!(matches!(lost, WhileLocked::Lost(_)));
    assert_eq!(swap.look(recovery.guard.as_ref().unwrap()).unwrap(), Swapped::Nothing);
    drop(server);
}

/// Of another state directory: its journal says nothing about ours.
#[test]
fn two_graps_do_not_change_one_data_directory() {
    let mut world = World::new();
    let live = world.live();
    let find = || Ok(live.clone());
    let (mut ours, mut theirs) = (LiveSwitch::new(&find, None), LiveSwitch::new(&find, None));
    world.guarded(&mut ours);
    let (recovery, swap) = (&world.recovery, world.swap());
    with_session(|session| {
        ours.take_log(recovery, session).unwrap();
        for refused in
            [theirs.look_again(recovery, session).map(drop), theirs.undo(recovery, session).map(drop)]
        {
            assert!(refused.unwrap_err().to_string().contains("switch.lock"));
        }
        ours.swap_stores(recovery, session).unwrap();
        ours.put_log(recovery, session).unwrap();
        drop(ours);
        world.await_claim();
        // What they have exchanged back meanwhile is not confirmed.
        assert!(matches!(theirs.undo(recovery, session).unwrap(), UndoEnd::Undone));
        drop(theirs);
        world.await_claim();
        let mut ours = LiveSwitch::new(&find, None);
        let failed = ours.confirm(recovery, session);
        assert!(matches!(failed, Err(Error::NotConfirmed { .. })));
    });
    assert_eq!(swap.look(recovery.guard.as_ref().unwrap()).unwrap(), Swapped::Nothing);
}

/// As where the journal has no room for what was done.
#[test]
fn what_is_half_exchanged_is_finished_and_started_where_the_lock_is_ours() {
    type Make = fn() -> World;
    let done = [
        (World::new as Make, Swapped::StoresSwapped),
        (World::with_system, Swapped::StoresSwapped),
        (World::with_system, Swapped::SystemTaken),
    ];
    for (make, done) in done {
        for (phase, whole) in [(Phase::LogTaken, Swapped::LogPut), (Phase::Undoing, Swapped::Nothing)] {
            let mut world = make();
            let live = world.live();
            let find = || Ok(live.clone());
            let mut orders = LiveSwitch::new(&find, None);
            world.guarded(&mut orders);
            (world.recovery.phase, world.recovery.ran) = (phase, true);
            let (recovery, swap) = (&world.recovery, world.swap());
            let seen = || swap.look(recovery.guard.as_ref().unwrap()).unwrap();
            with_session(|session| {
                if done == Swapped::SystemTaken {
                    world.take_log_of_system();
                } else {
                    orders.take_log(recovery, session).unwrap();
                    orders.swap_stores(recovery, session).unwrap();
                }
                // Not by who has lost the lock.
                LiveSwitch::new(&find, None).leave(recovery, session);
                assert_eq!(seen(), done);
                assert!(!world.is_started());
                orders.leave(recovery, session);
            });
            assert_eq!(seen(), whole, "{phase:?} from {done:?}");
            assert!(world.is_started());
        }
    }
}

/// The old `system` comes back, whatever a server has written to the new one that did not come up with it.
#[test]
fn a_server_that_did_not_come_up_has_let_nobody_write_to_system() {
    let cases = [
        (Order::Confirm, false, UndoEnd::Written),
        (Order::StartLive, false, UndoEnd::Undone),
        // One that runs may be one that Grap does not reach.
        (Order::StartLive, true, UndoEnd::Written),
    ];
    for (order, runs, end) in cases {
        let mut world = World::with_system();
        let live = world.live();
        let find = || Ok(live.clone());
        world.put(&find);
        // What stands behind that it was promoted with, somebody has written.
        let guard = world.recovery.guard.as_mut().unwrap();
        guard.system.as_mut().unwrap().end.id.0 -= 1;
        let cause = Cause::Failed { order, failure: atlas::failure() };
        (world.recovery.phase, world.recovery.cause) = (Phase::Undoing, Some(cause));
        let server = runs.then(|| StoresLock::try_take(&world.data()).unwrap().unwrap());
        let mut orders = LiveSwitch::new(&find, None);
        let ended = with_session(|session| orders.undo(&world.recovery, session));
        assert_eq!(ended.unwrap(), end, "{order:?}");
        drop(server);
    }
}

/// An empty database would be made where it is missing.
#[test]
fn what_is_not_whole_is_not_gone_back_to() {
    for is_missing in [false, true] {
        let mut world = World::with_system();
        let live = world.live();
        let find = || Ok(live.clone());
        world.put(&find);
        if is_missing {
            disk::remove_tree(&world.data().join(".grap/retired/before/databases/neo4j")).unwrap();
        }
        let mut orders = LiveSwitch::new(&find, None);
        let failed = with_session(|session| orders.start_live(&world.recovery, session)).unwrap_err();
        assert_eq!(matches!(failed, Error::StillOwed(_)), is_missing, "{failed}");
    }
}

/// In three rows of a switch with `system` the log of the database is a directory, and no server starts.
#[test]
fn no_switch_passes_by_a_barrier_of_system() {
    let mut world = World::with_system();
    let live = world.live();
    let find = || Ok(live.clone());
    let mut orders = LiveSwitch::new(&find, None);
    world.guarded(&mut orders);
    let guard = world.recovery.guard.take().unwrap();
    world.take_log_of_system();
    assert_eq!(world.swap().look(&guard).unwrap(), Swapped::SystemTaken);
    drop(orders);
    let switch = world.recovery.switch.as_deref_mut().unwrap();
    (switch.system, switch.live_is_lost) = (None, true);
    let refused = |world: &World| {
        let mut orders = LiveSwitch::new(&find, None);
        with_session(|session| orders.look_again(&world.recovery, session)).unwrap_err().to_string()
    };
    let told = refused(&world);
    assert!(told.contains("is the barrier of") && told.contains("grap recover reset"), "{told}");
    disk::remove_file(&world.data().join(".grap/retired/now/in-progress.json")).unwrap();
    let told = refused(&world);
    assert!(told.contains("--with-system --live-is-lost"), "{told}");
}
