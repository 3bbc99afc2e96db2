//! Whole rounds: workload, stop or kill, oracle against judge.

use std::thread;
use std::time::{Duration, Instant};

use grap_testkit::graph::{Effect, Graph};
use grap_testkit::value::Value;
use grap_testkit::{
    Distribution, Judge, LogKeeper, Server, Workload, WorkloadOptions, judge_server, store_fixture, tree,
};

const NOTHING: Vec<String> = Vec::new();

#[test]
fn oracle_and_judge_agree_on_the_end_of_a_workload() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Server::builder(&distribution).busy_logs().start(&folder.path().join("home")).unwrap();
        let workload = Workload::start(&server, WorkloadOptions::default()).unwrap();
        let stats = wait_for_transactions(&workload, 150);
        assert!(stats.transactions > 0 && stats.p99 >= stats.p50, "{stats:?}");
        let (oracle, _) = workload.stop().unwrap();

        let markers = oracle.markers(&[&server.transaction_logs()]).unwrap();
        assert_eq!(oracle.contradictions(&markers), NOTHING);
        let expected = oracle.expected_at(markers.last(), &markers);
        assert_eq!(expected.differences(&oracle.expected_now().unwrap(), 20), NOTHING);
        judge_server(&server, &expected).unwrap().assert_clean();
        server.stop().unwrap();

        let judge = Judge::start(&distribution).unwrap();
        let copy = folder.path().join("copy");
        tree::copy(&server.data(), &copy).unwrap();
        judge.verdict(&copy, &expected, markers.last()).unwrap().assert_clean();
        let check = judge.check(&server.data()).unwrap();
        assert!(check.is_clean(), "{check:?}");

        assert_changes_are_noticed(&judge, &server, &expected, markers.last());
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
        let keeper =
            LogKeeper::start(&server.transaction_logs(), &folder.path().join("home/data/kept")).unwrap();
        let options = WorkloadOptions { schema_churn: true, ..WorkloadOptions::default() };
        let workload = Workload::start(&server, options).unwrap();
        wait_for_transactions(&workload, 100);
        server.kill().unwrap();
        server.restart().unwrap();
        wait_for_transactions(&workload, 50);
        server.kill().unwrap();
        let (oracle, _) = workload.stop().unwrap();

        let markers = oracle.markers(&[&server.transaction_logs(), keeper.folder()]).unwrap();
        assert_eq!(oracle.contradictions(&markers), NOTHING);
        let expected = oracle.expected_at(markers.last(), &markers);
        let judge = Judge::start(&distribution).unwrap();
        judge.verdict(&server.data(), &expected, markers.last()).unwrap().assert_clean();
    }
}

#[test]
fn the_judge_opens_a_fixture() {
    let distribution = Distribution::standard().unwrap();
    let folder = tempfile::tempdir().unwrap();
    store_fixture("5.26.30", folder.path()).unwrap();
    let report = Judge::start(&distribution).unwrap().survey(folder.path()).unwrap();
    assert!(report.opened, "{report:?}");
    assert_eq!((report.nodes, report.relationships), (200, 278));
    assert_eq!(report.failures, NOTHING);
}

/// A wrong property, a missing node, another id: each must be a problem of its own.
fn assert_changes_are_noticed(judge: &Judge, server: &Server, expected: &Graph, tx_id: u64) {
    let mut wrong = expected.clone();
    let changed = *wrong.nodes.keys().next().unwrap();
    wrong.apply(&Effect::SetNode { key: changed, changes: vec![("i", Some(Value::Int(-1)))] });
    let absent = *wrong.nodes.keys().last().unwrap() + 1;
    wrong.apply(&Effect::CreateNode { key: absent, labels: &[], properties: Vec::new() });
    let verdict = judge.verdict(&server.data(), &wrong, tx_id + 1).unwrap();
    assert_eq!(verdict.problems.len(), 3, "{verdict}");
    assert!(verdict.problems[0].starts_with("newest transaction"), "{verdict}");
    assert!(verdict.problems[1].starts_with(&format!("node {changed:#x}: expected")), "{verdict}");
    assert!(verdict.problems[2].starts_with(&format!("node {absent:#x} is missing")), "{verdict}");
}

/// Waits until so many more transactions were acknowledged.
fn wait_for_transactions(workload: &Workload, count: usize) -> grap_testkit::workload::Stats {
    let before = workload.stats().transactions;
    let begun = Instant::now();
    while workload.stats().transactions < before + count {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", workload.stats());
        thread::sleep(Duration::from_millis(50));
    }
    workload.stats()
}
