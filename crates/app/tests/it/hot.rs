//! Hot backup while writers write, restored, judged: equal to the oracle at exactly the backup's transaction.

use std::path::Path;

use grap_testkit::judge::check_both;
use grap_testkit::program::tx_id;
use grap_testkit::{Distribution, Grap, Judge, Server, Workload, WorkloadOptions, tree};

use crate::support::{NOTHING, wait_for};

#[test]
fn a_backup_under_load_restores_to_exactly_its_transaction() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Server::builder(&distribution).busy_logs().start(&folder.path().join("home")).unwrap();
        let grap = Grap::initialised(Path::new(env!("CARGO_BIN_EXE_grap")), folder.path()).unwrap();
        let options = WorkloadOptions { nodes_per_writer: 300, ..WorkloadOptions::default() };
        let workload = Workload::start(&server, options).unwrap();
        wait_for(&workload, 100);
        let home = server.home().display().to_string();
        let mut reports = Vec::new();
        for limit in ["200MiB", "400KiB"] {
            reports.push(grap.json(&["backup", "--neo4j-home", &home, "--read-limit", limit]).unwrap());
        }
        refuses_logs_that_are_not_the_servers(&grap, &server, folder.path());
        wait_for(&workload, 50);
        let (oracle, _) = workload.stop().unwrap();
        let markers = oracle.markers(&[&server.transaction_logs()]).unwrap();
        assert_eq!(oracle.contradictions(&markers), NOTHING);

        let judge = Judge::start(&distribution).unwrap();
        for report in reports {
            let id = report["id"].as_str().unwrap();
            let end = tx_id(&report, "neo4j").unwrap();
            let to = folder.path().join(id);
            let restored = grap.json(&["restore", id, "--to", &to.display().to_string()]).unwrap();
            assert_eq!(tx_id(&restored, "neo4j"), Some(end));
            let verdict = judge.verdict(&to, &oracle.expected_at(end, &markers), end).unwrap();
            verdict.assert_clean();
            check_both(&grap, &distribution, &to).unwrap();
        }
        grap.json(&["verify", "--read-data"]).unwrap();
        server.stop().unwrap();
    }
}

/// A copy of the logs that was left behind elsewhere has the right store id: only that the server does not
/// write there tells.
fn refuses_logs_that_are_not_the_servers(grap: &Grap, server: &Server, folder: &Path) {
    let stale = folder.join("stale");
    tree::copy(&server.data().join("transactions"), &stale).unwrap();
    let (data, stale) = (server.data().display().to_string(), stale.display().to_string());
    let code = grap.failure(&["backup", "--data", &data, "--transactions", &stale]).unwrap();
    assert_eq!(code, "NEO4J_NOT_FOUND");
}
