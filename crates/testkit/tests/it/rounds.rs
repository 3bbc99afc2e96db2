//! Whole rounds: workload, stop or kill, oracle against judge.

use std::thread;
use std::time::Duration;

use grap_testkit::graph::Effect;
use grap_testkit::judge::{Judge, judge_server};
use grap_testkit::value::Value;
use grap_testkit::workload::{Workload, WorkloadOptions};
use grap_testkit::{Distribution, Server, tree};

#[test]
fn oracle_and_judge_agree_on_the_end_of_a_workload() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Server::builder(&distribution).busy_logs().start(&folder.path().join("home")).unwrap();
        let workload = Workload::start(&server, WorkloadOptions::default()).unwrap();
        thread::sleep(Duration::from_secs(5));
        let (oracle, stats) = workload.stop().unwrap();
        assert!(stats.transactions > 0 && stats.p99 >= stats.p50, "{stats:?}");

        let markers = oracle.markers(&[&server.transaction_logs()]).unwrap();
        assert_eq!(oracle.contradictions(&markers), Vec::<String>::new());
        let expected = oracle.expected_at(markers.last(), &markers);
        assert_eq!(expected.differences(&oracle.expected_now().unwrap(), 20), Vec::<String>::new());
        judge_server(&server, &expected).unwrap().assert_clean();
        server.stop().unwrap();

        let judge = Judge::start(&distribution).unwrap();
        let copy = folder.path().join("copy");
        tree::copy(&server.data(), &copy).unwrap();
        let verdict = judge.verdict(&copy, &expected, markers.last()).unwrap();
        verdict.assert_clean();
        let check = judge.check(&server.data()).unwrap();
        assert!(check.is_clean(), "{check:?}");

        let mut wrong = expected.clone();
        let key = *wrong.nodes.keys().next().unwrap();
        wrong.apply(&Effect::SetNode { key, changes: vec![("i", Some(Value::Int(-1)))] });
        let verdict = judge.verdict(&copy, &wrong, markers.last()).unwrap();
        assert!(!verdict.is_clean(), "a changed property must be noticed");
    }
}
