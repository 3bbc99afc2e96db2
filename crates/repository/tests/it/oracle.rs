//! What we write restic reads, what restic writes we read.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use grap_repository::{LocalStore, NodeKind, Repository, RepositoryError};
use grap_task::{Clock, Silent};
use secrecy::ExposeSecret;

use crate::support::{
    Fixture, META, PASSWORD, holder, init_options, password, read_all, read_node, records, restic, shapes,
    sorted, succeed,
};

#[test]
fn restic_lists_checks_and_restores_what_we_write() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&shapes()).unwrap();
    let listed = fixture.restic_ok(&["snapshots", "--json"]);
    assert!(listed.contains(&snapshot.id.to_string()), "{listed}");
    assert!(listed.contains("\"tags\":[\"grap\"]"), "{listed}");
    fixture.restic_ok(&["check", "--read-data"]);
    let target = fixture.dir.path().join("restored");
    fixture.restic_ok(&["restore", "latest", "--target", target.to_str().unwrap()]);
    for (name, bytes) in shapes() {
        assert!(std::fs::read(target.join(name)).unwrap() == bytes, "{name:?}");
        let stat = std::fs::metadata(target.join(name)).unwrap();
        assert_eq!(stat.permissions().mode() & 0o7777, 0o640, "{name:?}");
        assert_eq!((stat.mtime(), stat.mtime_nsec()), (META.modified.as_second(), 123_456_789), "{name:?}");
    }
    assert_eq!(std::fs::metadata(target.join("neo4j")).unwrap().permissions().mode() & 0o7777, 0o750);
}

#[test]
fn we_read_what_we_write() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&shapes()).unwrap();
    assert_eq!(fixture.repository.snapshots().unwrap().found, std::slice::from_ref(&snapshot));
    assert!(fixture.read(&snapshot).unwrap() == sorted(shapes()));
}

#[test]
fn a_file_is_read_from_any_byte_on() {
    let fixture = Fixture::new();
    let bytes = records(9, 7_000_000);
    let snapshot = fixture.backup(&[("file", bytes.clone())]).unwrap();
    let reader = fixture.reader();
    let node = &reader.load_tree(snapshot.tree).unwrap()[0];
    for from in [0, 1, 65535, 65536, 2 << 20, (2 << 20) + 1, 6_999_999, 7_000_000, 8_000_000] {
        let read = read_node(&reader, node, from as u64).unwrap();
        assert!(read == bytes[from.min(bytes.len())..], "from {from}");
    }
}

#[test]
fn we_read_what_restic_writes() {
    let dir = tempfile::tempdir().unwrap();
    let [path, source] = [dir.path().join("repo"), dir.path().join("source")];
    for (name, bytes) in shapes() {
        std::fs::create_dir_all(source.join(name).parent().unwrap()).unwrap();
        std::fs::write(source.join(name), bytes).unwrap();
    }
    std::os::unix::fs::symlink("one", source.join("link")).unwrap();
    succeed(&restic(&path, PASSWORD, &["init"]));
    let backup = ["backup", "--tag", "theirs", source.to_str().unwrap()];
    succeed(&restic(&path, PASSWORD, &backup));
    succeed(&restic(&path, PASSWORD, &backup));

    let repository = Repository::open(Box::new(LocalStore::open(&path)), &password()).unwrap();
    let snapshots = repository.snapshots().unwrap().found;
    assert_eq!(snapshots.len(), 2);
    assert_eq!(snapshots[1].tags, ["theirs"]);
    let reader = repository.reader(&Silent).unwrap();
    let mut snapshot = snapshots[1].clone();
    for part in source.components().skip(1) {
        let nodes = reader.load_tree(snapshot.tree).unwrap();
        let name = part.as_os_str().to_str().unwrap();
        snapshot.tree = nodes.iter().find(|node| node.name == name).unwrap().subtree.unwrap();
    }
    let link = &reader.load_tree(snapshot.tree).unwrap();
    assert!(link.iter().any(|node| node.name == "link" && node.kind == NodeKind::Other));
    let mut files = read_all(&reader, &snapshot).unwrap();
    files.retain(|(name, _)| name != "link");
    assert!(files == sorted(shapes()));
}

