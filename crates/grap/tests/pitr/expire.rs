//! What expire leaves: every point of the window restores, byte for byte, and nothing that went is missed.
//!
//! The rule is worked out here a second time, transaction by transaction, from the history that the test made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use grap::archive::Begins;
use grap::ops::{self, Access, ExpireReport, HoldOptions, HoldReport};
use grap::state::Job;
use grap_neo4j::TxId;
use grap_repository::{LocalStore, ObjectCall, ObjectError, ObjectInfo, ObjectStore};

use crate::every::archived;
use crate::world::{Logged, Start, World, expire_options, forged, put_all, refusal, segments};

fn at(log: &[Logged], id: u64) -> &Logged {
    log.iter().find(|logged| logged.transaction.id.0 == id).unwrap()
}

fn upto(log: &[Logged], first: u64, last: u64) -> Vec<Logged> {
    log.iter().filter(|logged| (first..=last).contains(&logged.transaction.id.0)).cloned().collect()
}

fn commit_ms(log: &[Logged], id: u64) -> i64 {
    at(log, id).transaction.commit_time.0
}

/// The ids of the user database that a window shows on the current timeline.
fn shown(world: &World) -> Vec<u64> {
    let report = ops::window(world.access(), None, &world.session()).unwrap();
    let neo4j = report.sources[0].databases.iter().find(|database| database.database == "neo4j").unwrap();
    let spans = &neo4j.current().unwrap().spans;
    spans.iter().flat_map(|span| span.first.id.0..=span.last.id.0).collect()
}

/// False: a constraint is half made there, which is refused as ever.
fn restores(world: &World, id: u64) -> bool {
    match world.restore(&format!("tx={id}")) {
        Err(grap::Error::TargetInSchemaChange { .. }) => false,
        report => {
            assert_eq!(report.unwrap().databases[0].end.tx_id, id);
            true
        }
    }
}

#[test]
fn a_base_that_ends_inside_a_segment_keeps_that_segment() {
    let (world, log) = archived("5.26.30", 70, 8);
    let old = world.backups()[0].clone();
    let mut ids = Vec::new();
    for end in [100, 120, 130] {
        world.install(end, 5);
        ids.push(world.good_backup());
    }
    // 110 is the first in the window: the backup at 100 is the newest before it.
    world.begin_window(commit_ms(&log, 110));
    let first_inside =
        log.iter().find(|one| one.transaction.commit_time >= at(&log, 110).transaction.commit_time);
    assert!((101..=110).contains(&first_inside.unwrap().transaction.id.0), "the fixture is as it was");
    let before = world.objects("grap/log");
    let plan = world.plan_expire().unwrap();
    assert_eq!(world.objects("grap/log"), before, "a plan changes nothing");
    let path = plan.sources[0].archive.paths.iter().find(|path| path.database == "neo4j").unwrap();
    assert_eq!(path.begins, Begins::Backup { id: ids[0].parse().unwrap(), end: TxId(100) });

    let report = world.expire().unwrap();
    assert_eq!(
        report.deleted.iter().map(|(_, id)| id.to_string()).collect::<Vec<_>>(),
        [old, ids[1].clone()]
    );
    assert_eq!(world.backups(), [ids[0].clone(), ids[2].clone()]);
    let neo4j = world.objects("grap/log/neo4j/0000000001/neo4j");
    let first: u64 = neo4j[0].rsplit('/').next().unwrap().parse().unwrap();
    assert!(first < 100 && first > 100 - 8, "the segment that holds 100 begins with {first}");
    assert_eq!(report.segments, before.len() - world.objects("grap/log").len());
    assert_eq!(world.verify(), Vec::<String>::new());
    assert_eq!(shown(&world), (100..=146).collect::<Vec<_>>());
    let mut restored = 0;
    for id in 100..=146 {
        if restores(&world, id) {
            world.assert_log("neo4j", id);
            restored += 1;
        }
    }
    assert!(restored > 38, "{restored}");
    assert_eq!(world.refused("tx=99").0, "TARGET_OUTSIDE_WINDOW");
    // Again: there is nothing left to do, and nothing new to say.
    let records = world.objects("grap");
    world.begin_window(commit_ms(&log, 110));
    let again = world.expire().unwrap();
    assert_eq!((again.deleted.len(), again.segments), (0, 0));
    assert_eq!(world.objects("grap"), records);
}

