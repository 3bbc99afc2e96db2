//! Passwords come and go; somebody can always get in.

use std::sync::Arc;

use grap_repository::object::faulty::{Faulty, Mode};
use grap_repository::object::memory::MemoryStore;
use grap_repository::{
    InitOptions, KeyInfo, LocalStore, Lock, ObjectStore, RECOVERY, Repository, RepositoryError, Result,
};
use grap_task::{Clock, ManualClock, Silent};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::support::{
    Fixture, PASSWORD, backup, holder, init_options, password, read_all, restic, shapes, sorted, succeed,
};

fn lock(repository: &Repository) -> Result<Lock> {
    repository.lock_exclusive(&holder(), &Clock::Manual(ManualClock::at(Timestamp::now())))
}

fn open(fixture: &Fixture, password: &str) -> Result<Repository> {
    Repository::open(Box::new(LocalStore::open(fixture.path())), &password.into())
}

fn current(repository: &Repository) -> KeyInfo {
    repository.keys().unwrap().into_iter().find(|key| key.current).unwrap()
}

#[test]
fn keys_are_listed_and_the_recovery_key_is_told_from_the_others() {
    let fixture = Fixture::new();
    let keys = fixture.repository.keys().unwrap();
    let names: Vec<(&str, bool)> = keys.iter().map(|key| (key.username.as_str(), key.current)).collect();
    assert!(names.contains(&("tester", true)) && names.contains(&(RECOVERY, false)), "{names:?}");
    let recovery = open(&fixture, fixture.recovery.expose_secret()).unwrap();
    assert_eq!(current(&recovery).username, RECOVERY);
}

#[test]
fn a_password_that_was_added_opens_it_for_us_and_for_restic() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&shapes()).unwrap();
    let id = fixture.repository.add_key(&"second".into(), &init_options()).unwrap();
    let second = open(&fixture, "second").unwrap();
    assert_eq!(current(&second).id, id);
    assert!(read_all(&second.reader(&Silent).unwrap(), &snapshot).unwrap() == sorted(shapes()));
    for password in ["second", PASSWORD] {
        succeed(&restic(&fixture.path(), password, &["check", "--read-data"]));
    }
    let listed = succeed(&restic(&fixture.path(), "second", &["key", "list"]));
    assert!(listed.contains(&format!("*{}", &id.to_string()[..8])), "{listed}");
    assert_eq!(listed.matches("grap-test").count(), 3, "{listed}");

    // Restic removes one of ours; we remove one of restic's.
    let old = current(&fixture.repository).id.to_string();
    succeed(&restic(&fixture.path(), "second", &["key", "remove", &old[..8]]));
    assert!(matches!(open(&fixture, PASSWORD), Err(RepositoryError::WrongPassword)));
    let file = fixture.dir.path().join("third");
    std::fs::write(&file, "third").unwrap();
    let new = ["key", "add", "--new-password-file", file.to_str().unwrap()];
    succeed(&restic(&fixture.path(), "second", &new));
    let third = current(&open(&fixture, "third").unwrap()).id.to_string();
    second.remove_key(&third[..10], &lock(&second).unwrap()).unwrap();
    assert!(matches!(open(&fixture, "third"), Err(RepositoryError::WrongPassword)));
}

#[test]
fn a_password_is_changed_and_the_old_one_opens_nothing_any_more() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&shapes()).unwrap();
    let old = current(&fixture.repository).id;
    let changed = fixture
        .repository
        .change_key(&"new".into(), &init_options(), &lock(&fixture.repository).unwrap())
        .unwrap();
    assert_eq!(changed.1, old);
    assert!(matches!(open(&fixture, PASSWORD), Err(RepositoryError::WrongPassword)));
    let new = open(&fixture, "new").unwrap();
    assert_eq!(current(&new).id, changed.0);
    assert!(read_all(&new.reader(&Silent).unwrap(), &snapshot).unwrap() == sorted(shapes()));
    assert!(!restic(&fixture.path(), PASSWORD, &["snapshots"]).status.success());
    succeed(&restic(&fixture.path(), "new", &["check", "--read-data"]));
    open(&fixture, fixture.recovery.expose_secret()).unwrap();
}

/// The password is forgotten: its key goes, the recovery key alone does everything.
#[test]
fn the_recovery_key_alone_is_enough() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&shapes()).unwrap();
    let forgotten = current(&fixture.repository).id.to_string();
    let recovery = open(&fixture, fixture.recovery.expose_secret()).unwrap();
    recovery.remove_key(&forgotten, &lock(&recovery).unwrap()).unwrap();
    assert!(matches!(open(&fixture, PASSWORD), Err(RepositoryError::WrongPassword)));
    let recovery = open(&fixture, fixture.recovery.expose_secret()).unwrap();
    assert_eq!(recovery.snapshots().unwrap().found, std::slice::from_ref(&snapshot));
    assert!(read_all(&recovery.reader(&Silent).unwrap(), &snapshot).unwrap() == sorted(shapes()));
    backup(&recovery, &shapes()).unwrap();
    let own = current(&recovery).id.to_string();
    let last = recovery.remove_key(&own, &lock(&recovery).unwrap());
    assert!(matches!(last, Err(RepositoryError::KeyLast { .. })), "{last:?}");
    recovery.add_key(&"again".into(), &init_options()).unwrap();
    open(&fixture, "again").unwrap();
}

