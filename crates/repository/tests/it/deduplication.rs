//! What is stored is not stored again; what was lost is.

use std::io::Read;

use grap_repository::{CheckOptions, ReadData, RepositoryError, WriterOptions};
use grap_task::{Collected, Silent, Stop, Stopped};

use crate::support::{Fixture, backup_under, draft, noise, shapes, sorted};

#[test]
fn an_unchanged_second_run_adds_no_data() {
    let fixture = Fixture::new();
    fixture.backup(&shapes()).unwrap();
    let before = (fixture.packs(), fixture.objects("index"));
    fixture.backup(&shapes()).unwrap();
    assert_eq!((fixture.packs(), fixture.objects("index")), before);
    assert_eq!(fixture.repository.snapshots().unwrap().found.len(), 2);
    assert!(fixture.objects("locks").is_empty());
}

#[test]
fn equal_chunks_of_one_run_are_stored_once() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let stop = Stop::new();
    let options = WriterOptions { workers: 4, ..WriterOptions::default() };
    let mut writer = fixture.repository.writer(&lock, &options, &stop, &Silent).unwrap();
    let content = writer.add_bytes(&noise(1, 64 << 10).repeat(500)).unwrap();
    assert_eq!(content.new_bytes, 64 << 10);
    let zeros = writer.add_bytes(&vec![0; 100 << 20]).unwrap();
    assert_eq!((zeros.new_bytes, zeros.stored_bytes < 200), (64 << 10, true));
    assert_eq!(writer.report().bytes, ((500 * 64) << 10) + (100 << 20));
}

#[test]
fn only_what_changed_is_added() {
    let fixture = Fixture::new();
    let mut bytes = noise(1, 10 << 20);
    fixture.backup(&[("store", bytes.clone())]).unwrap();
    bytes[5_000_000] ^= 1;
    bytes.extend_from_slice(b"more");
    let lock = fixture.lock();
    let stop = Stop::new();
    let mut writer = fixture.repository.writer(&lock, &WriterOptions::default(), &stop, &Silent).unwrap();
    let content = writer.add_bytes(&bytes).unwrap();
    assert_eq!(content.new_bytes, (64 << 10) + 4);
}

#[test]
fn chunks_of_a_lost_pack_are_stored_anew() {
    for truncate in [false, true] {
        let fixture = Fixture::new();
        fixture.backup(&shapes()).unwrap();
        let lost = fixture.path().join(fixture.packs().first().unwrap());
        if truncate {
            let bytes = std::fs::read(&lost).unwrap();
            std::fs::write(&lost, &bytes[..bytes.len() - 1]).unwrap();
        } else {
            std::fs::remove_file(&lost).unwrap();
        }
        let snapshot = fixture.backup(&shapes()).unwrap();
        assert!(fixture.read(&snapshot).unwrap() == sorted(shapes()));

        let options = CheckOptions { read_data: ReadData::All, snapshot: Some(snapshot.id) };
        let report = fixture.repository.check(&options, &Stop::new(), &Silent).unwrap();
        assert!(report.damages.iter().all(|damage| damage.affected.is_empty()), "{report:?}");

        // restic looks a chunk up once, so it needs the stale index entries gone before it reads.
        if truncate {
            std::fs::remove_file(&lost).unwrap();
        }
        fixture.restic_ok(&["rebuild-index"]);
        fixture.restic_ok(&["check", "--read-data"]);
        let target = fixture.dir.path().join("restored");
        let id = snapshot.id.to_string();
        fixture.restic_ok(&["restore", &id, "--target", target.to_str().unwrap()]);
        assert!(std::fs::read(target.join("neo4j/store/large")).unwrap() == shapes()[6].1);
    }
}

#[test]
fn a_damaged_index_is_made_up_for() {
    let fixture = Fixture::new();
    fixture.backup(&shapes()).unwrap();
    let index = fixture.path().join(&fixture.objects("index")[0]);
    std::fs::write(&index, b"nonsense").unwrap();
    let snapshot = fixture.backup(&shapes()).unwrap();
    assert!(fixture.read(&snapshot).unwrap() == sorted(shapes()));
}

