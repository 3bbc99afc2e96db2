//! The contract of the command line: shapes of JSON, exit statuses, refusals that leave everything untouched.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Ran, Stopped, assert_restored, contents, make_data};

/// Every one of these fields is there, and is not null unless it is marked with `?`.
fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        let name = field.trim_end_matches('?');
        let found = value.get(name).unwrap_or_else(|| panic!("no `{name}` in {value}"));
        assert!(field.ends_with('?') || !found.is_null(), "`{name}` is null in {value}");
    }
}

const SUMMARY: [&str; 19] = [
    "schema_version",
    "id",
    "source",
    "status",
    "started",
    "finished",
    "expires",
    "verified?",
    "held",
    "neo4j_version?",
    "server_running",
    "bytes",
    "bytes_added",
    "added_ratio",
    "health_check_passed?",
    "tags",
    "note?",
    "databases",
    "schema_version",
];
const DATABASE: [&str; 12] = [
    "name",
    "tx_id",
    "commit_ms",
    "checkpoint_tx_id",
    "transactions",
    "store_id",
    "database_id",
    "format",
    "neo4j_min",
    "bytes",
    "nodes?",
    "relationships?",
];

#[test]
fn every_verb_says_what_is_documented() {
    let stopped = Stopped::new();
    let data = stopped.text("data");
    let mut fresh = stopped.grap.clone();
    fresh.repository = stopped.path("fresh");
    has(
        &Ran::grap(&fresh, &["init"]).succeeded().json(),
        &["schema_version", "repository_id", "source", "recovery_key"],
    );
    Ran::grap(&fresh, &["init"]).refused("REPOSITORY_EXISTS", 10);

    let arguments = ["backup", "--data", &data, "--tag", "a", "--tag", "b", "--note", "why"];
    let backup = stopped.run(&arguments).succeeded().json();
    has(&backup, &SUMMARY);
    has(&backup, &["snapshot", "duration_ms"]);
    for database in backup["databases"].as_array().unwrap() {
        has(database, &DATABASE);
    }
    assert_eq!((&backup["tags"], &backup["note"]), (&serde_json::json!(["a", "b"]), &"why".into()));
    let names: Vec<&Value> =
        backup["databases"].as_array().unwrap().iter().map(|found| &found["name"]).collect();
    assert_eq!(names, ["neo4j", "system"]);
    let id = backup["id"].as_str().unwrap();

    let list = stopped.run(&["list"]).succeeded().json();
    has(&list, &["schema_version", "backups", "damaged_snapshots"]);
    has(&list["backups"][0], &SUMMARY);
    let show = stopped.run(&["show", id]).succeeded().json();
    has(&show, &SUMMARY);
    has(
        &show["manifest"],
        &["manifest_version", "id", "source", "program", "host", "server", "databases", "configuration"],
    );
    let verify = stopped.run(&["verify", id, "--read-data=50%"]).succeeded().json();
    has(&verify, &["schema_version", "backups", "packs", "packs_read", "bytes_read", "ok", "problems"]);
    has(&verify, &["archive_objects", "timelines"]);
    let restore = stopped.run(&["restore", id, "--to", &stopped.text("to")]).succeeded().json();
    has(
        &restore,
        &[
            "schema_version",
            "id",
            "source",
            "to",
            "complete",
            "databases",
            "files",
            "bytes",
            "damages",
            "duration_ms",
        ],
    );
    has(&restore, &["target", "timeline?"]);
    has(&restore["databases"][0], &["name", "tx_id", "commit_ms", "log_transactions", "short?", "neo4j_min"]);
    let plan = stopped.run(&["restore", "latest", "--dry-run"]).succeeded().json();
    let plan_fields = ["dry_run", "target", "id", "source", "timeline?", "databases", "backup_bytes"];
    has(&plan, &plan_fields);
    has(&plan, &["lost_transactions?", "lost_until_ms?", "age_ms?", "estimate_ms?"]);
    has(&plan["databases"][0], &["name", "base_tx_id", "tx_id", "log_transactions", "log_bytes", "short?"]);
    let window = stopped.run(&["window"]).succeeded().json();
    let database = &window["sources"][0]["databases"][0];
    has(database, &["name", "timelines", "backups", "unreadable_run?"]);
    has(&database["backups"][0], &["id", "tx_id", "commit_ms"]);
    for (arguments, protection, status) in
        [(vec!["status"], "UNPROTECTED", 17), (vec!["status", "--data", data.as_str()], "UNPROTECTED", 17)]
    {
        let ran = stopped.run(&arguments).refused("UNPROTECTED", status);
        let shown = ran.json();
        has(&shown, &["schema_version", "source", "protection", "reasons", "last_backup", "databases"]);
        has(&shown["last_backup"], &["id", "age_s"]);
        assert_eq!(shown["protection"], protection);
        has(&shown["databases"][0], &["name", "timeline?", "begins_with_run?", "archived?", "restorable?"]);
    }
    let doctor = stopped.run(&["doctor", "--data", &data]).succeeded().json();
    has(&doctor, &["schema_version", "status", "checks"]);
    has(&doctor["checks"][0], &["name", "status", "message", "advice?"]);
    has(&stopped.run(&["unlock"]).succeeded().json(), &["schema_version", "removed", "kept"]);
    has(&stopped.run(&["source", "list"]).succeeded().json()["sources"][0], &["name", "databases"]);
    has(&stopped.run(&["config", "show"]).succeeded().json()["settings"][0], &["key", "value?", "origin?"]);
    let error = stopped.run(&["show", "neo4j-20200101-000000"]);
    let error: Value = serde_json::from_str(error.stderr.lines().last().unwrap()).unwrap();
    has(&error, &["schema_version", "error"]);
    has(&error["error"], &["code", "exit_status", "message", "causes", "hint"]);
}

