//! Prune: what is needed stays, what is not goes, whatever happens in between; and restic agrees each time.

use grap_repository::{
    CheckOptions, Lock, PruneOptions, PruneReport, PruneSummary, ReadData, Repository, RepositoryError,
    Result, Snapshot,
};
use grap_task::{Clock, ManualClock, Silent, Stop};
use jiff::Timestamp;

use crate::support::{Fixture, backup, holder, noise, read_all, records, shapes, sorted};

type Files = Vec<(&'static str, Vec<u8>)>;

/// A store of which every version changes some pages and keeps the others.
fn version(number: u64) -> Files {
    let mut nodes = records(1, 2_000_000);
    for page in 0..6_usize {
        let at = (usize::try_from(number).unwrap() * 7 + page * 5) % 30 * (64 << 10);
        nodes[at..at + 5000].copy_from_slice(&noise(number * 100 + page as u64, 5000));
    }
    vec![("neo4j/nodes", nodes), ("neo4j/log", noise(1000 + number, 150_000)), ("same", noise(7, 100_000))]
}

fn lock(repository: &Repository) -> Lock {
    // Its waits take no time, and nobody else is here.
    repository.lock_exclusive(&holder(), &Clock::Manual(ManualClock::at(Timestamp::now()))).unwrap()
}

fn options(unused_percent: u8) -> PruneOptions {
    PruneOptions { unused_percent, pack_size: 256 << 10, ..PruneOptions::default() }
}

fn prune_with(repository: &Repository, options: PruneOptions) -> Result<(PruneSummary, PruneReport)> {
    let lock = lock(repository);
    let stop = Stop::new();
    let plan = repository.plan_prune(&lock, &options, &stop, &Silent)?;
    let summary = *plan.summary();
    let report = plan.execute(&stop, &Silent)?;
    lock.release()?;
    Ok((summary, report))
}

fn prune(repository: &Repository) -> (PruneSummary, PruneReport) {
    prune_with(repository, options(0)).unwrap()
}

fn forget(repository: &Repository, snapshot: &Snapshot) {
    repository.store().delete(&format!("snapshots/{}", snapshot.id)).unwrap();
}

#[track_caller]
fn assert_whole(repository: &Repository, kept: &[(&Snapshot, Files)]) {
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
