//! Damage as a test axis: {flip, truncate, delete, swap} x every kind of stored object x what is done next.
//!
//! A repository with two sources: `neo4j` has the backup that is hurt, `other` one of a store of its own.
//! Whatever is done to one object, each verb either works on what is whole or refuses with the right code and
//! the object's name; nothing panics, nothing is restored wrong, and what the damage does not touch restores
//! byte by byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use grap_testkit::damage::{Damage, Injury, inflict};
use grap_testkit::{Grap, tree};
use serde_json::Value;

use crate::support::{PROGRAM, Ran, Stopped, assert_restored, make_data, scratch};

/// The undamaged repository, and the names of the objects to be hurt: for each kind one and another of the
/// same kind.
struct Template {
    stopped: Stopped,
    /// Of source `neo4j`, and of source `other`.
    ids: [String; 2],
    kinds: BTreeMap<&'static str, [PathBuf; 2]>,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let stopped = Stopped::new();
        make_data(&stopped.path("other"), "2026.08.1", "2026.08.1");
        stopped.run(&["source", "add", "other"]).succeeded();
        // First the one that is to stay whole: the other may use its chunks, not the other way round.
        let ids = ["other", "neo4j"].map(|source| {
            let data = stopped.text(if source == "other" { "other" } else { "data" });
            let report = stopped.run(&["backup", "--data", &data, "--source", source]).succeeded().json();
            (report["id"].as_str().unwrap().to_owned(), objects(&stopped.grap))
        });
        leave_two_locks(&stopped);
        let [(other, before), (hurt, _)] = ids;
        Template { kinds: kinds(&stopped.grap, &before), ids: [hurt, other], stopped }
    })
}

/// Two backups are killed at work: each leaves its lock.
fn leave_two_locks(stopped: &Stopped) {
    for number in 0..2 {
        let mut grap = stopped.grap.clone();
        grap.state = stopped.path(&format!("state-{number}"));
        let data = stopped.text("data");
        let before = tree::files(&stopped.grap.repository.join("locks")).unwrap().len();
        let mut child =
            grap.spawn(&["backup", "--data", &data, "--read-limit", "1KiB", "--source", "neo4j"]).unwrap();
        let locks = || tree::files(&stopped.grap.repository.join("locks")).unwrap();
        crate::support::eventually("a lock", || locks().len() > before.min(number));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn objects(grap: &Grap) -> Vec<PathBuf> {
    tree::files(&grap.repository).unwrap()
}

fn kinds(grap: &Grap, before: &[PathBuf]) -> BTreeMap<&'static str, [PathBuf; 2]> {
    let all = objects(grap);
    let pair = |wanted: &dyn Fn(&Path) -> bool| {
        let own = all.iter().find(|name| wanted(name) && !before.contains(name));
        let one = own.or_else(|| all.iter().find(|name| wanted(name))).unwrap();
        let other = all.iter().find(|name| wanted(name) && *name != one).unwrap();
        [one.clone(), other.clone()]
    };
    let below = |folder: &'static str| move |name: &Path| name.starts_with(folder);
    let packs = pack_kinds(grap);
    let pack = |kind: &'static str| {
        let packs = packs.clone();
        move |name: &Path| {
            let id = name.file_name().unwrap().to_string_lossy().into_owned();
            packs.get(&id).is_some_and(|found| found == kind)
        }
    };
    let record = |name: &Path| name.starts_with("grap/sources") && name.ends_with("0000000002");
    let [one, other] = pair(&record);
    let sources = if one.starts_with("grap/sources/neo4j") { [one, other] } else { [other, one] };
    BTreeMap::from([
        ("config", ["config".into(), pair(&below("keys"))[0].clone()]),
        ("key", pair(&below("keys"))),
        ("index", pair(&below("index"))),
        ("snapshot", pair(&below("snapshots"))),
        ("data", pair(&pack("data"))),
        ("trees", pair(&pack("tree"))),
        ("lock", pair(&below("locks"))),
        ("source", sources),
    ])
}

/// What each pack holds, as restic sees it.
pub(crate) fn pack_kinds(grap: &Grap) -> BTreeMap<String, String> {
    let mut kinds = BTreeMap::new();
    for index in tree::files(&grap.repository.join("index")).unwrap() {
        let mut restic = Command::new("restic");
        restic.arg("-r").arg(&grap.repository).arg("--password-file").arg(&grap.password_file);
        restic.args(["--no-cache", "--no-lock", "cat", "index"]).arg(&index);
        let text = Ran::command(&mut restic).succeeded().stdout;
        let parsed: Value = serde_json::from_str(&text).unwrap();
        for pack in parsed["packs"].as_array().unwrap() {
            let kind = pack["blobs"][0]["type"].as_str().unwrap();
            kinds.insert(pack["id"].as_str().unwrap().to_owned(), kind.to_owned());
        }
    }
    kinds
}

/// One damaged copy, and the program on it.
struct Hurt {
    _folder: tempfile::TempDir,
    folder: PathBuf,
    grap: Grap,
    what: String,
    /// The last part of the object's name; after a swap of both objects'.
    objects: Vec<String>,
}

