//! A graph that was ruined is brought back to the minute before, on a real server that others stop and start; and that is
//! undone, again and again, with nothing lost on the way. Grap is killed in the middle of it, and somebody starts the
//! server by hand meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use grap_core::recovery::{Order, SWITCH};
use grap_testkit::commanded::Commanded;
use grap_testkit::pitr::archiver::Archiver;
use grap_testkit::program::tx_id;
use grap_testkit::struck::{Call, Does, can_strike, struck};
use grap_testkit::{Distribution, tree};
use serde_json::Value;

use crate::support::{PROGRAM, Ran, eventually};

struct World {
    commanded: Commanded,
}

impl Deref for World {
    type Target = Commanded;

    fn deref(&self) -> &Commanded {
        &self.commanded
    }
}

impl World {
    fn new() -> Self {
        let commanded = Commanded::start(Path::new(PROGRAM), &Distribution::standard().unwrap()).unwrap();
        Self { commanded }
    }

    fn steps(&self) -> i64 {
        self.server.await_online().unwrap();
        self.server.query("MATCH (n:Step) RETURN count(n)").unwrap()[0].int(0).unwrap()
    }

    fn step(&self, count: usize) {
        for _ in 0..count {
            self.server.query("MATCH (n:Step) WITH count(n) AS k CREATE (:Step {n: k})").unwrap();
        }
    }

    fn said(&self, arguments: &[&str]) -> Value {
        Ran::grap(&self.grap, arguments).succeeded().json()
    }

    /// Every file of the database, wherever it lies; not what servers keep beside it.
    fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let data = self.server.data();
        let files = tree::files(&data).unwrap().into_iter();
        let ours = files.filter(|path| path.iter().any(|part| part == "neo4j"));
        ours.map(|path| (path.clone(), fs::read(data.join(path)).unwrap())).collect()
    }

    /// Of a rollback, behind the first exchange: that is noted, and nothing follows from it yet.
    fn kill_rollback_in_the_swap(&self) {
        let path = Some(self.grap.state.join("recovery.journal"));
        let noted = 1 + SWITCH.iter().position(|order| *order == Order::SwapStores).unwrap();
        let call = Call { names: "fsync", path, number: noted };
        let ended = struck(&self.grap, &["recover", "rollback"], &call, Does::Kill).unwrap();
        assert_eq!(ended.signal(), Some(9), "it was not struck: {ended}");
        assert_eq!(self.said(&["recover", "status"])["recovery"]["phase"], "log_taken");
    }
}

#[test]
fn a_ruined_graph_is_brought_back_and_that_is_undone_and_nothing_is_lost() {
    let world = World::new();
    let archiver = Archiver::start(&world.grap, &[]).unwrap();
    world.server.query("CREATE INDEX step_n FOR (n:Step) ON (n.n)").unwrap();
    world.step(3);
    let backup = world.said(&["backup"]);
    world.step(4);
    let good = tx_id(&backup, "neo4j").unwrap() + 4;
    world.server.query("MATCH (n:Step) DETACH DELETE n").unwrap();
    world.server.query("CREATE (:Wrong)").unwrap();

    is_recovered_and_planned(&world, good);
    is_promoted(&world);
    is_on_a_new_timeline(&world);
    let can_strike = can_strike().unwrap();
    if can_strike {
        is_taken_back_without_its_journal(&world);
    }
    is_rolled_back(&world);
    if can_strike {
        survives_a_kill_within_the_swap(&world);
    } else {
        eprintln!(
            "SKIPPED: a rollback that is killed within the swap: strace may not attach to a process here"
        );
    }
    let report = archiver.stop().unwrap();
    println!("{report:#}");
}

fn is_recovered_and_planned(world: &World, good: u64) {
    Ran::grap(&world.grap, &["recover", "promote"]).refused("RECOVERY_STATE", 27);
    Ran::grap(&world.grap, &["recover", "rollback"]).refused("RETIRED_NOT_FOUND", 36);
    eventually("the archive reaches it", || {
        let window = world.said(&["window"]);
        window.to_string().contains("timelines")
            && Ran::grap(
                &world.grap,
                &["restore", &format!("tx=neo4j:{good}"), "--to", "/nowhere", "--dry-run"],
            )
            .status
                == 0
    });
    world.said(&["recover", "start", &format!("tx=neo4j:{good}")]);
    let plan = world.said(&["recover", "promote", "--dry-run"]);
    println!("{plan:#}");
    // One of them makes the new label.
    assert_eq!(plan["leaves"], serde_json::json!({ "first": good + 1, "last": good + 3 }));
    assert_eq!(plan["archived"], serde_json::json!(["neo4j", "system"]));
    assert_eq!(world.steps(), 0, "nothing is done by a plan");
}

