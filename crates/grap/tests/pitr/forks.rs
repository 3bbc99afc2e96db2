//! Histories that part: what a deposed writer stored, an older state put back, a timeline that is named.

use grap::ops;
use jiff::Timestamp;

use crate::world::{Logged, Start, World, forged, put_all, refusal, segments};

const LATER: i64 = 60_000;

/// Run 1 archived all of it; an older state, as of 80, was put back; run 2 archived 81 to 120 of another
/// history. Backups: at 70, and at 90 of the first history.
struct Fork {
    world: World,
    first: Vec<Logged>,
    second: Vec<Logged>,
}

fn at(log: &[Logged], id: u64) -> &Logged {
    log.iter().find(|logged| logged.transaction.id.0 == id).unwrap()
}

fn upto(log: &[Logged], first: u64, last: u64) -> Vec<Logged> {
    log.iter().filter(|logged| (first..=last).contains(&logged.transaction.id.0)).cloned().collect()
}

impl Fork {
    fn new() -> Self {
        let world = World::new("2026.08.1");
        let first = world.log("neo4j");
        let begin = first[0].transaction.commit_time.0;
        Start::new(1, begin - 1000).root("neo4j", 2, None).put(&world);
        for end in [70, 90] {
            world.install(end, 5);
            world.backup();
        }
        put_all(&world.archive(), 1, "neo4j", &segments(&upto(&first, 2, 100), 4));
        let second = forged(&upto(&first, 81, 120), LATER);
        let parent = at(&first, 80).transaction.end_point();
        let began = second[0].transaction.commit_time.0 - 10;
        let broken = Some("an older state was put back");
        Start { server: "server 2", ..Start::new(2, began).behind("neo4j", (1, parent), broken) }.put(&world);
        put_all(&world.archive(), 2, "neo4j", &segments(&second, 4));
        // The deposed writer wakes up and goes on.
        put_all(&world.archive(), 1, "neo4j", &segments(&upto(&first, 101, 110), 4));
        Self { world, first, second }
    }
}

#[test]
fn each_history_restores_to_its_own_data() {
    let Fork { world, first, second } = Fork::new();
    for (id, timeline) in
        [(75, None), (80, None), (80, Some(2)), (90, Some(1)), (99, Some(1)), (110, Some(1))]
    {
        let report =
            world.restore_with(&ops::RestoreOptions { timeline, ..world.options(&format!("tx={id}")) });
        assert_eq!(report.unwrap().databases[0].end.tx_id, id);
        world.assert_log("neo4j", id);
    }
    for id in [81, 95, 120] {
        let report = world.restore(&format!("tx={id}")).unwrap();
        assert_eq!(report.databases[0].log_transactions, id - 70, "the backup at 90 is of the other history");
        let transaction = at(&second, id);
        assert!(world.restored_bytes(&transaction.transaction) == transaction.bytes);
        let before = at(&first, 80);
        assert!(world.restored_bytes(&before.transaction) == before.bytes);
    }
    assert_eq!(world.restore("latest").unwrap().databases[0].end.tx_id, 120);
    assert_eq!(world.verify(), Vec::<String>::new());
}

/// Without the start of the newest run the history before it looks like the current one: it must not be taken
/// for it.
#[test]
fn an_unreadable_newest_start_leaves_no_current_history() {
    let Fork { world, .. } = Fork::new();
    let start = world.path("repository/grap/log/neo4j/0000000002/start");
    for spoilt in [None, Some("spoilt")] {
        std::fs::remove_file(&start).unwrap();
        if let Some(spoilt) = spoilt {
            std::fs::write(&start, spoilt).unwrap();
        }
        for target in ["tx=95", "tx=75", "latest"] {
            let (code, said) = world.refused(target);
            assert_eq!(code, "ARCHIVE_DAMAGED", "{target}: {said}");
            assert!(said.contains("--timeline 1"), "{target}: {said}");
            assert!(world.plan(target).is_err());
        }
        for id in [75, 95] {
            let named = ops::RestoreOptions { timeline: Some(1), ..world.options(&format!("tx={id}")) };
            world.restore_with(&named).unwrap();
            world.assert_log("neo4j", id);
        }
        let report = ops::window(world.access(), None, &world.session()).unwrap();
        let timelines = report.sources[0].databases.iter().flat_map(|database| &database.timelines);
        assert!(timelines.clone().count() > 0 && timelines.clone().all(|timeline| !timeline.current));
        let options = ops::StatusOptions {
            installation: Some(world.installation()),
            source: None,
            lag_max: std::time::Duration::from_hours(1),
        };
        let status = ops::status(&options, world.access(), &world.session()).unwrap();
        assert!(status.reasons.iter().any(|reason| reason.contains("run 2")), "{:?}", status.reasons);
        std::fs::write(&start, "to be removed").unwrap();
    }
}