impl Hurt {
    fn new(kind: &str, change: &str) -> Self {
        let template = template();
        let folder = scratch();
        for part in ["repository", "state"] {
            tree::copy(&template.stopped.path(part), &folder.path().join(part)).unwrap();
        }
        let grap = Grap::new(Path::new(PROGRAM), folder.path()).unwrap();
        let [file, other] = template.kinds[kind].clone();
        let size = std::fs::metadata(grap.repository.join(&file)).unwrap().len();
        let damage = match change {
            "flip" => Damage::Flip { offset: size / 2, bit: 3 },
            "truncate" => Damage::Truncate { length: size / 2 },
            "delete" => Damage::Delete,
            _ => Damage::Swap { other: other.clone() },
        };
        inflict(&grap.repository, &Injury { file: file.clone(), damage }).unwrap();
        let what = format!("{change} {kind} {}", file.display());
        let hurt = if change == "swap" { vec![file, other] } else { vec![file] };
        let name = |file: PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
        let objects = hurt.into_iter().map(name).collect();
        let path = folder.path().to_owned();
        Self { _folder: folder, folder: path, grap, what, objects }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::grap(&self.grap, arguments)
    }

    /// Restores to the bytes of the original, or is refused for the damage; says which.
    fn restores(&self, which: usize) -> bool {
        let template = template();
        let id = &template.ids[which];
        let to = self.folder.join(format!("restored-{which}"));
        let _ = std::fs::remove_dir_all(&to);
        let ran = self.run(&["restore", id, "--to", &to.display().to_string()]);
        if ran.status == 0 {
            assert_restored(&template.stopped.path(["data", "other"][which]), &to);
        } else {
            assert!(!to.exists(), "{}: left something: {ran:?}", self.what);
        }
        ran.status == 0
    }

    /// `verify --read-data` of one backup finds nothing.
    fn is_whole(&self, which: usize) -> bool {
        let ran = self.run(&["verify", &template().ids[which], "--read-data"]);
        ran.status == 0
    }

    fn backup(&self) -> Ran {
        let data = template().stopped.text("data");
        self.run(&["backup", "--data", &data, "--source", "neo4j"])
    }

    fn next_backup_is_whole(&self) {
        let ran = self.backup();
        assert_eq!(ran.status, 0, "{}: {ran:?}", self.what);
        let (id, to) = (ran.json()["id"].as_str().unwrap().to_owned(), self.folder.join("next"));
        let restored = self.run(&["restore", &id, "--to", &to.display().to_string()]);
        assert_eq!(restored.status, 0, "{}: {restored:?}", self.what);
        assert_restored(&template().stopped.path("data"), &to);
    }

    fn assert_names(&self, ran: &Ran, code: &str) {
        assert_eq!(ran.code(), code, "{}: {ran:?}", self.what);
        assert!(self.is_named(&ran.said()), "{}: not named: {ran:?}", self.what);
    }

    fn is_named(&self, text: &str) -> bool {
        self.objects.iter().any(|object| text.contains(object))
    }
}

/// Every change to an object of this kind, at the same time: most of the time goes into waiting.
fn every_change(kind: &str, expect: impl Fn(&Hurt, &str) + Sync) {
    template();
    std::thread::scope(|scope| {
        for change in ["flip", "truncate", "delete", "swap"] {
            let expect = &expect;
            scope.spawn(move || expect(&Hurt::new(kind, change), change));
        }
    });
}

/// What holds for every kind that leaves the repository open: what `verify` calls whole restores, what it
/// does not is refused; both backups are listed or their loss is told.
fn look(hurt: &Hurt) -> [bool; 2] {
    let listed = hurt.run(&["list"]);
    assert_eq!(listed.status, 0, "{}: {listed:?}", hurt.what);
    let restored = [0, 1].map(|which| hurt.restores(which));
    let whole = [0, 1].map(|which| hurt.is_whole(which));
    for which in 0..2 {
        // A pack of the wrong size counts as lost, whatever can still be read of it.
        assert!(restored[which] || !whole[which], "{}: {restored:?} {whole:?}", hurt.what);
    }
    restored
}

#[test]
fn the_config() {
    every_change("config", |hurt, change| {
        let to = hurt.folder.join("to").display().to_string();
        for arguments in [
            vec!["list"],
            vec!["verify"],
            vec!["verify", "--read-data"],
            vec!["restore", "latest", "--to", &to],
        ] {
            let ran = hurt.run(&arguments);
            let code = if change == "delete" { "REPOSITORY_NOT_FOUND" } else { "BACKUP_CORRUPTED" };
            hurt.assert_names(&ran, code);
        }
        assert_ne!(hurt.backup().status, 0);
        assert!(!Path::new(&to).exists());
    });
}

