//! What happens while a prune runs: the storage fails, the process dies, the machine sleeps, somebody does not
//! respect locks, somebody wants it to stop. Nothing that is needed goes, and the next one makes it good.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use grap_repository::object::faulty::Mode;
use grap_repository::object::memory::MemoryStore;
use grap_repository::object::recording::Recording;
use grap_repository::{
    Id, ObjectCall, ObjectError, ObjectStore, PruneReport, Repository, RepositoryError, Result, Snapshot,
};
use grap_task::{Clock, ManualClock, Silent, Stop};
use jiff::Timestamp;

use crate::faults::{restic_agrees, world};
use crate::hook::Hooked;
use crate::prune::{Files, assert_whole, forget, options, prune_with};
use crate::support::{backup, holder, init_options, noise, password, records};

/// Two versions that stay and one that goes, with pages of all three in the same packs.
struct Start {
    store: MemoryStore,
    kept: [(Snapshot, Files); 2],
    gone: (Snapshot, Vec<u8>, Files),
}

fn version(number: u64) -> Files {
    let mut pages = records(1, 600_000);
    for page in [number, number + 4] {
        let at = usize::try_from(page).unwrap() * (64 << 10);
        pages[at..at + 5000].copy_from_slice(&noise(number * 100 + page, 5000));
    }
    vec![("d/pages", pages), ("log", noise(1000 + number, 100_000))]
}

fn start() -> Start {
    let store = Arc::new(MemoryStore::default());
    let (repository, _) =
        Repository::init(Box::new(Arc::clone(&store)), &password(), &init_options()).unwrap();
    let [first, gone, last] = [0, 1, 2].map(|n| (backup(&repository, &version(n)).unwrap(), version(n)));
    let bytes = store.get(&format!("snapshots/{}", gone.0.id)).unwrap();
    forget(&repository, &gone.0);
    Start { store: store.copy(), kept: [first, last], gone: (gone.0, bytes, gone.1) }
}

impl Start {
    fn assert_kept(&self, repository: &Repository) {
        let [first, last] = &self.kept;
        assert_whole(repository, &[(&first.0, first.1.clone()), (&last.0, last.1.clone())]);
    }

    /// A repository in a store with hooks.
    fn hooked(&self) -> (Arc<Hooked<Arc<MemoryStore>>>, Arc<MemoryStore>, Repository) {
        let memory = Arc::new(self.store.copy());
        let hooked = Arc::new(Hooked::new(Arc::clone(&memory)));
        let repository = Repository::open(Box::new(Arc::clone(&hooked)), &password()).unwrap();
        (hooked, memory, repository)
    }

    /// Whoever comes next, with a storage that works: what is kept is whole, a prune does what was left to do.
    fn next(&self, memory: &MemoryStore, what: &str) -> Repository {
        let (_, _, repository) = world(memory);
        self.assert_kept(&repository);
        prune_with(&repository, &options(0)).unwrap_or_else(|error| panic!("{what}: {error}"));
        self.assert_kept(&repository);
        let (_, again) = prune_with(&repository, &options(0)).unwrap();
        assert_eq!(again, PruneReport::default(), "{what}");
        repository
    }
}

/// The holder of a lock that was left is this process, and lives: here an operator knows better.
fn remove_locks(repository: &Repository) {
    for lock in repository.locks(&holder().hostname, &Clock::System).unwrap() {
        repository.remove_lock(&lock).unwrap();
    }
}

#[test]
fn at_every_call_of_a_prune() {
    let start = start();
    let (_, faulty, repository) = world(&start.store);
    faulty.clear();
    let (summary, report) = prune_with(&repository, &options(0)).unwrap();
    assert!(summary.repacked_packs > 0 && summary.unused_packs > 0, "{summary:?}");
    assert!(report.indexes_deleted > 1 && report.packs_deleted > 1, "{report:?}");
    let calls = faulty.seen();
    assert!(calls > 20, "{calls}");
    let plans: Vec<(usize, Mode)> = (1..=calls)
        .flat_map(|at| [Mode::Fail, Mode::LoseReply, Mode::Tear, Mode::Kill].map(|mode| (at, mode)))
        .collect();
    for (at, mode) in plans {
        one_fault(&start, at, mode);
    }
}

