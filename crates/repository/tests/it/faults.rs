//! The storage fails, loses the answer, tears, or the process dies, at every call of a backup: there is no
//! new snapshot or a complete one, the next backup works, and nothing stored before is hurt.

use std::path::Path;
use std::sync::Arc;

use grap_repository::object::faulty::{Faulty, Mode};
use grap_repository::object::memory::MemoryStore;
use grap_repository::object::recording::Recording;
use grap_repository::{CheckOptions, ObjectCall, ObjectStore, ReadData, Repository};
use grap_task::{Clock, Silent, Stop};

use crate::support::{
    PASSWORD, backup, holder, init_options, noise, password, read_all, records, restic, sorted, succeed,
};

fn before() -> Vec<(&'static str, Vec<u8>)> {
    vec![("a", records(1, 200_000)), ("d/b", noise(2, 70_000))]
}

fn after() -> Vec<(&'static str, Vec<u8>)> {
    vec![("a", records(1, 150_000)), ("d/b", noise(3, 800_000)), ("d/c", Vec::new())]
}

pub(crate) type Store = Arc<Faulty<Arc<MemoryStore>>>;

pub(crate) fn world(stored: &MemoryStore) -> (Arc<MemoryStore>, Store, Repository) {
    let memory = Arc::new(stored.copy());
    let faulty = Arc::new(Faulty::new(Arc::clone(&memory)));
    let repository = Repository::open(Box::new(Arc::clone(&faulty)), &password()).unwrap();
    (memory, faulty, repository)
}

fn start() -> MemoryStore {
    let memory = Arc::new(MemoryStore::default());
    let (repository, _) =
        Repository::init(Box::new(Arc::clone(&memory)), &password(), &init_options()).unwrap();
    backup(&repository, &before()).unwrap();
    memory.copy()
}

