//! Where settings come from, what of them is shown, and how an installation is found.

use std::fs;
use std::process::Command;

use grap_testkit::tree;
use serde_json::Value;

use crate::support::{PROGRAM, Ran, Stopped, assert_restored};

const SECRET: &str = "correct horse battery staple";

/// The program without any flag, in an empty environment.
fn bare() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command
}

fn setting(shown: &Value, key: &str) -> (String, String) {
    let all = shown["settings"].as_array().unwrap();
    let found = all.iter().find(|setting| setting["key"] == key).unwrap();
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("value"), text("origin"))
}

#[test]
fn settings_come_from_a_file_the_environment_and_flags_in_this_order() {
    let stopped = Stopped::new();
    let file = stopped.path("grap.toml");
    let text = format!(
        "repository = \"/file\"\npassword_file = {:?}\n[backup]\nread_limit = \"1MiB\"\ncompression = 5\n",
        stopped.grap.password_file
    );
    fs::write(&file, text).unwrap();
    let shown = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut command = bare();
        command
            .envs(variables.iter().copied())
            .arg("--config")
            .arg(&file)
            .arg("--json")
            .args(flags)
            .args(["config", "show"]);
        Ran::command(&mut command).succeeded().json()
    };
    let from_file = file.display().to_string();
    let all = shown(&[], &[]);
    assert_eq!(setting(&all, "repository"), ("/file".into(), from_file.clone()));
    assert_eq!(setting(&all, "backup.compression"), ("5".into(), from_file.clone()));
    assert_eq!(setting(&all, "backup.niceness").1, "default");
    let all = shown(&[("BACKUP_STORAGE_PATH", "/mission"), ("GRAP_BACKUP_READ_LIMIT", "2MiB")], &[]);
    assert_eq!(setting(&all, "repository"), ("/mission".into(), "$BACKUP_STORAGE_PATH".into()));
    assert_eq!(setting(&all, "backup.read_limit"), ("2MiB".into(), "$GRAP_BACKUP_READ_LIMIT".into()));
    let all = shown(&[("BACKUP_STORAGE_PATH", "/mission"), ("GRAP_REPO", "/ours")], &["--repo", "/flag"]);
    assert_eq!(setting(&all, "repository"), ("/flag".into(), "--repo".into()));
    let all =
        shown(&[("BACKUP_STORAGE_PATH", "/mission"), ("GRAP_REPO", "/ours"), ("GRAP_PASSWORD", SECRET)], &[]);
    assert_eq!(setting(&all, "repository").0, "/ours");
    assert_eq!(setting(&all, "password"), ("<hidden>".into(), "$GRAP_PASSWORD".into()));

    for wrong in ["retension = 3\n", "[backup]\nreadlimit = \"1MiB\"\n", "repository = \n"] {
        fs::write(&file, wrong).unwrap();
        let ran = Ran::command(bare().arg("--config").arg(&file).arg("--json").args(["config", "show"]));
        let ran = ran.refused("USAGE", 2);
        assert!(ran.said().contains(&from_file), "{ran:?}");
    }
}

#[test]
fn the_password_comes_three_ways_and_shows_nowhere() {
    let stopped = Stopped::new();
    let (data, state) = (stopped.text("data"), stopped.text("state"));
    let ways = [
        ("GRAP_PASSWORD", SECRET.to_owned()),
        ("GRAP_PASSWORD_FILE", stopped.grap.password_file.display().to_string()),
        ("GRAP_PASSWORD_COMMAND", format!("cat '{}'", stopped.grap.password_file.display())),
    ];
    let mut said = String::new();
    for (name, value) in &ways {
        let mut command = bare();
        command.env(name, value).env("GRAP_REPO", &stopped.grap.repository).env("GRAP_STATE_DIR", &state);
        let child = command.args(["backup", "--data", &data, "--read-limit", "300KiB"]);
        let child =
            child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut arguments = Vec::new();
        while arguments.is_empty() {
            arguments = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
        }
        assert!(!String::from_utf8_lossy(&arguments).contains("horse"), "in ps");
        let ran = Ran::of(&child.wait_with_output().unwrap()).succeeded();
        said += &ran.said();
    }
    for arguments in [vec!["config", "show"], vec!["show", "latest"], vec!["list"]] {
        let ran = stopped.run(&arguments).succeeded();
        said += &ran.said();
    }
    assert!(!said.contains("horse"), "{said}");
    stopped.run(&["restore", "latest", "--to", &stopped.text("to")]).succeeded();
    for part in ["state", "to", "repository", "data/.grap"] {
        for file in tree::files(&stopped.path(part)).unwrap() {
            let bytes = fs::read(stopped.path(part).join(&file)).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("horse"), "{}", file.display());
        }
    }
    let mut command = bare();
    command.arg("--repo").arg(&stopped.grap.repository).args([
        "--password-command",
        "exit 7",
        "--json",
        "list",
    ]);
    Ran::command(command.env("GRAP_STATE_DIR", &state)).refused("USAGE", 2);
}

