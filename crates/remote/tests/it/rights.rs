//! A writer without the right to delete, a full bucket, one of another: what each call says, and that work
//! goes on where it can.

use std::time::Duration;

use grap_repository::{LockState, ObjectError, Repository, RepositoryError, StaleReason};
use grap_task::Clock;
use grap_testkit::stores::{Azurite, Bucket, FakeGcs, Fault, Request, without_delete};

use crate::support::{
    after, assert_sound, backup, before, holder, image, init_options, is_denied, named, new_name, or_skip,
    password, patient, proxied, put_image, read_all, s3, store,
};

type Call<'a> = &'a dyn Fn() -> Result<(), ObjectError>;

const BUDGET: Duration = Duration::from_secs(5);

fn no_deletes(request: &Request) -> Fault {
    if request.method == "DELETE" { Fault::Answer(403, "AccessDenied") } else { Fault::None }
}

#[test]
fn without_the_right_to_delete_everything_but_deletion_works() {
    let Some(s3) = s3() else { return };
    let (proxy, bucket) = proxied(s3);
    proxy.set(no_deletes);
    let open = || Repository::open(patient(&bucket, "r", BUDGET), &password());
    Repository::init(patient(&bucket, "r", BUDGET), &password(), &init_options()).unwrap();
    let repository = open().unwrap();
    let first = backup(&repository, &before()).unwrap();
    // The lock of the first is still there.
    assert_eq!(repository.store().list("locks").unwrap().len(), 1);
    let second = backup(&repository, &after()).unwrap();
    for (snapshot, files) in [(first, before()), (second, after())] {
        assert!(read_all(&repository, &snapshot).unwrap() == named(files));
    }
    // A refresh leaves the old lock, and goes on.
    let clock = Clock::System;
    let lock = repository.lock_shared(&holder(), &clock).unwrap();
    let locks = repository.locks(&holder().hostname, &clock).unwrap();
    assert_eq!(locks.len(), 3);
    lock.assert_fresh().unwrap();
    assert!(is_denied(&lock.release().unwrap_err()));

    // Locks that this process was not let delete count no more for it, although it lives.
    let found = repository.locks(&holder().hostname, &clock).unwrap();
    assert!(found.iter().all(|lock| lock.state == LockState::Stale(StaleReason::Left)));
    assert_eq!(repository.unlock_stale(&holder().hostname, &clock).unwrap(), []);
    // With the right to delete, an operator tidies up.
    proxy.clear();
    for lock in repository.locks(&holder().hostname, &clock).unwrap() {
        repository.remove_lock(&lock).unwrap();
    }
    repository.lock_exclusive(&holder(), &clock).unwrap().release().unwrap();
    assert_sound(&repository, "at the end");
}

/// Everything but deletion works, and a denied deletion is told as one: at once, and of an object that stays.
fn deletes_are_denied(bucket: &Bucket) {
    let store = patient(bucket, "x", BUDGET);
    store.put("data/00/a", &[b"x"]).unwrap();
    assert_eq!(store.list("data").unwrap().len(), 1);
    let denied = store.delete("data/00/a").unwrap_err();
    assert!(matches!(&denied, ObjectError::Denied { name, .. } if name == "data/00/a"), "{denied:?}");
    assert_eq!(store.get("data/00/a").unwrap(), b"x");
}

#[test]
fn azure_denies_a_deletion_to_a_token_without_that_right() {
    let Some(azure) = or_skip("Azure (azurite)", Azurite::start()) else { return };
    let bucket = azure.bucket(&new_name()).unwrap();
    deletes_are_denied(&without_delete(&bucket));
    // What is not there needs no right, and what may be deleted is.
    let store = patient(&bucket, "x", BUDGET);
    store.delete("data/00/none").unwrap();
    store.delete("data/00/a").unwrap();
    assert!(matches!(store.get("data/00/a"), Err(ObjectError::NotFound { .. })));
}

/// The server that plays Google knows nobody and no rights: the answer is the proxy's before it.
#[test]
fn google_denies_a_deletion() {
    let Some(gcs) = or_skip("Google Cloud Storage (fake-gcs-server)", FakeGcs::start()) else { return };
    let bucket = gcs.bucket(&new_name()).unwrap();
    for code in ["AccessDenied", "RetentionPolicyNotMet"] {
        gcs.proxy().set(
            move |request| {
                if request.method == "DELETE" { Fault::Answer(403, code) } else { Fault::None }
            },
        );
        let store = patient(&bucket, code, BUDGET);
        store.put("data/00/a", &[b"x"]).unwrap();
        assert!(matches!(store.delete("data/00/a"), Err(ObjectError::Denied { .. })), "{code}");
        assert_eq!((store.get("data/00/a").unwrap(), gcs.proxy().struck()), (b"x".to_vec(), 1));
    }
}