#[test]
fn at_every_call_of_a_backup() {
    let stored = start();
    let (_, faulty, repository) = world(&stored);
    faulty.clear();
    backup(&repository, &after()).unwrap();
    let calls = faulty.seen();
    assert!(calls > 10);
    let plans: Vec<(usize, Mode)> = (1..=calls)
        .flat_map(|at| [Mode::Fail, Mode::LoseReply, Mode::Tear, Mode::Kill].map(|mode| (at, mode)))
        .collect();
    // Most of the time is spent waiting for locks to settle.
    let struck: usize = std::thread::scope(|scope| {
        let run =
            |part: &[(usize, Mode)]| part.iter().filter(|(at, mode)| one_fault(&stored, *at, *mode)).count();
        let parts = plans.chunks(plans.len().div_ceil(16));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(struck * 10 >= plans.len() * 8, "only {struck} of {} faults struck", plans.len());
}

/// Whether the fault struck.
fn one_fault(stored: &MemoryStore, at: usize, mode: Mode) -> bool {
    let what = format!("{mode:?} at call {at}");
    let (memory, faulty, repository) = world(stored);
    faulty.inject(at, mode);
    let result = backup(&repository, &after());
    if !faulty.struck() {
        // The threads filled the packs in another order, and there were fewer of them.
        result.unwrap();
        return false;
    }
    drop(repository);

    // Whoever comes next: another process, with a storage that works.
    let (memory, _, repository) = world(&memory);
    let snapshots = repository.snapshots().unwrap();
    assert!((1..=2).contains(&snapshots.found.len()), "{what}");
    if let Ok(snapshot) = &result {
        assert!(snapshots.found.contains(snapshot), "{what}");
    }
    let reader = repository.reader(&Silent).unwrap();
    for (snapshot, files) in snapshots.found.iter().zip([before(), after()]) {
        assert!(read_all(&reader, snapshot).unwrap() == sorted(files), "{what}");
    }
    remove_torn_locks(&repository);
    let next = backup(&repository, &after()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let reader = repository.reader(&Silent).unwrap();
    assert!(read_all(&reader, &next).unwrap() == sorted(after()), "{what}");

    let options = CheckOptions { read_data: ReadData::All, snapshot: None };
    let report = repository.check(&options, &Stop::new(), &Silent).unwrap();
    assert!(report.damages.iter().all(|damage| damage.affected.is_empty()), "{what}: {report:?}");
    if mode != Mode::Tear {
        assert!(report.damages.is_empty(), "{what}: {report:?}");
        // Asking restic each time takes long.
        if at.is_multiple_of(6) {
            restic_agrees(&memory, &what);
        }
    }
    true
}

/// A lock that cannot be read may be anybody's: it is an operator who removes it, or the next half hour.
fn remove_torn_locks(repository: &Repository) {
    for lock in repository.locks(&holder().hostname, &Clock::System).unwrap() {
        if lock.time.is_none() {
            repository.remove_lock(&lock).unwrap();
        }
    }
}

pub(crate) fn restic_agrees(memory: &MemoryStore, what: &str) {
    let dir = tempfile::tempdir().unwrap();
    write_out(memory, dir.path());
    let checked = restic(dir.path(), PASSWORD, &["check", "--read-data"]);
    assert!(checked.status.success(), "{what}: {}", succeed(&checked));
}

/// Everything but the locks: their holder, this process, lives.
fn write_out(memory: &MemoryStore, dir: &Path) {
    let folders = ["data", "index", "keys", "snapshots"];
    let mut names: Vec<String> =
        folders.iter().flat_map(|folder| memory.list(folder).unwrap()).map(|info| info.name).collect();
    names.push("config".to_owned());
    for name in names {
        let path = dir.join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, memory.get(&name).unwrap()).unwrap();
    }
}

#[test]
fn packs_then_index_then_snapshot() {
    let stored = start();
    let recording = Arc::new(Recording::new(stored));
    let repository = Repository::open(Box::new(Arc::clone(&recording)), &password()).unwrap();
    recording.take();
    backup(&repository, &after()).unwrap();
    let calls = recording.take();
    let puts: Vec<&str> = calls
        .iter()
        .filter(|(call, _)| *call == ObjectCall::Put)
        .filter_map(|(_, name)| name.split('/').next())
        .filter(|folder| *folder != "locks")
        .collect();
    assert_eq!((puts[0], &puts[puts.len() - 2..]), ("data", &["index", "snapshots"][..]), "{puts:?}");
    assert!(puts.iter().filter(|folder| **folder == "data").count() > 3);
    // Between the index and the snapshot: our lock, then the packs.
    let snapshot = calls.iter().position(|(_, name)| name.starts_with("snapshots/")).unwrap();
    let [(packs_call, packs), (lock_call, lock)] = &calls[snapshot - 2..snapshot] else { panic!() };
    assert!(*lock_call == ObjectCall::Size && lock.starts_with("locks/"), "{lock}");
    assert!(*packs_call == ObjectCall::List && packs == "data", "{packs}");
}

#[test]
fn the_first_failed_put_stops_the_run() {
    let memory = Arc::new(MemoryStore::default());
    let faulty = Arc::new(Faulty::new(Arc::clone(&memory)));
    let (repository, _) =
        Repository::init(Box::new(Arc::clone(&faulty)), &password(), &init_options()).unwrap();
    let lock = repository.lock_shared(&holder(), &Clock::System).unwrap();
    let stop = Stop::new();
    let mut writer = repository.writer(&lock, &crate::support::options(), &stop, &Silent).unwrap();
    faulty.inject(1, Mode::Kill);
    // 10 GB, if nobody stopped it.
    let mut endless = Noise { given: 0 };
    let error = writer.add(&mut endless, 10 << 30).unwrap_err();
    assert!(matches!(error, grap_repository::RepositoryError::Object(_)), "{error:?}");
    assert!(endless.given < 100 << 20, "{} bytes were read", endless.given);
    assert!(faulty.seen() < 5);
    assert!(matches!(writer.add_bytes(b"x"), Err(grap_repository::RepositoryError::WriterFailed)));
}

/// Endless bytes that do not repeat.
struct Noise {
    given: usize,
}

impl std::io::Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = noise(self.given as u64 + 1, buffer.len());
        buffer.copy_from_slice(&bytes);
        self.given += buffer.len();
        Ok(buffer.len())
    }
}
