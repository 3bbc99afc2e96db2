//! Every request of a backup goes wrong in every way, one at a time, as over a real network: the backup is
//! whole all the same, or fails; never is a wrong object left; and the next one works.
//!
//! And the same at the level of calls, with the process dying, as `crates/repository` does it for stores in
//! memory: here over S3.

use std::sync::Arc;
use std::time::Duration;

use grap_repository::object::faulty::{Faulty, Mode};
use grap_repository::object::memory::MemoryStore;
use grap_repository::{Repository, Result, Snapshot};
use grap_task::Clock;
use grap_testkit::stores::{Bucket, Fault, LocalS3, Proxy, Request};

use crate::support::{
    after, assert_sound, backup, before, holder, image, init_options, named, new_name, password, patient,
    proxied, put_image, read_all, s3, store,
};

const BUDGET: Duration = Duration::from_secs(10);
const THREADS: usize = 4;

/// What a network and a loaded storage do: it passes.
const PASSING: [Fault; 6] = [
    Fault::Answer(503, "SlowDown"),
    Fault::AnswerAfter(500, "InternalError"),
    Fault::Cut,
    Fault::LoseAnswer,
    Fault::HalfAnswer,
    Fault::Late(50),
];
/// What stays until somebody does something.
const LASTING: [Fault; 3] = [
    Fault::Answer(403, "AccessDenied"),
    Fault::Answer(507, "InsufficientStorage"),
    Fault::Answer(400, "Bad"),
];

/// Every how manieth point is tried.
fn stride() -> usize {
    std::env::var("GRAP_CRASH_STRIDE").ok().and_then(|stride| stride.parse().ok()).unwrap_or(5)
}

