//! A repository in a temporary directory, files to store, restic to ask.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use grap_repository::{
    FileContent, InitOptions, KdfCost, LocalStore, Lock, LockHolder, Meta, Node, Reader, Repository, Result,
    Snapshot, SnapshotDraft, Writer, WriterOptions,
};
use grap_task::{Clock, ManualClock, Silent, Stop};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) fn password() -> SecretString {
    PASSWORD.into()
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
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    LockHolder { hostname: hostname.trim().to_owned(), username: "tester".to_owned(), uid: 0, gid: 0 }
}

/// Small packs, so that small tests have several.
pub(crate) fn options() -> WriterOptions {
    WriterOptions { pack_size: 256 << 10, ..WriterOptions::default() }
}

pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) repository: Repository,
    pub(crate) recovery: SecretString,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::create(dir.path().join("repo")).unwrap();
        let (repository, recovery) = Repository::init(Box::new(store), &password(), &init_options()).unwrap();
        Self { dir, repository, recovery: recovery.secret().expose_secret().into() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn lock(&self) -> Lock {
        self.repository.lock_shared(&holder(), &Clock::System).unwrap()
    }

    pub(crate) fn backup(&self, files: &[(&str, Vec<u8>)]) -> Result<Snapshot> {
        backup(&self.repository, files)
    }

    pub(crate) fn reader(&self) -> Reader {
        self.repository.reader(&Silent).unwrap()
    }

    /// Every file of a snapshot.
    pub(crate) fn read(&self, snapshot: &Snapshot) -> Result<Vec<(String, Vec<u8>)>> {
        read_all(&self.reader(), snapshot)
    }

    pub(crate) fn packs(&self) -> Vec<String> {
        self.objects("data")
    }

    pub(crate) fn objects(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.repository.store().list(folder).unwrap().into_iter().map(|info| info.name).collect();
        names.sort();
        names
    }

    pub(crate) fn restic(&self, args: &[&str]) -> Output {
        restic(&self.path(), PASSWORD, args)
    }

    #[track_caller]
    pub(crate) fn restic_ok(&self, args: &[&str]) -> String {
        succeed(&self.restic(args))
    }
}

pub(crate) fn restic(repository: &Path, password: &str, args: &[&str]) -> Output {
    Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(repository)
        .args(args)
        .env("RESTIC_PASSWORD", password)
        .output()
        .expect("these tests need stock restic, their oracle: install the package `restic`")
}

#[track_caller]
pub(crate) fn succeed(output: &Output) -> String {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

pub(crate) const META: Meta =
    Meta { mode: 0o640, modified: Timestamp::constant(1_700_000_000, 123_456_789), uid: 0, gid: 0 };

pub(crate) fn draft() -> SnapshotDraft {
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

/// Store files in one directory, or in directories if their names have slashes.
pub(crate) fn backup(repository: &Repository, files: &[(&str, Vec<u8>)]) -> Result<Snapshot> {
    // Its waits take no time, and nobody else is here.
    let clock = Clock::Manual(ManualClock::at(Timestamp::now()));
    let lock = repository.lock_shared(&holder(), &clock)?;
    let snapshot = backup_under(repository, &lock, files, |_| ())?;
    lock.release()?;
    Ok(snapshot)
}

pub(crate) fn backup_under(
    repository: &Repository,
    lock: &Lock,
    files: &[(&str, Vec<u8>)],
    before_finish: impl FnOnce(&Repository),
) -> Result<Snapshot> {
    let stop = Stop::new();
    let mut writer = repository.writer(lock, &options(), &stop, &Silent)?;
    let mut contents = Vec::new();
    for (name, bytes) in files {
        contents.push(((*name).to_owned(), writer.add_bytes(bytes)?));
    }
    let root = directory(&mut writer, &contents)?;
    before_finish(repository);
    writer.finish(root, draft())
}

fn directory(writer: &mut Writer<'_>, files: &[(String, FileContent)]) -> Result<grap_repository::TreeId> {
    let mut nodes = Vec::new();
    let mut below: std::collections::BTreeMap<&str, Vec<(String, FileContent)>> =
        std::collections::BTreeMap::new();
    for (name, content) in files {
        match name.split_once('/') {
            Some((directory, rest)) => {
                below.entry(directory).or_default().push((rest.to_owned(), content.clone()));
            }
            None => nodes.push(Node::file(name, &META, content)),
        }
    }
    for (name, files) in below {
        let tree = directory(writer, &files)?;
        nodes.push(Node::dir(name, &Meta { mode: 0o750, ..META }, tree));
    }
    writer.save_tree(nodes)
}

pub(crate) fn read_all(reader: &Reader, snapshot: &Snapshot) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut open = vec![(String::new(), snapshot.tree)];
    while let Some((path, tree)) = open.pop() {
        for node in reader.load_tree(tree)? {
            let name = format!("{path}{}", node.name);
            match node.subtree {
                Some(tree) => open.push((name + "/", tree)),
                None => files.push((name, read_node(reader, &node, 0)?)),
            }
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn read_node(reader: &Reader, node: &Node, from: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_file(node, from, &Stop::new(), |offset, part| {
        assert_eq!(offset, from + bytes.len() as u64);
        bytes.extend_from_slice(part);
        Ok::<_, grap_repository::RepositoryError>(())
    })?;
    Ok(bytes)
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

/// Bytes that compress about threefold, different in every chunk.
pub(crate) fn records(seed: u64, length: usize) -> Vec<u8> {
    let noise = noise(seed, length / 3 + 16);
    (0..length)
        .map(|i| if i % 16 < 5 { noise[i / 16 * 5 + i % 16] } else { (i / 4096 % 7).to_le_bytes()[0] })
        .collect()
}

/// One of every shape that matters.
pub(crate) fn shapes() -> Vec<(&'static str, Vec<u8>)> {
    const CHUNK: usize = 64 << 10;
    vec![
        ("empty", Vec::new()),
        ("one", vec![7]),
        ("chunk-less", noise(1, CHUNK - 1)),
        ("chunk", noise(2, CHUNK)),
        ("chunk-more", noise(3, CHUNK + 1)),
        ("zeros", vec![0; 3 * CHUNK + 5]),
        ("neo4j/store/large", records(4, 5_000_000)),
        ("neo4j/store/repeated", noise(5, CHUNK).repeat(40)),
        ("neo4j/sp ace\"qu\\ote", b"odd name".to_vec()),
        ("neo4j/\u{fc}nicode \u{1f600}\n", b"odder name".to_vec()),
    ]
}

pub(crate) fn sorted(files: Vec<(&str, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    files.sort();
    files
}
