//! The follower beside a real server that prunes at once, is killed, and is started again.

use std::time::Duration;

use grap::live::{FollowOptions, Follower, HeldRun, Installation, InstallationOptions};
use grap_task::Stop;
use grap_testkit::{Distribution, Server};

#[test]
fn each_run_of_a_server_is_a_history_of_its_own() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::builder(&distribution)
            .busy_logs()
            .setting("db.tx_log.rotation.retention_policy", "keep_none")
            .start(&folder.path().join("home"))
            .unwrap();
        let home = InstallationOptions::Home { home: server.home().to_owned(), configuration: None };
        let installation = Installation::find(&home).unwrap();
        let follower = Follower::start(&installation, &FollowOptions::default()).unwrap();
        let first = follower.present_run().unwrap();
        assert!(first.has_server());
        let mut written = 0;
        while follower.runs()[0].files("neo4j").len() < 12 && written < 400 {
            server
                .query("UNWIND range(1, 200) AS i CREATE (:Filler {text: 'some text that fills the log'})")
                .unwrap();
            written += 1;
        }
        follower.look().unwrap();
        let runs = follower.runs();
        assert_eq!(runs.len(), 1, "the run is the same for as long as it lasts: {runs:?}");
        let held = versions(&runs[0]);
        assert!(held.len() >= 12 && held.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{held:?}");
        // Pruning comes with the next checkpoint.
        until(|| follower.live("neo4j").unwrap().len() < held.len());

        server.kill().unwrap();
        until(|| follower.present_run().unwrap() != first);
        follower.look().unwrap();
        let without = follower.present_run().unwrap();
        assert!(!without.has_server());
        server.restart().unwrap();
        follower.look().unwrap();
        let second = follower.present_run().unwrap();
        assert!(second.has_server() && second != first);
        let runs = follower.runs();
        let of = |identity| runs.iter().find(|run| run.identity == identity).unwrap();
        assert!(versions(of(first.clone())).starts_with(&held));
        assert_ne!(versions(of(without)), Vec::<u64>::new());
        assert!(of(second.clone()).present && !versions(of(second.clone())).is_empty());
        drop(follower);

        let next = Follower::start(&installation, &FollowOptions::default()).unwrap();
        next.claim("here").unwrap();
        let runs = next.runs();
        assert!(runs.iter().any(|run| run.identity == first && versions(run).starts_with(&held)));
        assert_eq!(runs.last().unwrap().identity, second);
        server.stop().unwrap();
    }
}

fn versions(run: &HeldRun) -> Vec<u64> {
    run.files("neo4j").iter().map(|file| file.version()).collect()
}

fn until(condition: impl Fn() -> bool) {
    let pause = Stop::new();
    for _ in 0..1200 {
        if condition() {
            return;
        }
        pause.wait(Duration::from_millis(50));
    }
    panic!("it did not come");
}
