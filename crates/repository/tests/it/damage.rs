//! Damage: each kind of object, flipped, cut, deleted, swapped. It is found, it is named, it is never read as
//! if it were whole, and nothing panics.

use std::path::Path;

use grap_repository::{
    CheckOptions, CheckReport, LocalStore, ReadData, Repository, RepositoryError, Snapshot, SnapshotId,
};
use grap_task::{Silent, Stop};

use crate::support::{Fixture, META, backup, draft, noise, password, read_all, read_node, records};

fn files(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("small", noise(seed, 1000)),
        ("neo4j/nodes", records(seed + 1, 700_000)),
        ("neo4j/relationships", noise(7, 300_000)),
    ]
}

fn check(repository: &Repository, read_data: ReadData, snapshot: Option<SnapshotId>) -> CheckReport {
    repository.check(&CheckOptions { read_data, snapshot }, &Stop::new(), &Silent).unwrap()
}

pub(crate) type Change = fn(&Path, &Path);

fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

/// Each gets the object and another one of the same kind.
pub(crate) const CHANGES: [(&str, Change); 8] = [
    ("flip the first byte", |path, _| flip(path, |_| 0)),
    ("flip the middle", |path, _| flip(path, |length| length / 2)),
    ("flip the last byte", |path, _| flip(path, |length| length - 1)),
    ("cut by a byte", |path, _| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }),
    ("cut to half", |path, _| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("empty", |path, _| std::fs::write(path, b"").unwrap()),
    ("delete", |path, _| std::fs::remove_file(path).unwrap()),
    ("swap", |path, other| {
        let [one, two] = [std::fs::read(path).unwrap(), std::fs::read(other).unwrap()];
        std::fs::write(path, two).unwrap();
        std::fs::write(other, one).unwrap();
    }),
];

/// For every object of a folder and every change: what happens, in a copy.
fn matrix(folder: &str, expect: impl Fn(&str, &str, &Path, &[Snapshot])) {
    let fixture = Fixture::new();
    let snapshots = [fixture.backup(&files(1)).unwrap(), fixture.backup(&files(20)).unwrap()];
    let names = fixture.objects(folder);
    assert!(names.len() > 1);
    for (number, name) in names.iter().enumerate() {
        for (change, apply) in CHANGES {
            let copy = tempfile::tempdir().unwrap();
            let path = copy.path().join("repo");
            let copied = std::process::Command::new("cp").arg("-r").arg(fixture.path()).arg(&path).status();
            assert!(copied.unwrap().success());
            let other = &names[(number + 1) % names.len()];
            apply(&path.join(name), &path.join(other));
            expect(name, change, &path, &snapshots);
        }
    }
}

fn open(path: &Path) -> grap_repository::Result<Repository> {
    Repository::open(Box::new(LocalStore::open(path)), &password())
}

/// Each snapshot that can be read at all is read right, or with an error.
fn read_right_or_not_at_all(repository: &Repository, snapshots: &[Snapshot]) -> Vec<bool> {
    let reader = repository.reader(&Silent).unwrap();
    let read = |(number, snapshot): (usize, &Snapshot)| {
        let expected = files(if number == 0 { 1 } else { 20 });
        let Ok(read) = read_all(&reader, snapshot) else { return false };
        assert!(read == crate::support::sorted(expected), "wrong bytes");
        true
    };
    snapshots.iter().enumerate().map(read).collect()
}

#[test]
fn packs() {
    matrix("data", |name, change, path, snapshots| {
        let repository = open(path).unwrap();
        let whole = read_right_or_not_at_all(&repository, snapshots);
        let report = check(&repository, ReadData::All, None);
        let damage = report.damages.iter().find(|damage| damage.object == name);
        let damage = damage.unwrap_or_else(|| panic!("{change} {name}: {report:?}"));
        if change.starts_with("flip") {
            assert!(damage.why.contains(&"its SHA-256 is not its name".to_owned()), "{change}: {damage:?}");
        }
        for (snapshot, whole) in snapshots.iter().zip(whole) {
            let hurt = report
                .damages
                .iter()
                .any(|damage| damage.affected.iter().any(|affected| affected.snapshot == snapshot.id));
            let size_changed = damage.why.iter().any(|why| why.contains("bytes instead of"));
            // A pack of the wrong size counts as lost, whatever can still be read of it.
            assert!(whole != hurt || size_changed && hurt, "{change} {name}: whole {whole}, {report:?}");
        }
        // Without reading the data at least what is missing or short is seen.
        if !change.starts_with("flip") {
            let structure = check(&repository, ReadData::None, None);
            assert!(structure.damages.iter().any(|damage| damage.object == name), "{change} {name}");
        }
        // The next backup makes it good, unless only reading could tell.
        if change == "delete" || change.starts_with("cut") || change == "empty" {
            let healed = backup(&repository, &files(20)).unwrap();
            assert!(read_all(&repository.reader(&Silent).unwrap(), &healed).is_ok(), "{change} {name}");
        }
    });
}

