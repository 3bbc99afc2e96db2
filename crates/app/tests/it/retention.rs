//! Retention as an operator meets it: settings that are mistyped, holds, verdicts, expire and delete.

use grap::live::{InstallationOptions, Pace};
use grap::ops::{self, Access, BackupOptions, Session, VerifyOptions};
use grap::state::StateDirectory;
use grap_repository::{LockHolder, WriterOptions};
use grap_task::{Clock, ManualClock, Silent, Stop};
use grap_testkit::tree;
use serde_json::Value;

use crate::support::{NOTHING, Ran, Stopped, password};

/// Backups of so many days ago, verified or not; the program's own clock makes them old.
fn backups_of_old(stopped: &Stopped, ages: &[(i64, bool)]) -> Vec<String> {
    let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
    let state = StateDirectory::open(&stopped.path("state")).unwrap();
    let access = || Access::local(stopped.grap.repository.clone(), password(&stopped.grap));
    let mut ids = Vec::new();
    for (days, verified) in ages {
        let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        let clock = Clock::Manual(ManualClock::at(then));
        let (stop, monitor) = (Stop::new(), Silent);
        let session =
            Session { clock: &clock, stop: &stop, monitor: &monitor, holder: &holder, program: "grap test" };
        let options = BackupOptions {
            installation: InstallationOptions::Data {
                data: stopped.path("data"),
                transactions: None,
                database: None,
            },
            source: None,
            tags: Vec::new(),
            note: None,
            read_limit: None,
            niceness: 0,
            writer: WriterOptions::default(),
            pace: Pace::OnDemand,
            takeover: false,
            settings: None,
        };
        let report = ops::backup(&options, access(), &state, &session).unwrap();
        let id = report.manifest.id;
        if *verified {
            let options = VerifyOptions {
                backup: Some(id.as_str().parse().unwrap()),
                source: None,
                read_data_percent: None,
            };
            ops::verify(&options, access(), &session).unwrap();
        }
        ids.push(id.to_string());
    }
    ids
}

