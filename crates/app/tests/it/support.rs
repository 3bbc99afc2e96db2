//! What the tests share: the program on stopped stores, what it said, and whether two directories are the
//! same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use grap_repository::{InitOptions, KdfCost, LocalStore, Repository};
use grap_testkit::program::last_json;
use grap_testkit::{Grap, Workload, store_fixture, tree};
use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_grap");
pub(crate) const NOTHING: Vec<String> = Vec::new();

/// How a run of the program ended. It never ends in a panic: that is looked at here, for every run.
#[derive(Debug)]
pub(crate) struct Ran {
    /// -1: ended by a signal.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran = Self {
            status: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        assert!(ran.status != 101 && !ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }

    pub(crate) fn command(command: &mut Command) -> Self {
        Self::of(&command.output().unwrap())
    }

    /// With `--json`, which is added here.
    pub(crate) fn grap(grap: &Grap, arguments: &[&str]) -> Self {
        Self::command(grap.command().arg("--json").args(arguments))
    }

    /// The stable code of the error; empty on success.
    pub(crate) fn code(&self) -> String {
        let last = last_json(self.stderr.as_bytes()).unwrap_or_default();
        last["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        last_json(self.stdout.as_bytes()).unwrap_or_else(|| panic!("{self:?}"))
    }

    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    pub(crate) fn refused(self, code: &str, status: i32) -> Self {
        assert_eq!((self.code().as_str(), self.status), (code, status), "{self:?}");
        self
    }

    /// Everything that was said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Two fixture stores as `neo4j` and `system`, a repository, a state directory.
pub(crate) struct Stopped {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) grap: Grap,
}

impl Stopped {
    pub(crate) fn new() -> Self {
        static TEMPLATE: OnceLock<tempfile::TempDir> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let template = scratch();
            make_data(&template.path().join("data"), "5.26.30", "5.13.0");
            template
        });
        let folder = scratch();
        tree::copy(&template.path().join("data"), &folder.path().join("data")).unwrap();
        let grap = cheap_repository(folder.path(), "neo4j");
        Self { folder, grap }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::grap(&self.grap, arguments)
    }

    pub(crate) fn try_backup(&self) -> Ran {
        self.run(&["backup", "--data", &self.text("data")])
    }

    /// The id of a new backup.
    pub(crate) fn backup(&self) -> String {
        self.try_backup().succeeded().json()["id"].as_str().unwrap().to_owned()
    }
}

/// A data directory of these fixtures.
pub(crate) fn make_data(data: &Path, neo4j: &str, system: &str) {
    store_fixture(neo4j, data).unwrap();
    let other = data.with_extension("system");
    store_fixture(system, &other).unwrap();
    for side in ["databases", "transactions"] {
        std::fs::rename(other.join(side).join("neo4j"), data.join(side).join("system")).unwrap();
    }
    std::fs::remove_dir_all(other).unwrap();
}

/// A repository whose password costs nothing to try: the program is run hundreds of times on it.
pub(crate) fn cheap_repository(folder: &Path, source: &str) -> Grap {
    let grap = Grap::new(Path::new(PROGRAM), folder).unwrap();
    let options = InitOptions {
        hostname: "host".into(),
        username: "user".into(),
        created: "2026-11-25T02:00:00Z".parse().unwrap(),
        cost: KdfCost::cheapest(),
    };
    let store = LocalStore::create(&grap.repository).unwrap();
    Repository::init(Box::new(store), &password(&grap), &options).unwrap();
    Ran::grap(&grap, &["source", "add", source]).succeeded();
    grap
}

pub(crate) fn password(grap: &Grap) -> secrecy::SecretString {
    std::fs::read_to_string(&grap.password_file).unwrap().trim_end().to_owned().into()
}

/// In memory where there is such a place: nothing here loses power.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Every file of a data directory but Grap's own and the server's locks, with its content.
pub(crate) fn contents(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for side in ["databases", "transactions"] {
        for file in tree::files(&data.join(side)).unwrap() {
            let name = Path::new(side).join(file);
            let content = std::fs::read(data.join(&name)).unwrap();
            found.insert(name, content);
        }
    }
    found
}

/// What stands in the restored directory stands in the original, byte by byte; the log only up to its end.
pub(crate) fn assert_restored(original: &Path, restored: &Path) {
    let found = contents(restored);
    assert!(found.keys().any(|name| name.ends_with("neostore.nodestore.db")), "{:?}", found.keys());
    assert!(found.keys().any(|name| name.starts_with("transactions")));
    for (name, bytes) in found {
        let before = std::fs::read(original.join(&name)).unwrap();
        assert!(before.starts_with(&bytes), "{} differs", name.display());
        assert!(name.starts_with("transactions") || before.len() == bytes.len(), "{}", name.display());
    }
}

/// The folders of pins that backups left.
pub(crate) fn pins(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join(".grap/pins")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("backup-")).collect()
}

/// Wait until so many more transactions were acknowledged.
pub(crate) fn wait_for(workload: &Workload, count: usize) {
    let before = workload.stats().transactions;
    eventually("more transactions", || workload.stats().transactions >= before + count);
}

pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}