#[test]
fn indexes() {
    matrix("index", |name, change, path, snapshots| {
        let repository = open(path).unwrap();
        let whole = read_right_or_not_at_all(&repository, snapshots);
        let report = check(&repository, ReadData::None, None);
        if change != "delete" {
            assert!(report.damages.iter().any(|damage| damage.object == name), "{change} {name}: {report:?}");
        }
        for (snapshot, whole) in snapshots.iter().zip(whole) {
            let hurt = report
                .damages
                .iter()
                .any(|damage| damage.affected.iter().any(|affected| affected.snapshot == snapshot.id));
            assert_eq!(whole, !hurt, "{change} {name}: {report:?}");
        }
        let healed = backup(&repository, &files(1)).unwrap();
        assert!(read_all(&repository.reader(&Silent).unwrap(), &healed).is_ok(), "{change} {name}");
    });
}

#[test]
fn snapshots() {
    matrix("snapshots", |name, change, path, snapshots| {
        let repository = open(path).unwrap();
        let found = repository.snapshots().unwrap();
        let swapped = change == "swap";
        assert_eq!(found.found.len(), usize::from(!swapped), "{change}");
        assert!(found.found.iter().all(|snapshot| snapshots.contains(snapshot)));
        let report = check(&repository, ReadData::None, None);
        let named = report.damages.iter().any(|damage| damage.object == name);
        assert_eq!(named, change != "delete", "{change} {name}: {report:?}");
    });
}

#[test]
fn keys() {
    matrix("keys", |name, change, path, _| {
        // The other key may be the one for our password; then the check names the damage.
        match open(path) {
            Ok(repository) => {
                let report = check(&repository, ReadData::None, None);
                let named = report.damages.iter().any(|damage| damage.object == name);
                assert_eq!(named, change != "delete", "{change} {name}: {report:?}");
            }
            Err(RepositoryError::NoUsableKey { .. } | RepositoryError::WrongPassword) => {}
            Err(error) => panic!("{change} {name}: {error}"),
        }
    });
}

#[test]
fn the_config() {
    for (change, apply) in &CHANGES[..6] {
        let fixture = Fixture::new();
        let config = fixture.path().join("config");
        apply(&config, &config);
        let error = open(&fixture.path()).err().unwrap();
        assert!(matches!(error, RepositoryError::NoUsableKey { .. }), "{change}: {error}");
    }
}

#[test]
fn sealed_records() {
    let fixture = Fixture::new();
    let repository = &fixture.repository;
    for (change, apply) in CHANGES {
        let [one, two] = [1, 2].map(|n| format!("grap/notes/{}-{n}", change.replace(' ', "-")));
        repository.put_sealed(&one, b"one").unwrap();
        repository.put_sealed(&two, b"two").unwrap();
        apply(&fixture.path().join(&one), &fixture.path().join(&two));
        match repository.get_sealed(&one) {
            Err(RepositoryError::Damaged { object, .. }) => assert_eq!(object, one),
            Err(RepositoryError::Object(_)) => assert_eq!(change, "delete"),
            other => panic!("{change}: {other:?}"),
        }
    }
}

