//! Figures: a prune of a repository with a million chunks and a thousand snapshots.
//!
//! `cargo test --release -p grap-repository --lib -- --ignored --nocapture prune::bench`
//!
//! The chunks are small (what they hold is not looked at, but where it is copied); packs hold as many as they do of
//! chunks of 64 KiB. Written by hand: that many backups would take hours.

use std::time::Instant;

use grap_task::{Clock, Silent, Stop};
use jiff::Timestamp;

use crate::format::id::{Id, TreeId};
use crate::format::key::KdfCost;
use crate::format::pack::BlobKind;
use crate::format::snapshot::SnapshotDraft;
use crate::format::tree::{Meta, Node, Tree};
use crate::lock::LockHolder;
use crate::object::LocalStore;
use crate::prune::PruneOptions;
use crate::repository::{InitOptions, Repository, object_name};
use crate::write::Packer;

const SNAPSHOTS: u64 = 1000;
/// New in each.
const CHUNKS: u64 = 1000;
/// How many versions a file stays.
const FILES: usize = 10;
/// So many chunks are in a pack of 32 MiB.
const PER_PACK: usize = 512;

#[test]
#[ignore = "takes long, and means something only with --release"]
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "a measurement for people")]
fn bench() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let store = LocalStore::create(folder.path().join("repository")).unwrap();
    let options = InitOptions {
        hostname: "host".to_owned(),
        username: "user".to_owned(),
        created: Timestamp::UNIX_EPOCH,
        cost: KdfCost::cheapest(),
    };
    let (repository, _) = Repository::init(Box::new(store), &"password".into(), &options).unwrap();
    let snapshots = fill(&repository);
    let holder = LockHolder { hostname: "host".to_owned(), username: String::new(), uid: 0, gid: 0 };
    let stop = Stop::new();
    for (name, every) in [("nothing to do", 0), ("every 10th snapshot gone", 10), ("half of them gone", 2)] {
        for snapshot in snapshots.iter().step_by(every.max(1)).filter(|_| every > 0) {
            repository.inner.store.delete(&object_name("snapshots", *snapshot)).unwrap();
        }
        // The peak begins anew here.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let began = (Instant::now(), cpu_seconds());
        let tell = |what: &str| {
            let (wall, cpu) = (began.0.elapsed().as_secs_f64(), cpu_seconds() - began.1);
            eprintln!("{name}, {what}: {wall:.1} s, {cpu:.1} s of CPU, peak {} MiB", peak_mebibytes());
        };
        let lock = repository.lock_exclusive(&holder, &Clock::System).unwrap();
        let plan = repository.plan_prune(&lock, &PruneOptions::default(), &stop, &Silent).unwrap();
        tell("plan");
        eprintln!("{:?}", plan.summary());
        let report = plan.execute(&stop, &Silent).unwrap();
        tell("all");
        eprintln!("{report:?}");
        lock.release().unwrap();
    }
}

/// Each snapshot has a new file of a thousand chunks, and those of the nine before it.
fn fill(repository: &Repository) -> Vec<Id> {
    let inner = &repository.inner;
    let chunk = |number: u64| {
        let content = Id::of(&number.to_le_bytes());
        (Id::of(content.as_bytes()), inner.key.seal(content.as_bytes()))
    };
    let packer = Packer::new(PER_PACK * chunk(0).1.len());
    let add = |kind, id, sealed: &[u8]| {
        if let Some(full) = packer.add(kind, id, sealed, None) {
            packer.put(inner, full).unwrap();
        }
    };
    let meta = Meta { mode: 0o640, modified: Timestamp::UNIX_EPOCH, uid: 0, gid: 0 };
    let mut files: Vec<Node> = Vec::new();
    let mut trees = Vec::new();
    for snapshot in 0..SNAPSHOTS {
        let mut ids = Vec::new();
        for number in 0..CHUNKS {
            let (id, sealed) = chunk(snapshot * CHUNKS + number);
            add(BlobKind::Data, id, &sealed);
            ids.push(id);
        }
        files.push(Node::new_file(&format!("file-{snapshot:04}"), &meta, CHUNKS * 32, ids));
        if files.len() > FILES {
            files.remove(0);
        }
        let bytes = Tree::new(files.clone()).unwrap().to_bytes().unwrap();
        add(BlobKind::Tree, Id::of(&bytes), &inner.key.seal(&bytes));
        trees.push(TreeId(Id::of(&bytes)));
    }
    for rest in packer.rest().collect::<Vec<_>>() {
        packer.put(inner, rest).unwrap();
    }
    packer.put_index(inner).unwrap();
    let draft = |number: usize| SnapshotDraft {
        time: Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
        parent: None,
        paths: Vec::new(),
        hostname: "host".to_owned(),
        username: String::new(),
        tags: Vec::new(),
        program_version: String::new(),
    };
    let put = |(number, tree): (usize, &TreeId)| {
        inner.put_document("snapshots", &draft(number).with_tree(*tree)).unwrap()
    };
    trees.iter().enumerate().map(put).collect()
}

/// Of this process, user and system.
fn cpu_seconds() -> f64 {
    let stat = grap_disk::read(std::path::Path::new("/proc/self/stat"), 1 << 16).unwrap();
    let text = String::from_utf8(stat).unwrap();
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn peak_mebibytes() -> u64 {
    let status = grap_disk::read(std::path::Path::new("/proc/self/status"), 1 << 16).unwrap();
    let text = String::from_utf8(status).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