/// What only a promotion needs stands in the way of no backup, and is told before the night it is needed.
#[test]
fn doctor_looks_whether_the_server_could_be_stopped() {
    let control = |settings: &[(&str, &str)]| {
        let mut stopped = Stopped::new();
        let owned = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        stopped.grap.environment.extend(owned);
        let ran = stopped.run(&["doctor", "--data", &stopped.text("data")]);
        let said = ran.said();
        if ran.status != 0 {
            return (ran.status.to_string(), said);
        }
        let report = ran.json();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "server control").unwrap();
        (check["status"].as_str().unwrap().to_owned(), check["message"].as_str().unwrap().to_owned())
    };
    let is = |found: (String, String), status: &str, word: &str| {
        assert!(found.0 == status && found.1.contains(word), "{status}, {word}: {found:?}");
    };
    is(control(&[]), "pass", "only a promotion needs it");
    let commands = [("GRAP_SERVER_STOP_COMMAND", "stop-it"), ("GRAP_SERVER_START_COMMAND", "start-it")];
    is(control(&commands), "pass", "by `stop-it` and `start-it`");
    // As systemd answers.
    let bin = tempfile::tempdir().unwrap();
    let systemctl = bin.path().join("systemctl");
    let script = "#!/bin/sh\n[ \"$1 $2 $3\" = 'show -p LoadState' ] || exit 4\ncase $5 in\nneo4j) echo loaded;;\nmasked) echo masked;;\nsilent) echo 'no bus' >&2; exit 1;;\n*) echo not-found;;\nesac\n";
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let unit = |unit| control(&[("GRAP_SERVER_SYSTEMD_UNIT", unit), ("PATH", &path)]);
    is(unit("neo4j"), "pass", "systemctl stop 'neo4j'");
    is(unit("neo"), "warning", "systemd cannot stop and start `neo`: LoadState=not-found");
    is(unit("masked"), "warning", "LoadState=masked [SERVER_CONTROL_MISSING]");
    is(unit("silent"), "warning", "no bus");
    is(control(&[("GRAP_SERVER_SUPERVISOR_SOCKET", "/no/socket")]), "warning", "SUPERVISOR_UNREACHABLE");
    is(control(&commands[..1]), "2", "server.start_command");
    is(control(&[commands[0], ("GRAP_SERVER_SYSTEMD_UNIT", "neo4j")]), "2", "both set");
}