fn one_fault(start: &Start, at: usize, mode: Mode) {
    let what = format!("{mode:?} at call {at}");
    let (memory, faulty, repository) = world(&start.store);
    faulty.inject(at, mode);
    // A lock that was taken and whose answer was lost is released by nobody; all else has to be an error.
    let result = prune_with(&repository, &options(0));
    assert!(faulty.struck(), "{what}");
    if let Ok((_, report)) = &result {
        assert_eq!(report.denied, Vec::<String>::new(), "{what}");
    }
    drop(repository);

    let (memory, _, repository) = world(&memory);
    remove_locks(&repository);
    // A storage that tears what it puts leaves objects that are none: a torn index is looked at by an operator.
    for object in memory.list("index").unwrap() {
        if Id::of(&memory.get(&object.name).unwrap()).to_string() != object.base_name() {
            assert_eq!(mode, Mode::Tear, "{what}");
            let refused = prune_with(&repository, &options(0));
            assert!(matches!(refused, Err(RepositoryError::Damaged { .. })), "{what}: {refused:?}");
            memory.delete(&object.name).unwrap();
        }
    }
    let repository = start.next(&memory, &what);
    drop(repository);
    if at.is_multiple_of(8) {
        restic_agrees(&memory, &what);
    }
}

#[test]
fn new_packs_then_index_then_the_old_index_then_snapshots_then_packs() {
    let start = start();
    let recording = Arc::new(Recording::new(start.store.copy()));
    let repository = Repository::open(Box::new(Arc::clone(&recording)), &password()).unwrap();
    recording.take();
    prune_with(&repository, &options(0)).unwrap();
    let calls = recording.take();
    let places = |call: ObjectCall, folder: &str| {
        let is = |(of, name): &(ObjectCall, String)| *of == call && name.split('/').next() == Some(folder);
        let found = calls.iter().enumerate().filter(|(_, entry)| is(entry)).map(|(at, _)| at);
        found.collect::<Vec<_>>()
    };
    let [new_packs, new_index] = ["data", "index"].map(|folder| places(ObjectCall::Put, folder));
    let [old_packs, old_index] = ["data", "index"].map(|folder| places(ObjectCall::Delete, folder));
    let listed = places(ObjectCall::List, "snapshots");
    assert!(new_packs.last() < new_index.first() && new_index.last() < old_index.first(), "{calls:?}");
    // The scan, before the first deletion, after the last deletion of an index.
    let [_, before, again] = listed[..] else { panic!("{listed:?}") };
    assert!(before < old_index[0] && *old_index.last().unwrap() < again && again < old_packs[0], "{calls:?}");
    // Our lock is looked at right before each.
    for at in old_index.iter().chain(&old_packs) {
        let (call, name) = &calls[at - 1];
        assert!(*call == ObjectCall::Size && name.starts_with("locks/"), "{name}");
    }
}

/// The machine sleeps for 40 minutes after any call: our lock may be gone when it wakes up.
#[test]
fn after_a_sleep_nothing_is_deleted() {
    let start = start();
    let count = {
        let (hooked, _, repository) = start.hooked();
        hooked.after(|_, _, _| ());
        prune_with(&repository, &options(0)).unwrap();
        hooked.calls()
    };
    let mut lost = 0;
    for at in 1..=count {
        let clock = ManualClock::at(Timestamp::now());
        let (hooked, memory, repository) = start.hooked();
        let deleted_later = Arc::new(Mutex::new(Vec::new()));
        let (sleeper, deleted) = (clock.clone(), Arc::clone(&deleted_later));
        hooked.after(move |number, call, name| {
            if number == at {
                sleeper.advance(Duration::from_mins(40));
            } else if number > at && call == ObjectCall::Delete && !name.starts_with("locks/") {
                deleted.lock().unwrap().push(name.to_owned());
            }
        });
        let result = (|| -> Result<()> {
            let lock = repository.lock_exclusive(&holder(), &Clock::Manual(clock))?;
            let stop = Stop::new();
            repository.plan_prune(&lock, &options(0), &stop, &Silent)?.execute(&stop, &Silent)?;
            lock.release()
        })();
        let later = deleted_later.lock().unwrap().clone();
        match result {
            Err(RepositoryError::LockStale { .. }) => {
                lost += 1;
                assert_eq!(later, Vec::<String>::new(), "slept after call {at}");
            }
            // Before the lock was there, or behind the last deletion.
            Ok(()) => assert!(at < 6 || later.is_empty(), "slept after call {at}: {later:?}"),
            Err(error) => panic!("{error}"),
        }
        drop(repository);
        start.next(&memory, &format!("slept after call {at}"));
    }
    assert!(lost * 10 > count * 8, "{lost} of {count}");
}