#[test]
fn the_other_database_keeps_what_a_restore_from_the_kept_backup_needs() {
    let (world, log) = archived("5.26.30", 70, 8);
    let system = world.log("system");
    let (middle, last) = (system[system.len() / 2].transaction.id.0, system.last().unwrap().transaction.id.0);
    world.install(100, middle);
    let base = world.good_backup();
    // It knows more of `system`, and is the newest before the window there: nothing happened in `system` since.
    world.install(130, last);
    world.good_backup();
    world.begin_window(commit_ms(&log, 110));
    let report = world.expire().unwrap();
    assert!(report.segments > 0);
    let needed = report.plan.sources[0].archive.paths.iter().find(|path| path.database == "neo4j").unwrap();
    assert_eq!(needed.begins, Begins::Backup { id: base.parse().unwrap(), end: TxId(100) });
    let stored = world.objects("grap/log/neo4j/0000000001/system");
    let first: u64 = stored[0].rsplit('/').next().unwrap().parse().unwrap();
    assert!(first <= middle, "{first} is stored, {middle} is where the backup of the window ends");
    assert!(middle + 8 < last, "the fixture is as it was");
    assert_eq!(world.restore("tx=neo4j:118").unwrap().databases[1].end.tx_id, last);
}

#[test]
fn what_is_lost_is_still_told_from_what_has_expired() {
    let (world, log) = archived("5.26.30", 70, 7);
    for end in [100, 130] {
        world.install(end, 5);
        world.good_backup();
    }
    world.begin_window(commit_ms(&log, 110));
    world.expire().unwrap();
    assert_eq!(world.verify(), Vec::<String>::new());
    let folder = world.path("repository/grap/log/neo4j/0000000001/neo4j");
    let left = world.objects("grap/log/neo4j/0000000001/neo4j");
    for (lost, what) in [(0, "is gone"), (2, "is not stored"), (left.len() - 2, "is not stored")] {
        let path = folder.join(left[lost].rsplit('/').next().unwrap());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let said = world.verify();
        assert!(said.iter().any(|line| line.contains(what)), "{lost}: {said:?}");
        std::fs::write(&path, bytes).unwrap();
    }
    // Without the record nobody knows that it was on purpose; a record that cannot be read is told itself.
    let record = world.path("repository/grap/log-expired/neo4j/0000000001");
    let bytes = std::fs::read(&record).unwrap();
    std::fs::remove_file(&record).unwrap();
    assert!(world.verify().iter().any(|line| line.contains("it began with transaction 2")));
    std::fs::write(&record, &bytes[..bytes.len() - 1]).unwrap();
    assert!(world.verify().iter().any(|line| line.contains("grap/log-expired/neo4j/0000000001")));
    std::fs::write(&record, bytes).unwrap();
    assert_eq!(world.verify(), Vec::<String>::new());
}

/// Nothing that is verified ends before the window: everything of the path stays, and the backups on it.
#[test]
fn without_a_verified_base_the_path_stays_whole() {
    let (world, log) = archived("5.26.30", 70, 7);
    world.install(130, 5);
    let good = world.good_backup();
    world.begin_window(commit_ms(&log, 110));
    let before = world.objects("grap/log");
    let plan = world.plan_expire().unwrap();
    let path = plan.sources[0].archive.paths.iter().find(|path| path.database == "neo4j").unwrap();
    assert!(matches!(&path.begins, Begins::Everything { backups, .. } if backups.len() == 2), "{path:?}");
    let report = world.expire().unwrap();
    assert_eq!(report.deleted, []);
    assert_eq!(world.objects("grap/log/neo4j/0000000001/neo4j").len(), segments(&log, 7).len());
    assert_eq!(world.backups().len(), 2);
    assert!(world.objects("grap/log").len() <= before.len());
    assert_eq!(world.backups()[1], good);
    assert_eq!(shown(&world), (70..=146).collect::<Vec<_>>());
}

