//! The conformance suite on the stores of this crate.

use grap_repository::LocalStore;
use grap_repository::object::faulty::Faulty;
use grap_repository::object::memory::MemoryStore;
use grap_repository::object::recording::Recording;
use grap_repository::object::suite::conformance;

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