#[test]
fn a_damaged_chunk_is_named_with_the_files_it_hurts() {
    let fixture = Fixture::new();
    let first = fixture.backup(&files(1)).unwrap();
    let second = fixture.backup(&files(20)).unwrap();
    // `relationships` is the same in both; find a pack that holds only chunks of it.
    let mut found = false;
    for name in fixture.packs() {
        let path = fixture.path().join(&name);
        let whole = std::fs::read(&path).unwrap();
        flip(&path, |_| 100);
        let report = check(&fixture.repository, ReadData::All, None);
        assert_eq!(report.damages.len(), 1, "{report:?}");
        let damage = &report.damages[0];
        assert_eq!(damage.object, name);
        assert!(damage.affected_count > 0);
        let hurts = |id| {
            damage
                .affected
                .iter()
                .any(|affected| affected.snapshot == id && affected.path == "/neo4j/relationships")
        };
        if hurts(first.id) || hurts(second.id) {
            found = true;
            assert!(hurts(first.id) && hurts(second.id));
            let only = check(&fixture.repository, ReadData::All, Some(first.id));
            assert!(only.damages[0].affected.iter().all(|affected| affected.snapshot == first.id));
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert!(found);
    let report = check(&fixture.repository, ReadData::All, None);
    assert_eq!((report.damages.len(), report.snapshots, report.packs_unused), (0, 2, 0));
    assert_eq!(report.packs_read, report.packs);
    let sample = check(&fixture.repository, ReadData::Percent(0), None);
    assert_eq!((sample.packs_read, sample.bytes_read), (0, 0));
    let one = check(&fixture.repository, ReadData::All, Some(first.id));
    assert!(one.packs_read < report.packs && one.damages.is_empty(), "{one:?}");
}

#[test]
fn a_read_names_the_chunk_the_pack_and_the_place() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&[("only", noise(1, 150_000))]).unwrap();
    let reader = fixture.reader();
    let node = reader.load_tree(snapshot.tree).unwrap().remove(0);
    let read = || read_node(&reader, &node, 0).unwrap_err();
    let mut damaged = Vec::new();
    for name in fixture.packs() {
        flip(&fixture.path().join(&name), |_| 20);
        // One of the packs holds the tree, not the file.
        if read_node(&reader, &node, 0).is_err() {
            damaged.push(name.clone());
        }
        flip(&fixture.path().join(&name), |_| 20);
    }
    let [name] = damaged.as_slice() else { panic!("{damaged:?}") };
    flip(&fixture.path().join(name), |_| 20);
    let error = read();
    assert!(error.to_string().contains("at byte 0"), "{error}");
    match error {
        RepositoryError::BlobDamaged { blob, .. } => assert!(name.ends_with(&blob.pack.to_string())),
        other => panic!("{other:?}"),
    }
    std::fs::remove_file(fixture.path().join(name)).unwrap();
    match read() {
        RepositoryError::BlobUnreadable { blob, .. } => assert!(name.ends_with(&blob.pack.to_string())),
        other => panic!("{other:?}"),
    }
}

/// Each is authentic; only its hash says that it is not the one that was asked for.
#[test]
fn two_chunks_that_changed_places_are_told_apart() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&[("only", noise(1, 128 << 10))]).unwrap();
    let sealed = (64 << 10) + 32;
    for name in fixture.packs() {
        let path = fixture.path().join(&name);
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.len() > 2 * sealed {
            let (one, two) = bytes.split_at_mut(sealed);
            one.swap_with_slice(&mut two[..sealed]);
            std::fs::write(path, bytes).unwrap();
        }
    }
    assert!(matches!(fixture.read(&snapshot), Err(RepositoryError::BlobDamaged { .. })));
    let report = check(&fixture.repository, ReadData::All, None);
    assert_eq!(report.damages[0].affected[0].path, "/only");
}

#[test]
fn a_file_whose_chunks_do_not_add_up_is_not_read() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let stop = Stop::new();
    let mut writer = fixture.repository.writer(&lock, &crate::support::options(), &stop, &Silent).unwrap();
    let mut content = writer.add_bytes(&noise(1, 100_000)).unwrap();
    content.size += 1;
    let tree = writer.save_tree(vec![grap_repository::Node::file("longer", &META, &content)]).unwrap();
    let snapshot = writer.finish(tree, draft()).unwrap();
    let error = fixture.read(&snapshot).unwrap_err();
    assert!(
        matches!(error, RepositoryError::FileLength { found: 100_000, expected: 100_001, .. }),
        "{error}"
    );
    let report = check(&fixture.repository, ReadData::None, None);
    assert_eq!(report.damages[0].object, format!("tree {tree}"));
    assert_eq!(report.damages[0].affected[0].path, "/longer");
}