#[test]
fn what_is_no_key_and_what_could_be_several_is_refused() {
    let fixture = Fixture::new();
    // With 17 keys two begin with the same digit.
    for n in 0..15 {
        fixture.repository.add_key(&format!("{n}").into(), &init_options()).unwrap();
    }
    let lock = lock(&fixture.repository).unwrap();
    let ids: Vec<String> = fixture.repository.keys().unwrap().iter().map(|key| key.id.to_string()).collect();
    let digit =
        "0123456789abcdef".chars().find(|digit| ids.iter().filter(|id| id.starts_with(*digit)).count() > 1);
    let refused = |prefix: &str| fixture.repository.remove_key(prefix, &lock).unwrap_err();
    let ambiguous = refused(&digit.unwrap().to_string());
    assert!(matches!(ambiguous, RepositoryError::KeyAmbiguous { .. }), "{ambiguous}");
    for nothing in ["", "x", &"0".repeat(64)] {
        let error = refused(nothing);
        assert!(matches!(error, RepositoryError::KeyNotFound { .. }), "{nothing}: {error}");
    }
    assert_eq!(fixture.objects("keys").len(), 17);
}

/// Two who hold different passwords remove each other's key at once.
#[test]
fn two_cannot_lock_each_other_out() {
    let fixture = Fixture::new();
    fixture.repository.add_key(&"second".into(), &init_options()).unwrap();
    let [one, two] = [PASSWORD, "second"].map(|password| open(&fixture, password).unwrap());
    let [key_one, key_two] = [&one, &two].map(|repository| current(repository).id.to_string());
    one.remove_key(&key_two, &lock(&one).unwrap()).unwrap();
    let late = two.remove_key(&key_one, &lock(&two).unwrap());
    assert!(matches!(late, Err(RepositoryError::KeyGone { .. })), "{late:?}");
    open(&fixture, PASSWORD).unwrap();
    let shared = one.lock_shared(&holder(), &Clock::System).unwrap();
    let recovery = current(&open(&fixture, fixture.recovery.expose_secret()).unwrap()).id.to_string();
    let refused = one.remove_key(&recovery, &shared);
    assert!(matches!(refused, Err(RepositoryError::LockNotExclusive { .. })), "{refused:?}");
}

#[test]
fn a_damaged_key_is_named_and_can_be_removed() {
    let fixture = Fixture::new();
    let recovery = fixture.repository.keys().unwrap().into_iter().find(|key| !key.current).unwrap();
    let path = fixture.path().join(format!("keys/{}", recovery.id));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let keys = fixture.repository.keys().unwrap();
    assert_eq!(keys.iter().filter(|key| key.damaged.is_some()).count(), 1);
    fixture.repository.remove_key(&recovery.id.to_string(), &lock(&fixture.repository).unwrap()).unwrap();
    assert_eq!(fixture.repository.keys().unwrap().len(), 1);
}

/// At every call of a change: the old password or the new one opens it, and so does the recovery key.
#[test]
fn at_every_call_of_a_change() {
    let memory = Arc::new(MemoryStore::default());
    let options = InitOptions { username: "first".to_owned(), ..init_options() };
    let (_, recovery) = Repository::init(Box::new(Arc::clone(&memory)), &password(), &options).unwrap();
    let stored = memory.copy();
    let open = |memory: &MemoryStore, password: &SecretString| {
        Repository::open(Box::new(memory.copy()), password).map(drop)
    };
    let change = |at: usize, mode: Option<Mode>| {
        let memory = Arc::new(stored.copy());
        let faulty = Arc::new(Faulty::new(Arc::clone(&memory)));
        let repository = Repository::open(Box::new(Arc::clone(&faulty)), &password()).unwrap();
        match mode {
            Some(mode) => faulty.inject(at, mode),
            None => faulty.clear(),
        }
        let changed = lock(&repository).and_then(|lock| {
            repository.change_key(&"new".into(), &init_options(), &lock)?;
            lock.release()
        });
        drop(repository);
        (changed, memory, faulty.seen())
    };
    let (changed, _, calls) = change(0, None);
    changed.unwrap();
    assert!(calls > 5, "{calls}");
    for at in 1..=calls {
        for mode in [Mode::Fail, Mode::LoseReply, Mode::Tear, Mode::Kill] {
            let what = format!("{mode:?} at call {at}");
            let (changed, memory, _) = change(at, Some(mode));
            let (old, new) = (open(&memory, &password()), open(&memory, &"new".into()));
            assert!(old.is_ok() || new.is_ok(), "{what}: {old:?} {new:?}");
            if changed.is_ok() {
                assert!(new.is_ok() && old.is_err(), "{what}");
            }
            open(&memory, recovery.secret()).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(memory.list("keys").unwrap().len() >= 2, "{what}");
        }
    }
}
