//! A second repository, kept in step: what it holds, what it never holds twice, and what every call that fails
//! leaves behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use grap::archive::RunNumber;
use grap::ops::{self, Access, CopyOptions, CopyReport, HoldOptions, RestoreOptions, VerifyOptions};
use grap::{Code, Result};
use grap_repository::object::faulty::{Faulty, Mode};
use grap_repository::object::memory::MemoryStore;
use grap_repository::{KdfCost, LocalStore, ObjectStore, Repository, WriterOptions};
use secrecy::SecretString;

use crate::world::{Logged, Start, World, expire_options, put_all, segments};

pub(crate) const PASSWORD: &str = "second";

/// A repository in memory, of which every call can be made to fail.
type Store = Arc<Faulty<Arc<MemoryStore>>>;

/// A history with two backups, a rotation, two runs, merged segments; and an empty second repository.
struct Two {
    world: World,
    log: Vec<Logged>,
    second: Arc<MemoryStore>,
}

fn access(store: impl ObjectStore + 'static, password: &str) -> Access {
    Access::remote("memory".to_owned(), Box::new(store), SecretString::from(password))
}

fn faulty(memory: &Arc<MemoryStore>) -> Store {
    Arc::new(Faulty::new(Arc::clone(memory)))
}

/// What is stored now, in a store of its own.
fn copy_of(memory: &Arc<MemoryStore>) -> Arc<MemoryStore> {
    Arc::new(memory.copy())
}

pub(crate) fn upto(log: &[Logged], first: u64, last: u64) -> Vec<Logged> {
    log.iter().filter(|logged| (first..=last).contains(&logged.transaction.id.0)).cloned().collect()
}

/// Small packs, so that there are several.
pub(crate) fn options() -> CopyOptions {
    CopyOptions {
        source: None,
        writer: WriterOptions { workers: 1, pack_size: 64 << 10, ..WriterOptions::default() },
    }
}

fn empty_second(world: &World, source: &str) -> Arc<MemoryStore> {
    let memory = Arc::new(MemoryStore::default());
    let to = access(Arc::clone(&memory), PASSWORD);
    ops::init(to, source.parse().unwrap(), KdfCost::cheapest(), &world.state(), &world.session()).unwrap();
    memory
}

impl Two {
    fn new() -> Self {
        let world = World::new("5.26.30");
        let (log, system) = (world.log("neo4j"), world.log("system"));
        let begin = log[0].transaction.commit_time.0 - 1000;
        Start::new(1, begin).root("neo4j", 2, None).root("system", 2, None).put(&world);
        world.install(60, 5);
        world.backup();
        let parts = segments(&upto(&log, 2, 90), 5);
        put_all(&world.archive(), 1, "neo4j", &parts);
        world.archive().put_merged(RunNumber(1), "neo4j", &parts[..8]).unwrap();
        put_all(&world.archive(), 1, "system", &segments(&system, 3));
        world.install(80, 5);
        world.backup();
        let parent = log.iter().find(|logged| logged.transaction.id.0 == 90).unwrap().transaction.end_point();
        let at = parent.commit_time.0 + 1;
        Start { server: "server 2", ..Start::new(2, at).behind("neo4j", (1, parent), None) }.put(&world);
        put_all(&world.archive(), 2, "neo4j", &segments(&upto(&log, 91, 120), 5));
        let second = empty_second(&world, "neo4j");
        Self { world, log, second }
    }

    fn to(&self) -> Access {
        access(Arc::clone(&self.second), PASSWORD)
    }

    fn copy(&self) -> Result<CopyReport> {
        self.copy_with(self.world.access(), self.to())
    }

    fn copy_with(&self, from: Access, to: Access) -> Result<CopyReport> {
        ops::copy(&options(), from, to, &self.world.state(), &self.world.session())
    }