#[test]
fn both_tools_write_into_one_repository() {
    let fixture = Fixture::new();
    let source = fixture.dir.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), records(1, 3_000_000)).unwrap();
    fixture.backup(&shapes()).unwrap();
    fixture.restic_ok(&["backup", source.to_str().unwrap()]);
    fixture.backup(&shapes()).unwrap();
    fixture.restic_ok(&["check", "--read-data"]);
    fixture.restic_ok(&["forget", "--keep-last", "1", "--group-by", "host", "--prune"]);
    fixture.restic_ok(&["check", "--read-data"]);
    let snapshots = fixture.repository.snapshots().unwrap().found;
    let ours = snapshots.iter().find(|snapshot| snapshot.tags == ["grap"]).unwrap();
    assert!(fixture.read(ours).unwrap() == sorted(shapes()));
}

#[test]
fn the_password_and_the_recovery_key_open_in_both_tools() {
    let fixture = Fixture::new();
    let recovery = fixture.recovery.expose_secret();
    succeed(&restic(&fixture.path(), recovery, &["snapshots"]));
    for password in [PASSWORD, recovery] {
        let store = LocalStore::open(fixture.path());
        let opened = Repository::open(Box::new(store), &password.into()).unwrap();
        assert_eq!(opened.id(), fixture.repository.id());
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let fixture = Fixture::new();
    let open = |password: &str| {
        Repository::open(Box::new(LocalStore::open(fixture.path())), &password.into()).err().unwrap()
    };
    assert!(matches!(open("wrong"), RepositoryError::WrongPassword));
    let again = Repository::init(Box::new(LocalStore::open(fixture.path())), &password(), &init_options());
    assert!(matches!(again.err().unwrap(), RepositoryError::AlreadyRepository));

    let key = fixture.path().join(&fixture.objects("keys")[0]);
    let other = fixture.path().join(&fixture.objects("keys")[1]);
    std::fs::remove_file(other).unwrap();
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, text.replace("\"N\":16", "\"N\":1073741824")).unwrap();
    assert!(matches!(open(PASSWORD), RepositoryError::NoUsableKey { .. }));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(open(PASSWORD), RepositoryError::NoUsableKey { .. }));
    std::fs::remove_file(fixture.path().join("config")).unwrap();
    assert!(matches!(open(PASSWORD), RepositoryError::NotARepository));
}

#[test]
fn an_older_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("repo");
    succeed(&restic(&path, PASSWORD, &["init", "--repository-version", "1"]));
    let opened = Repository::open(Box::new(LocalStore::open(&path)), &password());
    assert!(matches!(opened.err().unwrap(), RepositoryError::UnknownVersion { found: 1 }));
}

#[test]
fn restic_ignores_our_folder_and_our_leftovers() {
    let fixture = Fixture::new();
    fixture.backup(&shapes()).unwrap();
    fixture.repository.put_sealed("grap/notes/one", b"a note").unwrap();
    for folder in ["data/00", "index", "keys", "locks", "snapshots", "grap/notes"] {
        std::fs::write(fixture.path().join(folder).join("tmp-7-1"), b"half").unwrap();
    }
    fixture.restic_ok(&["check", "--read-data"]);
    fixture.restic_ok(&["prune"]);
    fixture.backup(&shapes()).unwrap();
    assert_eq!(fixture.repository.get_sealed("grap/notes/one").unwrap(), b"a note");
    assert_eq!(fixture.repository.list_sealed("grap/notes").unwrap().len(), 1);
    let clock = Clock::System;
    fixture.repository.lock_exclusive(&holder(), &clock).unwrap().release().unwrap();
}
