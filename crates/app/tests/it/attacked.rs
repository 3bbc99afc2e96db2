//! What an attack on the program found, held here.

use std::time::{Duration, Instant};

use crate::support::{Ran, Stopped, contents, eventually};

fn await_lock(stopped: &Stopped) {
    let locks = stopped.grap.repository.join("locks");
    eventually("a lock is taken", || std::fs::read_dir(&locks).unwrap().next().is_some());
}

/// `restic unlock` sends SIGHUP to the holder of a lock, to see whether it lives: that must not end a backup.
#[test]
fn a_backup_outlives_sighup() {
    let stopped = Stopped::new();
    let mut child =
        stopped.grap.spawn(&["backup", "--data", &stopped.text("data"), "--read-limit", "500KiB"]).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // From the moment on that it holds a lock, somebody may ask whether it lives.
    await_lock(&stopped);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) && child.try_wait().unwrap().is_none() {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::HUP);
        std::thread::sleep(Duration::from_millis(50));
    }
    let ran = Ran::of(&child.wait_with_output().unwrap()).succeeded();
    assert!(ran.stdout.contains("is complete"), "{ran:?}");
}

/// A repository that lost its config is still a repository: a new one on top would bury it.
#[test]
fn init_does_not_bury_a_repository_without_its_config() {
    let stopped = Stopped::new();
    stopped.backup();
    let config = stopped.grap.repository.join("config");
    let lost = std::fs::read(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    let keys = || std::fs::read_dir(stopped.grap.repository.join("keys")).unwrap().count();
    let before = keys();
    stopped.run(&["init"]).refused("TARGET_NOT_EMPTY", 4);
    assert!(!config.exists() && keys() == before);
    std::fs::write(&config, lost).unwrap();
    stopped.run(&["verify", "--read-data"]).succeeded();
}

/// A sample of one percent of two packs is one pack, not none.
#[test]
fn a_sample_reads_something() {
    let stopped = Stopped::new();
    stopped.backup();
    for _ in 0..5 {
        let report = stopped.run(&["verify", "--read-data=1"]).succeeded().json();
        assert!(report["packs_read"].as_u64().unwrap() >= 1, "{report}");
    }
}

/// A store that no server is seen to hold must not change under the copy.
#[test]
fn a_store_that_changes_without_a_server_is_refused() {
    let stopped = Stopped::new();
    let child = stopped
        .grap
        .spawn(&["--json", "backup", "--data", &stopped.text("data"), "--read-limit", "500KiB"])
        .unwrap();
    // That it is in progress is said before the files were looked at for the first time; the lock comes behind that.
    await_lock(&stopped);
    let file = stopped.path("data/databases/neo4j/neostore.nodestore.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    Ran::of(&child.wait_with_output().unwrap()).refused("SERVER_CHANGED", 8);
    let report = stopped.run(&["list"]).succeeded().json();
    assert_eq!(report["backups"][0]["status"], "FAILED", "{report}");
}

/// Two at once in one state directory: one works, the other names it, and a look at the list hurts neither.
#[test]
fn a_list_does_not_stand_in_the_way_of_a_backup() {
    let stopped = Stopped::new();
    let child =
        stopped.grap.spawn(&["backup", "--data", &stopped.text("data"), "--read-limit", "500KiB"]).unwrap();
    eventually("the backup is seen", || {
        stopped.run(&["list"]).succeeded().json()["backups"][0]["status"] == "IN_PROGRESS"
    });
    stopped.try_backup().refused("JOB_RUNNING", 11);
    Ran::of(&child.wait_with_output().unwrap()).succeeded();
    stopped.backup();
    assert!(!contents(&stopped.path("data")).is_empty());
}
