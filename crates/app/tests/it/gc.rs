//! `grap gc`: what nobody needs goes, what is needed stays, restic agrees, and nobody is disturbed.

use std::process::{Command, Stdio};

use crate::support::{Ran, Stopped, assert_restored, eventually, scratch};

fn restic(stopped: &Stopped, arguments: &[&str]) -> Ran {
    let password = std::fs::read_to_string(&stopped.grap.password_file).unwrap();
    let mut command = Command::new("restic");
    command.arg("-r").arg(&stopped.grap.repository).arg("--no-cache").args(arguments);
    Ran::command(command.env("RESTIC_PASSWORD", password.trim_end()))
}

/// Bytes that nobody else has, in a directory, stored by restic; its snapshot is forgotten.
fn leave_rubbish(stopped: &Stopped, mebibytes: usize) {
    let rubbish = scratch();
    let noise = std::fs::File::open("/dev/urandom").unwrap();
    let mut noise = std::io::Read::take(noise, (mebibytes as u64) << 20);
    let mut file = std::fs::File::create(rubbish.path().join("rubbish")).unwrap();
    std::io::copy(&mut noise, &mut file).unwrap();
    restic(stopped, &["backup", "--tag", "rubbish", &rubbish.path().display().to_string()]).succeeded();
    restic(stopped, &["forget", "--tag", "rubbish", "--keep-tag", "none"]).succeeded();
}

#[track_caller]
fn assert_tidy(stopped: &Stopped) {
    let checked = restic(stopped, &["check", "--read-data"]).succeeded();
    assert!(checked.stdout.contains("no errors were found"), "{checked:?}");
    stopped.run(&["verify", "--read-data"]).succeeded();
}

#[test]
fn what_no_backup_needs_is_given_back() {
    let stopped = Stopped::new();
    let id = stopped.backup();
    leave_rubbish(&stopped, 8);
    let plan = stopped.run(&["gc", "--dry-run"]).succeeded().json();
    assert!(plan["unused_bytes"].as_u64().unwrap() > 8 << 20, "{plan}");
    let again = stopped.run(&["gc", "--dry-run"]).succeeded().json();
    assert_eq!(plan, again, "a dry run does nothing");

    let report = stopped.run(&["gc"]).succeeded().json();
    assert_eq!(report["plan"], plan);
    assert!(report["bytes_deleted"].as_u64().unwrap() > 8 << 20, "{report}");
    assert_tidy(&stopped);
    let after = stopped.run(&["gc", "--dry-run"]).succeeded().json();
    assert_eq!((&after["freed_bytes"], &after["unused_packs"]), (&0.into(), &0.into()), "{after}");
    let to = stopped.text("restored");
    stopped.run(&["restore", &id, "--to", &to]).succeeded();
    assert_restored(&stopped.path("data"), &stopped.path("restored"));
    assert!(stopped.grap.repository.join("grap-reserve").is_file(), "the reserve was made");
}

#[test]
fn gc_waits_for_nobody_and_disturbs_nobody() {
    let stopped = Stopped::new();
    stopped.backup();
    leave_rubbish(&stopped, 1);
    let locks = stopped.grap.repository.join("locks");
    let count = || std::fs::read_dir(&locks).unwrap().count();
    // A reader that goes slowly enough to be met.
    let mut restic = Command::new("restic");
    let password = std::fs::read_to_string(&stopped.grap.password_file).unwrap();
    let fifo = stopped.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let input = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    restic.arg("-r").arg(&stopped.grap.repository).args(["--no-cache", "backup", "--stdin"]);
    restic
        .env("RESTIC_PASSWORD", password.trim_end())
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut restic = restic.spawn().unwrap();
    eventually("restic's lock", || count() == 1);
    stopped.run(&["gc"]).refused("REPOSITORY_LOCKED", 11);
    stopped.run(&["gc", "--dry-run"]).succeeded();
    restic.kill().unwrap();
    restic.wait().unwrap();
}
