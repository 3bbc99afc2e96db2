//! Stock restic is the oracle of the repository: it checks, lists and restores what Grap wrote, and Neo4j
//! opens what it restored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use grap_testkit::archive::ArchiveReader;
use grap_testkit::judge::check_natively;
use grap_testkit::pitr::World;
use grap_testkit::pitr::world::writers;
use grap_testkit::program::tx_id;
use grap_testkit::workload::Indexes;
use grap_testkit::{Distribution, Grap, Judge, Server, Workload, WorkloadOptions, tree};
use serde_json::Value;

use crate::support::{NOTHING, PROGRAM, Ran, contents, wait_for};

/// Debian's restic, without Grap.
fn restic(repository: &Path, password: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("restic");
    command.arg("-r").arg(repository).arg("--no-cache").args(arguments).env("RESTIC_PASSWORD", password);
    let ran = Ran::command(&mut command);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.stdout
}

#[test]
fn restic_alone_checks_lists_and_restores_a_hot_backup_that_neo4j_opens() {
    let distribution = Distribution::standard().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut server = Server::builder(&distribution).busy_logs().start(&path("home")).unwrap();
    let grap = Grap::new(Path::new(PROGRAM), folder.path()).unwrap();
    let made = grap.json(&["init", "--source", "graph-1"]).unwrap();
    let recovery = made["recovery_key"].as_str().unwrap();
    let password = std::fs::read_to_string(&grap.password_file).unwrap();

    let options =
        WorkloadOptions { indexes: Indexes::Trees, nodes_per_writer: 300, ..WorkloadOptions::default() };
    let workload = Workload::start(&server, options).unwrap();
    wait_for(&workload, 60);
    let home = server.home().display().to_string();
    let arguments =
        ["backup", "--neo4j-home", &home, "--read-limit", "1MiB", "--tag", "nightly", "--note", "by hand"];
    let report = grap.json(&arguments).unwrap();
    let (oracle, _) = workload.stop().unwrap();
    let markers = oracle.markers(&[&server.transaction_logs()]).unwrap();
    assert_eq!(oracle.contradictions(&markers), NOTHING);
    server.stop().unwrap();

    for password in [password.trim_end(), recovery] {
        let said = restic(&grap.repository, password, &["check", "--read-data"]);
        assert!(said.contains("no errors were found"), "{said}");
    }
    // The recovery key opens it with Grap, too.
    let mut by_key = grap.clone();
    by_key.password_file = path("recovery");
    std::fs::write(&by_key.password_file, recovery).unwrap();
    by_key.json(&["verify"]).unwrap();

    let listed = restic(&grap.repository, recovery, &["snapshots", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let [snapshot] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(snapshot["id"], report["snapshot"]);
    let tags: Vec<&str> = snapshot["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let id = format!("id:{}", report["id"].as_str().unwrap());
    assert_eq!(tags, ["grap", &id, "source:graph-1", "nightly"]);

    let (by_restic, by_grap) = (path("by-restic"), path("by-grap"));
    let to = |path: &PathBuf| path.display().to_string();
    restic(&grap.repository, password.trim_end(), &["restore", "latest", "--target", &to(&by_restic)]);
    grap.json(&["restore", "latest", "--to", &to(&by_grap)]).unwrap();
    let (restored, expected) = (contents(&by_restic), contents(&by_grap));
    assert!(restored == expected, "{:?} {:?}", restored.keys(), expected.keys());
    assert!(!restored.is_empty());

    let end = tx_id(&report, "neo4j").unwrap();
    let judge = Judge::start(&distribution).unwrap();
    judge.verdict(&by_restic, &oracle.expected_at(end, &markers), end).unwrap().assert_clean();
    check_natively(&grap, &by_restic).unwrap();
}

/// Every file beside the snapshots, with its content, but the notes: a verification adds to those.
fn archived(repository: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let beside = repository.join("grap");
    let files = tree::files(&beside).unwrap().into_iter().filter(|file| !file.starts_with("notes"));
    files.map(|file| (file.clone(), std::fs::read(beside.join(file)).unwrap())).collect()
}

/// The first transaction of the only span of the current timeline of `neo4j`.
fn window_begins(world: &World) -> u64 {
    let window = world.grap.json(&["window"]).unwrap();
    let databases = window["sources"][0]["databases"].as_array().unwrap();
    let database = databases.iter().find(|database| database["name"] == "neo4j").unwrap();
    let timelines = database["timelines"].as_array().unwrap();
    let current = timelines.iter().find(|timeline| timeline["current"] == true).unwrap();
    let [span] = current["spans"].as_array().unwrap().as_slice() else { panic!("{window}") };
    span["first"]["tx_id"].as_u64().unwrap()
}

#[test]
fn restic_leaves_the_archive_alone_and_what_it_forgets_is_no_longer_shown() {
    let distribution = Distribution::standard().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::in_folder(folder, Path::new(PROGRAM), &distribution, &[]).unwrap();
    let archiver = world.archiver().unwrap();
    world.load(writers()).unwrap();
    let (first, first_end) = world.backup().unwrap();
    world.wait_for(60).unwrap();
    let (second, second_end) = world.backup().unwrap();
    world.wait_for(60).unwrap();
    world.rest().unwrap();
    let mut reader = ArchiveReader::open(&world.grap).unwrap();
    let last = world.caught_up(&mut reader).unwrap().last();
    archiver.stop().unwrap();

    let password = std::fs::read_to_string(&world.grap.password_file).unwrap();
    let restic = |arguments: &[&str]| restic(&world.grap.repository, password.trim_end(), arguments);
    let restored = |id: u64, name: &str| {
        let (data, _) = world.restore(&[&format!("tx={id}")], name).unwrap();
        contents(&data)
    };
    let points = [second_end, second_end + 1, u64::midpoint(second_end, last), last];
    let before = points.map(|id| restored(id, &format!("before-{id}")));
    let objects = archived(&world.grap.repository);
    assert!(objects.len() > 4, "{:?}", objects.keys());
    assert_eq!(window_begins(&world), first_end);

    // Whatever restic tidies: twice, because a prune leaves nothing to tidy for the next.
    for _ in 0..2 {
        assert!(restic(&["check", "--read-data"]).contains("no errors were found"));
        restic(&["prune", "--max-unused", "0"]);
        restic(&["rebuild-index"]);
    }
    assert!(archived(&world.grap.repository) == objects);
    assert_eq!(window_begins(&world), first_end);
    restored(first_end + 1, "of-the-first");

    restic(&["forget", "--keep-last", "1", "--group-by", "host", "--prune"]);
    restic(&["rebuild-index"]);
    assert!(restic(&["check", "--read-data"]).contains("no errors were found"));
    assert!(archived(&world.grap.repository) == objects);
    // The first backup is gone, and with it what only it reached; nothing else.
    let listed = world.grap.json(&["list"]).unwrap().to_string();
    assert!(listed.contains(&second) && !listed.contains(&format!("\"id\":\"{first}\"")), "{listed}");
    assert_eq!(window_begins(&world), second_end);
    let code = world.grap.failure(&["restore", &format!("tx={}", second_end - 1), "--dry-run"]).unwrap();
    assert_eq!(code, "TARGET_OUTSIDE_WINDOW");
    for (id, before) in points.into_iter().zip(before) {
        assert!(restored(id, &format!("after-{id}")) == before, "tx={id}");
    }
    world.grap.json(&["verify", "--read-data"]).unwrap();
    world.await_protection("PROTECTED").unwrap();

    // The last one, too: all of the archive is there, and nothing of it can be reached.
    let left: Value = serde_json::from_str(&restic(&["snapshots", "--json"])).unwrap();
    restic(&["forget", "--prune", left[0]["id"].as_str().unwrap()]);
    assert!(archived(&world.grap.repository) == objects);
    let status = world.await_protection("UNPROTECTED").unwrap();
    assert!(status.to_string().contains("there is no backup"), "{status}");
    let to = world.folder.path().join("nowhere").display().to_string();
    for target in ["latest".to_owned(), format!("tx={last}")] {
        world.grap.failure(&["restore", &target, "--to", &to]).unwrap();
    }
    assert!(!Path::new(&to).exists());
}
