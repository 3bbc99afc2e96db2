//! One database through three releases: targets before and behind each upgrade, and which server opens them.

use crate::world::{Start, World, put_all, segments};

#[test]
fn the_oldest_server_follows_from_the_target() {
    let world = World::upgraded();
    let log = world.log("neo4j");
    assert_eq!((log.first().unwrap().transaction.id.0, log.last().unwrap().transaction.id.0), (137, 154));
    Start::new(1, log[0].transaction.commit_time.0 - 1000).root("neo4j", 137, None).put(&world);
    world.install(139, 5);
    world.backup();
    put_all(&world.archive(), 1, "neo4j", &segments(&log, 4));
    for logged in log.iter().filter(|logged| logged.transaction.id.0 >= 139) {
        let id = logged.transaction.id.0;
        let report = world.restore(&format!("tx={id}")).unwrap();
        world.assert_log("neo4j", id);
        assert_eq!(report.databases[0].server_min, logged.transaction.kernel.name(), "{id}");
    }
    let note = std::fs::read_to_string(world.path("to/.grap/restored.json")).unwrap();
    assert!(note.contains("\"neo4j_min\": \"2026.08\"") && note.contains("\"tx_id\": 154"), "{note}");
}
