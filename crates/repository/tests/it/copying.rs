//! Snapshots taken over from another repository: nothing is stored twice, nothing incomplete is published, and stock
//! restic agrees, whoever wrote the first one.

use grap_repository::{CheckOptions, ReadData, RepositoryError, Snapshot, StoredPacks, Writer};
use grap_task::{Silent, Stop};

use crate::support::{Fixture, noise, options, read_all, records, sorted};

fn copying<T>(to: &Fixture, run: impl FnOnce(&mut Writer<'_>) -> T) -> T {
    let (lock, stop) = (to.lock(), Stop::new());
    let mut writer = to.repository.writer(&lock, &options(), &stop, &Silent).unwrap();
    run(&mut writer)
}

fn whole(fixture: &Fixture) {
    let check = CheckOptions { read_data: ReadData::All, snapshot: None };
    let report = fixture.repository.check(&check, &Stop::new(), &Silent).unwrap();
    assert_eq!(report.damages, []);
}

#[test]
fn one_writer_takes_over_several_and_the_second_run_stores_nothing() {
    let (from, to) = (Fixture::new(), Fixture::new());
    let files = [
        vec![("a", records(1, 200_000)), ("d/b", noise(2, 900_000)), ("d/zeros", vec![0; 300_000])],
        vec![("a", records(1, 200_000)), ("d/b", noise(3, 100_000)), ("empty", Vec::new())],
    ];
    let snapshots: Vec<Snapshot> = files.iter().map(|files| from.backup(files).unwrap()).collect();
    let (copies, report, packs) = copying(&to, |writer| {
        let reader = from.reader();
        let copies: Vec<Snapshot> =
            snapshots.iter().map(|snapshot| writer.copy(&reader, snapshot).unwrap()).collect();
        (copies, writer.report(), writer.packs_put())
    });
    for ((copy, snapshot), files) in copies.iter().zip(&snapshots).zip(&files) {
        assert_eq!((copy.tree, copy.time, &copy.tags), (snapshot.tree, snapshot.time, &snapshot.tags));
        let read = read_all(&to.reader(), copy).unwrap();
        assert_eq!(read, sorted(files.clone()));
    }
    // What the two share is read once, and so are the zeros.
    assert!(report.bytes < 200_000 * 5 + 900_000 + 100_000 + 70_000, "{report:?}");
    let ids: Vec<_> = copies.iter().map(|copy| copy.id).collect();
    let these = StoredPacks::These(packs.into_iter().collect());
    let checked = to.repository.check_stored(&ids, &these, &Stop::new(), &Silent).unwrap();
    assert_eq!((checked.check.damages, checked.read_whole.len()), (Vec::new(), 2));
    let none = StoredPacks::These(std::collections::BTreeSet::new());
    assert_eq!(to.repository.check_stored(&ids, &none, &Stop::new(), &Silent).unwrap().read_whole.len(), 0);
    whole(&to);
    to.restic_ok(&["check", "--read-data"]);
    let again = copying(&to, |writer| {
        writer.copy(&from.reader(), &snapshots[0]).unwrap();
        writer.report()
    });
    assert_eq!((again.bytes, again.stored_bytes), (0, 0));
}

/// A directory that two snapshots share holds a chunk that is gone: neither is published, a third one is.
#[test]
fn a_shared_directory_that_failed_is_not_taken_for_whole() {
    let (from, to) = (Fixture::new(), Fixture::new());
    let shared = from.backup(&[("d/shared", noise(1, 300_000))]).unwrap();
    let lost = from.packs();
    let hurt = [2, 3]
        .map(|seed| from.backup(&[("d/shared", noise(1, 300_000)), ("own", noise(seed, 100_000))]).unwrap());
    let sound = from.backup(&[("own", noise(4, 100_000))]).unwrap();
    for pack in lost {
        from.repository.store().delete(&pack).unwrap();
    }
    let reader = from.reader();
    copying(&to, |writer| {
        for snapshot in [&hurt[0], &shared, &hurt[1]] {
            let error = writer.copy(&reader, snapshot).unwrap_err();
            assert!(matches!(error, RepositoryError::CopySource(_)), "{error:?}");
        }
        writer.copy(&reader, &sound).unwrap();
    });
    assert_eq!(to.repository.snapshots().unwrap().found.len(), 1);
    whole(&to);
}

/// restic writes fields into its directories that we do not know, and cuts files where it likes: they are taken as they
/// are.
#[test]
fn what_restic_wrote_is_still_what_restic_reads() {
    let (from, to) = (Fixture::new(), Fixture::new());
    let source = from.dir.path().join("source");
    std::fs::create_dir_all(source.join("deep/er")).unwrap();
    std::fs::write(source.join("deep/er/file"), noise(1, 3_000_000)).unwrap();
    std::fs::write(source.join("empty"), b"").unwrap();
    std::os::unix::fs::symlink("empty", source.join("link")).unwrap();
    from.restic_ok(&["backup", &source.display().to_string()]);
    let snapshot = from.repository.snapshots().unwrap().found.remove(0);
    copying(&to, |writer| writer.copy(&from.reader(), &snapshot).unwrap());
    to.restic_ok(&["check", "--read-data"]);
    let back = to.dir.path().join("back");
    to.restic_ok(&["restore", "latest", "--target", &back.display().to_string()]);
    let back = back.join(source.strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(back.join("deep/er/file")).unwrap(), noise(1, 3_000_000));
    assert_eq!(std::fs::read_link(back.join("link")).unwrap().to_str(), Some("empty"));
}