/// Rename the user database of a stopped store.
fn rename(stopped: &Stopped, to: &str) {
    for side in ["databases", "transactions"] {
        let root = stopped.path("data").join(side);
        fs::rename(root.join("neo4j"), root.join(to)).unwrap();
    }
}

#[test]
fn the_user_database_is_the_configured_one() {
    let stopped = Stopped::new();
    rename(&stopped, "graph");
    let home = stopped.path("home");
    fs::create_dir_all(home.join("conf")).unwrap();
    let conf =
        format!("initial.dbms.default_database=Graph\nserver.directories.data={}\n", stopped.text("data"));
    fs::write(home.join("conf/neo4j.conf"), &conf).unwrap();
    let home = home.display().to_string();
    let first = |report: &Value| report["databases"][0]["name"].as_str().unwrap().to_owned();
    assert_eq!(first(&stopped.run(&["backup", "--neo4j-home", &home]).succeeded().json()), "graph");
    stopped.run(&["restore", "latest", "--to", &stopped.text("to")]).succeeded();
    assert_restored(&stopped.path("data"), &stopped.path("to"));

    // NEO4J_CONF names another directory of configuration.
    let elsewhere = stopped.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(stopped.path("home/conf/neo4j.conf"), elsewhere.join("neo4j.conf")).unwrap();
    stopped.run(&["backup", "--neo4j-home", &home]).refused("NEO4J_NOT_FOUND", 4);
    let mut command = stopped.grap.command();
    command.env("NEO4J_CONF", &elsewhere).args(["--json", "backup", "--neo4j-home", &home]);
    assert_eq!(first(&Ran::command(&mut command).succeeded().json()), "graph");
    // The data directory alone does it, too, as long as it is plain which database is meant.
    assert_eq!(first(&stopped.try_backup().succeeded().json()), "graph");
    let data = stopped.path("data");
    for side in ["databases", "transactions"] {
        tree::copy(&data.join(side).join("graph"), &data.join(side).join("old")).unwrap();
    }
    let ran = stopped.try_backup().refused("USAGE", 2);
    assert!(ran.said().contains("graph, old") && ran.said().contains("--database"), "{ran:?}");
    let arguments = ["backup", "--data", &stopped.text("data"), "--database", "graph"];
    assert_eq!(first(&stopped.run(&arguments).succeeded().json()), "graph");
}

#[test]
fn transactions_may_lie_elsewhere() {
    let stopped = Stopped::new();
    fs::rename(stopped.path("data/transactions"), stopped.path("logs")).unwrap();
    stopped.try_backup().refused("NEO4J_NOT_FOUND", 4);
    let arguments = ["backup", "--data", &stopped.text("data"), "--transactions", &stopped.text("logs")];
    stopped.run(&arguments).succeeded();
    stopped.run(&["restore", "latest", "--to", &stopped.text("to")]).succeeded();
    fs::rename(stopped.path("logs"), stopped.path("data/transactions")).unwrap();
    assert_restored(&stopped.path("data"), &stopped.path("to"));
}

/// What people read when they err most often.
#[test]
fn errors_say_what_happened_and_what_to_try() {
    let stopped = Stopped::new();
    let id = stopped.backup();
    let folder = stopped.folder.path().display().to_string();
    let text = |grap: &grap_testkit::Grap, arguments: &[&str]| {
        let ran = Ran::command(grap.command().args(arguments));
        ran.stderr.replace(&folder, "[folder]").replace(&id, "[id]")
    };
    let mut wrong = stopped.grap.clone();
    wrong.password_file = stopped.path("wrong");
    fs::write(&wrong.password_file, "guess").unwrap();
    insta::assert_snapshot!("wrong_password", text(&wrong, &["list"]));
    insta::assert_snapshot!("no_such_backup", text(&stopped.grap, &["show", "neo4j-20200101-000000"]));
    let occupied = stopped.text("data");
    insta::assert_snapshot!(
        "target_not_empty",
        text(&stopped.grap, &["restore", "latest", "--to", &occupied])
    );
}