/// Run `check` for each of the plans, in some threads; each has a storage of its own.
fn each<T: Copy + Sync>(plans: &[T], check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let check = &check;
                scope.spawn(move || plans.iter().skip(thread).step_by(THREADS).for_each(|plan| check(*plan)))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// The story that everything happens to: open, back up, and read both backups back.
fn story(bucket: &Bucket, prefix: &str) -> Result<Snapshot> {
    let repository = Repository::open(patient(bucket, prefix, BUDGET), &password())?;
    let snapshot = backup(&repository, &after())?;
    assert!(read_all(&repository, &snapshot)? == named(after()));
    Ok(snapshot)
}

#[test]
fn at_every_request_of_a_backup() {
    let Some(s3) = s3() else { return };
    let image = image();
    let (proxy, bucket) = proxied(s3);
    put_image(&image, &store(&bucket, "count"));
    proxy.clear();
    story(&bucket, "count").unwrap();
    let requests = proxy.seen();
    assert!(requests > 20, "{requests}");
    let all: Vec<(usize, Fault)> = (1..=requests)
        .flat_map(|at| PASSING.into_iter().chain(LASTING).map(move |fault| (at, fault)))
        .collect();
    let plans: Vec<_> = all.iter().copied().step_by(stride()).collect();
    let struck = std::sync::atomic::AtomicUsize::new(0);
    each(&plans, |(at, fault)| {
        if one_request(s3, &image, at, fault) {
            struck.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let struck = struck.into_inner();
    eprintln!("{requests} requests, {} plans, {struck} faults struck", plans.len());
    assert!(struck * 10 >= plans.len() * 8, "only {struck} of {} faults struck", plans.len());
}

/// Whether the fault struck.
fn one_request(s3: &LocalS3, image: &MemoryStore, at: usize, fault: Fault) -> bool {
    let what = format!("{fault:?} at request {at}");
    let (proxy, bucket) = proxied(s3);
    put_image(image, &store(&bucket, "r"));
    proxy.set(move |request| if request.number == at { fault } else { Fault::None });
    let result = story(&bucket, "r");
    let struck = proxy.struck() > 0;
    proxy.clear();
    if PASSING.contains(&fault) {
        result.as_ref().unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
    whoever_comes_next(&bucket, result.ok(), false, &what);
    struck
}

/// Another process, a storage that works: every backup that is there is whole, and a new one can be made.
fn whoever_comes_next(bucket: &Bucket, made: Option<Snapshot>, torn: bool, what: &str) {
    let repository = Repository::open(patient(bucket, "r", BUDGET), &password()).unwrap();
    let snapshots = repository.snapshots().unwrap();
    assert!((snapshots.damaged.is_empty() || torn) && (1..=2).contains(&snapshots.found.len()), "{what}");
    assert!(made.is_none_or(|made| snapshots.found.contains(&made)), "{what}");
    for (snapshot, files) in snapshots.found.iter().zip([before(), after()]) {
        assert!(read_all(&repository, snapshot).unwrap() == named(files), "{what}");
    }
    // Torn ones may be anybody's: an operator removes them.
    for lock in repository.locks(&holder().hostname, &Clock::System).unwrap() {
        if lock.time.is_none() {
            repository.remove_lock(&lock).unwrap();
        }
    }
    let next = backup(&repository, &after()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert!(read_all(&repository, &next).unwrap() == named(after()), "{what}");
    assert_sound(&repository, what);
}

#[test]
fn at_every_call_of_a_backup_the_storage_fails_or_the_process_dies() {
    let Some(s3) = s3() else { return };
    let image = image();
    let faulty = |bucket: &Bucket| Arc::new(Faulty::new(store(bucket, "r")));
    let bucket = s3.bucket(&new_name()).unwrap();
    put_image(&image, &store(&bucket, "r"));
    let counted = faulty(&bucket);
    let repository = Repository::open(Box::new(Arc::clone(&counted)), &password()).unwrap();
    counted.clear();
    backup(&repository, &after()).unwrap();
    let calls = counted.seen();
    assert!(calls > 10);
    let modes = [Mode::Fail, Mode::LoseReply, Mode::Tear, Mode::Kill];
    let all: Vec<(usize, Mode)> = (1..=calls).flat_map(|at| modes.map(|mode| (at, mode))).collect();
    let plans: Vec<_> = all.into_iter().step_by(stride().div_ceil(2)).collect();
    each(&plans, |(at, mode)| {
        let what = format!("{mode:?} at call {at}");
        let bucket = s3.bucket(&new_name()).unwrap();
        put_image(&image, &store(&bucket, "r"));
        let faulty = faulty(&bucket);
        let repository = Repository::open(Box::new(Arc::clone(&faulty)), &password()).unwrap();
        faulty.inject(at, mode);
        let result = backup(&repository, &after());
        drop(repository);
        whoever_comes_next(&bucket, result.ok(), mode == Mode::Tear, &what);
    });
    eprintln!("{calls} calls, {} plans", plans.len());
}

#[test]
fn at_every_request_of_an_init() {
    let Some(s3) = s3() else { return };
    let init = |bucket: &Bucket| -> Result<Repository> {
        Ok(Repository::init(patient(bucket, "r", BUDGET), &password(), &init_options())?.0)
    };
    let world = || -> (Proxy, Bucket) { proxied(s3) };
    let (proxy, bucket) = world();
    init(&bucket).unwrap();
    let requests = proxy.seen();
    let plans: Vec<(usize, Fault)> = (1..=requests)
        .flat_map(|at| PASSING.into_iter().chain(LASTING).map(move |fault| (at, fault)))
        .collect();
    each(&plans, |(at, fault)| {
        let what = format!("{fault:?} at request {at}");
        let (proxy, bucket) = world();
        proxy.set(move |request: &Request| if request.number == at { fault } else { Fault::None });
        let made = init(&bucket);
        assert!(proxy.struck() == 1, "{what}");
        proxy.clear();
        match made {
            Ok(_) => {}
            Err(error) => {
                assert!(LASTING.contains(&fault), "{what}: {error:?}");
                init(&bucket).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            }
        }
        let repository = Repository::open(patient(&bucket, "r", BUDGET), &password()).unwrap();
        let snapshot = backup(&repository, &before()).unwrap();
        assert!(read_all(&repository, &snapshot).unwrap() == named(before()), "{what}");
    });
}
