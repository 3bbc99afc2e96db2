//! Whole rounds: workload, stop or kill, oracle against judge.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use grap_testkit::graph::{Effect, Graph};
use grap_testkit::value::Value;
use grap_testkit::workload::Indexes;
use grap_testkit::{
    Distribution, Judge, LogKeeper, Server, Workload, WorkloadOptions, admin, judge_server, logs,
    store_fixture, tree,
};

const NOTHING: Vec<String> = Vec::new();

#[test]
fn oracle_and_judge_agree_on_the_end_of_a_workload_and_on_moments_within() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Server::builder(&distribution).busy_logs().start(&folder.path().join("home")).unwrap();
        let options = WorkloadOptions { schema_churn: true, ..small() };
        let workload = Workload::start(&server, options).unwrap();
        let stats = wait_for_transactions(&workload, 80);
        assert!(stats.operations > 0 && stats.p99 >= stats.p50, "{stats:?}");
        let (oracle, _) = workload.stop().unwrap();

        let markers = oracle.markers(&[&server.transaction_logs()]).unwrap();
        assert_eq!(oracle.contradictions(&markers), NOTHING);
        let expected = oracle.expected_at(markers.last(), &markers);
        assert_eq!(expected.differences(&oracle.expected_now().unwrap(), 20), NOTHING);
        judge_server(&server, &expected).unwrap().assert_clean();
        server.stop().unwrap();
        let check = admin::check(&distribution, &server.data()).unwrap();
        assert!(check.is_clean(), "{check:?}");

        let ids = markers.ids();
        // The edge: the first that the workload made, alone on the store as it was before.
        for target in [ids[0], ids[ids.len() - 2]] {
            let data = folder.path().join(format!("restored-{target}"));
            restore_by_hand(&server, target, &data);
            let expected = oracle.expected_at(target, &markers);
            Judge::shared(&distribution).unwrap().verdict(&data, &expected, target).unwrap().assert_clean();
        }
        assert_judged_and_changes_noticed(&server, &expected, markers.last());
    }
}

#[test]
fn after_a_kill_the_log_resolves_what_the_clients_do_not_know() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::builder(&distribution)
            .busy_logs()
            .setting("db.tx_log.rotation.retention_policy", "keep_none")
            .start(&folder.path().join("home"))
            .unwrap();
        let keeper = LogKeeper::start(&server.transaction_logs(), &folder.path().join("kept")).unwrap();
        let options = WorkloadOptions { schema_churn: true, indexes: Indexes::Trees, ..small() };
        let workload = Workload::start(&server, options).unwrap();
        wait_for_transactions(&workload, 40);
        server.kill().unwrap();
        server.restart().unwrap();
        wait_for_transactions(&workload, 20);
        server.stop().unwrap();
        server.restart().unwrap();
        wait_for_transactions(&workload, 20);
        server.kill().unwrap();
        let (oracle, _) = workload.stop().unwrap();

        let markers = oracle.markers(&[&server.transaction_logs(), keeper.folder()]).unwrap();
        assert_eq!(oracle.contradictions(&markers), NOTHING);
        let expected = oracle.expected_at(markers.last(), &markers);
        let judge = Judge::shared(&distribution).unwrap();
        judge.verdict(&server.data(), &expected, markers.last()).unwrap().assert_clean();
    }
}

#[test]
fn the_judge_opens_a_fixture() {
    let distribution = Distribution::standard().unwrap();
    let folder = tempfile::tempdir().unwrap();
    store_fixture("5.26.30", folder.path()).unwrap();
    let report = Judge::shared(&distribution).unwrap().survey(folder.path()).unwrap();
    assert!(report.opened, "{report:?}");
    assert_eq!((report.nodes, report.relationships), (200, 278));
    assert_eq!(report.failures, NOTHING);
}

/// The store as it was before the workload, with its checkpoint, and the logs up to a transaction.
fn restore_by_hand(server: &Server, target: u64, data: &Path) {
    tree::copy(&server.distribution().template(), data).expect("a copy");
    let logs = data.join("transactions/neo4j");
    for log in logs::log_files(&server.transaction_logs()).expect("logs") {
        fs::copy(&log, logs.join(log.file_name().expect("a file"))).expect("a copy");
    }
    logs::cut_behind(&logs, target).expect("the transaction is there");
}

/// Against the right expectation no problem; a wrong property, a missing node, another id: a problem each.
fn assert_judged_and_changes_noticed(server: &Server, expected: &Graph, tx_id: u64) {
    let judge = Judge::shared(server.distribution()).expect("a judge");
    let copy = server.home().join("copy");
    tree::copy(&server.data(), &copy).expect("a copy");
    judge.verdict(&copy, expected, tx_id).expect("a verdict").assert_clean();
    let mut wrong = expected.clone();
    let changed = *wrong.nodes.keys().next().expect("not empty");
    wrong.apply(&Effect::SetNode { key: changed, changes: vec![("i", Some(Value::Int(-1)))] });
    let absent = u64::MAX;
    wrong.apply(&Effect::CreateNode { key: absent, labels: &[], properties: Vec::new() });
    let verdict = judge.verdict(&server.data(), &wrong, tx_id + 1).expect("a verdict");
    assert_eq!(verdict.problems.len(), 3, "{verdict}");
    assert!(verdict.problems[0].starts_with("newest transaction"), "{verdict}");
    assert!(verdict.problems[1].starts_with(&format!("node {changed:#x}: ")), "{verdict}");
    assert!(verdict.problems[2].starts_with(&format!("node {absent:#x} is missing")), "{verdict}");
}

/// What is shown does not depend on the size.
fn small() -> WorkloadOptions {
    WorkloadOptions { nodes_per_writer: 300, ..WorkloadOptions::default() }
}

/// Waits until so many more transactions were acknowledged.
fn wait_for_transactions(workload: &Workload, count: usize) -> grap_testkit::workload::Stats {
    let before = workload.stats().transactions;
    let begun = Instant::now();
    while workload.stats().transactions < before + count {
        assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", workload.stats());
        thread::sleep(Duration::from_millis(50));
    }
    workload.stats()
}
