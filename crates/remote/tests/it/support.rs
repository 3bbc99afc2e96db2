//! Storages, repositories in them, and what is stored.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grap_remote::{RemoteOptions, RemoteStore};
use grap_repository::object::Retry;
use grap_repository::object::memory::MemoryStore;
use grap_repository::{
    CheckOptions, InitOptions, KdfCost, LockHolder, Meta, Node, ObjectStore, ReadData, Repository, Result,
    Snapshot, SnapshotDraft, WriterOptions,
};
use grap_task::{Clock, ManualClock, Silent, Stop};
use grap_testkit::stores::{Bucket, LocalS3, Proxy};
use jiff::Timestamp;
use secrecy::SecretString;

/// An S3 server for all tests of the process; it ends with the process.
pub(crate) fn s3() -> Option<&'static LocalS3> {
    static S3: OnceLock<Option<LocalS3>> = OnceLock::new();
    S3.get_or_init(|| or_skip("S3 (moto)", LocalS3::start())).as_ref()
}

/// A storage that cannot be installed here is said loudly, and what needs it proves nothing.
pub(crate) fn or_skip<T>(what: &str, started: grap_testkit::Result<T>) -> Option<T> {
    match started {
        Ok(storage) => Some(storage),
        Err(error @ grap_testkit::Error::Missing { .. }) => {
            eprintln!("SKIPPED: {what} is not here: {error}");
            None
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

/// A bucket of its own, and a proxy before it.
pub(crate) fn proxied(s3: &LocalS3) -> (Proxy, Bucket) {
    let proxy = Proxy::start(s3.port()).unwrap();
    let bucket = s3.bucket_through(&new_name(), proxy.port()).unwrap();
    (proxy, bucket)
}

pub(crate) fn new_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("bucket{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst))
}

pub(crate) fn options(bucket: &Bucket) -> RemoteOptions {
    RemoteOptions {
        variables: bucket.environment.iter().cloned().collect::<BTreeMap<_, _>>(),
        request_timeout: Duration::from_secs(2),
        ..RemoteOptions::default()
    }
}

pub(crate) fn store(bucket: &Bucket, prefix: &str) -> RemoteStore {
    RemoteStore::open(&format!("{}/{prefix}", bucket.url), &options(bucket)).unwrap()
}

/// As the program opens it.
pub(crate) fn patient(bucket: &Bucket, prefix: &str, budget: Duration) -> Box<dyn ObjectStore> {
    retrying(bucket, prefix, budget, Clock::System)
}

/// The same, but its waits take no time: so it gives up only what fails hundreds of times in a row. With eight
/// tries, one run in thirty met a call that had bad luck at each of them.
pub(crate) fn unwearied(bucket: &Bucket, prefix: &str) -> Box<dyn ObjectStore> {
    let clock = Clock::Manual(ManualClock::at(Timestamp::UNIX_EPOCH));
    retrying(bucket, prefix, Duration::from_hours(1), clock)
}

fn retrying(bucket: &Bucket, prefix: &str, budget: Duration, clock: Clock) -> Box<dyn ObjectStore> {
    Box::new(Retry::new(store(bucket, prefix), budget, clock, Stop::new()))
}

pub(crate) fn password() -> SecretString {
    "correct horse".into()
}

pub(crate) fn init_options() -> InitOptions {
    InitOptions {
        hostname: "grap-test".to_owned(),
        username: "tester".to_owned(),
        created: Timestamp::now(),
        cost: KdfCost::cheapest(),
    }
}

pub(crate) fn holder() -> LockHolder {
    LockHolder { hostname: "grap-test".to_owned(), username: "tester".to_owned(), uid: 0, gid: 0 }
}

pub(crate) type Files = Vec<(&'static str, Vec<u8>)>;

pub(crate) fn before() -> Files {
    vec![("a", noise(1, 200_000)), ("b", noise(2, 70_000))]
}

pub(crate) fn after() -> Files {
    vec![("a", noise(1, 150_000)), ("b", noise(3, 600_000)), ("c", Vec::new())]
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(length).collect()
}

/// What a backup does to a repository. Its waits take no time.
pub(crate) fn backup(repository: &Repository, files: &[(&str, Vec<u8>)]) -> Result<Snapshot> {
    let clock = Clock::Manual(ManualClock::at(Timestamp::now()));
    let lock = repository.lock_shared(&holder(), &clock)?;
    let stop = Stop::new();
    let options = WriterOptions { pack_size: 256 << 10, ..WriterOptions::default() };
    let mut writer = repository.writer(&lock, &options, &stop, &Silent)?;
    let meta = Meta { mode: 0o640, modified: Timestamp::UNIX_EPOCH, uid: 0, gid: 0 };
    let mut nodes = Vec::new();
    for (name, bytes) in files {
        nodes.push(Node::file(name, &meta, &writer.add_bytes(bytes)?));
    }
    let root = writer.save_tree(nodes)?;
    let snapshot = writer.finish(root, draft())?;
    lock.release().or_else(|error| if is_denied(&error) { Ok(()) } else { Err(error) })?;
    Ok(snapshot)
}

pub(crate) fn is_denied(error: &grap_repository::RepositoryError) -> bool {
    use grap_repository::{ObjectError, RepositoryError};
    matches!(error, RepositoryError::Object(ObjectError::Denied { .. }))
}

fn draft() -> SnapshotDraft {
    SnapshotDraft {
        time: Timestamp::now(),
        parent: None,
        paths: vec!["/data".to_owned()],
        hostname: "grap-test".to_owned(),
        username: "tester".to_owned(),
        tags: vec!["grap".to_owned()],
        program_version: "grap test".to_owned(),
    }
}

/// What a restore reads.
pub(crate) fn read_all(repository: &Repository, snapshot: &Snapshot) -> Result<Vec<(String, Vec<u8>)>> {
    let reader = repository.reader(&Silent)?;
    let mut files = Vec::new();
    for node in reader.load_tree(snapshot.tree)? {
        let mut bytes = Vec::new();
        reader.read_file(&node, 0, &Stop::new(), |_, part| {
            bytes.extend_from_slice(part);
            Ok::<_, grap_repository::RepositoryError>(())
        })?;
        files.push((node.name.clone(), bytes));
    }
    Ok(files)
}

pub(crate) fn named(files: Files) -> Vec<(String, Vec<u8>)> {
    files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

/// No object that anything needs is damaged.
pub(crate) fn assert_sound(repository: &Repository, what: &str) {
    let options = CheckOptions { read_data: ReadData::All, snapshot: None };
    let report = repository.check(&options, &Stop::new(), &Silent).unwrap();
    assert!(report.damages.iter().all(|damage| damage.affected.is_empty()), "{what}: {report:?}");
}

/// A repository with one backup, to be put into storages.
pub(crate) fn image() -> MemoryStore {
    let memory = std::sync::Arc::new(MemoryStore::default());
    let store = Box::new(std::sync::Arc::clone(&memory));
    let (repository, _) = Repository::init(store, &password(), &init_options()).unwrap();
    backup(&repository, &before()).unwrap();
    memory.copy()
}

pub(crate) fn put_image(image: &MemoryStore, store: &dyn ObjectStore) {
    for folder in ["data", "index", "keys", "snapshots"] {
        for info in image.list(folder).unwrap() {
            store.put(&info.name, &[&image.get(&info.name).unwrap()]).unwrap();
        }
    }
    store.put("config", &[&image.get("config").unwrap()]).unwrap();
}
