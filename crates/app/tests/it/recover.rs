//! `grap recover` and `grap drill` on a real server, by hand and by the daemon: killed inside its orders a recovery goes on;
//! the live database is not touched; nothing is left behind, however it ends; what is found is recorded, or it is told
//! that it is not.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use grap_testkit::Grap;
use grap_testkit::pitr::archiver::Archiver;
use grap_testkit::serve::SetClock;
use rustix::process::Signal;
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
    starts_the_jars_of_the_live_home(&mut live);
    let before = bytes_of(&live.server.data());

    let said = is_killed_in_its_orders_and_goes_on(&live, &backup, base + 4);
    what_passed_is_looked_at_again(&live, &said);
    is_reset(&live, &said);
    is_killed_in_a_drill(&live);
    let folder = live.grap.state.parent().unwrap().to_owned();
    let mut clock = SetClock::make(&folder).unwrap();
    live.grap.environment.extend(clock.environment());
    let daemon = Daemon::start(&live.grap, &quiet(&folder, &checks(&folder)), &[]);
    let silent = UnixStream::connect(live.grap.state.join("control.sock")).unwrap();
    is_cancelled_through_the_daemon(&live, &daemon);
    is_judged_while_the_repository_is_away(&live, &backup);
    drills_by_the_schedule_and_by_hand(&live, &daemon, &mut clock);
    is_let_go(silent);
    daemon.end();

    assert!(bytes_of(&live.server.data()) == before, "the live database was touched");
}

/// As where nothing else is said: there is no home but the live one.
fn starts_the_jars_of_the_live_home(live: &mut Live) {
    let (jars, home) = (live.server.distribution().folder().join("lib"), live.server.home());
    std::os::unix::fs::symlink(jars, home.join("lib")).unwrap();
    live.grap.environment.retain(|(name, _)| name != "GRAP_RECOVERY_NEO4J_HOME");
}

/// A client that has said nothing for half a minute.
fn is_let_go(mut silent: UnixStream) {
    silent.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    assert_eq!(silent.read(&mut [0; 64]).unwrap(), 0);
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
        // Who was about to open it is known before the journal knows.
        let opener = PathBuf::from(status["recovery"]["candidate"].as_str().unwrap()).join("opener");
        assert_eq!(opener.exists(), event != "reserved", "{event}");
        Ran::grap(&live.grap, &["recover", "start", "tx=2"]).refused("RECOVERY_STATE", 27);
        Ran::grap(&live.grap, &["recover", "start", "--timeline", "99"]).refused("RECOVERY_STATE", 27);
        Ran::grap(&live.grap, &["recover", "reset"]).refused("RECOVERY_STATE", 27);
    }
    let said = Ran::grap(&live.grap, &["recover", "start"]).succeeded().json();
    println!("{said:#}");
    assert_eq!((said["status"].as_str(), said["progress"].as_u64()), (Some("SUCCESS"), Some(100)));
    let recovery = &said["recovery"];
    assert_eq!(recovery["ends"][0], serde_json::json!({ "database": "neo4j", "tx_id": end, "short": null }));
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

fn is_killed_in_a_drill(live: &Live) {
    let scratch = scratch(live);
    let random = (&["drill", "--random"][..], "drill.journal");
    kill(run_into(&live.grap, random, "reread", Duration::from_millis(1500)));
    assert_nothing_runs(live, &scratch);
    assert_eq!(names(&scratch).len(), 1, "what the kill left");
}

fn scratch(live: &Live) -> PathBuf {
    live.grap.state.join("drill")
}

/// A check of the operator's own that finds something in every graph.
fn checks(folder: &Path) -> String {
    let file = folder.join("checks.cypher");
    std::fs::write(&file, "// nothing is ever right\nRETURN 1 AS one;\n").unwrap();
    format!("health.checks_file = \"{}\"\n", file.display())
}

/// Of three processes: one asks, one works, one asks that it be ended.
fn is_cancelled_through_the_daemon(live: &Live, daemon: &Daemon) {
    let start = (&["--json", "recover", "start", "latest"][..], "recovery.journal");
    let child = run_into(&live.grap, start, "reread", Duration::from_millis(1500));
    let seen = Ran::grap(&live.grap, &["recover", "status"]).succeeded().json();
    assert_eq!((&seen["status"], &seen["running"]), (&"VALIDATION".into(), &true.into()));
    assert_eq!(seen["recovery"]["order"], "start_instance");
    assert!(daemon.said().contains("recover: asked for by a client"), "{}", daemon.said());
    // No drill begins meanwhile; nor another recovery.
    Ran::grap(&live.grap, &["drill"]).refused("JOB_RUNNING", 11);
    Ran::grap(&live.grap, &["recover", "start"]).refused("JOB_RUNNING", 11);
    Ran::grap(&live.grap, &["recover", "cancel"]).succeeded();
    Ran::of(&child.wait_with_output().unwrap()).refused("INTERRUPTED", 130);
    assert_nothing_runs(live, &candidates(live));
    assert_eq!(names(&candidates(live)), Vec::<String>::new());
    let reset = Ran::grap(&live.grap, &["recover", "reset"]).succeeded().json();
    assert_eq!(reset["status"], "NOT_RECOVERING");
}