/// Run 1 archived 2 to 100; as of 80 another history began (run 2, to 120, a minute later); back to the first as of 90
/// (run 3, two minutes later, 91 to 110). What run 1 wrote behind 90 is on its own path only.
struct PromotedAndBack {
    world: World,
    /// By run: what each archived.
    logs: BTreeMap<u64, Vec<Logged>>,
    /// By id: the run under which the path of each backup goes, and its end.
    bases: Vec<(String, u64)>,
}

const LATER: i64 = 60_000;
/// A run, and from which id to which it gives.
type Piece = (u64, u64, u64);
/// By path.
const PATHS: [(u64, &[Piece]); 3] =
    [(1, &[(1, 2, 100)]), (2, &[(1, 2, 80), (2, 81, 120)]), (3, &[(1, 2, 90), (3, 91, 110)])];

impl PromotedAndBack {
    fn new() -> Self {
        let world = World::new("2026.08.1");
        let whole = world.log("neo4j");
        let begin = whole[0].transaction.commit_time.0;
        Start::new(1, begin - 1000).root("neo4j", 2, None).put(&world);
        let mut bases = Vec::new();
        for end in [60, 75, 85] {
            world.install(end, 5);
            bases.push((world.good_backup(), end));
        }
        let first = upto(&whole, 2, 100);
        put_all(&world.archive(), 1, "neo4j", &segments(&first, 4));
        let second = forged(&upto(&whole, 81, 120), LATER);
        let parent = at(&first, 80).transaction.end_point();
        let promoted = Some("an older state was put back");
        Start::new(2, commit_ms(&second, 81) - 10).behind("neo4j", (1, parent), promoted).put(&world);
        put_all(&world.archive(), 2, "neo4j", &segments(&second, 4));
        let third = forged(&upto(&whole, 91, 110), 2 * LATER);
        let parent = at(&first, 90).transaction.end_point();
        Start::new(3, commit_ms(&third, 91) - 10).behind("neo4j", (1, parent), promoted).put(&world);
        put_all(&world.archive(), 3, "neo4j", &segments(&third, 4));
        Self { world, logs: BTreeMap::from([(1, first), (2, second), (3, third)]), bases }
    }

    fn path(&self, pieces: &[Piece]) -> Vec<(u64, &Logged)> {
        let mut path = Vec::new();
        for (run, from, to) in pieces {
            path.extend((*from..=*to).map(|id| (*run, at(&self.logs[run], id))));
        }
        path
    }

    /// The rule, transaction by transaction: which of which run are kept, and which bases.
    fn promised(&self, since_ms: i64) -> (BTreeSet<(u64, u64)>, BTreeSet<u64>) {
        let (mut kept, mut bases) = (BTreeSet::new(), BTreeSet::new());
        for (run, pieces) in PATHS {
            let path = self.path(pieces);
            let inside = path.iter().position(|(_, logged)| logged.transaction.commit_time.0 >= since_ms);
            if inside.is_none() && run != 3 {
                continue;
            }
            let before = &path[..inside.unwrap_or(path.len())];
            // Every backup lies on the first history.
            let joins = |(run, logged): &&(u64, &Logged)| {
                *run == 1 && self.bases.iter().any(|(_, end)| *end == logged.transaction.id.0)
            };
            let base = before.iter().rfind(joins).map(|(_, logged)| logged.transaction.id.0);
            bases.extend(base);
            if base.is_none() {
                bases.extend(path.iter().filter(joins).map(|(_, logged)| logged.transaction.id.0));
            }
            let from = base.unwrap_or(0);
            kept.extend(
                path.iter()
                    .map(|(run, logged)| (*run, logged.transaction.id.0))
                    .filter(|(_, id)| *id >= from),
            );
        }
        (kept, bases)
    }

    /// What is stored, as run and names of segments.
    fn stored(&self) -> BTreeSet<(u64, u64)> {
        let number = |part: Option<&str>| part.unwrap().parse::<u64>().unwrap();
        let named = |name: &String| {
            let mut parts = name.rsplit('/');
            (number(parts.next()), number(parts.nth(1)))
        };
        let names = self.world.objects("grap/log/neo4j");
        let segments = names.iter().filter(|name| !name.ends_with("/start"));
        segments.map(named).map(|(first, run)| (run, first)).collect()
    }

