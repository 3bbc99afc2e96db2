//! `grap key`: passwords are added, changed, removed; the recovery key alone is enough.

use std::path::Path;

use grap_testkit::Grap;

use crate::support::{PROGRAM, Ran, Stopped, assert_restored};

#[test]
fn a_password_is_changed_and_when_all_are_lost_the_recovery_key_is_enough() {
    let stopped = Stopped::new();
    let folder = stopped.path("with-recovery");
    std::fs::create_dir(&folder).unwrap();
    let grap = Grap::new(Path::new(PROGRAM), &folder).unwrap();
    let recovery =
        Ran::grap(&grap, &["init"]).succeeded().json()["recovery_key"].as_str().unwrap().to_owned();
    Ran::grap(&grap, &["backup", "--data", &stopped.text("data")]).succeeded();
    let keys = |grap: &Grap| Ran::grap(grap, &["key", "list"]).succeeded().json()["keys"].clone();
    let named = |field: &str| {
        let keys = keys(&grap);
        let key = keys.as_array().unwrap().iter().find(|key| key[field] == true).unwrap().clone();
        key["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(keys(&grap).as_array().unwrap().len(), 2);
    let (first, recovery_id) = (named("current"), named("recovery"));

    let with = |name: &str, password: &str| {
        let mut other = grap.clone();
        other.password_file = folder.join(name);
        std::fs::write(&other.password_file, password).unwrap();
        other
    };
    let second = with("second", "second horse\n");
    let file = second.password_file.display().to_string();
    let added = Ran::grap(&grap, &["key", "add", "--new-password-file", &file]).succeeded();
    assert!(!added.said().contains("horse"), "{added:?}");
    Ran::grap(&second, &["list"]).succeeded();
    Ran::grap(&grap, &["key", "add"]).refused("USAGE", 2);
    let empty = with("empty", "\n").password_file.display().to_string();
    Ran::grap(&grap, &["key", "add", "--new-password-file", &empty]).refused("USAGE", 2);

    let changed =
        Ran::grap(&grap, &["key", "change", "--new-password-command", "printf 'third horse'"]).succeeded();
    assert_eq!(changed.json()["removed"], *first);
    assert!(!changed.said().contains("third horse"), "{changed:?}");
    Ran::grap(&grap, &["list"]).refused("WRONG_PASSWORD", 12);
    let third = with("third", "third horse");
    Ran::grap(&third, &["list"]).succeeded();
    Ran::grap(&third, &["key", "remove", "nothing"]).refused("KEY_NOT_FOUND", 6);

    // Every password is forgotten; what is on paper is left.
    let on_paper = with("recovery", &recovery);
    for key in keys(&on_paper).as_array().unwrap() {
        let id = key["id"].as_str().unwrap();
        if id != recovery_id {
            Ran::grap(&on_paper, &["key", "remove", &id[..12]]).succeeded();
        }
    }
    for gone in [&second, &third] {
        Ran::grap(gone, &["list"]).refused("WRONG_PASSWORD", 12);
    }
    Ran::grap(&on_paper, &["key", "remove", &recovery_id]).refused("KEY_LAST", 11);
    Ran::grap(&on_paper, &["verify", "--read-data"]).succeeded();
    Ran::grap(&on_paper, &["restore", "latest", "--to", &stopped.text("restored")]).succeeded();
    assert_restored(&stopped.path("data"), &stopped.path("restored"));
    Ran::grap(&on_paper, &["key", "add", "--new-password-file", &file]).succeeded();
    Ran::grap(&second, &["backup", "--data", &stopped.text("data")]).succeeded();
}