#[test]
fn a_key() {
    every_change("key", |hurt, change| {
        // Which of the two is the password's is not known by its name.
        let listed = hurt.run(&["list"]);
        if listed.status == 0 {
            assert_eq!([0, 1].map(|which| hurt.restores(which)), [true, true], "{}", hurt.what);
            let verified = hurt.run(&["verify"]);
            if change == "delete" {
                assert_eq!(verified.status, 0, "{}: {verified:?}", hurt.what);
            } else {
                hurt.assert_names(&verified, "BACKUP_CORRUPTED");
            }
            hurt.backup().succeeded();
        } else if change == "delete" {
            assert_eq!(listed.code(), "WRONG_PASSWORD", "{}: {listed:?}", hurt.what);
        } else {
            hurt.assert_names(&listed, "BACKUP_CORRUPTED");
            assert_ne!(hurt.backup().status, 0);
        }
    });
}

#[test]
fn an_index() {
    every_change("index", |hurt, change| {
        let restored = look(hurt);
        assert!(!restored[0], "{}", hurt.what);
        let verified = hurt.run(&["verify"]);
        assert_eq!(verified.status, 9, "{}: {verified:?}", hurt.what);
        if change == "delete" {
            assert!(verified.said().contains(&template().ids[0]), "{verified:?}");
        } else {
            hurt.assert_names(&verified, "BACKUP_CORRUPTED");
            assert_eq!(restored[1], change != "swap", "{}", hurt.what);
        }
        // The next backup stores anew what only that index knew.
        hurt.next_backup_is_whole();
    });
}

#[test]
fn a_snapshot() {
    every_change("snapshot", |hurt, change| {
        let restored = look(hurt);
        assert_eq!(restored, [false, change != "swap"], "{}", hurt.what);
        let (listed, verified) = (hurt.run(&["list"]).json(), hurt.run(&["verify"]));
        let shown = hurt.run(&["show", &template().ids[0]]);
        let damaged = listed["damaged_snapshots"].as_array().unwrap();
        if change == "delete" {
            assert!(damaged.is_empty() && verified.status == 0, "{listed}");
            assert_eq!(shown.code(), "BACKUP_NOT_FOUND");
        } else {
            assert!(damaged.iter().any(|text| hurt.is_named(text.as_str().unwrap())), "{listed}");
            hurt.assert_names(&verified, "BACKUP_CORRUPTED");
            hurt.assert_names(&shown, "BACKUP_CORRUPTED");
        }
        hurt.next_backup_is_whole();
    });
}

#[test]
fn a_pack() {
    for kind in ["data", "trees"] {
        every_change(kind, |hurt, change| {
            // Only reading can tell a flipped byte in a pack; of a tree the structure is read anyway.
            if change == "flip" && kind == "data" {
                let unread = hurt.run(&["verify"]);
                assert_eq!(unread.status, 0, "{unread:?}");
            }
            let restored = look(hurt);
            assert!(!restored[0], "{}", hurt.what);
            // Now it was read: what is known to be damaged is read again.
            hurt.assert_names(&hurt.run(&["verify"]), "BACKUP_CORRUPTED");
            hurt.assert_names(&hurt.run(&["verify", "--read-data"]), "BACKUP_CORRUPTED");
            assert!(restored[1] || change == "swap", "{}", hurt.what);
            // What is damaged, missing or of the wrong size is stored anew.
            hurt.next_backup_is_whole();
            assert_eq!(hurt.restores(1), restored[1], "{}: made worse", hurt.what);
            hurt.assert_names(&hurt.run(&["verify", "--read-data"]), "BACKUP_CORRUPTED");
        });
    }
}

#[test]
fn a_lock() {
    every_change("lock", |hurt, _| {
        hurt.run(&["list"]).succeeded();
        for arguments in [vec!["verify"], vec!["verify", "--read-data"]] {
            let ran = hurt.run(&arguments);
            // A lock that cannot be read may be anybody's, and exclusive.
            if ran.status == 0 {
                continue;
            }
            hurt.assert_names(&ran, "REPOSITORY_LOCKED");
        }
        let ran = hurt.backup();
        assert!(ran.status == 0 || ran.code() == "REPOSITORY_LOCKED", "{}: {ran:?}", hurt.what);
        let to = hurt.folder.join("no-lock").display().to_string();
        hurt.run(&["restore", &template().ids[0], "--to", &to, "--no-lock"]).succeeded();
        assert_restored(&template().stopped.path("data"), Path::new(&to));
    });
}

#[test]
fn a_record_of_a_source() {
    every_change("source", |hurt, change| {
        assert_eq!(look(hurt), [true, true], "{}", hurt.what);
        let (verified, next) = (hurt.run(&["verify"]), hurt.backup());
        if change == "delete" {
            // The record before it says: not bound yet. So the next backup binds the source again.
            assert_eq!((verified.status, next.status), (0, 0), "{verified:?} {next:?}");
        } else {
            assert_eq!(
                (verified.code(), next.code()),
                ("BACKUP_CORRUPTED".into(), "BACKUP_CORRUPTED".into())
            );
            assert!(verified.said().contains("grap/sources/"), "{verified:?}");
            assert!(next.said().contains("grap/sources/"), "{next:?}");
        }
    });
}