/// The verdict cannot be put beside the backup then: that is said by the recovery, and again by the reset that lets go of it.
fn is_judged_while_the_repository_is_away(live: &Live, backup: &str) {
    let start = (&["--json", "recover", "start"][..], "recovery.journal");
    let child = run_into(&live.grap, start, "reread", Duration::ZERO);
    let away = live.grap.repository.with_extension("away");
    std::fs::rename(&live.grap.repository, &away).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    let said = ran.json();
    ran.refused("RESTORE_HEALTH_FAILED", 28);
    assert_eq!(
        (&said["status"], &said["recovery"]["cause"]["order"]),
        (&"FAILED".into(), &"judge_custom".into())
    );
    assert!(said["recovery"]["unrecorded"]["code"].is_string(), "{said:#}");
    assert_nothing_runs(live, &candidates(live));
    let reset = Ran::grap(&live.grap, &["recover", "reset"]).succeeded();
    assert!(reset.said().contains("does not stand beside the backup"), "{reset:?}");
    assert_eq!(names(&candidates(live)), Vec::<String>::new());
    std::fs::rename(&away, &live.grap.repository).unwrap();
    assert_eq!(Ran::grap(&live.grap, &["show", backup]).succeeded().json()["status"], "VALIDATED");
}

/// The scheduled drill meets a schema that the newest point should have and has not. The other, which somebody asks the daemon
/// for, draws a point of the past, as the schedule would by now; of that nobody expects the schema.
fn drills_by_the_schedule_and_by_hand(live: &Live, daemon: &Daemon, clock: &mut SetClock) {
    let folder = live.grap.state.parent().unwrap();
    let schema = folder.join("schema.cypher");
    std::fs::write(&schema, "CREATE INDEX planted FOR (n:Planted) ON (n.n);\n").unwrap();
    let task = || named(&status(&live.grap)["tasks"], "drill").clone();
    let configure = |target: &str| {
        let more = format!(
            "[health]\nschema_file = \"{}\"\n[drill]\nschedule = \"0 0 * * *\"\ntarget = \"{target}\"\n",
            schema.display()
        );
        quiet(folder, &more);
        daemon.signal(Signal::HUP);
    };
    let alert = || {
        let alerts = status(&live.grap)["alerts"].as_array().unwrap().clone();
        alerts.into_iter().find(|alert| alert["key"] == "task.drill")
    };
    configure("latest");
    eventually("it has its schedule", || task()["next"].is_string());
    assert!(task()["last"].is_null() && task()["last_success"].is_null(), "{}", task());
    clock.jump(Duration::from_hours(24)).unwrap();
    // It looks at the clock then.
    daemon.signal(Signal::HUP);
    let begun = Instant::now();
    while task()["last"].is_null() {
        assert!(begun.elapsed() < PATIENCE, "no drill: {} {}", task(), daemon.said());
        std::thread::sleep(Duration::from_millis(200));
    }
    let failed = task();
    assert_eq!(failed["last"]["error"]["code"], "RESTORE_HEALTH_FAILED", "{failed:#}");
    eventually("it is an alert", || alert().is_some());
    assert!(alert().unwrap()["message"].as_str().unwrap().contains("planted"), "{:?}", alert());
    assert!(failed["last_success"].is_null(), "{failed:#}");
    let read = || daemon.said().matches("the settings were read anew; changed: ").count();
    let before = read();
    configure("random");
    eventually("its settings are read", || read() > before);
    let asked = Ran::grap(&live.grap, &["drill"]).succeeded().json();
    assert_eq!((&asked["outcome"], asked["cause"].is_null()), (&"SUCCESS".into(), true), "{asked:#}");
    assert!(daemon.said().contains("drill: asked for by a client"), "{}", daemon.said());
    let passed = task();
    assert_eq!(
        (&passed["last"]["outcome"], &passed["failures"], passed["last_success"].is_string()),
        (&"succeeded".into(), &0.into(), true),
        "{passed:#}"
    );
    eventually("the alert is over", || alert().is_none());

    assert_eq!(names(&scratch(live)), Vec::<String>::new());
    let history = Ran::grap(&live.grap, &["drill", "--history"]).succeeded().json();
    println!("{history:#}");
    let drills = history["drills"].as_array().unwrap();
    let outcomes: Vec<&str> = drills.iter().map(|drill| drill["outcome"].as_str().unwrap()).collect();
    assert_eq!(
        outcomes,
        ["FAILED", "FAILED", "SUCCESS"],
        "the one that was killed, the schedule's, and the one by hand"
    );
    assert!(drills[2]["target"].as_str().unwrap().starts_with("tx=neo4j:"), "{}", drills[2]["target"]);
    assert!(drills[2]["total_ms"].as_u64().unwrap() > 0);
    assert_eq!(drills[2]["id"], asked["id"]);
    assert!(asked["id"].as_str().unwrap().starts_with("drill-"), "{}", asked["id"]);
    // It began from one of two: the daemon has made another behind the leap of its clock.
    let base = drills[2]["backup"].as_str().unwrap();
    let shown = Ran::grap(&live.grap, &["show", base]).succeeded().json();
    let noted = &shown["validation"];
    assert_eq!(
        (&noted["recovery"], &noted["begun"], &noted["health_check_passed"]),
        (&asked["id"], &asked["begun"], &true.into()),
        "{shown:#}"
    );
    assert_nothing_runs(live, &scratch(live));
}