    fn expected(&self, kept: &BTreeSet<(u64, u64)>) -> BTreeSet<(u64, u64)> {
        let mut expected = BTreeSet::new();
        for (run, log) in &self.logs {
            for segment in segments(log, 4) {
                let (first, last) = (segment.header.first.0.0, segment.header.last.0.0);
                if (first..=last).any(|id| kept.contains(&(*run, id))) {
                    expected.insert((*run, first));
                }
            }
        }
        expected
    }
}

#[test]
fn what_a_promoted_and_taken_back_history_needs_stays() {
    let made = PromotedAndBack::new();
    let world = &made.world;
    let saved = world.path("saved");
    grap_testkit::tree::copy(&world.path("repository"), &saved).unwrap();
    let instant = |run: u64, id: u64| commit_ms(&made.logs[&run], id);
    let windows = [
        instant(1, 50),
        instant(1, 70),
        instant(1, 79),
        instant(1, 88),
        instant(1, 97),
        instant(2, 82),
        instant(2, 119),
        instant(3, 91),
        instant(3, 105),
        instant(3, 110) + 1,
    ];
    let mut seen = BTreeSet::new();
    for since in windows {
        std::fs::remove_dir_all(world.path("repository")).unwrap();
        grap_testkit::tree::copy(&saved, &world.path("repository")).unwrap();
        world.begin_window(since);
        world.expire().unwrap();
        let (kept, bases) = made.promised(since);
        assert_eq!(made.stored(), made.expected(&kept), "since {since}");
        let left = world.backups();
        for (id, end) in &made.bases {
            assert_eq!(
                left.contains(id),
                bases.contains(end) || *end == 85,
                "{end}, since {since}: {left:?}"
            );
        }
        assert_eq!(world.verify(), Vec::<String>::new(), "since {since}");
        let points = shown(world);
        assert_eq!(points.last(), Some(&110));
        for id in points.iter().step_by(9).chain(points.last()) {
            if !restores(world, *id) {
                continue;
            }
            let (run, logged) =
                made.path(PATHS[2].1).into_iter().find(|(_, one)| one.transaction.id.0 == *id).unwrap();
            let found = made.world.restored_bytes(&logged.transaction);
            // What the backup holds itself is the fixture's; behind it stands the archive's.
            assert!(found == logged.bytes || run == 1, "{id}");
        }
        seen.insert(made.stored().len());
    }
    assert!(seen.len() > 4, "the windows differ: {seen:?}");
}

/// A storage that waits before the first call of a kind on what lies in a folder.
struct Paused {
    inner: LocalStore,
    at: (ObjectCall, &'static str),
    reached: Sender<()>,
    go_on: Mutex<Option<Receiver<()>>>,
}

impl Paused {
    fn new(world: &World, at: (ObjectCall, &'static str)) -> (Self, Receiver<()>, Sender<()>) {
        let (reached, waiting) = channel();
        let (let_go, go_on) = channel();
        let inner = LocalStore::open(world.path("repository"));
        (Self { inner, at, reached, go_on: Mutex::new(Some(go_on)) }, waiting, let_go)
    }

    fn pass(&self, call: ObjectCall, name: &str) {
        if self.at.0 == call
            && name.starts_with(self.at.1)
            && let Some(go_on) = self.go_on.lock().unwrap().take()
        {
            self.reached.send(()).unwrap();
            go_on.recv().unwrap();
        }
    }
}

impl ObjectStore for Paused {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        self.pass(ObjectCall::Put, name);
        self.inner.put(name, parts)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.pass(ObjectCall::Get, name);
        self.inner.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.inner.get_range(name, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.inner.list(prefix)
    }

