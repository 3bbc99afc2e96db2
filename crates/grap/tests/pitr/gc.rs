//! `gc` on an archive: the parts of merged objects go, and every point is still there.

use grap::archive::RunNumber;
use grap::ops::{self, GcOptions, GcReport};

use crate::every::archived;
use crate::world::{World, segments};

const OPTIONS: GcOptions = GcOptions { unused_percent: 5 };

fn gc(world: &World) -> GcReport {
    ops::gc(&OPTIONS, world.access(), &world.state(), &world.session()).unwrap()
}

/// Every single segment of `neo4j` lies in a merged one, too.
fn merged() -> World {
    let (world, log) = archived("5.26.30", 70, 3);
    for parts in segments(&log, 3).chunks(5) {
        world.archive().put_merged(RunNumber(1), "neo4j", parts).unwrap();
    }
    world
}

const FOLDER: &str = "grap/log/neo4j/0000000001/neo4j";

fn objects(world: &World, merged: bool) -> Vec<String> {
    let is = |name: &String| name.rsplit('/').next().unwrap().contains('-') == merged;
    world.objects(FOLDER).into_iter().filter(is).collect()
}

/// The storage put them so long ago.
fn age(world: &World, minutes: i64) {
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
    for name in objects(world, true) {
        let path = world.path("repository").join(name);
        grap_disk::set_times(&path, then.as_nanosecond()).unwrap();
    }
}

#[test]
fn parts_of_merged_objects_go_after_an_hour_and_every_point_is_there() {
    let world = merged();
    let (singles, wholes) = (objects(&world, false), objects(&world, true));
    let system = world.objects("grap/log/neo4j/0000000001/system");
    assert!(singles.len() > 20 && wholes.len() > 4, "{singles:?} {wholes:?}");
    age(&world, 55);
    assert_eq!(gc(&world).parts_deleted, 0, "a reader without a lock may still want them");
    assert_eq!(objects(&world, false), singles);

    age(&world, 65);
    let plan = ops::plan_gc(&OPTIONS, world.access(), &world.session()).unwrap();
    assert_eq!(plan.parts, singles.len());
    let report = gc(&world);
    assert_eq!((report.parts_deleted, report.part_bytes_deleted), (singles.len(), plan.part_bytes));
    assert_eq!((report.problems, report.denied), (Vec::new(), Vec::new()));
    assert_eq!((objects(&world, false), objects(&world, true)), (Vec::new(), wholes));
    assert_eq!(world.objects("grap/log/neo4j/0000000001/system"), system, "what is merged nowhere stays");
    assert_eq!(world.verify(), Vec::<String>::new());
    for id in [70, 71, 100, 125, 146] {
        world.restore(&format!("tx={id}")).unwrap();
        world.assert_log("neo4j", id);
    }
    assert_eq!(gc(&world).parts_deleted, 0);
}

#[test]
fn beside_a_damaged_merged_object_every_part_stays() {
    let world = merged();
    let singles = objects(&world, false);
    let wholes = objects(&world, true);
    let path = world.path("repository").join(&wholes[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    age(&world, 65);
    let report = gc(&world);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(report.problems[0].contains(&wholes[1]), "{:?}", report.problems);
    assert_eq!(report.parts_deleted, singles.len() - 5);
    assert_eq!(objects(&world, false), singles[5..10]);
    for id in [70, 71, 100, 125, 146] {
        world.restore(&format!("tx={id}")).unwrap();
        world.assert_log("neo4j", id);
    }
}

/// A part that is not, byte for byte, what the merged object has: which of them is right is not for gc to say.
#[test]
fn a_part_that_differs_from_the_merged_object_stays() {
    let world = merged();
    let singles = objects(&world, false);
    let log = world.log("neo4j");
    let other = &segments(&log, 2)[0];
    std::fs::remove_file(world.path("repository").join(&singles[0])).unwrap();
    world.archive().put_segment(RunNumber(1), "neo4j", other).unwrap();
    age(&world, 65);
    let report = gc(&world);
    assert_eq!(objects(&world, false), singles[..1]);
    assert!(report.problems[0].contains(&singles[0]), "{:?}", report.problems);
}
