//! `recover release`, as the program says it: what the repository holds, and what is given up by name.

use serde_json::json;

use crate::support::{Ran, Stopped};

const ID: &str = "recovery-20261126-020000";

/// The live database lies beside itself, as one that was retired.
fn retire(world: &Stopped) {
    let data = world.path("data");
    let place = data.join(".grap/retired").join(ID);
    let mut halves = Vec::new();
    for side in ["databases", "transactions"] {
        let half = place.join(side).join("neo4j");
        std::fs::create_dir_all(half.parent().unwrap()).unwrap();
        grap_testkit::tree::copy(&data.join(side).join("neo4j"), &half).unwrap();
        halves.push(half.display().to_string());
    }
    let halves = json!({ "store": halves[0], "log": halves[1] });
    let limits = json!({
        "start_s": 1, "connectivity_s": 1, "schema_s": 1, "orphans_s": 1, "counts_s": 1, "custom_s": 1,
        "stop_s": 1, "store_s": 1,
    });
    let plan = json!({
        "target": "latest", "source": "neo4j", "backup": "neo4j-20261125-020000", "timeline": null, "ends": [],
        "candidate": "/c", "bytes": 1, "limits": limits,
    });
    let mark = json!({
        "version": 1, "recovery": ID, "at": "2026-11-26T02:00:00Z", "database": "neo4j", "halves": halves,
        "live": halves, "plan": plan,
    });
    std::fs::write(place.join("retired.json"), mark.to_string()).unwrap();
}

fn release(world: &Stopped, arguments: &[&str]) -> Ran {
    let data = world.text("data");
    world.run(&[&["recover", "release", "--data", &data], arguments].concat())
}

#[test]
fn a_retired_database_goes_when_it_is_held_and_by_name() {
    let world = Stopped::new();
    release(&world, &[]).refused("RETIRED_NOT_FOUND", 36);
    assert_eq!(release(&world, &["--give-up"]).status, 2, "nobody gives up what he does not name");
    retire(&world);
    let refused = release(&world, &["--dry-run"]).refused("RETIRED_NOT_BACKED_UP", 37);
    assert!(refused.said().contains(ID), "{refused:?}");

    let backup = world.backup();
    let plan = release(&world, &["--dry-run"]).succeeded().json();
    assert_eq!((&plan["dry_run"], &plan["released"]["recovery"]), (&json!(true), &json!(ID)), "{plan:#}");
    assert_eq!(plan["released"]["held"], json!({ "backup": backup, "timeline": null }));
    assert!(world.path("data/.grap/retired").join(ID).is_dir());
    let done = release(&world, &[ID]).succeeded().json();
    assert_eq!((&done["dry_run"], &done["released"]["held"]["backup"]), (&json!(false), &json!(backup)));
    assert!(!world.path("data/.grap/retired").join(ID).exists());

    retire(&world);
    let done = release(&world, &[ID, "--give-up"]).succeeded().json();
    assert_eq!((&done["released"]["held"], &done["finished"]), (&json!(null), &json!([])), "{done:#}");
    release(&world, &[ID]).refused("RETIRED_NOT_FOUND", 36);
}