/// Archiver and server were restarted without a commit (run 2 is empty), then an older state was put back (run 3),
/// and again a restart (run 4): the history that was given up is shown, and reached by the number that is shown.
#[test]
fn the_window_shows_a_given_up_history_behind_an_empty_run() {
    let world = World::new("2026.08.1");
    let first = world.log("neo4j");
    let begin = first[0].transaction.commit_time.0;
    Start::new(1, begin - 1000).root("neo4j", 2, None).put(&world);
    world.install(70, 5);
    world.backup();
    put_all(&world.archive(), 1, "neo4j", &segments(&upto(&first, 2, 100), 4));
    let end = at(&first, 100).transaction.end_point();
    Start::new(2, begin + 1000).behind("neo4j", (1, end), None).put(&world);
    let second = forged(&upto(&first, 81, 120), LATER);
    let parent = at(&first, 80).transaction.end_point();
    let broken = Some("an older state was put back");
    Start::new(3, begin + 2000).behind("neo4j", (1, parent), broken).put(&world);
    put_all(&world.archive(), 3, "neo4j", &segments(&second, 4));
    let end = second.last().unwrap().transaction.end_point();
    Start::new(4, begin + 3000).behind("neo4j", (3, end), None).put(&world);

    let report = ops::window(world.access(), None, &world.session()).unwrap();
    let database = report.sources[0].databases.iter().find(|database| database.database == "neo4j").unwrap();
    let shown: Vec<_> = database
        .timelines
        .iter()
        .map(|timeline| (timeline.run.0, timeline.current, timeline.spans[0].last.id.0))
        .collect();
    assert_eq!(shown, [(2, false, 100), (4, true, 120)]);
    let given_up = ops::RestoreOptions { timeline: Some(2), ..world.options("tx=99") };
    world.restore_with(&given_up).unwrap();
    world.assert_log("neo4j", 99);
}

/// What the deposed writer stored late is never chosen, and never mixed in.
#[test]
fn a_deposed_writers_segments_lie_beside() {
    let Fork { world, .. } = Fork::new();
    assert_eq!(world.refused("tx=121").0, "TARGET_OUTSIDE_WINDOW");
    let other = ops::RestoreOptions { timeline: Some(1), ..world.options("tx=111") };
    assert_eq!(refusal(world.restore_with(&other)).0, "TARGET_OUTSIDE_WINDOW");
    let none = ops::RestoreOptions { timeline: Some(3), ..world.options("tx=100") };
    assert_eq!(refusal(world.restore_with(&none)).0, "TARGET_OUTSIDE_WINDOW");
}

#[test]
fn the_window_shows_both_and_which_is_current() {
    let Fork { world, .. } = Fork::new();
    let report = ops::window(world.access(), None, &world.session()).unwrap();
    let database = report.sources[0].databases.iter().find(|database| database.database == "neo4j").unwrap();
    let shown: Vec<_> = database
        .timelines
        .iter()
        .map(|timeline| {
            let span = &timeline.spans[0];
            (timeline.run.0, timeline.current, span.first.id.0, span.last.id.0, span.bases.len())
        })
        .collect();
    assert_eq!(shown, [(1, false, 70, 110, 2), (2, true, 70, 120, 1)]);
    assert!(database.timelines[1].broken.is_some());
}

/// Between the point that the break left and the start that recorded it nobody knows which history it was.
#[test]
fn a_time_between_a_break_and_its_record_needs_the_timeline() {
    let Fork { world, first, second } = Fork::new();
    let left = at(&first, 80).transaction.commit_time.0;
    let between = Timestamp::from_millisecond(left + 500).unwrap();
    let (code, said) = world.refused(&format!("time={between}"));
    assert!(code == "TIME_UNSURE" && said.contains("tx=neo4j:80"), "{code}: {said}");
    for timeline in [1, 2] {
        let target = world.options(&format!("time={between}"));
        let report = world.restore_with(&ops::RestoreOptions { timeline: Some(timeline), ..target });
        let end = report.unwrap().databases[0].end.tx_id;
        let later = first.iter().find(|logged| logged.transaction.commit_time.0 > left + 500).unwrap();
        let expected = if timeline == 2 { 80 } else { later.transaction.id.0 - 1 };
        assert_eq!(end, expected, "{timeline}");
    }
    let behind = Timestamp::from_millisecond(at(&second, 100).transaction.commit_time.0).unwrap();
    assert!(world.restore(&format!("time={behind}")).is_ok());
}

/// Two runs that go on without a break are one timeline, whoever stopped in between.
#[test]
fn a_run_that_goes_on_is_the_same_timeline() {
    let world = World::new("5.26.30");
    let log = world.log("neo4j");
    let begin = log[0].transaction.commit_time.0;
    Start::new(1, begin - 1000).root("neo4j", 2, None).put(&world);
    world.install(70, 5);
    world.backup();
    put_all(&world.archive(), 1, "neo4j", &segments(&upto(&log, 2, 101), 6));
    let parent = at(&log, 93).transaction.end_point();
    Start::new(2, at(&log, 94).transaction.commit_time.0).behind("neo4j", (1, parent), None).put(&world);
    put_all(&world.archive(), 2, "neo4j", &segments(&upto(&log, 94, 146), 5));
    for id in [92, 93, 94, 125, 146] {
        world.restore(&format!("tx={id}")).unwrap();
        world.assert_log("neo4j", id);
    }
    assert_eq!(world.verify(), Vec::<String>::new());
}

/// A timeline that began before the other database was covered.
#[test]
fn a_named_timeline_that_does_not_cover_the_other_database() {
    let world = World::new("5.26.30");
    let (log, system) = (world.log("neo4j"), world.log("system"));
    let begin = log[0].transaction.commit_time.0;
    Start::new(1, begin - 1000).root("neo4j", 2, None).put(&world);
    put_all(&world.archive(), 1, "neo4j", &segments(&upto(&log, 2, 100), 6));
    let parent = at(&log, 100).transaction.end_point();
    let next = Start::new(2, begin - 500).behind("neo4j", (1, parent), None);
    next.root("system", 2, None).put(&world);
    put_all(&world.archive(), 2, "system", &segments(&system, 6));
    world.install(70, 5);
    world.backup();
    let named = ops::RestoreOptions { timeline: Some(1), ..world.options("tx=80") };
    let report = world.restore_with(&named).unwrap();
    let short = report.databases[1].short.clone().unwrap();
    assert!(short.contains("timeline 1 does not cover it"), "{short}");
    let short = world.restore("tx=80").unwrap().databases[1].short.clone();
    assert!(!short.unwrap_or_default().contains("cover"));
}
