//! Figures: a prune of a repository with a million chunks and a thousand snapshots.
//!
//! `cargo test --release -p grap-repository --test it -- --ignored --nocapture bench_prune`

use std::time::Instant;

use grap_repository::{LocalStore, Node, Repository, Snapshot, SnapshotDraft, WriterOptions};
use grap_task::{Clock, Silent, Stop};

use crate::bench::{cpu_seconds, peak_mebibytes};
use crate::prune::{forget, options};
use crate::support::{META, draft, holder, init_options, noise, password};

const SNAPSHOTS: u64 = 1000;
/// New in each.
const CHUNKS: usize = 1000;
/// Of earlier ones, which each keeps.
const OLD_FILES: u64 = 9;

#[test]
#[ignore = "takes long, and means something only with --release"]
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "a measurement for people")]
fn bench() {
    // In memory where there is such a place: it is the work of the prune that is measured, not a disk.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let store = LocalStore::create(dir.path().join("repo")).unwrap();
    let (repository, _) = Repository::init(Box::new(store), &password(), &init_options()).unwrap();
    let snapshots = fill(&repository);
    let report = |name: &str, wall: Instant, cpu: f64| {
        let seconds = wall.elapsed().as_secs_f64();
        let cpu = cpu_seconds() - cpu;
        eprintln!("{name:40} {seconds:6.1} s, {cpu:6.1} s of CPU, peak {:4} MiB", peak_mebibytes());
    };
    let stop = Stop::new();
    for (name, every) in
        [("nothing to do", 0), ("every 10th snapshot gone", 10), ("half of the rest gone", 2)]
    {
        for snapshot in snapshots.iter().step_by(every.max(1)).filter(|_| every > 0) {
            forget(&repository, snapshot);
        }
        // What filling it took is not its own.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        let lock = repository.lock_exclusive(&holder(), &Clock::System).unwrap();
        let options = grap_repository::PruneOptions { pack_size: 32 << 20, ..options(5) };
        let plan = repository.plan_prune(&lock, &options, &stop, &Silent).unwrap();
        eprintln!("{:?}", plan.summary());
        report(&format!("plan: {name}"), wall, cpu);
        let done = plan.execute(&stop, &Silent).unwrap();
        eprintln!("{done:?}");
        report(&format!("all: {name}"), wall, cpu);
        lock.release().unwrap();
    }
}

/// A thousand snapshots; each has a new file of a thousand chunks, and the files of the nine before it.
fn fill(repository: &Repository) -> Vec<Snapshot> {
    let lock = repository.lock_shared(&holder(), &Clock::System).unwrap();
    let stop = Stop::new();
    let mut files: Vec<Node> = Vec::new();
    let mut snapshots = Vec::new();
    // The chunks are of zeros but for their first bytes: what they hold costs nothing, that they differ counts.
    let mut bytes = vec![0; CHUNKS * (64 << 10)];
    for number in 0..SNAPSHOTS {
        let mut writer = repository.writer(&lock, &WriterOptions::default(), &stop, &Silent).unwrap();
        for (at, chunk) in bytes.chunks_mut(64 << 10).enumerate() {
            chunk[..64].copy_from_slice(&noise(number * 100_000 + at as u64, 64));
        }
        let content = writer.add_bytes(&bytes).unwrap();
        files.push(Node::file(&format!("file-{number:04}"), &META, &content));
        if files.len() as u64 > OLD_FILES + 1 {
            files.remove(0);
        }
        let root = writer.save_tree(files.clone()).unwrap();
        let time = jiff::Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap()).unwrap();
        snapshots.push(writer.finish(root, SnapshotDraft { time, ..draft() }).unwrap());
    }
    lock.release().unwrap();
    snapshots
}