#[test]
fn what_is_not_there_or_makes_no_sense_has_its_code_and_status() {
    let stopped = Stopped::new();
    stopped.run(&["verify", "--read-data"]).succeeded();
    let to = stopped.text("to");
    stopped.run(&["restore", "latest", "--to", &to]).refused("BACKUP_NOT_FOUND", 6);
    let id = stopped.backup();
    stopped.run(&["show", "NOPE"]).refused("USAGE", 2);
    for (arguments, said) in [
        (["list", "--nosuch"].as_slice(), "unexpected argument '--nosuch' found"),
        (&["lst"], "unrecognized subcommand 'lst' tip: a similar subcommand exists: 'list'"),
        (&["recover"], "a subcommand is missing"),
        (&["restore", "latest"], "the following required arguments were not provided: --to <DIR>"),
    ] {
        let ran = stopped.run(arguments).refused("USAGE", 2);
        assert!(ran.said().contains(said), "{said}: {ran:?}");
    }
    let ran = stopped.run(&["show", "neo4j-20200101-000000"]).refused("BACKUP_NOT_FOUND", 6);
    assert!(ran.said().contains(&id), "what exists instead is named: {ran:?}");
    let ran =
        stopped.run(&["restore", &id, "--to", &to, "--database", "nosuch"]).refused("BACKUP_NOT_FOUND", 6);
    assert!(ran.said().contains("neo4j, system"), "{ran:?}");
    stopped.run(&["restore", "tx=999999999", "--to", &to]).refused("TARGET_OUTSIDE_WINDOW", 16);
    stopped.run(&["list", "--source", "nosuch"]).succeeded();
    stopped
        .run(&["backup", "--source", "nosuch", "--data", &stopped.text("data")])
        .refused("SOURCE_UNKNOWN", 6);
    stopped.run(&["source", "add", "neo4j"]).refused("SOURCE_EXISTS", 6);
    stopped.run(&["source", "add", "Not/A name"]).refused("USAGE", 2);
    stopped.run(&["backup"]).refused("USAGE", 2);
    stopped.run(&["backup", "--data", &stopped.text("data"), "--read-limit", "fast"]).refused("USAGE", 2);
    stopped.run(&["backup", "--data", &stopped.text("data"), "--tag", "a:b"]).refused("USAGE", 2);
    assert_eq!(stopped.run(&["frobnicate"]).status, 2);
    assert_eq!(stopped.run(&["--help"]).status, 0);
    assert!(!Path::new(&to).exists(), "no half-made target");

    let mut wrong = stopped.grap.clone();
    wrong.password_file = stopped.path("wrong");
    fs::write(&wrong.password_file, "guess\n").unwrap();
    Ran::grap(&wrong, &["list"]).refused("WRONG_PASSWORD", 12);
    fs::write(&wrong.password_file, "\n").unwrap();
    Ran::grap(&wrong, &["list"]).refused("USAGE", 2);
    wrong.password_file = stopped.path("absent");
    Ran::grap(&wrong, &["list"]).refused("USAGE", 2);
    let mut nowhere = stopped.grap.clone();
    nowhere.repository = stopped.path("nowhere");
    Ran::grap(&nowhere, &["list"]).refused("REPOSITORY_NOT_FOUND", 10);
    stopped.try_backup().succeeded();
}

#[test]
fn a_source_is_one_installation() {
    let stopped = Stopped::new();
    stopped.backup();
    make_data(&stopped.path("other"), "2026.08.1", "2026.08.1");
    let other = stopped.text("other");
    let ran = stopped.run(&["backup", "--data", &other]).refused("SOURCE_MISMATCH", 4);
    assert!(ran.said().contains("rebind"), "{ran:?}");
    assert_eq!(stopped.run(&["list"]).json()["backups"].as_array().unwrap().len(), 2);
    stopped.run(&["source", "rebind", "--data", &other]).succeeded();
    stopped.run(&["backup", "--data", &other]).succeeded();
    stopped.try_backup().refused("SOURCE_MISMATCH", 4);

    // Two sources with a backup of one id: rebuilt from a copy of the manifest.
    stopped.run(&["source", "add", "twin"]).succeeded();
    stopped.run(&["backup", "--data", &stopped.text("data")]).refused("SOURCE_UNKNOWN", 6);
    let latest = stopped.run(&["list"]).json()["backups"].clone();
    let id =
        latest.as_array().unwrap().iter().rfind(|row| row["status"] == "COMPLETE").unwrap()["id"].clone();
    let id = id.as_str().unwrap();
    let shown = stopped.run(&["show", id, "--source", "neo4j"]).succeeded().json();
    let mut manifest: grap::copy::Manifest = serde_json::from_value(shown["manifest"].clone()).unwrap();
    let good = stopped.path("good");
    stopped.run(&["restore", id, "--to", &good.display().to_string()]).succeeded();
    manifest.source = "twin".parse().unwrap();
    crate::rebuild::publish(&stopped.grap, &manifest, &good);
    let ran = stopped.run(&["restore", id, "--to", &stopped.text("to")]).refused("BACKUP_AMBIGUOUS", 6);
    assert!(ran.said().contains("neo4j") && ran.said().contains("twin"), "{ran:?}");
    stopped.run(&["restore", "latest", "--to", &stopped.text("to")]).refused("SOURCE_UNKNOWN", 6);
    stopped.run(&["restore", &format!("twin/{id}"), "--to", &stopped.text("to")]).succeeded();
    stopped.run(&["show", id, "--source", "twin"]).succeeded();
    stopped.run(&["verify", &format!("neo4j/{id}")]).succeeded();
}

