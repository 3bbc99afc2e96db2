//! Stock restic is the oracle of the repository: it checks, lists and restores what Grap wrote, and Neo4j
//! opens what it restored.

use std::path::{Path, PathBuf};
use std::process::Command;

use grap_testkit::program::tx_id;
use grap_testkit::workload::Indexes;
use grap_testkit::{Distribution, Grap, Judge, Server, Workload, WorkloadOptions};
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
}