/// Somebody publishes, without a lock, a snapshot that needs what is about to go.
#[test]
fn a_snapshot_that_appears_keeps_what_it_needs() {
    let start = start();
    let (hooked, _, repository) = start.hooked();
    let listings = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&listings);
    hooked.after(move |at, call, name| {
        if call == ObjectCall::List && name == "snapshots" {
            seen.lock().unwrap().push(at);
        }
    });
    prune_with(&repository, &options(0)).unwrap();
    let listings = listings.lock().unwrap().clone();
    let [scan, _, again] = listings[..] else { panic!("{listings:?}") };
    let count = hooked.calls();
    let (mut stopped, mut seen_by_the_scan) = (0, 0);
    for at in 1..=count {
        let (hooked, memory, repository) = start.hooked();
        let (publisher, name, bytes) =
            (Arc::clone(&memory), format!("snapshots/{}", start.gone.0.id), start.gone.1.clone());
        hooked.after(move |number, _, _| {
            if number == at {
                publisher.put(&name, &[&bytes]).unwrap();
            }
        });
        let result = prune_with(&repository, &options(0));
        drop(repository);
        let (memory, _, repository) = world(&memory);
        remove_locks(&repository);
        if at >= again {
            // Nobody can know: it was not there when it was asked for the last time. The others are whole.
            repository.store().delete(&format!("snapshots/{}", start.gone.0.id)).unwrap();
            start.next(&memory, &format!("appeared after call {at}"));
            continue;
        }
        match result {
            Ok(_) if at < scan => seen_by_the_scan += 1,
            Err(RepositoryError::SnapshotAppeared { snapshot }) if at >= scan => {
                stopped += 1;
                assert_eq!(snapshot, start.gone.0.id);
            }
            other => panic!("appeared after call {at}: {other:?}"),
        }
        let [first, last] = &start.kept;
        let gone = &start.gone;
        let mut all = [(&first.0, first.1.clone()), (&gone.0, gone.2.clone()), (&last.0, last.1.clone())];
        all.sort_by_key(|(snapshot, _)| snapshot.time);
        assert_whole(&repository, &all);
        prune_with(&repository, &options(0)).unwrap();
        assert_whole(&repository, &all);
    }
    assert!(stopped > 10 && seen_by_the_scan > 2, "{stopped} {seen_by_the_scan}");
}

#[test]
fn a_stop_ends_it_between_two_deletions() {
    let start = start();
    let (hooked, _, repository) = start.hooked();
    hooked.after(|_, _, _| ());
    prune_with(&repository, &options(0)).unwrap();
    let mut stopped = 0;
    for at in 1..=hooked.calls() {
        let (hooked, memory, repository) = start.hooked();
        let stop = Stop::new();
        let asked = stop.clone();
        let deleted = Arc::new(Mutex::new(0));
        let count = Arc::clone(&deleted);
        hooked.after(move |number, call, name| {
            if number == at {
                asked.request();
            } else if number > at && call == ObjectCall::Delete && !name.starts_with("locks/") {
                *count.lock().unwrap() += 1;
            }
        });
        let clock = Clock::Manual(ManualClock::at(Timestamp::now()));
        let lock = repository.lock_exclusive(&holder(), &clock).unwrap();
        let result = repository
            .plan_prune(&lock, &options(0), &stop, &Silent)
            .and_then(|plan| plan.execute(&stop, &Silent));
        lock.release().unwrap();
        match result {
            Err(RepositoryError::Stopped(_)) => stopped += 1,
            other => drop(other.unwrap()),
        }
        // The one whose lock was being looked at.
        assert!(*deleted.lock().unwrap() <= 1, "stopped after call {at}");
        drop(repository);
        start.next(&memory, &format!("stopped after call {at}"));
    }
    assert!(stopped > 30, "{stopped}");
}

#[test]
fn what_the_storage_does_not_let_us_delete_stays_and_is_told() {
    let start = start();
    let deny = |folder: &'static str| {
        move |_: usize, call: ObjectCall, name: &str| match call {
            ObjectCall::Delete if name.starts_with(folder) => {
                Err(ObjectError::Denied { call, name: name.to_owned(), source: "not yours".into() })
            }
            _ => Ok(()),
        }
    };
    // Nothing at all (but the lock): nothing is written either, however often it is tried.
    let (hooked, memory, repository) = start.hooked();
    hooked.before(deny("grap/"));
    let before = (memory.list("data").unwrap().len(), memory.list("index").unwrap().len());
    for _ in 0..2 {
        let (summary, report) = prune_with(&repository, &options(0)).unwrap();
        assert!(summary.freed_bytes() > 0 && report.packs_written == 0);
        assert_eq!(report.denied.len(), summary.unused_packs + summary.repacked_packs);
    }
    assert_eq!((memory.list("data").unwrap().len(), memory.list("index").unwrap().len()), before);
    start.assert_kept(&repository);
    start.next(&memory, "all denied");

    // The index: then no pack goes that it still names.
    let (hooked, memory, repository) = start.hooked();
    hooked.before(deny("index/"));
    let (_, report) = prune_with(&repository, &options(0)).unwrap();
    assert!(report.packs_deleted == 0 && report.denied.iter().all(|name| name.starts_with("index/")));
    start.assert_kept(&repository);
    start.next(&memory, "index denied");

    let (hooked, memory, repository) = start.hooked();
    hooked.before(deny("data/"));
    let (summary, report) = prune_with(&repository, &options(0)).unwrap();
    assert_eq!(report.denied.len(), summary.unused_packs + summary.repacked_packs);
    start.assert_kept(&repository);
    start.next(&memory, "packs denied");
}