fn is_promoted(world: &World) {
    let begun = Instant::now();
    let said = world.said(&["recover", "promote"]);
    println!("promoted in {:?}, downtime {} ms\n{said:#}", begun.elapsed(), said["downtime_ms"]);
    assert_eq!(
        (said["status"].as_str(), &said["recovery"]["promotion"]["unconfirmed"]),
        (Some("PROMOTED"), &Value::Null)
    );
    assert_eq!(world.steps(), 7, "the graph of before");
    assert_eq!(world.server.query("MATCH (n:Wrong) RETURN count(n)").unwrap()[0].int(0).unwrap(), 0);
    let status = world.said(&["recover", "status"]);
    assert_eq!(status["retired"].as_array().unwrap().len(), 1, "{status:#}");
    let shown = world.said(&["show", said["recovery"]["backup"].as_str().unwrap()]);
    assert_eq!(shown["status"], "VALIDATED");
    Ran::grap(&world.grap, &["recover", "promote"]).refused("RECOVERY_STATE", 27);
}

/// Nobody has told the archiver anything. The backup of before lies on the new timeline, too: it began behind it.
fn is_on_a_new_timeline(world: &World) {
    world.step(2);
    eventually("the archiver has met it", || timeline(world).is_some_and(|timeline| timeline > 1));
    let newest = world.said(&["restore", "latest", "--to", "/nowhere", "--dry-run"]);
    println!("{newest:#}");
    world.said(&["backup"]);
    eventually("it is protected", || Ran::grap(&world.grap, &["status"]).status == 0);
}

/// Where the database is protected, the timeline that it is on.
fn timeline(world: &World) -> Option<u64> {
    let status = Ran::grap(&world.grap, &["status"]);
    if status.status != 0 {
        return None;
    }
    let said = status.json();
    let databases = said["databases"].as_array()?;
    databases.iter().find(|database| database["name"] == "neo4j")?["timeline"].as_u64()
}

fn is_rolled_back(world: &World) {
    let back = world.said(&["recover", "rollback"]);
    println!("{back:#}");
    assert_eq!(back["status"], "PROMOTED");
    assert_eq!(world.steps(), 0, "the ruined graph, as it was");
    assert_eq!(world.server.query("MATCH (n:Wrong) RETURN count(n)").unwrap()[0].int(0).unwrap(), 1);
    world.server.query("CREATE (:Later)").unwrap();
}

/// On the way forth again. (What else may be struck: testkit, `promotions`.)
fn survives_a_kill_within_the_swap(world: &World) {
    world.kill_rollback_in_the_swap();
    let before = world.bytes();
    world.start_by_hand().unwrap();
    eventually("it refuses the database", || {
        let status = world.server.database_status("neo4j");
        status.is_ok_and(|status| !["online", "starting", "initial"].contains(&status.status.as_str()))
    });
    assert!(world.bytes() == before, "a server that was started in the middle has changed a file");
    let finished = world.said(&["recover", "rollback"]);
    // What was written between the promotion and the rollback is there.
    assert_eq!((finished["status"].as_str(), world.steps()), (Some("PROMOTED"), 9));
    assert_eq!(world.server.query("MATCH (n:Later) RETURN count(n)").unwrap()[0].int(0).unwrap(), 0);
    // What is retired stays behind a reset.
    world.said(&["recover", "reset"]);
    let status = world.said(&["recover", "status"]);
    assert_eq!(
        (status["status"].as_str(), status["retired"].as_array().unwrap().len()),
        (Some("NOT_RECOVERING"), 1)
    );
}

/// What stands beside the barrier is enough.
fn is_taken_back_without_its_journal(world: &World) {
    world.kill_rollback_in_the_swap();
    fs::write(world.grap.state.join("recovery.journal"), "lost").unwrap();
    let reset = world.said(&["recover", "reset"]);
    assert_eq!((reset["status"].as_str(), world.steps()), (Some("NOT_RECOVERING"), 9), "{reset:#}");
    println!("taken back without its journal");
    let status = world.said(&["recover", "status"]);
    assert_eq!(status["retired"].as_array().unwrap().len(), 1, "{status:#}");
}