#[test]
fn a_stale_lock_that_cannot_be_deleted_does_not_block() {
    let Some(s3) = s3() else { return };
    let (proxy, bucket) = proxied(s3);
    let direct = store(&bucket, "r");
    put_image(&image(), &direct);
    // An exclusive lock of a process that died: put by a child that ends at once.
    let program = std::env::current_exe().unwrap();
    let status = std::process::Command::new(program)
        .args(["--exact", "rights::die_with_an_exclusive_lock", "--ignored"])
        .envs(bucket.environment.iter().map(|(name, value)| (name, value)))
        .env("GRAP_TEST_REPOSITORY", format!("{}/r", bucket.url))
        .output()
        .unwrap();
    assert!(!status.status.success(), "{status:?}");
    proxy.set(no_deletes);
    let repository = Repository::open(patient(&bucket, "r", BUDGET), &password()).unwrap();
    assert_eq!(repository.store().list("locks").unwrap().len(), 1);
    backup(&repository, &after()).unwrap();
    // Nor does our own, with which this process is done; one that is held does.
    let exclusive = repository.lock_exclusive(&holder(), &Clock::System).unwrap();
    assert!(is_denied(&exclusive.release().unwrap_err()));
    let _held = repository.lock_shared(&holder(), &Clock::System).unwrap();
    let error = repository.lock_exclusive(&holder(), &Clock::System).err().unwrap();
    assert!(matches!(&error, RepositoryError::Locked { holder } if !holder.exclusive), "{error:?}");
}

#[test]
#[ignore = "dies: run by another test"]
fn die_with_an_exclusive_lock() {
    let url = std::env::var("GRAP_TEST_REPOSITORY").unwrap();
    let options = grap_remote::RemoteOptions {
        variables: std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect(),
        ..grap_remote::RemoteOptions::default()
    };
    let store = grap_remote::RemoteStore::open(&url, &options).unwrap();
    let repository = Repository::open(Box::new(store), &password()).unwrap();
    let _lock = repository.lock_exclusive(&holder(), &Clock::System).unwrap();
    std::process::abort();
}

#[test]
fn what_is_denied_or_full_is_said_so_and_is_not_tried_again() {
    let Some(s3) = s3() else { return };
    let (proxy, bucket) = proxied(s3);
    let store = patient(&bucket, "x", Duration::from_mins(1));
    let calls: [(&str, Call<'_>); 5] = [
        ("put", &|| store.put("data/00/a", &[b"x"])),
        ("get", &|| store.get("config").map(drop)),
        ("list", &|| store.list("data").map(drop)),
        ("size", &|| store.size("config").map(drop)),
        ("delete", &|| store.delete("data/00/a")),
    ];
    for (name, call) in calls {
        proxy.set(|_| Fault::Answer(403, "AccessDenied"));
        assert!(matches!(call(), Err(ObjectError::Denied { .. })), "{name}");
        assert_eq!(proxy.seen(), 1, "{name}");
        proxy.set(|_| Fault::Answer(507, "InsufficientStorage"));
        assert!(matches!(call(), Err(ObjectError::Full { .. })), "{name}");
        assert_eq!(proxy.seen(), 1, "{name}");
        proxy.set(|_| Fault::Answer(400, "InvalidRequest"));
        assert!(matches!(call(), Err(ObjectError::Refused { .. })), "{name}");
        assert_eq!(proxy.seen(), 1, "{name}");
    }
    // A conflict of two puts says nothing about whether the object is there.
    proxy.set(|request| {
        if request.number == 1 { Fault::Answer(409, "ConditionalRequestConflict") } else { Fault::None }
    });
    store.put("data/00/a", &[b"x"]).unwrap();
    assert_eq!((proxy.seen(), store.get("data/00/a").unwrap()), (2, b"x".to_vec()));
}

#[test]
fn a_storage_that_does_not_answer_costs_one_budget_and_the_error_says_what_was_tried() {
    let Some(s3) = s3() else { return };
    let (proxy, bucket) = proxied(s3);
    let store = patient(&bucket, "x", Duration::from_secs(3));
    proxy.set(|_| Fault::Answer(503, "SlowDown"));
    let clock = Clock::System;
    let began = clock.since_boot();
    let error = store.put("data/00/a", &[b"x"]).unwrap_err();
    assert_eq!(error.to_string(), "cannot put the object data/00/a");
    let why = std::error::Error::source(&error).unwrap();
    let text = format!("{why}: {}", why.source().unwrap());
    assert!(
        text.starts_with("gave up after ") && text.contains("503") && text.contains("SlowDown"),
        "{text}"
    );
    assert!((1..4).contains(&(clock.since_boot() - began).as_secs()), "{text}");
    for _ in 0..50 {
        store.get("config").unwrap_err();
    }
    assert!(clock.since_boot() - began < Duration::from_secs(5));
    proxy.clear();
    store.put("data/00/a", &[b"x"]).unwrap();
}
