//! A copy to a storage that is far away: reads are many at once, puts of the archive one after the other, in order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use grap::archive::{Archive, RunNumber};
use grap::ops::{self, Access};
use grap_core::SourceName;
use grap_repository::object::memory::MemoryStore;
use grap_repository::{KdfCost, LocalStore, ObjectError, ObjectInfo, ObjectStore};
use secrecy::SecretString;

use crate::copy::{PASSWORD, options, upto};
use crate::world::{Start, World, put_all, segments};

const ROUND_TRIP: Duration = Duration::from_millis(5);

/// Each call takes a round trip. What is put of the archive is noted.
struct Far<S> {
    inner: S,
    /// One call at a time, as a client makes them that waits for each.
    alone: Option<Mutex<()>>,
    calls: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    /// A put of the archive is under way; two were.
    putting: AtomicBool,
    overlapped: AtomicBool,
    put: Mutex<Vec<String>>,
}

type FarMemory = Far<Arc<MemoryStore>>;

impl<S: ObjectStore> Far<S> {
    fn new(inner: S, alone: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            alone: alone.then(Mutex::default),
            calls: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            putting: AtomicBool::new(false),
            overlapped: AtomicBool::new(false),
            put: Mutex::default(),
        })
    }

    fn call<T>(&self, call: impl FnOnce(&S) -> T) -> T {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let _alone = self.alone.as_ref().map(|alone| alone.lock().unwrap());
        self.most.fetch_max(self.under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(ROUND_TRIP);
        let answer = call(&self.inner);
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

impl<S: ObjectStore> ObjectStore for Far<S> {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        if !name.starts_with("grap/log/") {
            return self.call(|inner| inner.put(name, parts));
        }
        if self.putting.swap(true, Ordering::SeqCst) {
            self.overlapped.store(true, Ordering::SeqCst);
        }
        self.put.lock().unwrap().push(name.to_owned());
        let done = self.call(|inner| inner.put(name, parts));
        self.putting.store(false, Ordering::SeqCst);
        done
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.call(|inner| inner.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.call(|inner| inner.get_range(name, offset, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.call(|inner| inner.list(prefix))
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.call(|inner| inner.size(name))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.call(|inner| inner.delete(name))
    }

    fn top_level(&self) -> Result<Vec<String>, ObjectError> {
        self.call(ObjectStore::top_level)
    }
}

fn access(store: impl ObjectStore + 'static, password: &str) -> Access {
    Access::remote("memory".to_owned(), Box::new(store), SecretString::from(password))
}

/// So many sources with the same archive of segments of one transaction. Returns how many segments there are.
fn archives(world: &World, sources: usize) -> usize {
    let log = world.log("neo4j");
    let parts = segments(&upto(&log, 2, log.last().unwrap().transaction.id.0), 1);
    Start::new(1, log[0].transaction.commit_time.0 - 1000).root("neo4j", 2, None).put(world);
    let start = world.archive().start(RunNumber(1)).unwrap().unwrap();
    put_all(&world.archive(), 1, "neo4j", &parts);
    for number in 1..sources {
        let name: SourceName = format!("other-{number}").parse().unwrap();
        ops::add_source(world.access(), &name, &world.state(), &world.session()).unwrap();
        let archive = Archive::new(world.access().open().unwrap(), name);
        archive.put_start(RunNumber(1), &start).unwrap();
        put_all(&archive, 1, "neo4j", &parts);
    }
    parts.len() * sources
}

/// Copy all of it. Returns the seconds, and the second repository as it was spoken to.
fn timed(world: &World, alone: bool) -> (f64, Arc<FarMemory>, Arc<Far<LocalStore>>) {
    let memory = Arc::new(MemoryStore::default());
    let init = access(Arc::clone(&memory), PASSWORD);
    ops::init(init, "neo4j".parse().unwrap(), KdfCost::cheapest(), &world.state(), &world.session()).unwrap();
    let from = Far::new(LocalStore::open(world.path("repository")), alone);
    let to = Far::new(memory, alone);
    let began = Instant::now();
    let (from_access, to_access) = (access(Arc::clone(&from), "secret"), access(Arc::clone(&to), PASSWORD));
    let report = ops::copy(&options(), from_access, to_access, &world.state(), &world.session()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    (began.elapsed().as_secs_f64(), to, from)
}

#[test]
fn reads_are_many_at_once_and_puts_one_by_one_in_order() {
    let world = World::new("5.26.30");
    let count = archives(&world, 1);
    let (_, to, from) = timed(&world, false);
    let most = [&from.most, &to.most].map(|most| most.load(Ordering::SeqCst));
    assert!(most.iter().all(|most| (3..=8).contains(most)), "{most:?} at once");
    assert!(!to.overlapped.load(Ordering::SeqCst), "two puts of the archive were under way");
    let put = to.put.lock().unwrap();
    assert_eq!(put.len(), count + 1);
    assert!(put[0].ends_with("/start") && put[1..].is_sorted(), "{put:?}");
}

#[test]
#[ignore = "a figure for docs/proof.md, not a claim"]
#[expect(clippy::print_stdout, reason = "the figure")]
fn figure_of_many_segments() {
    let world = World::new("5.26.30");
    let count = archives(&world, 14);
    for alone in [true, false] {
        let (seconds, to, from) = timed(&world, alone);
        let calls = from.calls.load(Ordering::SeqCst) + to.calls.load(Ordering::SeqCst);
        let how = if alone { "one call at a time" } else { "as it is" };
        println!("{count} segments, {ROUND_TRIP:?} a call, {how}: {seconds:.1} s, {calls} calls");
    }
}