fn ids(stopped: &Stopped) -> Vec<String> {
    let list = stopped.run(&["list"]).succeeded().json();
    let rows = list["backups"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn row(stopped: &Stopped, id: &str) -> Value {
    let list = stopped.run(&["list"]).succeeded().json();
    list["backups"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone()
}

/// The rules that a plan names for a backup.
fn rules(plan: &Value, id: &str) -> (bool, Vec<String>) {
    let backups = plan["sources"][0]["backups"].as_array().unwrap();
    let found = backups.iter().find(|backup| backup["id"] == id).unwrap();
    let rules = found["reasons"].as_array().unwrap().iter();
    (found["stays"].as_bool().unwrap(), rules.map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect())
}

/// Every object but locks.
fn objects(stopped: &Stopped) -> Vec<std::path::PathBuf> {
    let files = tree::files(&stopped.grap.repository).unwrap();
    files.into_iter().filter(|file| !file.starts_with("locks")).collect()
}

#[test]
fn expire_says_why_of_each_and_does_what_it_said() {
    let stopped = Stopped::new();
    let old = backups_of_old(&stopped, &[(90, true), (80, false), (70, true), (60, true), (40, true)]);
    // The newest verified one is long overdue.
    let paused = stopped.run(&["expire"]).succeeded().json();
    assert!(paused["sources"][0]["paused"].as_str().unwrap().contains("overdue"), "{paused}");
    assert_eq!(ids(&stopped), old);

    let newest = stopped.backup();
    stopped.run(&["hold", &old[0], "--reason", "audit of 2026"]).succeeded();
    let unverified = stopped.run(&["expire", "--dry-run"]).succeeded().json();
    assert!(unverified["sources"][0]["paused"].is_string(), "one that nobody verified is not good");
    stopped.run(&["verify", &newest]).succeeded();
    let before = objects(&stopped);
    let plan = stopped.run(&["expire", "--dry-run"]).succeeded().json();
    assert_eq!(objects(&stopped), before);
    assert_eq!((&plan["dry_run"], &plan["sources"][0]["paused"]), (&Value::Bool(true), &Value::Null));
    let of = |id: &str| rules(&plan, id);
    assert_eq!(of(&old[0]).1[..1], ["held"], "{plan}");
    assert_eq!(of(&old[1]), (false, vec!["old".to_owned(), "never_verified".to_owned()]));
    let (stays, why) = of(&old[4]);
    assert!(stays && why.contains(&"daily".to_owned()), "{why:?}");
    assert_eq!(of(&newest).1.last().unwrap(), "newest_verified");

    // Days alone: the counts are what kept the others.
    let mut command = stopped.grap.command();
    command.env("BACKUP_RETENTION_DAILY_COUNT", "2").env("BACKUP_RETENTION_WEEKLY_COUNT", "0");
    let report = Ran::command(command.args(["--json", "expire"])).succeeded().json();
    assert_eq!(report["deleted"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(ids(&stopped), [old[0].clone(), old[4].clone(), newest.clone()]);
    let notes = stopped.grap.repository.join("grap/notes/neo4j").join(&old[1]);
    assert!(notes.join("0000000001").is_file(), "a deletion leaves a record");
    stopped.run(&["verify"]).succeeded();
    let to = stopped.text("to");
    stopped.run(&["restore", &old[4], "--to", &to]).succeeded();
}

#[test]
fn what_is_held_or_the_last_good_one_is_not_deleted() {
    let stopped = Stopped::new();
    let (first, second) = (stopped.backup(), stopped.backup());
    let shown = row(&stopped, &first);
    assert_eq!((&shown["verified"], &shown["held"]), (&Value::Null, &Value::Bool(false)));
    stopped.run(&["verify", &first]).succeeded();
    stopped.run(&["delete", &first]).refused("BACKUP_NEEDED", 19);
    stopped.run(&["verify", &second]).succeeded();
    stopped.run(&["hold", &first, "--reason", "case 7"]).succeeded();
    stopped.run(&["hold", &first, "--reason", "case 8"]).succeeded();
    stopped.run(&["hold", &first, "--reason", " "]).refused("USAGE", 2);
    let refused = stopped.run(&["delete", &first]).refused("BACKUP_HELD", 19);
    assert!(refused.said().contains("case 7") && refused.said().contains("case 8"), "{refused:?}");
    let shown = stopped.run(&["show", &first]).succeeded().json();
    assert_eq!(shown["holds"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!((&shown["held"], &shown["verified"]), (&Value::Bool(true), &Value::Bool(true)));
    let released = stopped.run(&["release", &first]).succeeded().json();
    assert_eq!(
        (released["released"].as_array().unwrap().len(), &released["holds"]),
        (2, &serde_json::json!([]))
    );
    let before = objects(&stopped);
    stopped.run(&["delete", &first, "--dry-run"]).succeeded();
    assert_eq!(objects(&stopped), before);
    stopped.run(&["delete", &first]).succeeded();
    assert_eq!(ids(&stopped), std::slice::from_ref(&second));
    stopped.run(&["delete", &first]).refused("BACKUP_NOT_FOUND", 6);
    stopped.run(&["hold", &first, "--reason", "late"]).refused("BACKUP_NOT_FOUND", 6);
}

/// A verdict is of what was read; what failed is good again only after all of it was read.
#[test]
fn a_backup_that_fails_a_verification_is_good_no_longer() {
    let stopped = Stopped::new();
    let id = stopped.backup();
    stopped.run(&["verify", &id]).succeeded();
    assert_eq!(row(&stopped, &id)["verified"], true);
    // The pack with the chunks: trees are read by every look.
    let data = stopped.grap.repository.join("data");
    let packs = tree::files(&data).unwrap().into_iter().map(|pack| data.join(pack));
    let pack = packs.max_by_key(|pack| std::fs::metadata(pack).unwrap().len()).unwrap();
    let bytes = std::fs::read(&pack).unwrap();
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    std::fs::write(&pack, flipped).unwrap();
    // All of it is there, in its length: a look at the outside sees nothing.
    stopped.run(&["verify"]).succeeded();
    assert_eq!(row(&stopped, &id)["verified"], true);
    stopped.run(&["verify", "--read-data"]).refused("BACKUP_CORRUPTED", 9);
    assert_eq!(row(&stopped, &id)["verified"], false);
    // What is known to be damaged is read each time.
    stopped.run(&["verify", &id]).refused("BACKUP_CORRUPTED", 9);
    let plan = stopped.run(&["expire", "--dry-run"]).succeeded().json();
    assert!(plan["sources"][0]["paused"].as_str().unwrap().contains("no backup is verified"), "{plan}");
    std::fs::write(&pack, bytes).unwrap();
    let ran = stopped.run(&["verify", &id]).succeeded();
    assert!(ran.stderr.contains("makes it good again"), "{ran:?}");
    assert_eq!(row(&stopped, &id)["verified"], false);
    stopped.run(&["verify", "--read-data"]).succeeded();
    assert_eq!(row(&stopped, &id)["verified"], true);
}

#[test]
fn a_note_that_cannot_be_read_keeps_its_backup() {
    let stopped = Stopped::new();
    let old = backups_of_old(&stopped, &[(90, true)]);
    let newest = stopped.backup();
    stopped.run(&["verify", &newest]).succeeded();
    let note = stopped.grap.repository.join("grap/notes/neo4j").join(&old[0]).join("0000000001");
    let bytes = std::fs::read(&note).unwrap();
    std::fs::write(&note, &bytes[1..]).unwrap();
    let report = stopped.run(&["expire"]).succeeded().json();
    assert_eq!(rules(&report, &old[0]), (true, vec!["in_doubt".to_owned()]));
    let refused = stopped.run(&["delete", &old[0]]).refused("BACKUP_CORRUPTED", 9);
    assert!(refused.said().contains(&format!("{}/0000000001", old[0])), "{refused:?}");
    assert_eq!(ids(&stopped).len(), 2);
    // The newest one counts as good no longer, so that nothing goes in its favour.
    std::fs::write(&note, bytes).unwrap();
    let note = stopped.grap.repository.join("grap/notes/neo4j").join(&newest).join("0000000001");
    std::fs::remove_file(&note).unwrap();
    std::fs::write(note, b"torn").unwrap();
    let plan = stopped.run(&["expire", "--dry-run"]).succeeded().json();
    assert!(plan["sources"][0]["paused"].as_str().unwrap().contains(&old[0]), "{plan}");
}

/// A mistyped rule would delete everything; it is refused, by name, wherever it was said.
#[test]
fn mistyped_rules_are_refused_and_name_their_key() {
    let stopped = Stopped::new();
    backups_of_old(&stopped, &[(90, true)]);
    let newest = stopped.backup();
    stopped.run(&["verify", &newest]).succeeded();
    let before = objects(&stopped);
    let data = stopped.text("data");
    let backup = vec!["backup", "--data", &data];
    for verb in [vec!["expire"], vec!["expire", "--dry-run"], vec!["list"], backup] {
        for (variable, value, key) in [
            ("BACKUP_RETENTION_DAYS", "", "retention.days"),
            ("BACKUP_RETENTION_DAYS", "0", "retention.days"),
            ("BACKUP_RETENTION_DAYS", "-1", "retention.days"),
            ("GRAP_RETENTION_DAYS", "30d", "retention.days"),
            ("BACKUP_RETENTION_WEEKLY_COUNT", "four", "retention.weekly"),
            ("BACKUP_RETENTION_MONTHLY_COUNT", "1.5", "retention.monthly"),
        ] {
            let mut command = stopped.grap.command();
            let ran =
                Ran::command(command.env(variable, value).arg("--json").args(&verb)).refused("USAGE", 2);
            assert!(ran.said().contains(key) && ran.said().contains(variable), "{ran:?}");
        }
        let mut command = stopped.grap.command();
        for count in ["DAILY", "WEEKLY", "MONTHLY"] {
            command.env(format!("BACKUP_RETENTION_{count}_COUNT"), "0");
        }
        let ran = Ran::command(command.arg("--json").args(&verb)).refused("USAGE", 2);
        assert!(ran.said().contains("retention.daily"), "{ran:?}");
    }
    for (text, key) in [
        ("[retention]\nwindow_days = 0\n", "retention.window_days"),
        ("[retention]\nday = 30\n", "retention.day"),
        ("retention = 30\n", "retention"),
    ] {
        let file = stopped.path("grap.toml");
        std::fs::write(&file, text).unwrap();
        let ran = stopped.run(&["expire", "--config", &file.display().to_string()]).refused("USAGE", 2);
        assert!(ran.said().contains(key), "{ran:?}");
    }
    assert_eq!(objects(&stopped), before);
}

/// A user who may add and not delete: expire goes on, and says what it leaves.
#[test]
fn what_the_storage_refuses_to_delete_is_left_and_said() {
    if !rustix::process::geteuid().is_root() || !std::path::Path::new("/usr/bin/setpriv").exists() {
        eprintln!("SKIPPED what_the_storage_refuses_to_delete_is_left_and_said: it needs root and setpriv");
        return;
    }
    let stopped = Stopped::new();
    let old = backups_of_old(&stopped, &[(90, false)]);
    let newest = stopped.backup();
    stopped.run(&["verify", &newest]).succeeded();
    // Another user's directory, sticky: he adds and reads, and deletes only what is his own.
    let open = |path: &std::path::Path, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(stopped.folder.path(), 0o755);
    open(&stopped.path("password"), 0o644);
    for entry in grap_disk::walk(&stopped.grap.repository).unwrap() {
        let directory = entry.stat.kind == grap_disk::Kind::Directory;
        open(&entry.path, if directory { 0o1777 } else { 0o644 });
    }
    open(&stopped.grap.repository, 0o1777);
    let state = stopped.path("state-of-another");
    std::fs::create_dir(&state).unwrap();
    open(&state, 0o777);
    let program = stopped.grap.command();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program.get_program());
    command
        .arg("--repo")
        .arg(&stopped.grap.repository)
        .arg("--password-file")
        .arg(&stopped.grap.password_file);
    command.arg("--state-dir").arg(&state).args(["--json", "expire"]);
    let report = Ran::command(&mut command).succeeded().json();
    let left = report["left"].as_array().unwrap();
    assert_eq!(left.len(), 1, "{report}");
    assert!(left[0]["object"].as_str().unwrap().starts_with("snapshots/"), "{report}");
    assert_eq!(
        (report["deleted"].as_array().unwrap().len(), ids(&stopped)),
        (0, vec![old[0].clone(), newest])
    );
    // Whoever may, does.
    let report = stopped.run(&["expire"]).succeeded().json();
    assert_eq!(report["deleted"][0]["id"], old[0].as_str());
    assert_eq!(stopped.run(&["verify"]).succeeded().json()["problems"], serde_json::json!(NOTHING));
}
