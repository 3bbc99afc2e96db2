//! One real server that is stopped and started: the example of the whole journey, as it stands; then the same by the program,
//! with what passes promoted right behind.

#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../../grap/examples/journey.rs"]
mod example;

use std::path::Path;

use grap_testkit::commanded::Commanded;
use grap_testkit::{Distribution, Grap};
use serde_json::Value;

use crate::support::{PROGRAM, Ran};

#[test]
fn the_whole_journey_by_the_library_and_a_promotion_right_behind_the_validation() {
    let world = Commanded::start(Path::new(PROGRAM), &Distribution::standard().unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let of = |name: &str| {
        let found = world.grap.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap()
    };
    let places = example::Places {
        home: world.server.home().to_owned(),
        uri: world.server.bolt_uri(),
        auth: "none".to_owned(),
        stop_command: of("GRAP_SERVER_STOP_COMMAND"),
        start_command: of("GRAP_SERVER_START_COMMAND"),
        scratch: scratch.path().to_owned(),
    };
    example::run(&places).unwrap();
    is_promoted_right_behind(&world);
}

fn is_promoted_right_behind(world: &Commanded) {
    let steps = || {
        world.server.await_online().unwrap();
        world.server.query("MATCH (n:Step) RETURN count(n)").unwrap()[0].int(0).unwrap()
    };
    world.server.query("UNWIND range(1, 5) AS n CREATE (:Step {n: n})").unwrap();
    let backup = said(&world.grap, &["backup"])["id"].as_str().unwrap().to_owned();
    world.server.query("MATCH (n:Step) DETACH DELETE n").unwrap();
    let mut grap = world.grap.clone();
    grap.environment.push(("PROMOTE_AFTER_VALIDATION".to_owned(), "true".to_owned()));
    // A drill never goes on.
    said(&grap, &["drill", &backup]);
    assert_eq!(steps(), 0);
    let promoted = said(&grap, &["recover", "start", &backup]);
    assert_eq!((promoted["status"].as_str(), steps()), (Some("PROMOTED"), 5), "{promoted:#}");
    assert_eq!(said(&grap, &["recover", "status"])["promotes_what_passes"], true);
    // The ruined graph went behind the backup, and nothing of that is stored.
    let refused = Ran::grap(&grap, &["recover", "release"]).refused("RETIRED_NOT_BACKED_UP", 37);
    println!("{}", refused.said());
    assert_eq!(said(&grap, &["recover", "status"])["retired"].as_array().unwrap().len(), 1);
    said(&grap, &["recover", "rollback"]);
    said(&grap, &["recover", "release"]);
    assert_eq!(said(&grap, &["recover", "status"])["retired"], serde_json::json!([]));
    assert_eq!(steps(), 0);
}

fn said(grap: &Grap, arguments: &[&str]) -> Value {
    Ran::grap(grap, arguments).succeeded().json()
}
