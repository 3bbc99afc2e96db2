//! Negative controls: one real hot backup under load, restored, then sabotaged in six ways. A test suite that
//! lets one of them pass proves nothing with the backups that it calls good.
//!
//! Five are caught by Grap's own parse of what it wrote (`restore` refuses, also where the repository's
//! manifest was forged to fit). The sixth, an old page in a store, leaves no trace in the logs: with the true
//! manifest Grap's hash of the file catches it, and with a forged one only the judge can, who opens the
//! database and compares the graph.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grap::copy::{Manifest, reread};
use grap_neo4j::checkpoint::CheckpointLog;
use grap_testkit::damage::{Damage, Injury, inflict};
use grap_testkit::graph::Graph;
use grap_testkit::program::tx_id;
use grap_testkit::workload::Indexes;
use grap_testkit::{Distribution, Judge, Server, Workload, WorkloadOptions, logs, tree};

use crate::rebuild::{adapt, publish};
use crate::support::{NOTHING, Ran, cheap_repository, eventually, wait_for};

const PAGE: usize = 8 << 10;
const STORES: [&str; 3] =
    ["neostore.nodestore.db", "neostore.propertystore.db", "neostore.relationshipstore.db"];

/// One hot backup that met checkpoints, restored; and what is needed to judge it and to spoil it.
struct Scene {
    folder: tempfile::TempDir,
    good: PathBuf,
    manifest: Manifest,
    expected: Graph,
    end: u64,
    /// The checkpoint file of the live server, up to a record newer than C0 and not newer than the end.
    newer_checkpoint: Vec<u8>,
    /// Store files from before C0.
    old: PathBuf,
    judge: Judge,
}

impl Scene {
    fn new() -> Self {
        let distribution = Distribution::standard().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Server::builder(&distribution).busy_logs().start(&folder.path().join("home")).unwrap();
        let options =
            WorkloadOptions { indexes: Indexes::Trees, nodes_per_writer: 300, ..WorkloadOptions::default() };
        let workload = Workload::start(&server, options).unwrap();
        wait_for(&workload, 100);
        next_checkpoint(&server);
        let old = folder.path().join("old");
        tree::copy(&server.data().join("databases/neo4j"), &old).unwrap();
        wait_for(&workload, 100);
        next_checkpoint(&server);

        let grap = cheap_repository(folder.path(), "neo4j");
        let size = tree::size(&server.data().join("databases")).unwrap();
        let home = server.home().display().to_string();
        let limit = (size / 12).to_string();
        let report = grap.json(&["backup", "--neo4j-home", &home, "--read-limit", &limit]).unwrap();
        let checkpoints = checkpoint_file(&server);
        let (oracle, _) = workload.stop().unwrap();
        let markers = oracle.markers(&[&server.transaction_logs()]).unwrap();
        assert_eq!(oracle.contradictions(&markers), NOTHING);
        server.stop().unwrap();

        let good = folder.path().join("good");
        grap.json(&["restore", "latest", "--to", &good.display().to_string()]).unwrap();
        let shown = grap.json(&["show", "latest"]).unwrap();
        let manifest: Manifest = serde_json::from_value(shown["manifest"].clone()).unwrap();
        let end = tx_id(&report, "neo4j").unwrap();
        let c0 = manifest.database("neo4j").unwrap().checkpoint.point.tx_id;
        let records = CheckpointLog::parse(&checkpoints).unwrap().records;
        let newer = records.iter().rfind(|record| record.tx_id.0 > c0 && record.tx_id.0 <= end);
        let newer = usize::try_from(newer.expect("the copy met a checkpoint").end).unwrap();
        Self {
            good,
            manifest,
            expected: oracle.expected_at(end, &markers),
            end,
            newer_checkpoint: checkpoints[..newer].to_vec(),
            old,
            // A ruined index populates for ever: there is nothing to wait for.
            judge: Judge::start(&distribution).unwrap().patience(Duration::from_secs(8)),
            folder,
        }
    }

    /// A copy of the good restore, sabotaged, with a manifest that fits it.
    fn sabotaged(&self, name: &str, sabotage: impl FnOnce(&Path)) -> (PathBuf, Manifest) {
        let copy = self.folder.path().join(name);
        tree::copy(&self.good, &copy).unwrap();
        sabotage(&copy);
        let mut manifest = self.manifest.clone();
        adapt(&mut manifest, &copy);
        (copy, manifest)
    }

    /// Grap itself must refuse it: the parse of what was written, and the shipped restore of a repository
    /// that holds it.
    fn caught_by_grap(&self, name: &str, why: &str, sabotage: impl FnOnce(&Path)) {
        let (copy, manifest) = self.sabotaged(name, sabotage);
        let error = reread(&copy, manifest.database("neo4j").unwrap()).expect_err(name);
        let ran = self.restore_of(name, &manifest, &copy).refused("RESTORE_WRONG", 9);
        let said = format!("{error} {}", ran.said());
        println!("{name}: {error}");
        assert!(said.contains(why), "{name}: {said}");
    }

