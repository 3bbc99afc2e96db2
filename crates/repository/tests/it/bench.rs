//! Figures, not a judgement: how fast a full write and a full read are, beside `zstd -3 -T2` on the same
//! bytes.
//!
//! `cargo test --release -p grap-repository --test it -- --ignored --nocapture bench`

use std::io::Write;
use std::process::Command;

use grap_repository::{LocalStore, Node, Repository, StoredPacks, WriterOptions};
use grap_task::{Clock, Silent, Stop};

use crate::support::{META, draft, holder, init_options, password, records};

#[test]
#[ignore = "takes long, and means something only with --release"]
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "a measurement for people")]
fn bench() {
    let dir = tempfile::tempdir().unwrap();
    let size =
        std::env::var("GRAP_BENCH_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(512_usize) << 20;
    let source = dir.path().join("source");
    let mut file = std::fs::File::create(&source).unwrap();
    for seed in 0..(size >> 20) as u64 {
        file.write_all(&records(seed, 1 << 20)).unwrap();
    }
    drop(file);
    let rate = |name: &str, run: &mut dyn FnMut()| {
        let start = (std::time::Instant::now(), cpu_seconds());
        run();
        let wall = start.0.elapsed().as_secs_f64();
        let cpu = cpu_seconds() - start.1;
        let mebibytes = size as f64 / 1e6 / wall;
        eprintln!("{name:32} {mebibytes:6.0} MB/s, {cpu:5.1} s of CPU, peak {:4} MiB", peak_mebibytes());
    };
    rate("zstd -3 -T2", &mut || {
        let output = dir.path().join("zst");
        let zstd =
            Command::new("zstd").args(["-3", "-T2", "-q", "-f"]).arg(&source).arg("-o").arg(output).status();
        assert!(zstd.unwrap().success());
    });
    let path = dir.path().join("repo");
    let store = LocalStore::create(&path).unwrap();
    let (repository, _) = Repository::init(Box::new(store), &password(), &init_options()).unwrap();
    let lock = repository.lock_shared(&holder(), &Clock::System).unwrap();
    let stop = Stop::new();
    let options = WriterOptions::default();
    let mut snapshots = Vec::new();
    for name in ["first", "unchanged"] {
        rate(name, &mut || {
            let mut writer = repository.writer(&lock, &options, &stop, &Silent).unwrap();
            let mut reader = grap_disk::Source::open(&source).unwrap();
            let content = writer.add(&mut reader, size as u64).unwrap();
            let tree = writer.save_tree(vec![Node::file("source", &META, &content)]).unwrap();
            let report = writer.report();
            eprintln!(
                "  new {} MB, stored {} MB",
                report.new_bytes / 1_000_000,
                report.stored_bytes / 1_000_000
            );
            snapshots.push(writer.finish(tree, draft()).unwrap());
        });
    }
    let reader = repository.reader(&Silent).unwrap();
    let node = &reader.load_tree(snapshots[0].tree).unwrap()[0];
    rate("read", &mut || {
        let mut read = 0;
        reader
            .read_file(node, 0, &stop, |_, bytes| {
                read += bytes.len();
                Ok::<_, grap_repository::RepositoryError>(())
            })
            .unwrap();
        assert_eq!(read, size);
    });
    let store = LocalStore::create(dir.path().join("second")).unwrap();
    let (second, _) = Repository::init(Box::new(store), &password(), &init_options()).unwrap();
    let lock = second.lock_shared(&holder(), &Clock::System).unwrap();
    let (mut packs, mut copies) = (Vec::new(), Vec::new());
    for name in ["copy to a second repository", "copy again"] {
        rate(name, &mut || {
            let mut writer = second.writer(&lock, &options, &stop, &Silent).unwrap();
            copies.push(writer.copy(&reader, &snapshots[0]).unwrap().id);
            packs.extend(writer.packs_put());
        });
    }
    rate("read the copy back", &mut || {
        let these = StoredPacks::These(packs.iter().copied().collect());
        let report = second.check_stored(&copies, &these, &stop, &Silent).unwrap();
        assert_eq!(report.check.damages, []);
    });
}

/// Of this process and of its children.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|n| n.parse().unwrap())
        .collect();
    fields.iter().sum::<f64>() / 100.0
}

fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
