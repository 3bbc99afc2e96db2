//! Expire, struck at every local call and at every call of the storage: nothing that is kept is lost, nothing that is
//! missing is unrecorded, and the next run ends where an unharmed one ends.

use std::sync::Arc;

use grap::Result;
use grap::ops::{self, Access, ExpireReport};
use grap_disk::faults::Mode as LocalMode;
use grap_repository::LocalStore;
use grap_repository::object::faulty::{Faulty, Mode};
use grap_testkit::tree;

use crate::point::world::{Logged, Start, World, expire_options, put_all, segments};
use crate::stride;
use crate::world::{EIO, ENOSPC, calls, struck, turn};

/// Three backups; one goes, and the log behind it; the window begins from the second, inside a segment.
struct Expiring {
    world: World,
    begins_ms: i64,
    /// What an unharmed run leaves, of backups and of log.
    expected: (Vec<String>, Vec<String>),
}

impl Expiring {
    fn new() -> Self {
        let world = World::new("5.26.30");
        let log: Vec<Logged> = world.log("neo4j");
        let time =
            |id: u64| log.iter().find(|one| one.transaction.id.0 == id).unwrap().transaction.commit_time.0;
        Start::new(1, log[0].transaction.commit_time.0 - 1000).root("neo4j", 2, None).put(&world);
        for end in [70, 100, 130] {
            world.install(end, 5);
            world.good_backup();
        }
        put_all(&world.archive(), 1, "neo4j", &segments(&log, 12));
        tree::copy(&world.path("repository"), &world.path("saved")).unwrap();
        let mut made = Self { begins_ms: time(110), world, expected: Default::default() };
        let report = made.expire().unwrap();
        assert!(report.deleted.len() == 1 && report.segments > 6, "{report:?}");
        made.expected = made.left();
        made
    }

    fn begin(&self) {
        std::fs::remove_dir_all(self.world.path("repository")).unwrap();
        tree::copy(&self.world.path("saved"), &self.world.path("repository")).unwrap();
        self.world.begin_window(self.begins_ms);
    }

    fn expire(&self) -> Result<ExpireReport> {
        self.world.begin_window(self.begins_ms);
        self.world.expire()
    }

    fn left(&self) -> (Vec<String>, Vec<String>) {
        (self.world.objects("snapshots"), self.world.objects("grap/log"))
    }

    /// After a struck run: everything that is kept is whole; the next run does the rest.
    fn assert_repaired(&self, what: &str) {
        let world = &self.world;
        // The process is dead, and its locks with it.
        for lock in world.objects("locks") {
            std::fs::remove_file(world.path("repository").join(lock)).unwrap();
        }
        let left = self.left();
        assert!(self.expected.0.iter().all(|name| left.0.contains(name)), "{what}: a backup is gone");
        assert!(self.expected.1.iter().all(|name| left.1.contains(name)), "{what}: log is gone");
        assert_eq!(world.verify(), Vec::<String>::new(), "{what}");
        for id in [100, 146] {
            world.restore(&format!("tx={id}")).unwrap_or_else(|error| panic!("{what}: tx={id}: {error}"));
            world.assert_log("neo4j", id);
        }
        self.expire().unwrap_or_else(|error| panic!("{what}: the next run: {error}"));
        assert_eq!(self.left(), self.expected, "{what}");
        assert_eq!(world.verify(), Vec::<String>::new(), "{what}, after the next run");
    }
}

fn local(mode: LocalMode, offset: usize) {
    let _turn = turn();
    let made = Expiring::new();
    made.begin();
    let count = calls(|| drop(made.expire().unwrap())).len();
    assert!(count > 200, "expire makes {count} calls");
    for at in (1 + offset..=count).step_by(stride(23)) {
        made.begin();
        let (result, hit) = struck(at, mode, || made.expire());
        assert!(hit, "call {at} of {count} was not reached");
        made.assert_repaired(&format!("call {at} of {count}, {mode:?}, {:?}", result.err()));
    }
}

#[test]
fn every_call_fails() {
    local(LocalMode::Fail(EIO), 0);
}

#[test]
fn every_call_finds_the_disk_full() {
    local(LocalMode::Fail(ENOSPC), 6);
}

#[test]
fn every_call_is_torn() {
    local(LocalMode::Tear, 12);
}

#[test]
fn every_call_is_the_last() {
    local(LocalMode::Kill, 18);
}

fn at_the_storage(mode: Mode, offset: usize) {
    let _turn = turn();
    let made = Expiring::new();
    let store = Arc::new(Faulty::new(LocalStore::open(made.world.path("repository"))));
    let run = || {
        let access = Access { store: Box::new(Arc::clone(&store)), directory: None, ..made.world.access() };
        made.world.begin_window(made.begins_ms);
        ops::expire(&expire_options(), access, &made.world.state(), &made.world.session())
    };
    made.begin();
    store.clear();
    run().unwrap();
    let count = store.seen();
    assert!(count > 60, "expire makes {count} calls of the storage");
    for at in (1 + offset..=count).step_by(stride(7)) {
        made.begin();
        store.inject(at, mode);
        let result = run();
        assert!(store.struck(), "call {at} of {count} was not reached");
        made.assert_repaired(&format!("storage call {at} of {count}, {mode:?}, {:?}", result.err()));
    }
}

#[test]
fn every_call_of_the_storage_fails() {
    at_the_storage(Mode::Fail, 0);
}

#[test]
fn every_answer_of_the_storage_is_lost() {
    at_the_storage(Mode::LoseReply, 2);
}

#[test]
fn every_call_of_the_storage_is_the_last() {
    at_the_storage(Mode::Kill, 4);
}
