//! Prune: what is needed stays, what is not goes, whatever happens in between; and restic agrees each time.

use grap_repository::{
    CheckOptions, LocalStore, Lock, PruneOptions, PruneReport, PruneSummary, ReadData, Repository,
    RepositoryError, Result, Snapshot,
};
use grap_task::{Clock, ManualClock, Silent, Stop};
use jiff::Timestamp;

use crate::damage::CHANGES;
use crate::support::{Fixture, backup_under, holder, noise, password, read_all, records, sorted};

pub(crate) type Files = Vec<(&'static str, Vec<u8>)>;

/// A store of which every version changes some pages and keeps the others.
fn version(number: u64) -> Files {
    let mut nodes = records(1, 2_000_000);
    for page in 0..6_usize {
        let at = (usize::try_from(number).unwrap() * 7 + page * 5) % 30 * (64 << 10);
        nodes[at..at + 5000].copy_from_slice(&noise(number * 100 + page as u64, 5000));
    }
    vec![("neo4j/nodes", nodes), ("neo4j/log", noise(1000 + number, 150_000)), ("same", noise(7, 100_000))]
}

pub(crate) fn lock(repository: &Repository) -> Result<Lock> {
    // Its waits take no time, and nobody else is here.
    repository.lock_exclusive(&holder(), &Clock::Manual(ManualClock::at(Timestamp::now())))
}

pub(crate) fn options(unused_percent: u8) -> PruneOptions {
    PruneOptions { unused_percent, pack_size: 256 << 10, ..PruneOptions::default() }
}

pub(crate) fn prune_with(
    repository: &Repository,
    options: &PruneOptions,
) -> Result<(PruneSummary, PruneReport)> {
    let lock = lock(repository)?;
    let stop = Stop::new();
    let plan = repository.plan_prune(&lock, options, &stop, &Silent)?;
    let summary = *plan.summary();
    let report = plan.execute(&stop, &Silent)?;
    lock.release()?;
    Ok((summary, report))
}

pub(crate) fn prune(repository: &Repository) -> (PruneSummary, PruneReport) {
    prune_with(repository, &options(0)).unwrap()
}

pub(crate) fn forget(repository: &Repository, snapshot: &Snapshot) {
    repository.store().delete(&format!("snapshots/{}", snapshot.id)).unwrap();
}

#[track_caller]
pub(crate) fn assert_whole(repository: &Repository, kept: &[(&Snapshot, Files)]) {
    let reader = repository.reader(&Silent).unwrap();
    for (snapshot, files) in kept {
        assert!(read_all(&reader, snapshot).unwrap() == sorted(files.clone()));
    }
    let options = CheckOptions { read_data: ReadData::All, snapshot: None };
    let report = repository.check(&options, &Stop::new(), &Silent).unwrap();
    assert_eq!((report.damages.as_slice(), report.snapshots), (&[][..], kept.len()), "{report:?}");
}

#[track_caller]
fn assert_tidy(fixture: &Fixture) {
    let said = fixture.restic_ok(&["check", "--read-data"]);
    assert!(said.contains("no errors were found"), "{said}");
    for odd in ["unused", "rebuild-index", "contained in several", "not referenced"] {
        assert!(!said.contains(odd), "{said}");
    }
}

#[test]
fn what_a_deleted_snapshot_alone_needed_goes_and_all_else_stays() {
    let fixture = Fixture::new();
    let snapshots: Vec<Snapshot> = (0..5).map(|n| fixture.backup(&version(n)).unwrap()).collect();
    let (summary, report) = prune(&fixture.repository);
    assert_eq!((summary.freed_bytes(), report), (0, PruneReport::default()), "all of it is needed");

    for gone in [0, 2, 3] {
        forget(&fixture.repository, &snapshots[gone]);
    }
    let before: u64 = fixture.repository.store().list("data").unwrap().iter().map(|info| info.size).sum();
    let (summary, report) = prune(&fixture.repository);
    let after: u64 = fixture.repository.store().list("data").unwrap().iter().map(|info| info.size).sum();
    assert!(summary.unused_packs > 0 && summary.repacked_packs > 0, "{summary:?}");
    assert!(after < before && summary.left_unused_bytes == 0, "{before} {after} {summary:?}");
    assert_eq!(before + report.bytes_written - report.bytes_deleted, after);
    assert_whole(&fixture.repository, &[(&snapshots[1], version(1)), (&snapshots[4], version(4))]);
    assert_tidy(&fixture);
    assert_eq!(prune(&fixture.repository).1, PruneReport::default(), "a second one has nothing to do");

    // A backup builds on what is left; then everything goes.
    let next = fixture.backup(&version(4)).unwrap();
    assert_whole(
        &fixture.repository,
        &[(&snapshots[1], version(1)), (&snapshots[4], version(4)), (&next, version(4))],
    );
    for snapshot in [&snapshots[1], &snapshots[4], &next] {
        forget(&fixture.repository, snapshot);
    }
    prune(&fixture.repository);
    assert_eq!((fixture.packs(), fixture.objects("index")), (Vec::new(), Vec::new()));
    assert_tidy(&fixture);
}

#[test]
fn a_little_that_is_unused_is_left_alone() {
    let fixture = Fixture::new();
    let snapshots: Vec<Snapshot> = (0..3).map(|n| fixture.backup(&version(n)).unwrap()).collect();
    forget(&fixture.repository, &snapshots[1]);
    let dry = |percent| {
        let lock = lock(&fixture.repository).unwrap();
        let stop = Stop::new();
        *fixture.repository.plan_prune(&lock, &options(percent), &stop, &Silent).unwrap().summary()
    };
    let [strict, loose] = [dry(0), dry(99)];
    assert!(strict.repacked_packs > 0 && strict.left_unused_bytes == 0, "{strict:?}");
    assert!(loose.repacked_packs == 0 && loose.left_unused_bytes > 0, "{loose:?}");
    assert_eq!((strict.unused_packs, strict.packs), (loose.unused_packs, loose.packs));
    // Bounded: the rest another time.
    let some = PruneOptions { repack_bytes_max: strict.copied_bytes / 2, ..options(0) };
    let (first, _) = prune_with(&fixture.repository, &some).unwrap();
    assert!(first.postponed_packs > 0 && first.repacked_packs < strict.repacked_packs, "{first:?}");
    let (second, _) = prune(&fixture.repository);
    assert!(second.repacked_packs > 0 && second.left_unused_bytes == 0, "{second:?}");
    assert_whole(&fixture.repository, &[(&snapshots[0], version(0)), (&snapshots[2], version(2))]);
    assert_tidy(&fixture);
}

#[test]
fn what_killed_runs_left_goes_and_what_they_stored_twice_is_kept_once() {
    let fixture = Fixture::new();
    let kept = fixture.backup(&version(0)).unwrap();
    // Two that write the same at the same time, and one that dies before its snapshot.
    let shared = [fixture.lock(), fixture.lock()];
    let other = Repository::open(Box::new(LocalStore::open(fixture.path())), &password()).unwrap();
    let twice = backup_under(&fixture.repository, &shared[0], &version(5), |_| {
        let dies = backup_under(&other, &shared[1], &version(5), |repository| {
            repository.store().delete(&shared[1].name()).unwrap();
        });
        assert!(matches!(dies, Err(RepositoryError::LockGone { .. })));
    })
    .unwrap();
    drop(shared);
    fixture
        .repository
        .store()
        .put("data/00/0000000000000000000000000000000000000000000000000000000000000000", &[b"torn"])
        .unwrap();
    let (summary, _) = prune(&fixture.repository);
    assert_eq!((summary.unindexed_packs, summary.unindexed_bytes), (1, 4));
    assert!(summary.unused_bytes > 300_000, "{summary:?}");
    assert_whole(&fixture.repository, &[(&kept, version(0)), (&twice, version(5))]);
    assert_tidy(&fixture);
    assert_eq!(prune(&fixture.repository).1, PruneReport::default());
}

#[test]
fn under_a_shared_lock_there_is_a_plan_and_no_deletion() {
    let fixture = Fixture::new();
    let snapshot = fixture.backup(&version(0)).unwrap();
    forget(&fixture.repository, &snapshot);
    let before = (fixture.packs(), fixture.objects("index"));
    let lock = fixture.lock();
    let stop = Stop::new();
    let plan = fixture.repository.plan_prune(&lock, &options(0), &stop, &Silent).unwrap();
    assert!(plan.summary().unused_packs > 0);
    assert!(matches!(plan.execute(&stop, &Silent), Err(RepositoryError::LockNotExclusive { .. })));
    assert_eq!((fixture.packs(), fixture.objects("index")), before);
}

/// Whatever is damaged: nothing is deleted, or what is not damaged is all there afterwards.
#[test]
fn a_damaged_repository_is_not_pruned() {
    let fixture = Fixture::new();
    let snapshots: Vec<Snapshot> = (0..3).map(|n| fixture.backup(&version(n)).unwrap()).collect();
    let known = [version(0), version(1), version(2)];
    forget(&fixture.repository, &snapshots[1]);
    let (mut refused, mut pruned) = (0, 0);
    for folder in ["snapshots", "index", "data"] {
        let names = fixture.objects(folder);
        for (number, name) in names.iter().enumerate() {
            for (change, apply) in CHANGES {
                let what = format!("{change} {name}");
                // In memory: nothing here loses power.
                let copy = tempfile::tempdir_in("/dev/shm").unwrap();
                let path = copy.path().join("repo");
                let copied =
                    std::process::Command::new("cp").arg("-r").arg(fixture.path()).arg(&path).status();
                assert!(copied.unwrap().success());
                apply(&path.join(name), &path.join(&names[(number + 1) % names.len()]));
                let repository = Repository::open(Box::new(LocalStore::open(&path)), &password()).unwrap();
                let readable = readable(&repository, &snapshots, &known);
                let before = objects(&repository);
                match prune_with(&repository, &options(0)) {
                    Ok(_) => {
                        pruned += 1;
                        // A snapshot that is not there is one that was forgotten.
                        assert!(folder == "data" || change == "delete", "{what}");
                        // An index object may go that names only what was forgotten.
                        assert!(folder != "index" || readable == [true, false, true], "{what}");
                    }
                    Err(
                        RepositoryError::Damaged { .. }
                        | RepositoryError::SnapshotIncomplete { .. }
                        | RepositoryError::BlobDamaged { .. },
                    ) => {
                        refused += 1;
                        let after = objects(&repository);
                        assert!(before.iter().all(|name| after.contains(name)), "{what}");
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
                assert_eq!(self::readable(&repository, &snapshots, &known), readable, "{what}");
            }
        }
    }
    assert!(refused > 50 && pruned > 10, "{refused} refused, {pruned} pruned");
}

fn objects(repository: &Repository) -> Vec<String> {
    let folders = ["data", "index", "snapshots"];
    let listed = folders.iter().flat_map(|folder| repository.store().list(folder).unwrap());
    listed.map(|info| info.name).collect()
}

/// Which of them can be read, each right; one that was forgotten by now cannot.
fn readable(repository: &Repository, snapshots: &[Snapshot], known: &[Files]) -> Vec<bool> {
    let reader = repository.reader(&Silent).unwrap();
    let there = repository.snapshots().unwrap().found;
    let read = |(snapshot, files): (&Snapshot, &Files)| {
        there.contains(snapshot)
            && read_all(&reader, snapshot).is_ok_and(|read| read == sorted(files.clone()))
    };
    snapshots.iter().zip(known).map(read).collect()
}

#[test]
fn restic_prunes_after_us_and_we_after_restic() {
    let fixture = Fixture::new();
    let source = fixture.dir.path().join("source");
    let restic_backup = |seed: u64| {
        std::fs::create_dir_all(source.join("a/b")).unwrap();
        std::fs::write(source.join("a/large"), noise(seed, 3_000_000)).unwrap();
        std::fs::write(source.join("a/b/text"), records(seed, 400_000)).unwrap();
        std::fs::write(source.join("a/b/same"), noise(77, 50_000)).unwrap();
        fixture.restic_ok(&["backup", source.to_str().unwrap()]);
    };
    let ours = fixture.backup(&version(0)).unwrap();
    let gone = fixture.backup(&version(1)).unwrap();
    restic_backup(50);
    restic_backup(51);
    forget(&fixture.repository, &gone);
    fixture.restic_ok(&["forget", "--keep-last", "1", "--path", source.to_str().unwrap()]);
    let (summary, _) = prune(&fixture.repository);
    assert!(summary.freed_bytes() > 3_000_000, "{summary:?}");
    assert_tidy(&fixture);
    let target = fixture.dir.path().join("restored");
    fixture.restic_ok(&[
        "restore",
        "latest",
        "--path",
        source.to_str().unwrap(),
        "--target",
        target.to_str().unwrap(),
    ]);
    let restored = std::fs::read(target.join(source.strip_prefix("/").unwrap()).join("a/large")).unwrap();
    assert!(restored == noise(51, 3_000_000));

    // Now restic's turn, and ours again.
    let next = fixture.backup(&version(2)).unwrap();
    forget(&fixture.repository, &ours);
    fixture.restic_ok(&["prune", "--max-unused", "0"]);
    assert_tidy(&fixture);
    let (summary, _) = prune(&fixture.repository);
    assert_eq!(summary.unused_packs, 0, "{summary:?}");
    restic_backup(52);
    fixture.restic_ok(&["forget", "--keep-last", "1", "--path", source.to_str().unwrap(), "--prune"]);
    prune(&fixture.repository);
    assert_tidy(&fixture);
    assert!(fixture.read(&next).unwrap() == sorted(version(2)));
}

#[test]
fn many_small_index_objects_are_written_together() {
    let fixture = Fixture::new();
    let snapshots: Vec<Snapshot> =
        (0..20).map(|n| fixture.backup(&[("a", noise(n, 10_000))]).unwrap()).collect();
    assert!(fixture.objects("index").len() >= 20);
    let (_, report) = prune(&fixture.repository);
    assert_eq!((fixture.objects("index").len(), report.packs_deleted), (1, 0), "{report:?}");
    let kept: Vec<(&Snapshot, Files)> =
        snapshots.iter().zip(0..).map(|(snapshot, n)| (snapshot, vec![("a", noise(n, 10_000))])).collect();
    assert_whole(&fixture.repository, &kept);
    assert_tidy(&fixture);
}
