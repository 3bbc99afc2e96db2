//! `recover release`, as the program says it: what the repository holds, and what is given up by name.

use serde_json::json;

use crate::support::{Ran, Stopped};

const ID: &str = "recovery-20261126-020000";

/// The live database lies beside itself, as one that was retired.
fn retire(world: &Stopped) {
    retire_with(world, None);
}

/// And `system` with it: a copy of that database.
fn retire_with(world: &Stopped, system: Option<&str>) {
    let data = world.path("data");
    let place = data.join(".grap/retired").join(ID);
    std::fs::remove_dir_all(&place)
        .or_else(|error| if place.exists() { Err(error) } else { Ok(()) })
        .unwrap();
    let put = |database: &str, copied: &str| {
        let halves = ["databases", "transactions"].map(|side| {
            let half = place.join(side).join(database);
            std::fs::create_dir_all(half.parent().unwrap()).unwrap();
            grap_testkit::tree::copy(&data.join(side).join(copied), &half).unwrap();
            half.display().to_string()
        });
        json!({ "store": halves[0], "log": halves[1] })
    };
    let halves = put("neo4j", "neo4j");
    let limits = json!({
        "start_s": 1, "connectivity_s": 1, "schema_s": 1, "orphans_s": 1, "counts_s": 1, "custom_s": 1,
        "stop_s": 1, "store_s": 1,
    });
    let plan = json!({
        "target": "latest", "source": "neo4j", "backup": "neo4j-20261125-020000", "timeline": null, "ends": [],
        "candidate": "/c", "bytes": 1, "limits": limits,
    });
    let mut mark = json!({
        "version": 1, "recovery": ID, "at": "2026-11-26T02:00:00Z", "database": "neo4j", "halves": halves,
        "live": halves, "plan": plan,
    });
    if let Some(copied) = system {
        mark["version"] = 2.into();
        mark["system"] = put("system", copied);
    }
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
    // Of a `system` that went with it the repository is to hold as much.
    retire_with(&world, Some("neo4j"));
    let refused = release(&world, &["--dry-run"]).refused("RETIRED_NOT_BACKED_UP", 37);
    assert!(refused.said().contains("`system`"), "{refused:?}");
    retire_with(&world, Some("system"));
    assert_eq!(release(&world, &["--dry-run"]).succeeded().json()["released"]["with_system"], true);
    let done = release(&world, &[ID]).succeeded().json();
    assert_eq!((&done["dry_run"], &done["released"]["held"]["backup"]), (&json!(false), &json!(backup)));
    assert!(!world.path("data/.grap/retired").join(ID).exists());

    retire(&world);
    let done = release(&world, &[ID, "--give-up"]).succeeded().json();
    assert_eq!((&done["released"]["held"], &done["finished"]), (&json!(null), &json!([])), "{done:#}");
    release(&world, &[ID]).refused("RETIRED_NOT_FOUND", 36);
}
