//! `grap recover` and `grap drill` on a real server: killed inside its orders a recovery goes on; the live database is
//! not touched; nothing is left behind, however it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use grap_testkit::Grap;
use grap_testkit::pitr::archiver::Archiver;
use serde_json::Value;

use crate::open::{Live, processes};
use crate::serve::{Daemon, named, quiet, status};
use crate::support::{Ran, eventually};

const PATIENCE: Duration = Duration::from_mins(3);

/// The last event in a journal, whole or not there.
fn last_event(grap: &Grap, journal: &str) -> String {
    let text = std::fs::read_to_string(grap.state.join(journal)).unwrap_or_default();
    let events = text.lines().skip(1).filter_map(|line| line.split_once(' '));
    let events = events.filter_map(|(_, event)| serde_json::from_str::<Value>(event).ok());
    let name = |event: Value| {
        let tier = event["judgement"]["tier"].as_str().map(|tier| format!(" {tier}")).unwrap_or_default();
        format!("{}{tier}", event["event"].as_str().unwrap_or_default())
    };
    events.last().map(name).unwrap_or_default()
}

/// Let it run until the event is its last, and some time into the order behind it.
fn run_into(grap: &Grap, (arguments, journal): (&[&str], &str), event: &str, further: Duration) -> Child {
    let mut child = grap.spawn(arguments).unwrap();
    let begun = Instant::now();
    while last_event(grap, journal) != event {
        assert!(child.try_wait().unwrap().is_none(), "it ended before `{event}`");
        assert!(begun.elapsed() < PATIENCE, "`{event}` does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(further);
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every file below a directory and its bytes; without what is ours.
fn bytes_of(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = grap_testkit::tree::files(data).unwrap().into_iter();
    let files = files.filter(|path| !path.starts_with(".grap"));
    files.map(|path| (path.clone(), std::fs::read(data.join(&path)).unwrap())).collect()
}

fn candidates(live: &Live) -> PathBuf {
    live.server.data().join(".grap/candidate")
}

/// No process, directory, or file of a recovery or drill in progress.
fn assert_nothing_runs(live: &Live, root: &Path) {
    eventually("processes are left", || processes(&root.display().to_string()).is_empty());
    for name in ["recovery.progress", "drill.progress"] {
        // A kill may leave it: it says nothing then.
        let _ = std::fs::remove_file(live.grap.state.join(name));
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).map(|entries| entries.flatten().collect::<Vec<_>>());
    entries.unwrap_or_default().iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_recovery_and_a_drill_are_killed_and_go_on_and_leave_nothing() {
    let mut live = Live::new();
    let archiver = Archiver::start(&live.grap, &[]).unwrap();
    live.step(3);
    let (backup, base) = live.backup();
    live.step(4);
    archiver.stop().unwrap();
    live.server.stop().unwrap();
    let before = bytes_of(&live.server.data());

    let said = is_killed_in_its_orders_and_goes_on(&live, &backup, base + 4);
    what_passed_is_looked_at_again(&live, &said);
    is_reset(&live, &said);
    is_cancelled_from_elsewhere(&live);
    drills(&live);

    assert!(bytes_of(&live.server.data()) == before, "the live database was touched");
}

fn is_killed_in_its_orders_and_goes_on(live: &Live, backup: &str, end: u64) -> Value {
    let start = (&["recover", "start"][..], "recovery.journal");
    let strikes = [("reserved", 5), ("reread", 2500), ("judged custom", 5), ("stopped", 5)];
    for (event, further) in strikes {
        // In the middle of the restore, of the instance's start, of a question, of the stop, of the check.
        kill(run_into(&live.grap, start, event, Duration::from_millis(further)));
        assert_nothing_runs(live, &candidates(live));
        let status = Ran::grap(&live.grap, &["recover", "status"]).succeeded().json();
        assert_eq!((&status["running"], &status["recovery"]["backup"]), (&false.into(), &backup.into()));
        Ran::grap(&live.grap, &["recover", "start", "tx=2"]).refused("RECOVERY_STATE", 27);
        Ran::grap(&live.grap, &["recover", "reset"]).refused("RECOVERY_STATE", 27);
    }
    let said = Ran::grap(&live.grap, &["recover", "start"]).succeeded().json();
    println!("{said:#}");
    assert_eq!((said["status"].as_str(), said["progress"].as_u64()), (Some("SUCCESS"), Some(100)));
    let recovery = &said["recovery"];
    assert_eq!(recovery["ends"][0], serde_json::json!({ "database": "neo4j", "tx_id": end }));
    let verdicts = recovery["judgements"].as_array().unwrap();
    assert_eq!(verdicts.len(), 6);
    assert!(verdicts.iter().all(|judgement| judgement["verdict"] != "failed"), "{verdicts:?}");
    assert_eq!(recovery["unrecorded"], Value::Null);
    let shown = Ran::grap(&live.grap, &["show", backup]).succeeded().json();
    assert_eq!(shown["status"], "VALIDATED", "{shown:#}");
    said
}

/// A server that is started on it, a file that is cut or gone: then it is not what passed.
fn what_passed_is_looked_at_again(live: &Live, said: &Value) {
    let candidate = PathBuf::from(said["recovery"]["candidate"].as_str().unwrap());
    let standing = || {
        let status = Ran::grap(&live.grap, &["recover", "status"]).succeeded().json();
        (status["recovery"]["candidate_unchanged"].clone(), status["recovery"]["candidate_is"].to_string())
    };
    assert_eq!(standing().0, true, "{:?}", standing());
    let log = candidate.join("data/transactions/neo4j/neostore.transaction.db.0");
    let (bytes, modified) =
        (std::fs::read(&log).unwrap(), std::fs::metadata(&log).unwrap().modified().unwrap());
    let restore = || {
        std::fs::write(&log, &bytes).unwrap();
        std::fs::File::options().write(true).open(&log).unwrap().set_modified(modified).unwrap();
    };
    std::fs::write(&log, &bytes[..bytes.len() / 2]).unwrap();
    let (unchanged, why) = standing();
    assert!(unchanged == false && why.contains("not what has passed"), "{why}");
    restore();
    assert_eq!(standing().0, true, "{:?}", standing());
    let aside = candidate.with_extension("aside");
    std::fs::rename(&candidate, &aside).unwrap();
    assert!(standing().0 == false && standing().1.contains("gone"), "{:?}", standing());
    std::fs::rename(&aside, &candidate).unwrap();
    assert_eq!(standing().0, true, "{:?}", standing());
}

fn is_reset(live: &Live, said: &Value) {
    let candidate = PathBuf::from(said["recovery"]["candidate"].as_str().unwrap());
    let data = candidate.join("data");
    Ran::grap(&live.grap, &["check", data.to_str().unwrap()]).succeeded();
    assert_eq!(names(&data.join("databases")), ["neo4j"]);
    assert!(candidate.join("system/transactions/system").is_dir() && !candidate.join("home").exists());
    Ran::grap(&live.grap, &["recover", "start"]).refused("RECOVERY_STATE", 27);
    let reset = Ran::grap(&live.grap, &["recover", "reset"]).succeeded().json();
    assert_eq!((&reset["status"], &reset["recovery"]), (&"NOT_RECOVERING".into(), &Value::Null));
    assert_eq!(names(&candidates(live)), Vec::<String>::new());
}

fn is_cancelled_from_elsewhere(live: &Live) {
    let start = (&["--json", "recover", "start", "latest"][..], "recovery.journal");
    let child = run_into(&live.grap, start, "reread", Duration::from_millis(1500));
    let status = Ran::grap(&live.grap, &["recover", "status"]).succeeded().json();
    assert_eq!((&status["status"], &status["running"]), (&"VALIDATION".into(), &true.into()));
    assert_eq!(status["recovery"]["order"], "start_instance");
    Ran::grap(&live.grap, &["recover", "cancel"]).succeeded();
    Ran::of(&child.wait_with_output().unwrap()).refused("INTERRUPTED", 130);
    assert_nothing_runs(live, &candidates(live));
    assert_eq!(names(&candidates(live)), Vec::<String>::new());
    Ran::grap(&live.grap, &["recover", "reset"]).succeeded();
}

fn drills(live: &Live) {
    let scratch = live.grap.state.join("drill");
    let random = (&["drill", "--random"][..], "drill.journal");
    kill(run_into(&live.grap, random, "reread", Duration::from_millis(1500)));
    assert_nothing_runs(live, &scratch);
    assert_eq!(names(&scratch).len(), 1, "what the kill left");
    // The next one is made by the daemon, as everything is that changes something.
    let config = quiet(live.grap.state.parent().unwrap(), "[drill]\nschedule = \"0 0 1 1 *\"\n");
    let daemon = Daemon::start(&live.grap, &config, &[]);
    let said = Ran::grap(&live.grap, &["drill"]).succeeded().json();
    println!("{said:#}");
    assert!(!named(&status(&live.grap)["tasks"], "drill")["last_success"].is_null());
    daemon.end();
    assert_eq!(said["outcome"], "SUCCESS");
    assert_eq!(names(&scratch), Vec::<String>::new());
    let history = Ran::grap(&live.grap, &["drill", "--history"]).succeeded().json();
    let outcomes: Vec<&str> = history["drills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|drill| drill["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["FAILED", "SUCCESS"]);
    assert_nothing_runs(live, &scratch);
}
