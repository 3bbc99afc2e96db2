//! The conformance suite on the stores of this crate.

use grap_repository::object::faulty::Faulty;
use grap_repository::object::memory::MemoryStore;
use grap_repository::object::recording::Recording;
use grap_repository::object::suite::conformance;
use grap_repository::{LocalStore, ObjectStore};
use jiff::{SignedDuration, Timestamp};

#[test]
fn a_directory() {
    let dir = tempfile::tempdir().unwrap();
    conformance(&LocalStore::create(dir.path().join("a/b")).unwrap());
    let leftovers = || {
        let list = |path: &std::path::Path| grap_disk::walk(path).unwrap();
        list(dir.path()).into_iter().filter(|entry| entry.path.to_string_lossy().contains("tmp-")).count()
    };
    assert_eq!(leftovers(), 0);
}

#[test]
fn a_directory_that_was_not_laid_out() {
    let dir = tempfile::tempdir().unwrap();
    conformance(&LocalStore::open(dir.path().join("a/b")));
}

#[test]
fn memory() {
    conformance(&MemoryStore::default());
}

#[test]
fn decorators_change_nothing() {
    conformance(&Faulty::new(Recording::new(MemoryStore::default())));
}

#[test]
fn what_dead_processes_left_is_removed_after_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    store.put("data/00/whole", &[b"x"]).unwrap();
    let leftover = dir.path().join("data/00/tmp-7-1");
    std::fs::write(&leftover, b"half").unwrap();
    assert_eq!(store.list("data").unwrap().len(), 1);
    let now = Timestamp::now();
    assert_eq!(store.remove_leftovers(now).unwrap(), 0);
    assert_eq!(store.remove_leftovers(now + SignedDuration::from_hours(25)).unwrap(), 1);
    assert!(!leftover.exists());
    assert_eq!(store.list("data").unwrap().len(), 1);
}
