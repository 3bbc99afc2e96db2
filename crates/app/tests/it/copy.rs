//! `grap copy`: the program, two directories, stock restic as the judge of the second.

use std::path::Path;

use grap_testkit::Grap;

use crate::support::{Ran, Stopped, assert_restored, cheap_repository};

/// A second repository, empty, with a password of its own.
fn second(world: &Stopped) -> Grap {
    let folder = world.path("second");
    std::fs::create_dir_all(&folder).unwrap();
    let second = cheap_repository(&folder, "neo4j");
    std::fs::write(&second.password_file, "another password\n").unwrap();
    second
}

fn copy(world: &Stopped, second: &Grap) -> Ran {
    let (to, file) = (second.repository.display().to_string(), second.password_file.display().to_string());
    world.run(&["copy", "--to", &to, "--to-password-file", &file])
}

fn restic(second: &Grap, arguments: &[&str]) {
    let output = std::process::Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(&second.repository)
        .args(arguments)
        .env("RESTIC_PASSWORD", std::fs::read_to_string(&second.password_file).unwrap().trim_end())
        .output()
        .expect("these tests need stock restic, their oracle: install the package `restic`");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_second_repository_restores_what_the_first_one_held() {
    let world = Stopped::new();
    let folder = world.path("second");
    std::fs::create_dir_all(&folder).unwrap();
    let second = cheap_repository(&folder, "neo4j");
    let ids = [world.backup(), world.backup()];
    let first = copy(&world, &second).succeeded().json();
    assert_eq!(first["copied"].as_array().unwrap().len(), 2, "{first}");
    assert!(first["copied"].as_array().unwrap().iter().all(|copied| copied["verified"] == true), "{first}");
    let again = copy(&world, &second).succeeded().json();
    assert_eq!((again["present"].as_u64(), again["bytes_stored"].as_u64()), (Some(2), Some(0)), "{again}");
    restic(&second, &["check", "--read-data"]);
    for id in &ids {
        let to = world.path(&format!("restored-{id}"));
        Ran::grap(&second, &["restore", id, "--to", &to.display().to_string()]).succeeded();
        assert_restored(&world.path("data"), &to);
    }
    // And restic alone gives the same files.
    let plain = world.path("plain");
    restic(&second, &["restore", "latest", "--target", &plain.display().to_string()]);
    let store = Path::new("databases/neo4j/neostore.nodestore.db");
    assert_eq!(
        std::fs::read(plain.join(store)).unwrap(),
        std::fs::read(world.path("data").join(store)).unwrap()
    );
    let shown = |grap: &Grap| Ran::grap(grap, &["list"]).succeeded().json();
    let rows = |grap: &Grap| {
        let rows = shown(grap)["backups"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| (row["id"].clone(), row["started"].clone(), row["bytes"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(&second), rows(&world.grap));
}

#[test]
fn what_cannot_be_copied_to_is_refused_with_the_way_out() {
    let world = Stopped::new();
    world.backup();
    let none = world.text("nowhere");
    let refused = world.run(&["copy", "--to", &none]).refused("COPY_TARGET_MISSING", 10);
    assert!(refused.said().contains("grap init --repo"), "{refused:?}");
    world.run(&["copy"]).refused("USAGE", 2);
    let own = world.grap.repository.display().to_string();
    world.run(&["copy", "--to", &own]).refused("COPY_MIXED", 10);
    let wrong = second(&world);
    let refused = copy(&world, &wrong).refused("WRONG_PASSWORD", 12);
    assert!(refused.said().contains("copied to"), "{refused:?}");
}

/// A pack that is damaged: the backup that needs it is named, status 3.
#[test]
fn damage_is_named_and_the_status_says_partly() {
    let world = Stopped::new();
    world.backup();
    let folder = world.path("second");
    std::fs::create_dir_all(&folder).unwrap();
    let second = cheap_repository(&folder, "neo4j");
    let largest = grap_testkit::tree::files(&world.grap.repository.join("data")).unwrap().into_iter();
    let largest = largest.map(|file| world.grap.repository.join("data").join(file));
    let largest = largest.max_by_key(|file| std::fs::metadata(file).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::remove_file(&largest).unwrap();
    std::fs::write(&largest, bytes).unwrap();
    let ran = copy(&world, &second).refused("COPIED_PARTLY", 3);
    let name = largest.file_name().unwrap().to_str().unwrap();
    assert!(ran.json()["problems"][0].as_str().unwrap().contains(name), "{ran:?}");
    assert_eq!(ran.json()["ok"], false);
}