#[test]
fn a_pack_that_goes_away_before_the_end_fails_the_run() {
    let fixture = Fixture::new();
    fixture.backup(&shapes()).unwrap();
    let lock = fixture.lock();
    let victim = fixture.packs()[0].clone();
    let path = fixture.path().join(&victim);
    let result = backup_under(&fixture.repository, &lock, &shapes(), |_| std::fs::remove_file(path).unwrap());
    match result {
        Err(RepositoryError::PackGone { pack, found: None, .. }) => {
            assert!(victim.ends_with(&pack.to_string()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.repository.snapshots().unwrap().found.len(), 1);
}

#[test]
fn a_lock_that_goes_away_before_the_end_fails_the_run() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let result = backup_under(&fixture.repository, &lock, &shapes(), |repository| {
        repository.store().delete(&lock.name()).unwrap();
    });
    assert!(matches!(result, Err(RepositoryError::LockGone { .. })), "{result:?}");
    assert!(fixture.repository.snapshots().unwrap().found.is_empty());
}

/// Gives some bytes, then nothing more, or an error.
struct Failing {
    left: usize,
    error: bool,
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && self.error {
            return Err(std::io::Error::other("a bad sector"));
        }
        let count = buffer.len().min(self.left).min(1000);
        self.left -= count;
        Ok(count)
    }
}

#[test]
fn a_source_that_ends_early_or_fails_is_an_error_with_its_place() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let stop = Stop::new();
    let monitor = Collected::default();
    let mut writer = fixture.repository.writer(&lock, &WriterOptions::default(), &stop, &monitor).unwrap();
    for left in [0, 1, 65535, 65536, 300_000] {
        let short = writer.add(&mut Failing { left, error: false }, 300_001);
        assert!(
            matches!(short, Err(RepositoryError::SourceShort { found, planned: 300_001 }) if found == left as u64),
            "{short:?}"
        );
        let failed = writer.add(&mut Failing { left, error: true }, 300_001);
        assert!(
            matches!(failed, Err(RepositoryError::SourceUnreadable { offset, .. }) if offset == left as u64),
            "{failed:?}"
        );
    }
    // One that is longer than planned is cut; and the writer is still good.
    let cut = writer.add(&mut Failing { left: 300_001, error: false }, 200_000).unwrap();
    assert_eq!(cut.size, 200_000);
    let tree = writer.save_tree(vec![grap_repository::Node::file("f", &crate::support::META, &cut)]).unwrap();
    let snapshot = writer.finish(tree, draft()).unwrap();
    assert_eq!(fixture.read(&snapshot).unwrap(), [("f".to_owned(), vec![0; 200_000])]);
}

#[test]
fn a_stop_ends_the_run_without_a_snapshot() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let stop = Stop::new();
    let mut writer = fixture.repository.writer(&lock, &WriterOptions::default(), &stop, &Silent).unwrap();
    let tree = writer.save_tree(Vec::new()).unwrap();
    stop.request();
    assert!(matches!(writer.add_bytes(b"x"), Err(RepositoryError::Stopped(Stopped))));
    assert!(matches!(writer.finish(tree, draft()), Err(RepositoryError::Stopped(Stopped))));
    assert!(fixture.repository.snapshots().unwrap().found.is_empty());
}

#[test]
fn a_root_of_somebody_else_is_refused() {
    let fixture = Fixture::new();
    let lock = fixture.lock();
    let stop = Stop::new();
    let writer = fixture.repository.writer(&lock, &WriterOptions::default(), &stop, &Silent).unwrap();
    let root = grap_repository::TreeId(grap_repository::Id::of(b"never saved"));
    assert!(matches!(writer.finish(root, draft()), Err(RepositoryError::InvalidTree { .. })));
}