#[test]
fn a_target_that_is_not_ours_is_left_untouched() {
    let stopped = Stopped::new();
    stopped.backup();
    let to = stopped.path("to");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("precious"), "mine").unwrap();
    let text = to.display().to_string();
    let ran = stopped.run(&["restore", "latest", "--to", &text]).refused("TARGET_NOT_EMPTY", 4);
    assert!(ran.said().contains("precious"), "{ran:?}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
    fs::remove_file(to.join("precious")).unwrap();
    stopped.run(&["restore", "latest", "--to", &text]).succeeded();
    let before = contents(&to);
    stopped.run(&["restore", "latest", "--to", &text]).refused("TARGET_NOT_EMPTY", 4);
    assert!(contents(&to) == before);
    let file = stopped.path("file");
    fs::write(&file, "").unwrap();
    assert_ne!(stopped.run(&["restore", "latest", "--to", &file.display().to_string()]).status, 0);
    let one = stopped.text("one");
    stopped.run(&["restore", "latest", "--to", &one, "--database", "system"]).succeeded();
    assert!(!Path::new(&one).join("databases/neo4j").exists());

    // Of two at once one is refused, and the other is whole.
    let both = stopped.text("both");
    let start = || stopped.grap.spawn(&["--json", "restore", "latest", "--to", &both]).unwrap();
    let ran = [start(), start()].map(|child| Ran::of(&child.wait_with_output().unwrap()));
    let mut codes: Vec<String> = ran.iter().map(Ran::code).collect();
    codes.sort();
    assert_eq!(codes, ["", "TARGET_NOT_EMPTY"], "{ran:?}");
    assert_restored(&stopped.path("data"), Path::new(&both));
}

#[test]
fn a_restore_belongs_to_whom_it_is_for_whatever_the_umask() {
    let stopped = Stopped::new();
    stopped.backup();
    let root = rustix::process::getuid().is_root();
    let owner = if root { 7474 } else { rustix::process::getuid().as_raw() };
    let group = if root { 7474 } else { rustix::process::getgid().as_raw() };
    let to = stopped.path("to");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(crate::support::PROGRAM);
    shell.arg("--repo").arg(&stopped.grap.repository).arg("--password-file").arg(&stopped.grap.password_file);
    shell.args(["restore", "latest", "--owner", &format!("{owner}:{group}"), "--to"]).arg(&to);
    Ran::command(&mut shell).succeeded();
    let mut open = vec![to];
    while let Some(path) = open.pop() {
        let stat = fs::metadata(&path).unwrap();
        let mode = stat.permissions().mode() & 0o777;
        assert_eq!((stat.uid(), stat.gid()), (owner, group), "{}", path.display());
        let expected = if stat.is_dir() { 0o755 } else { 0o644 };
        assert_eq!(mode, expected, "{} has mode {mode:o}", path.display());
        if stat.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn an_output_that_cannot_be_written_is_no_success_and_no_panic() {
    let stopped = Stopped::new();
    stopped.backup();
    for arguments in
        [vec!["list"], vec!["--json", "list"], vec!["show", "latest"], vec!["verify"], vec!["config", "show"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = Ran::command(stopped.grap.command().args(&arguments).stdout(full));
        assert!(ran.status > 0, "{arguments:?}: {ran:?}");
        let mut child = stopped
            .grap
            .command()
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert!(ran.status > 0, "{arguments:?}: {ran:?}");
    }
}
