//! The real orders on real stores, of a rollback, with nobody in the server's place: what is looked at before anything is
//! exchanged, and who else may be at it. A whole promotion with a server: `crates/app/tests/it/promoted.rs`.

use std::path::PathBuf;

use grap_core::recovery::{Cause, Halves, Order, Phase, SwitchLimits, What, apply, atlas};
use grap_disk::{self as disk, ForeignLock};
use grap_repository::LockHolder;
use grap_task::{Clock, Silent, Stop};

use super::*;
use crate::live::SYSTEM;
use crate::recovery::promote::{Promote as _, UndoEnd, WhileLocked};
use crate::recovery::swap::Swapped;
use crate::server::control::StoresLock;

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
        let switch = Box::new(Switch {
            live: halves(""),
            side: found.clone(),
            found,
            retired: halves(".grap/retired/now"),
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
        switch.system = Some(Box::new(Switch {
            database: SYSTEM.to_owned(),
            live: of_system(&switch.live),
            found: of_system(&switch.found),
            side: of_system(&switch.side),
            retired: of_system(&switch.retired),
            ..switch.clone()
        }));
        world
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
                wanted: Some("false".to_owned()),
            },
            connection: Options::new(address.parse().unwrap(), grap_bolt::client::Auth::None),
        }
    }

    fn swap(&self) -> Swap {
        switch_of(&self.recovery).unwrap().1
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
        // What they have exchanged back meanwhile is not confirmed.
        assert!(matches!(theirs.undo(recovery, session).unwrap(), UndoEnd::Undone));
        drop(theirs);
        let mut ours = LiveSwitch::new(&find, None);
        let failed = ours.confirm(recovery, session);
        assert!(matches!(failed, Err(Error::NotConfirmed { .. })));
    });
    assert_eq!(swap.look(recovery.guard.as_ref().unwrap()).unwrap(), Swapped::Nothing);
}

/// As where the journal has no room for what was done.
#[test]
fn what_is_half_exchanged_is_finished_and_started_where_the_lock_is_ours() {
    for (phase, whole) in [(Phase::LogTaken, Swapped::LogPut), (Phase::Undoing, Swapped::Nothing)] {
        let mut world = World::new();
        let live = world.live();
        let find = || Ok(live.clone());
        let mut orders = LiveSwitch::new(&find, None);
        world.guarded(&mut orders);
        (world.recovery.phase, world.recovery.ran) = (phase, true);
        let (recovery, swap) = (&world.recovery, world.swap());
        with_session(|session| {
            orders.take_log(recovery, session).unwrap();
            orders.swap_stores(recovery, session).unwrap();
            // Not by who has lost the lock.
            LiveSwitch::new(&find, None).leave(recovery, session);
            assert_eq!(swap.look(recovery.guard.as_ref().unwrap()).unwrap(), Swapped::StoresSwapped);
            assert!(!world.is_started());
            orders.leave(recovery, session);
        });
        assert_eq!(swap.look(recovery.guard.as_ref().unwrap()).unwrap(), whole, "{phase:?}");
        assert!(world.is_started());
    }
}

/// The old `system` comes back, whatever a server has written to the new one that did not come up with it.
#[test]
fn a_server_that_did_not_come_up_has_let_nobody_write_to_system() {
    for (order, end) in [(Order::Confirm, UndoEnd::Written), (Order::StartLive, UndoEnd::Undone)] {
        let mut world = World::with_system();
        let live = world.live();
        let find = || Ok(live.clone());
        let mut orders = LiveSwitch::new(&find, None);
        world.guarded(&mut orders);
        let cause = Cause::Failed { order, failure: atlas::failure() };
        (world.recovery.phase, world.recovery.cause) = (Phase::Undoing, Some(cause));
        with_session(|session| {
            orders.take_log(&world.recovery, session).unwrap();
            orders.swap_stores(&world.recovery, session).unwrap();
            orders.put_log(&world.recovery, session).unwrap();
            // Behind its end stands what cannot be read.
            let log = world.data().join("transactions/system");
            for file in disk::list(&log).unwrap().unwrap() {
                disk::replace(&log.join(file), &[b"no log"]).unwrap();
            }
            assert_eq!(orders.undo(&world.recovery, session).unwrap(), end, "{order:?}");
        });
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
    let log = world.data().join("transactions/system");
    disk::exchange(&log, &world.data().join(".grap/retired/now/transactions/system")).unwrap();
    assert_eq!(world.swap().look(&guard).unwrap(), Swapped::Begun);
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