    fn top_level(&self) -> Result<Vec<String>, ObjectError> {
        self.inner.top_level()
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.inner.size(name)
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.pass(ObjectCall::Delete, name);
        self.inner.delete(name)
    }
}

/// What a hold is told that comes while an expire stands still before a call; and what the expire then left.
fn held_while_expiring(at: (ObjectCall, &'static str)) -> (World, grap::Result<HoldReport>, ExpireReport) {
    let (world, log) = archived("5.26.30", 70, 7);
    let going = world.backups()[0].clone();
    for end in [100, 130] {
        world.install(end, 5);
        world.good_backup();
    }
    world.begin_window(commit_ms(&log, 110));
    let (store, waiting, let_go) = Paused::new(&world, at);
    let (held, report) = std::thread::scope(|scope| {
        let expire = scope.spawn(|| {
            let access = Access { store: Box::new(store), ..world.access() };
            ops::expire(&expire_options(), access, &world.state(), &world.session()).unwrap()
        });
        waiting.recv().unwrap();
        let held = hold(&world, &going);
        let_go.send(()).unwrap();
        (held, expire.join().unwrap())
    });
    assert_eq!(report.plan.sources[0].backups.decisions.iter().filter(|one| one.goes()).count(), 1);
    assert_eq!(world.backups().contains(&going), report.deleted.is_empty());
    (world, held, report)
}

fn hold(world: &World, id: &str) -> grap::Result<HoldReport> {
    let options = HoldOptions { backup: id.parse().unwrap(), source: None, reason: "audit".to_owned() };
    ops::hold(&options, world.access(), &world.state(), &world.session())
}

/// A hold waits for nobody who is alone in the repository, and what it promises is kept.
#[test]
fn a_hold_that_was_promised_is_kept_by_an_expire_that_has_decided() {
    // Decided, and not yet said what goes.
    let (world, held, report) = held_while_expiring((ObjectCall::Put, "grap/notes/"));
    assert_eq!(held.unwrap().holds.len(), 1);
    assert_eq!((report.deleted.len(), report.left.len()), (0, 1), "{report:?}");
    assert!(report.left[0].why.contains("audit"), "{:?}", report.left);
    let again = world.expire().unwrap();
    assert_eq!((again.deleted.len(), again.left.len()), (0, 0), "it is held, and no surprise");

    // Said, looked for holds, and about to delete: nothing is promised.
    let (_, held, report) = held_while_expiring((ObjectCall::Delete, "snapshots/"));
    assert_eq!(refusal(held).0, "REPOSITORY_LOCKED");
    assert_eq!((report.deleted.len(), report.left.len()), (1, 0), "{report:?}");
}

/// As a gc has it for hours.
#[test]
fn a_hold_and_its_release_pass_beside_an_exclusive_lock() {
    let (world, _) = archived("5.26.30", 70, 7);
    let id = world.backups()[0].clone();
    let session = world.session();
    let repository = world.access().open().unwrap();
    let _lock = repository.lock_exclusive(session.holder, session.clock).unwrap();
    let state = world.state();
    let _gc = state.lock(Job::Maintain, session.clock).unwrap();
    assert_eq!(hold(&world, &id).unwrap().holds.len(), 1);
    let target = id.parse().unwrap();
    let released = ops::release(&target, None, world.access(), &state, &session).unwrap();
    assert_eq!((released.holds.len(), released.released.len()), (0, 1));
}

/// Beside a restore that stands still in the middle expire does nothing, and the restore comes to its end.
#[test]
fn beside_a_restore_nothing_is_deleted() {
    let (world, log) = archived("5.26.30", 70, 7);
    world.install(130, 5);
    world.good_backup();
    let (store, waiting, let_go) = Paused::new(&world, (ObjectCall::Get, "grap/log/neo4j/0000000001/neo4j/"));
    std::thread::scope(|scope| {
        let restore = scope.spawn(|| {
            let access = Access { store: Box::new(store), ..world.access() };
            ops::restore(&world.options("tx=80"), access, &world.state(), &world.session())
        });
        waiting.recv().unwrap();
        world.begin_window(commit_ms(&log, 140));
        let before = world.objects("grap");
        let (code, said) = refusal(world.expire());
        assert_eq!(code, "REPOSITORY_LOCKED", "{said}");
        assert_eq!(world.objects("grap"), before);
        world.plan_expire().unwrap();
        let_go.send(()).unwrap();
        restore.join().unwrap().unwrap();
    });
    world.assert_log("neo4j", 80);
    world.begin_window(commit_ms(&log, 140));
    assert!(world.expire().unwrap().segments > 0);
    assert!(restores(&world, 146));
}

#[test]
fn a_start_that_cannot_be_read_keeps_the_whole_archive() {
    let made = PromotedAndBack::new();
    let world = &made.world;
    world.begin_window(commit_ms(&made.logs[&3], 105));
    let start = world.path("repository/grap/log/neo4j/0000000002/start");
    let bytes = std::fs::read(&start).unwrap();
    std::fs::write(&start, &bytes[1..]).unwrap();
    let report = world.expire().unwrap();
    let archive = &report.plan.sources[0].archive;
    assert!(archive.doubt.as_ref().unwrap().contains("start of run 2"), "{:?}", archive.doubt);
    assert_eq!((report.segments, archive.going.len()), (0, 0));
    std::fs::write(&start, bytes).unwrap();
    assert!(world.expire().unwrap().segments > 0);
    assert_eq!(world.verify(), Vec::<String>::new());
}

/// A timeline that was left has nothing of `system` of its own: a restore along it takes `system` from the common path, on
/// from the older backup that it begins from.
#[test]
fn a_timeline_that_was_left_keeps_what_it_shares() {
    let world = World::new("2026.08.1");
    let (whole, system) = (world.log("neo4j"), world.log("system"));
    let (middle, last) = (system[system.len() / 3].transaction.id.0, system.last().unwrap().transaction.id.0);
    let begin = whole[0].transaction.commit_time.0;
    Start::new(1, begin - 1000).root("neo4j", 2, None).root("system", 2, None).put(&world);
    world.install(60, middle);
    let older = world.good_backup();
    world.install(85, last);
    world.good_backup();
    let first = upto(&whole, 2, 100);
    put_all(&world.archive(), 1, "neo4j", &segments(&first, 4));
    put_all(&world.archive(), 1, "system", &segments(&system, 2));
    let of_system = system.last().unwrap().transaction.end_point();
    let mut second = Vec::new();
    for (run, left, to, later) in [(2, 80, 120, LATER), (3, 90, 110, 2 * LATER)] {
        let log = forged(&upto(&whole, left + 1, to), later);
        let parent = at(&first, left).transaction.end_point();
        let promoted = Some("an older state was put back");
        Start::new(run, log[0].transaction.commit_time.0 - 10)
            .behind("neo4j", (1, parent), promoted)
            .behind("system", (1, of_system), None)
            .put(&world);
        put_all(&world.archive(), run, "neo4j", &segments(&log, 4));
        if run == 2 {
            second = log;
        }
    }
    let along = || {
        let options = grap::ops::RestoreOptions { timeline: Some(2), ..world.options("tx=neo4j:119") };
        let report = world.restore_with(&options).unwrap();
        report.databases.iter().map(|database| database.end.tx_id).collect::<Vec<_>>()
    };
    let before = along();
    assert_eq!(before, [119, last]);
    world.begin_window(commit_ms(&second, 119));
    let report = world.expire().unwrap();
    assert!(report.segments > 0);
    let left = report.plan.sources[0].archive.paths.iter().find(|path| path.run.0 == 2).unwrap();
    assert_eq!(left.begins, Begins::Backup { id: older.parse().unwrap(), end: TxId(60) });
    assert_eq!(along(), before);
}

#[test]
#[ignore = "a figure for docs/proof.md, not a claim"]
#[expect(clippy::print_stdout, reason = "the figure")]
fn figure_of_a_plan_over_a_thousand_backups() {
    const BACKUPS: usize = 1000;
    let (world, log) = archived("5.26.30", 70, 8);
    for number in 1..BACKUPS as u64 {
        if number % 100 == 0 {
            world.install(70 + number / 20, 5);
        }
        world.good_backup();
    }
    world.begin_window(commit_ms(&log, 110));
    let began = std::time::Instant::now();
    let plan = world.plan_expire().unwrap();
    let judged = plan.sources[0].backups.decisions.len();
    println!(
        "expire's plan over {BACKUPS} backups with a note each, {judged} of them judged: {:?}",
        began.elapsed()
    );
}