    fn restore_of(&self, name: &str, manifest: &Manifest, data: &Path) -> Ran {
        let folder = self.folder.path().join(format!("{name}-repository"));
        fs::create_dir(&folder).unwrap();
        let grap = cheap_repository(&folder, "neo4j");
        publish(&grap, manifest, data);
        let to = folder.join("to");
        let ran = Ran::grap(&grap, &["restore", "latest", "--to", &to.display().to_string()]);
        assert!(ran.status == 0 || !to.exists(), "{name} left something: {ran:?}");
        ran
    }

    /// The judge must see it.
    fn caught_by_the_judge(&self, name: &str, data: &Path) {
        let copy = self.folder.path().join(format!("{name}-judged"));
        tree::copy(data, &copy).unwrap();
        let verdict = self.judge.verdict(&copy, &self.expected, self.end).unwrap();
        println!("{name}: {} problems", verdict.problems.len());
        assert!(!verdict.is_clean(), "{name} was not noticed");
    }

    /// Log files of the restored database, oldest first.
    fn log_files(&self) -> Vec<PathBuf> {
        let files = logs::log_files(&self.good.join("transactions/neo4j")).unwrap();
        assert!(files.len() >= 3, "there is no middle log file: {files:?}");
        files.iter().map(|file| file.strip_prefix(&self.good).unwrap().to_owned()).collect()
    }

    fn middle_log(&self) -> (PathBuf, u64) {
        let files = self.log_files();
        let middle = files[files.len() / 2].clone();
        let length = fs::metadata(self.good.join(&middle)).unwrap().len();
        (middle, length)
    }
}

fn checkpoint_file(server: &Server) -> Vec<u8> {
    fs::read(server.transaction_logs().join("checkpoint.0")).unwrap()
}

/// Wait until the server has written one more.
fn next_checkpoint(server: &Server) {
    let count = || CheckpointLog::parse(&checkpoint_file(server)).map_or(0, |log| log.records.len());
    let before = count();
    eventually("a checkpoint", || count() > before);
}

fn injure(data: &Path, file: &Path, damage: Damage) {
    inflict(data, &Injury { file: file.to_owned(), damage }).unwrap();
}

/// Put every page of the old files in the place of the new one.
fn old_pages(data: &Path, old: &Path) -> usize {
    let mut replaced = 0;
    for store in STORES {
        let path = data.join("databases/neo4j").join(store);
        let (mut new, old) = (fs::read(&path).unwrap(), fs::read(old.join(store)).unwrap());
        for (page, before) in new.chunks_mut(PAGE).zip(old.chunks(PAGE)) {
            if page.len() == before.len() && page != before {
                page.copy_from_slice(before);
                replaced += 1;
            }
        }
        fs::write(&path, new).unwrap();
    }
    replaced
}

#[test]
fn each_sabotage_of_a_hot_backup_is_caught() {
    let scene = Scene::new();
    let copy = scene.folder.path().join("unharmed");
    tree::copy(&scene.good, &copy).unwrap();
    scene.judge.verdict(&copy, &scene.expected, scene.end).unwrap().assert_clean();
    scene.restore_of("unharmed", &scene.manifest, &scene.good).succeeded();

    let newer = |data: &Path| {
        let file = &scene.manifest.database("neo4j").unwrap().checkpoint;
        let path = data.join(format!("transactions/neo4j/checkpoint.{}", file.version));
        fs::write(path, &scene.newer_checkpoint).unwrap();
    };
    scene.caught_by_grap("newer-checkpoint", "does not end with the checkpoint of the backup", newer);
    let (data, _) = scene.sabotaged("newer-checkpoint-served", newer);
    scene.caught_by_the_judge("newer-checkpoint", &data);

    scene.caught_by_grap("one-transaction-short", "ends with transaction", |data| {
        logs::cut_behind(&data.join("transactions/neo4j"), scene.end - 1).unwrap();
    });

    let (middle, length) = scene.middle_log();
    let hole = Damage::Zero { offset: length / 2, length: 4096 };
    scene.caught_by_grap("hole", "is not continuous", |data| injure(data, &middle, hole));
    scene.caught_by_grap("middle-file-gone", "is not continuous", |data| {
        injure(data, &middle, Damage::Delete);
    });
    scene.caught_by_grap("middle-file-short", "is not continuous", |data| {
        injure(data, &middle, Damage::Truncate { length: length / 2 });
    });

    let end = scene.manifest.database("neo4j").unwrap().end;
    let last = scene.log_files().pop().unwrap();
    scene.caught_by_grap("flip-in-the-last-transaction", "ends with transaction", |data| {
        injure(data, &last, Damage::Flip { offset: end.offset - 30, bit: 2 });
    });

    // An old page. By Grap, as long as the manifest is the true one; ...
    let (data, forged) = scene.sabotaged("old-pages", |data| assert!(old_pages(data, &scene.old) > 0));
    let ran = scene.restore_of("old-pages", &scene.manifest, &data).refused("RESTORE_WRONG", 9);
    assert!(ran.said().contains("neostore."), "{ran:?}");
    // ... else by the judge: sizes, logs and checkpoint are all as promised.
    reread(&data, forged.database("neo4j").unwrap()).unwrap();
    scene.restore_of("old-pages-forged", &forged, &data).succeeded();
    scene.caught_by_the_judge("old-pages", &data);
}
