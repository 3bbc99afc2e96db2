//! `grap gc`: what nobody needs goes, what is needed stays, restic agrees, and nobody is disturbed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use grap_testkit::tree;

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
    // The report tells the plan, too, in the same words.
    for (field, value) in plan.as_object().unwrap() {
        let dry_run = field == "dry_run";
        assert_eq!((*value == true, &report[field] == value), (dry_run, !dry_run), "{field}: {report}");
    }
    assert_eq!(report["left"], serde_json::json!([]));
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

/// A small ext4 on a loop device, until it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(folder: &Path, mebibytes: u64) -> Option<Self> {
        let [image, at] = [folder.join("image"), folder.join("small")];
        std::fs::create_dir_all(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let ran = Command::new(program).args(arguments).output();
            ran.is_ok_and(|output| output.status.success())
        };
        let [image, to] = [image.display().to_string(), at.display().to_string()];
        // No blocks kept for root: full is full.
        let mounted =
            run("mkfs.ext4", &["-q", "-m", "0", &image]) && run("mount", &["-o", "loop", &image, &to]);
        if !mounted {
            eprintln!(
                "SKIPPED: that gc works on a full file system is NOT shown: no ext4 can be loop-mounted here"
            );
        }
        mounted.then_some(Self(at))
    }

    fn available(&self) -> u64 {
        grap_disk::space(&self.0).unwrap().available
    }

    /// To the last byte.
    fn fill(&self, name: &str) {
        let mut file = std::fs::File::create(self.0.join(name)).unwrap();
        for size in [1 << 20, 4096, 512] {
            while std::io::Write::write_all(&mut file, &vec![1; size]).is_ok() {}
        }
        let _ = file.sync_all();
        assert_eq!(self.available(), 0);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn with_no_byte_free_room_is_given_back() {
    let mut stopped = Stopped::new();
    let Some(small) = Small::mount(stopped.folder.path(), 256) else { return };
    let repository = small.0.join("repository");
    tree::copy(&stopped.grap.repository, &repository).unwrap();
    stopped.grap.repository = repository;
    let first = stopped.backup();
    let second = stopped.backup();
    stopped.run(&["verify"]).succeeded();
    leave_rubbish(&stopped, 20);
    let reserve = stopped.grap.repository.join("grap-reserve");
    let size = std::fs::metadata(&reserve).unwrap().len();
    assert!(size > 4 << 20, "{size}");
    small.fill("filler");

    // Without the reserve nothing can be done: this is a full file system.
    stopped.try_backup().refused("BACKUP_NO_SPACE", 5);
    let hidden = stopped.path("hidden");
    std::fs::copy(&reserve, &hidden).unwrap();

    stopped.run(&["delete", &first]).succeeded();
    assert!(reserve.is_file(), "what was released is set aside again");
    small.fill("filler-2");
    let report = stopped.run(&["gc"]).succeeded().json();
    assert!(report["bytes_deleted"].as_u64().unwrap() > 20 << 20, "{report}");
    assert!(small.available() > 10 << 20, "{} bytes", small.available());
    assert!(std::fs::metadata(&reserve).unwrap().len() >= size);
    assert_tidy(&stopped);
    let listed = stopped.run(&["list"]).succeeded().stdout;
    assert!(listed.contains(&second), "{listed}");
    let to = stopped.text("restored");
    stopped.run(&["restore", &second, "--to", &to]).succeeded();
    assert_restored(&stopped.path("data"), &stopped.path("restored"));
    // Nearly full: it is said, and backups go on.
    let ran = stopped.try_backup().succeeded();
    assert!(ran.said().contains("less than a fifth"), "{ran:?}");
    let doctor = stopped.run(&["doctor", "--data", &stopped.text("data")]);
    assert!(doctor.said().contains("less than a fifth"), "{doctor:?}");
}
