//! Backups that are cut off: by a signal, by the end of the server, by a full disk. No backup appears,
//! nothing is left behind, the next run succeeds and uses what was stored; and everything that was called a
//! backup restores to exactly its transaction.

use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use grap_testkit::judge::check_natively;
use grap_testkit::program::tx_id;
use grap_testkit::workload::Indexes;
use grap_testkit::{Distribution, Grap, Judge, LogKeeper, Server, Workload, WorkloadOptions, tree};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{NOTHING, PROGRAM, Ran, Stopped, assert_restored, eventually, pins, wait_for};

/// Send a signal and see how it ends.
fn end(child: Child, signal: Signal) -> Ran {
    kill_process(Pid::from_child(&child), signal).unwrap();
    Ran::of(&child.wait_with_output().unwrap())
}

/// The complete backups, and the codes of the attempts that failed.
fn listed(grap: &Grap) -> (Vec<String>, Vec<String>) {
    let list = grap.json(&["list"]).unwrap();
    let rows = list["backups"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let complete =
        rows.iter().filter(|row| row["status"] == "COMPLETE").map(|row| text(&row["id"])).collect();
    let failed = rows.iter().filter(|row| row["status"] == "FAILED");
    (complete, failed.map(|row| text(&row["error"]["code"])).collect())
}

/// A live server that keeps no log, its writers, and a repository.
struct Live {
    server: Server,
    grap: Grap,
    limit: String,
    reports: Vec<Value>,
}

impl Live {
    fn backup(&mut self, limit: &str) -> Value {
        let home = self.server.home().display().to_string();
        let report = self.grap.json(&["backup", "--neo4j-home", &home, "--read-limit", limit]).unwrap();
        assert_eq!(pins(&self.server.data()), NOTHING);
        self.reports.push(report.clone());
        report
    }

    /// One that takes about five seconds, and is copying when this returns.
    fn slow_backup(&self) -> Child {
        let home = self.server.home().display().to_string();
        let before = pins(&self.server.data());
        let arguments = ["--json", "backup", "--neo4j-home", &home, "--read-limit", &self.limit];
        let child = self.grap.spawn(&arguments).unwrap();
        eventually("pins", || pins(&self.server.data()).iter().any(|name| !before.contains(name)));
        child
    }

    /// Signals at several moments of a backup, and what is left.
    fn cut_off_by_signals(&mut self) {
        let (before, _) = listed(&self.grap);
        let moments = [(Signal::INT, 200), (Signal::TERM, 1500), (Signal::KILL, 0), (Signal::KILL, 2000)];
        for (signal, moment) in moments {
            let child = self.slow_backup();
            sleep(Duration::from_millis(moment));
            let ran = end(child, signal);
            if signal == Signal::KILL {
                assert_eq!(ran.status, -1, "{ran:?}");
            } else {
                let ran = ran.refused("INTERRUPTED", 130);
                assert_eq!(pins(&self.server.data()), NOTHING, "{ran:?}");
            }
            assert_eq!(listed(&self.grap).0, before, "{signal:?} after {moment} ms");
        }
        // The locks of the dead are in the way of nobody, and their pins go with the next run.
        self.backup("200MiB");
        let (after, failed) = listed(&self.grap);
        assert_eq!(after.len(), before.len() + 1);
        assert_eq!(failed, ["INTERRUPTED"; 4]);
    }

    /// The server dies, or is restarted, while it is copied.
    fn cut_off_by_the_server(&mut self) {
        let (before, _) = listed(&self.grap);
        let killed = self.slow_backup();
        self.server.kill().unwrap();
        let killed = Ran::of(&killed.wait_with_output().unwrap());
        self.server.restart().unwrap();
        let restarted = self.slow_backup();
        self.server.restart().unwrap();
        let restarted = Ran::of(&restarted.wait_with_output().unwrap());
        for ran in [killed, restarted] {
            let code = ran.code();
            assert!(["SERVER_CHANGED", "LOG_DAMAGED"].contains(&code.as_str()), "{ran:?}");
        }
        assert_eq!(listed(&self.grap).0, before);
        self.backup("200MiB");
    }
}

#[test]
fn on_a_live_server_whatever_happens_the_next_backup_is_exact() {
    let distribution = Distribution::standard().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::builder(&distribution)
        .busy_logs()
        .setting("db.tx_log.rotation.retention_policy", "keep_none")
        .start(&folder.path().join("home"))
        .unwrap();
    let keeper = LogKeeper::start(&server.transaction_logs(), &folder.path().join("kept")).unwrap();
    let grap = Grap::initialised(Path::new(PROGRAM), folder.path()).unwrap();
    let options =
        WorkloadOptions { indexes: Indexes::Trees, nodes_per_writer: 300, ..WorkloadOptions::default() };
    let workload = Workload::start(&server, options).unwrap();
    wait_for(&workload, 100);
    let limit = (tree::size(&server.data().join("databases")).unwrap() / 5).to_string();
    let mut live = Live { server, grap, limit: limit.clone(), reports: Vec::new() };

    // The log files of a slow copy are deleted under it, several times over.
    live.backup(&limit);
    live.cut_off_by_signals();
    live.cut_off_by_the_server();
    wait_for(&workload, 30);

    // A crash: the store is behind its log, which ends in the middle of a write or at its last transaction.
    live.server.kill().unwrap();
    let (oracle, _) = workload.stop().unwrap();
    let crashed = live.backup("200MiB");
    assert_eq!(crashed["server_running"], false);
    let markers = oracle.markers(&[&live.server.transaction_logs(), keeper.folder()]).unwrap();
    assert_eq!(oracle.contradictions(&markers), NOTHING);
    assert_eq!(tx_id(&crashed, "neo4j"), Some(markers.last()));
    live.server.restart().unwrap();
    live.server.stop().unwrap();
    let stopped = live.backup("200MiB");
    assert_eq!(tx_id(&stopped, "neo4j"), Some(markers.last()));
    let neo4j = stopped["databases"].as_array().unwrap().iter().find(|found| found["name"] == "neo4j");
    assert_eq!(neo4j.unwrap()["transactions"], 0, "a stopped store has nothing to replay");

    let judge = Judge::start(&distribution).unwrap();
    for report in &live.reports {
        let (id, end) = (report["id"].as_str().unwrap(), tx_id(report, "neo4j").unwrap());
        let to = folder.path().join(id);
        live.grap.json(&["restore", id, "--to", &to.display().to_string()]).unwrap();
        judge.verdict(&to, &oracle.expected_at(end, &markers), end).unwrap().assert_clean();
        check_natively(&live.grap, &to).unwrap();
    }
    live.grap.json(&["verify", "--read-data"]).unwrap();
}

/// A store with much that does not compress: several packs.
fn large() -> Stopped {
    let stopped = Stopped::new();
    let strings = stopped.path("data/databases/neo4j/neostore.propertystore.db.strings");
    let mut bytes = std::fs::read(&strings).unwrap();
    let mut state = 88_172_645_463_325_252_u64;
    while bytes.len() < 100 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    std::fs::write(&strings, bytes).unwrap();
    stopped
}

#[test]
fn the_next_run_uses_what_a_killed_one_has_stored() {
    let stopped = large();
    let data = stopped.text("data");
    for (signal, left) in [(Signal::KILL, 2), (Signal::INT, 0)] {
        let child =
            stopped.grap.spawn(&["--json", "backup", "--data", &data, "--read-limit", "25MiB"]).unwrap();
        // A pack counts once an index names it; each full one gets its own here.
        let index = stopped.grap.repository.join("index");
        let named = || {
            tree::files(&index)
                .unwrap()
                .iter()
                .filter(|file| !file.to_string_lossy().starts_with("tmp-"))
                .count()
        };
        let before = named();
        eventually("two packs that an index names", || named() >= before + left);
        sleep(Duration::from_millis(if left == 0 { 1500 } else { 0 }));
        end(child, signal);
    }
    let report = stopped.try_backup().succeeded().json();
    let (bytes, added) = (report["bytes"].as_u64().unwrap(), report["bytes_added"].as_u64().unwrap());
    assert!(added < bytes / 2, "{added} of {bytes} bytes were stored again");
    stopped.run(&["restore", "latest", "--to", &stopped.text("to")]).succeeded();
    assert_restored(&stopped.path("data"), &stopped.path("to"));
}

/// A file system of so many MiB, until it is dropped.
pub(crate) struct Small(std::path::PathBuf);

impl Small {
    pub(crate) fn mount(at: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: a small file system can be mounted by root only");
        }
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_too_small_or_becomes_full() {
    let stopped = large();
    let data = stopped.text("data");
    // Too small from the start: said before anything is copied, with the figures.
    let Some(small) = Small::mount(&stopped.path("small"), 60) else { return };
    let mut grap = stopped.grap.clone();
    grap.repository = stopped.path("small/repository");
    tree::copy(&stopped.grap.repository, &grap.repository).unwrap();
    let before = tree::size(&grap.repository).unwrap();
    let ran = Ran::grap(&grap, &["backup", "--data", &data]).refused("BACKUP_NO_SPACE", 5);
    assert!(ran.said().contains("bytes are required") && ran.said().contains("are available"), "{ran:?}");
    // What is allowed to appear is the record that binds the source.
    assert!(tree::size(&grap.repository).unwrap() < before + 2000);
    drop(small);

    // Filled by somebody else while it is written.
    let Some(_small) = Small::mount(&stopped.path("small"), 140) else { return };
    tree::copy(&stopped.grap.repository, &grap.repository).unwrap();
    let child = grap.spawn(&["--json", "backup", "--data", &data, "--read-limit", "30MiB"]).unwrap();
    eventually("a pack", || tree::size(&grap.repository.join("data")).unwrap() > 30 << 20);
    let filler = stopped.path("small/filler");
    let _full = std::fs::write(&filler, vec![1; 140 << 20]);
    let ran = Ran::of(&child.wait_with_output().unwrap()).refused("BACKUP_NO_SPACE", 5);
    assert_eq!(pins(&stopped.path("data")), NOTHING, "{ran:?}");
    assert_eq!(listed(&grap).0, NOTHING);
    std::fs::remove_file(&filler).unwrap();
    Ran::grap(&grap, &["backup", "--data", &data]).succeeded();
    Ran::grap(&grap, &["verify", "--read-data"]).succeeded();
    let to = stopped.text("to");
    Ran::grap(&grap, &["restore", "latest", "--to", &to]).succeeded();
    assert_restored(&stopped.path("data"), Path::new(&to));
}
