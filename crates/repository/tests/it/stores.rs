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

/// A mount that went away while somebody writes: nothing is stored beside it.
#[test]
fn where_the_repository_is_gone_every_put_fails_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("repository");
    let store = LocalStore::create(&root).unwrap();
    store.put("grap/log/a", &[b"x"]).unwrap();
    std::fs::rename(&root, dir.path().join("away")).unwrap();
    store.put("grap/log/b", &[b"x"]).unwrap_err();
    assert!(!root.exists());
    std::fs::create_dir(&root).unwrap();
    store.put("grap/log/b", &[b"x"]).unwrap_err();
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "an empty mount point stays empty");
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(dir.path().join("away"), &root).unwrap();
    store.put("grap/log/b/new", &[b"x"]).unwrap();
    assert_eq!(store.list("grap").unwrap().len(), 2);
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