    fn restore(&self, access: Access, target: &str) -> u64 {
        let options: RestoreOptions = self.world.options(target);
        let _ = std::fs::remove_dir_all(&options.to);
        let report = ops::restore(&options, access, &self.world.state(), &self.world.session());
        report.unwrap_or_else(|error| panic!("{target}: {error}: {:?}", grap::causes(&error))).databases[0]
            .end
            .tx_id
    }

    /// Lists, windows and restores of the copy give what the original gives.
    fn assert_same(&self, to: impl Fn() -> Access) {
        assert_eq!(self.rows(to()), self.rows(self.world.access()));
        assert_eq!(self.windows(to()), self.windows(self.world.access()));
        for target in ["latest", "tx=61", "tx=90", "tx=91", "before-tx=neo4j:105"] {
            let restored = self.restore(to(), target);
            let copied = contents(&self.world);
            assert_eq!(restored, self.restore(self.world.access(), target), "{target}");
            assert!(copied == contents(&self.world), "{target}");
            self.world.assert_log("neo4j", restored);
        }
        for (id, ..) in self.rows(self.world.access()) {
            self.restore(to(), &id);
            let copied = contents(&self.world);
            self.restore(self.world.access(), &id);
            assert!(copied == contents(&self.world), "{id}");
        }
        assert_eq!(problems(&self.world, to()), Vec::<String>::new());
    }

    fn rows(&self, access: Access) -> Vec<(String, String, String)> {
        let report = ops::list(access, None, &self.world.state(), &self.world.session()).unwrap();
        let row = |row: ops::BackupRow| {
            (row.id, format!("{:?} {}", row.source, row.started), format!("{:?}", row.manifest))
        };
        report.rows.into_iter().map(row).collect()
    }

    fn windows(&self, access: Access) -> String {
        format!("{:?}", ops::window(access, None, &self.world.session()).unwrap())
    }
}

fn contents(world: &World) -> BTreeMap<String, Vec<u8>> {
    let root = world.path("to");
    let files = grap_disk::walk(&root).unwrap().into_iter();
    let files = files.filter(|entry| entry.stat.kind == grap_disk::Kind::File);
    files
        .map(|entry| {
            (
                entry.path.strip_prefix(&root).unwrap().display().to_string(),
                std::fs::read(&entry.path).unwrap(),
            )
        })
        .collect()
}

/// Everything in a repository, read whole.
fn problems(world: &World, access: Access) -> Vec<String> {
    let options = VerifyOptions { backup: None, source: None, read_data_percent: Some(100) };
    ops::verify(&options, access, &world.session()).unwrap().problems
}

fn objects(memory: &MemoryStore, folder: &str) -> usize {
    memory.list(folder).unwrap().len()
}

#[test]
fn the_copy_gives_the_same_answers_and_a_second_run_moves_nothing() {
    let two = Two::new();
    let report = two.copy().unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.copied.len(), report.present, report.starts), (2, 0, 2));
    assert!(report.copied.iter().all(|copied| copied.verified), "{report:?}");
    assert!(report.bytes_stored > 0 && report.bytes_verified >= report.bytes_stored, "{report:?}");
    two.assert_same(|| two.to());
    // The parts of what is merged stay behind.
    let folder = "grap/log/neo4j/0000000001/neo4j";
    assert_eq!(
        objects(&two.second, folder),
        two.world.path("repository").join(folder).read_dir().unwrap().count() - 8
    );
    let packs = objects(&two.second, "data");
    let again = two.copy().unwrap();
    assert_eq!((again.copied.len(), again.present, again.starts, again.segments), (0, 2, 0, 0));
    assert_eq!((again.bytes_read, again.bytes_stored, again.bytes_verified), (0, 0, 0));
    assert_eq!(objects(&two.second, "data"), packs);
}

/// Between two copies the archive grows, by segments, a new run and a backup; each time the copy catches up, and
/// what the two backups share is not moved again.
#[test]
fn in_step_while_the_archive_grows() {
    let two = Two::new();
    let first = two.copy().unwrap();
    put_all(&two.world.archive(), 2, "neo4j", &segments(&upto(&two.log, 121, 130), 4));
    assert_eq!(two.copy().unwrap().segments, 3);
    two.world.install(125, 5);
    two.world.backup();
    let parent = two.log.iter().find(|logged| logged.transaction.id.0 == 130).unwrap();
    let parent = parent.transaction.end_point();
    Start::new(3, parent.commit_time.0 + 1).behind("neo4j", (2, parent), None).put(&two.world);
    put_all(&two.world.archive(), 3, "neo4j", &segments(&upto(&two.log, 131, 146), 4));
    let report = two.copy().unwrap();
    assert_eq!((report.copied.len(), report.present, report.starts), (1, 2, 1));
    assert!(report.bytes_read * 2 < first.bytes_read, "{report:?} after {first:?}");
    assert!(report.copied[0].verified);
    two.assert_same(|| two.to());
}

/// Fails, loses the answer, tears, dies, at every call on either side. Until then the copy shows nothing wrong; the
/// next run completes it.
#[test]
fn at_every_call_on_either_side() {
    let two = Two::new();
    let from = Arc::new(Faulty::new(LocalStore::open(two.world.path("repository"))));
    let from_access = || access(Arc::clone(&from), "secret");
    let to = faulty(&copy_of(&two.second));
    from.clear();
    two.copy_with(from_access(), access(Arc::clone(&to), PASSWORD)).unwrap();
    let (calls_from, calls_to) = (from.seen(), to.seen());
    assert!(calls_from > 60 && calls_to > 100, "{calls_from} and {calls_to} calls");
    let stride: usize =
        std::env::var("GRAP_CRASH_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(29);
    let mut partly = 0;
    for (mode, offset) in [(Mode::Fail, 0), (Mode::Kill, 1), (Mode::LoseReply, 2)] {
        for at in (1 + offset..=calls_from).step_by(stride) {
            let second = copy_of(&two.second);
            from.inject(at, mode);
            let result = two.copy_with(from_access(), access(Arc::clone(&second), PASSWORD));
            from.clear();
            partly += usize::from(result.is_ok_and(|report| !report.problems.is_empty()));
            complete(&two, &second, &format!("{mode:?} at call {at} on the source"));
        }
    }
    for (mode, offset) in [(Mode::Fail, 3), (Mode::Kill, 4), (Mode::LoseReply, 5), (Mode::Tear, 6)] {
        for at in (1 + offset..=calls_to).step_by(stride) {
            let second = copy_of(&two.second);
            let to = faulty(&second);
            to.inject(at, mode);
            let result = two.copy_with(two.world.access(), access(Arc::clone(&to), PASSWORD));
            partly += usize::from(result.is_ok_and(|report| !report.problems.is_empty()));
            let what = format!("{mode:?} at call {at} on the copy");
            if mode == Mode::Tear {
                torn(&two, &second, &what);
            } else {
                complete(&two, &second, &what);
            }
        }
    }
    assert!(stride > 29 || partly > 0, "none of {calls_from} and {calls_to} calls ended partly");
}

/// What was interrupted shows nothing wrong, and the next run ends it.
fn complete(two: &Two, second: &Arc<MemoryStore>, what: &str) {
    let to = || access(Arc::clone(second), PASSWORD);
    assert_eq!(problems(&two.world, to()), Vec::<String>::new(), "{what}: before the next run");
    let report = two.copy_with(two.world.access(), to());
    let report = report.unwrap_or_else(|error| panic!("{what}: {error}: {:?}", grap::causes(&error)));
    assert_eq!(report.problems, Vec::<String>::new(), "{what}");
    assert_eq!(two.rows(to()), two.rows(two.world.access()), "{what}");
    assert_eq!(two.windows(to()), two.windows(two.world.access()), "{what}");
    assert_eq!(problems(&two.world, to()), Vec::<String>::new(), "{what}");
    for (id, ..) in two.rows(to()) {
        assert!(is_good(second, &id), "{what}: {id} has no verdict");
    }
}

/// Half an object under its final name is damage that nobody can mend without deleting. It is named, and what does not
/// need it is there.
fn torn(two: &Two, second: &Arc<MemoryStore>, what: &str) {
    let to = || access(Arc::clone(second), PASSWORD);
    match two.copy_with(two.world.access(), to()) {
        Ok(report) if report.problems.is_empty() => {
            assert_eq!(two.rows(to()), two.rows(two.world.access()), "{what}");
            assert_eq!(two.windows(to()), two.windows(two.world.access()), "{what}");
        }
        Ok(_) => assert!(!problems(&two.world, to()).is_empty(), "{what}: it says that something is wrong"),
        // The record of whose copy it is, or of a source.
        Err(error) => assert_eq!(error.code(), Code::BackupCorrupted, "{what}: {error}"),
    }
}

fn is_good(second: &Arc<MemoryStore>, id: &str) -> bool {
    let repository = Repository::open(Box::new(Arc::clone(second)), &SecretString::from(PASSWORD)).unwrap();
    let source = "neo4j".parse().unwrap();
    let notes = grap::notes::Notes::list(&repository, &source).unwrap();
    let standing = notes.standing(&id.parse().unwrap()).unwrap();
    standing.verdict() == Some(grap_core::Verdict::Verified)
}

/// A pack, a segment, a start, a snapshot, damaged where it is copied from: named; the others are copied.
#[test]
fn what_is_damaged_here_is_named_and_the_rest_is_copied() {
    let flip = |world: &World, name: &str| {
        let path = world.path("repository").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    };
    let two = Two::new();
    let segment = "grap/log/neo4j/0000000002/neo4j/00000000000000000096";
    flip(&two.world, segment);
    let report = two.copy().unwrap();
    assert!(report.problems.iter().any(|problem| problem.contains("00000000000000000096")), "{report:?}");
    let (report, error) = report.into_result().unwrap_err();
    assert_eq!((error.code(), error.code().exit_status()), (Code::CopiedPartly, 3));
    assert_eq!((report.copied.len(), report.starts), (2, 2));
    assert_eq!(two.windows(two.to()).contains("hole"), two.windows(two.world.access()).contains("hole"));
    assert_eq!(two.restore(two.to(), "tx=95"), 95);

    // A merged one: its parts are copied in its place.
    let two = Two::new();
    let folder = two.world.path("repository/grap/log/neo4j/0000000001/neo4j");
    let merged =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let merged = merged.into_iter().find(|name| name.contains('-')).unwrap();
    flip(&two.world, &format!("grap/log/neo4j/0000000001/neo4j/{merged}"));
    let report = two.copy().unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(two.windows(two.to()), two.windows(two.world.access()));

    // A snapshot; and every pack in turn, of which at least one hurts only one backup.
    let two = Two::new();
    let snapshot =
        std::fs::read_dir(two.world.path("repository/snapshots")).unwrap().next().unwrap().unwrap();
    flip(&two.world, &format!("snapshots/{}", snapshot.file_name().into_string().unwrap()));
    let report = two.copy().unwrap();
    assert_eq!((report.copied.len(), report.problems.len()), (1, 1), "{report:?}");

    let two = Two::new();
    let store = LocalStore::open(two.world.path("repository"));
    let mut hurt = Vec::new();
    for pack in store.list("data").unwrap() {
        flip(&two.world, &pack.name);
        let second = copy_of(&two.second);
        let report = two.copy_with(two.world.access(), access(Arc::clone(&second), PASSWORD)).unwrap();
        assert_eq!(report.copied.len() + report.problems.len(), 2, "{report:?}");
        assert!(report.problems.iter().all(|problem| problem.contains(pack.base_name())), "{report:?}");
        assert!(report.copied.iter().all(|copied| copied.verified));
        assert_eq!(problems(&two.world, access(Arc::clone(&second), PASSWORD)), Vec::<String>::new());
        hurt.push(report.problems.len());
        flip(&two.world, &pack.name);
    }
    assert!(hurt.contains(&1) && hurt.contains(&2), "{hurt:?}");
}

/// Histories are not mixed: another repository's copy, one with something of its own, itself, one that has gone its own
/// way. A copy of a copy is one.
#[test]
fn nothing_is_mixed() {
    let code = |result: Result<CopyReport>| result.map(drop).unwrap_err().code();
    let two = Two::new();
    assert_eq!(code(two.copy_with(two.world.access(), two.world.access())), Code::CopyMixed);
    let none = Arc::new(MemoryStore::default());
    assert_eq!(code(two.copy_with(two.world.access(), access(none, PASSWORD))), Code::CopyTargetMissing);
    let wrong = access(Arc::clone(&two.second), "wrong");
    assert_eq!(code(two.copy_with(two.world.access(), wrong)), Code::WrongPassword);
    two.copy().unwrap();
    // Back from the copy: the original holds backups of its own.
    assert_eq!(code(two.copy_with(two.to(), two.world.access())), Code::CopyMixed);
    let other = Two::new();
    assert_eq!(code(other.copy_with(other.world.access(), two.to())), Code::CopyMixed);
    // On from the copy: the third gives the same answers.
    let third = empty_second(&two.world, "neo4j");
    two.copy_with(two.to(), access(Arc::clone(&third), PASSWORD)).unwrap();
    two.assert_same(|| access(Arc::clone(&third), PASSWORD));
    assert_eq!(code(two.copy_with(two.world.access(), access(third, PASSWORD))), Code::CopyMixed);
    // Somebody archives into the copy: the next run of the original has the same number, and is another one.
    let repository =
        Repository::open(Box::new(Arc::clone(&two.second)), &SecretString::from(PASSWORD)).unwrap();
    let archive = grap::archive::Archive::new(repository, "neo4j".parse().unwrap());
    let mut start = archive.start(RunNumber(2)).unwrap().unwrap();
    start.nonce = "another".to_owned();
    archive.put_start(RunNumber(3), &start).unwrap();
    two.copy().unwrap();
    let parent =
        two.log.iter().find(|logged| logged.transaction.id.0 == 120).unwrap().transaction.end_point();
    Start::new(3, parent.commit_time.0 + 1).behind("neo4j", (2, parent), None).put(&two.world);
    assert_eq!(code(two.copy()), Code::CopyMixed);
}

/// A hold travels before its backup, its release after it; what one side lets go alone stays so.
#[test]
fn holds_travel() {
    let two = Two::new();
    let held = two.rows(two.world.access())[0].0.clone();
    let hold = |access: Access, reason: &str| {
        let options = HoldOptions { backup: held.parse().unwrap(), source: None, reason: reason.to_owned() };
        ops::hold(&options, access, &two.world.state(), &two.world.session()).unwrap()
    };
    let holds = |access: Access| {
        let repository = access.open().unwrap();
        let source = "neo4j".parse().unwrap();
        let notes = grap::notes::Notes::list(&repository, &source).unwrap();
        let holds = notes.standing(&held.parse().unwrap()).unwrap().holds;
        holds.into_iter().map(|hold| hold.reason).collect::<Vec<_>>()
    };
    let release = |access: Access| {
        ops::release(&held.parse().unwrap(), None, access, &two.world.state(), &two.world.session()).unwrap()
    };
    hold(two.world.access(), "audit");
    two.copy().unwrap();
    two.copy().unwrap();
    assert_eq!(holds(two.to()), ["audit"]);
    // Said there alone, it stays there alone; released there alone, it does not come back.
    hold(two.to(), "theirs");
    two.copy().unwrap();
    assert_eq!(holds(two.to()), ["audit", "theirs"]);
    assert_eq!(holds(two.world.access()), ["audit"]);
    two.world.tick(std::time::Duration::from_secs(1));
    hold(two.world.access(), "audit");
    two.copy().unwrap();
    assert_eq!(holds(two.to()), ["audit", "theirs", "audit"]);
    release(two.to());
    two.copy().unwrap();
    assert_eq!(holds(two.to()), Vec::<String>::new());
    hold(two.world.access(), "again");
    two.copy().unwrap();
    assert_eq!(holds(two.to()), ["again"]);
    release(two.world.access());
    two.copy().unwrap();
    assert_eq!(holds(two.to()), Vec::<String>::new());
}

/// wal-g/wal-g#1768: what is held goes on neither side, by age or by name. What the copy has expired does not come
/// back, neither backups nor log, and nothing that it shows is missing.
#[test]
fn each_side_lets_go_for_itself() {
    let two = Two::new();
    let [first, second] = [0, 1].map(|row| two.rows(two.world.access())[row].0.clone());
    let hold = |reason: &str| {
        let options = HoldOptions { backup: first.parse().unwrap(), source: None, reason: reason.to_owned() };
        ops::hold(&options, two.world.access(), &two.world.state(), &two.world.session()).unwrap();
    };
    hold("audit");
    two.copy().unwrap();
    let options = ops::DeleteOptions { backup: first.parse().unwrap(), source: None, window_days: 1 };
    for access in [two.world.access(), two.to()] {
        let deleted = ops::delete(&options, access, &two.world.state(), &two.world.session());
        assert_eq!(deleted.unwrap_err().code(), Code::BackupHeld);
    }
    let inside = two.log.iter().find(|logged| logged.transaction.id.0 == 100).unwrap();
    let expire = || {
        two.world.begin_window(inside.transaction.commit_time.0);
        ops::expire(&expire_options(), two.to(), &two.world.state(), &two.world.session()).unwrap()
    };
    let folder = "grap/log/neo4j/0000000001/neo4j";
    let ids = || two.rows(two.to()).into_iter().map(|row| row.0).collect::<Vec<_>>();
    let segments = objects(&two.second, folder);
    let report = expire();
    assert!(report.deleted.is_empty() && report.segments > 0, "{report:?}");
    let left = objects(&two.second, folder);
    assert!(left < segments);
    // Nothing comes back, and what is left is whole.
    let again = two.copy().unwrap();
    assert_eq!((again.segments, again.copied.len(), again.expired), (0, 0, 0), "{again:?}");
    assert_eq!(objects(&two.second, folder), left);
    assert_eq!(problems(&two.world, two.to()), Vec::<String>::new());
    assert_eq!((two.restore(two.to(), "tx=110"), two.restore(two.to(), &first)), (110, 60));
    // The release travels; then it goes there, and there alone.
    ops::release(&first.parse().unwrap(), None, two.world.access(), &two.world.state(), &two.world.session())
        .unwrap();
    two.copy().unwrap();
    assert_eq!(expire().deleted.len(), 1);
    let again = two.copy().unwrap();
    assert_eq!((again.copied.len(), again.present, again.expired), (0, 1, 1));
    assert_eq!(ids(), std::slice::from_ref(&second));
    assert_eq!(two.rows(two.world.access()).len(), 2);
    // Whoever holds it here wants it there, too.
    hold("again");
    assert_eq!(two.copy().unwrap().copied.len(), 1);
    assert_eq!(ids(), [first, second]);
    assert!(expire().deleted.is_empty());
    assert_eq!(problems(&two.world, two.to()), Vec::<String>::new());
}

/// What expired here before it was ever copied is not taken for lost there.
#[test]
fn what_expired_before_the_first_copy_is_not_missed() {
    let two = Two::new();
    for (id, ..) in two.rows(two.world.access()) {
        let options =
            VerifyOptions { backup: Some(id.parse().unwrap()), source: None, read_data_percent: None };
        ops::verify(&options, two.world.access(), &two.world.session()).unwrap();
    }
    let inside = two.log.iter().find(|logged| logged.transaction.id.0 == 100).unwrap();
    two.world.begin_window(inside.transaction.commit_time.0);
    let report = two.world.expire().unwrap();
    assert!(report.segments > 0 && report.deleted.len() == 1, "{report:?}");
    two.copy().unwrap();
    assert_eq!(problems(&two.world, two.to()), Vec::<String>::new());
    assert_eq!(two.windows(two.to()), two.windows(two.world.access()));
    assert_eq!(two.restore(two.to(), "tx=101"), 101);
}

/// What a verification found damaged in the copy is stored anew from what is whole here, read, and judged; after that
/// nothing needs the damage, and `gc` there does not take the damaged place for the better one.
#[test]
fn what_is_damaged_in_the_copy_is_mended() {
    let two = Two::new();
    two.copy().unwrap();
    let packs = two.second.list("data").unwrap();
    for pack in packs {
        two.second.damage(&pack.name, |bytes| bytes[40] ^= 1);
        assert!(!problems(&two.world, two.to()).is_empty(), "{}", pack.name);
        let hurt = hurt(&two);
        assert!(!hurt.is_empty(), "{}", pack.name);
        let report = two.copy().unwrap();
        assert_eq!(report.problems, Vec::<String>::new(), "{}", pack.name);
        let mended = |id: &String| report.mended.iter().any(|one| one.verified && one.id.as_str() == id);
        assert!(hurt.iter().all(mended) && report.mended.len() == hurt.len(), "{hurt:?}: {report:?}");
        assert_eq!((report.copied.len(), report.present), (0, 2));
        assert_eq!(problems(&two.world, two.to()).len(), 1, "the pack is as it was");
        assert_eq!(self::hurt(&two), Vec::<String>::new(), "and nothing needs it");
        let again = two.copy().unwrap();
        assert_eq!((again.mended.len(), again.bytes_read, again.bytes_verified), (0, 0, 0), "{again:?}");
        let gc = ops::GcOptions { unused_percent: 0 };
        ops::gc(&gc, two.to(), &two.world.state(), &two.world.session()).unwrap();
        assert!(two.second.get(&pack.name).is_err(), "{} is still there", pack.name);
        assert_eq!(problems(&two.world, two.to()), Vec::<String>::new(), "{}", pack.name);
    }
    two.assert_same(|| two.to());
}

/// A pack that is not there any more needs no verification to be missed; an index does, as nobody knows what it named.
#[test]
fn what_is_lost_in_the_copy_is_mended() {
    let two = Two::new();
    two.copy().unwrap();
    for pack in two.second.list("data").unwrap() {
        two.second.delete(&pack.name).unwrap();
        let report = two.copy().unwrap();
        assert!(report.problems.is_empty() && !report.mended.is_empty(), "{}: {report:?}", pack.name);
        assert!(report.mended.iter().all(|mended| mended.verified), "{}: {report:?}", pack.name);
        problems(&two.world, two.to());
        assert_eq!(hurt(&two), Vec::<String>::new());
    }
    for index in two.second.list("index").unwrap() {
        two.second.delete(&index.name).unwrap();
    }
    problems(&two.world, two.to());
    assert_eq!(hurt(&two).len(), 2);
    let report = two.copy().unwrap();
    assert!(report.problems.is_empty() && report.mended.len() == 2, "{report:?}");
    assert_eq!(hurt(&two), Vec::<String>::new());
    two.assert_same(|| two.to());
}

/// What cannot be read here either is named, each time, and not called whole.
#[test]
fn what_is_damaged_on_both_sides_stays_a_problem() {
    let two = Two::new();
    two.copy().unwrap();
    for pack in two.second.list("data").unwrap() {
        two.second.damage(&pack.name, |bytes| bytes[40] ^= 1);
    }
    problems(&two.world, two.to());
    let hurt = hurt(&two);
    let store = LocalStore::open(two.world.path("repository"));
    for pack in store.list("data").unwrap() {
        let path = two.world.path("repository").join(&pack.name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    for _ in 0..2 {
        let report = two.copy().unwrap();
        assert_eq!((report.mended.len(), report.present), (0, 2), "{report:?}");
        assert!(hurt.iter().all(|id| report.problems.iter().any(|problem| problem.contains(id))));
    }
    assert_eq!(self::hurt(&two), hurt);
}

/// Backups that are there and have no good verdict.
fn hurt(two: &Two) -> Vec<String> {
    let ids = two.rows(two.to()).into_iter().map(|row| row.0);
    ids.filter(|id| !is_good(&two.second, id)).collect()
}

/// With a source, that one alone: the other one's backups, archive, records and holds stay here.
#[test]
fn a_source_that_is_named_is_copied_alone() {
    let two = Two::new();
    let (state, session) = (two.world.state(), two.world.session());
    let other: grap_core::SourceName = "other".parse().unwrap();
    ops::add_source(two.world.access(), &other, &state, &session).unwrap();
    let repository = two.world.access().open().unwrap();
    let archive = grap::archive::Archive::new(repository, "neo4j".parse().unwrap());
    let start = archive.start(RunNumber(1)).unwrap().unwrap();
    let archive = grap::archive::Archive::new(two.world.access().open().unwrap(), other.clone());
    archive.put_start(RunNumber(1), &start).unwrap();
    let named = |name: &str, to: &Arc<MemoryStore>| {
        let options = CopyOptions { source: Some(name.parse().unwrap()), ..options() };
        ops::copy(&options, two.world.access(), access(Arc::clone(to), PASSWORD), &state, &session)
    };
    assert_eq!(named("none", &two.second).map(drop).unwrap_err().code(), Code::SourceUnknown);
    let report = named("neo4j", &two.second).unwrap();
    assert_eq!((report.copied.len(), report.starts), (2, 2));
    assert_eq!(objects(&two.second, "grap/log/other") + objects(&two.second, "grap/sources/other"), 0);
    // The other one, into another repository: none of the first one's.
    let third = Arc::new(MemoryStore::default());
    ops::init(access(Arc::clone(&third), PASSWORD), other, KdfCost::cheapest(), &state, &session).unwrap();
    let report = named("other", &third).unwrap();
    assert_eq!((report.copied.len(), report.starts, report.segments), (0, 1, 0));
    assert_eq!(objects(&third, "grap/log/neo4j") + objects(&third, "snapshots"), 0);
    // And without a name, all.
    assert_eq!(two.copy().unwrap().starts, 1);
    assert_eq!(objects(&two.second, "grap/log/other"), 1);
}

/// It was about to be deleted once, and was not; since then somebody holds it.
#[test]
fn what_is_held_after_all_is_copied() {
    let two = Two::new();
    let id = two.rows(two.world.access())[0].0.clone();
    let repository = two.world.access().open().unwrap();
    let source = "neo4j".parse().unwrap();
    let author =
        grap::notes::Author { at: two.world.now(), host: "host".to_owned(), program: "grap test".to_owned() };
    let expired = |_| grap::notes::NoteKind::Expired { why: Vec::new(), by: "expire".to_owned() };
    grap::notes::put(&repository, &source, &id.parse().unwrap(), &author, expired).unwrap();
    assert_eq!(two.copy().unwrap().copied.len(), 1);
    let options = HoldOptions { backup: id.parse().unwrap(), source: None, reason: "audit".to_owned() };
    ops::hold(&options, two.world.access(), &two.world.state(), &two.world.session()).unwrap();
    assert_eq!(two.copy().unwrap().copied.len(), 1);
}
