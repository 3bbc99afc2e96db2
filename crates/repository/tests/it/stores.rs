//! The conformance suite on the stores of this crate.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use grap_repository::object::faulty::Faulty;
use grap_repository::object::memory::MemoryStore;
use grap_repository::object::recording::Recording;
use grap_repository::object::suite::conformance;
use grap_repository::{LocalStore, ObjectError, ObjectStore};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

#[test]
fn a_directory() {
    let dir = tempfile::tempdir().unwrap();
    conformance(&LocalStore::create(dir.path().join("a/b")).unwrap());
    let leftovers = || {
        let list = |path: &std::path::Path| grap_disk::walk(path).unwrap();
        list(dir.path()).into_iter().filter(|entry| entry.path.to_string_lossy().contains("tmp-")).count()
    };
    assert_eq!(leftovers(), 0);
}

/// A mount that went away: nothing is stored beside it, and nothing is taken for empty, missing or deleted. (Whoever lists
/// no snapshots, and a moment later all data, would remove it.)
#[test]
fn where_the_repository_is_gone_nothing_is_said_of_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let (root, away) = (dir.path().join("repository"), dir.path().join("away"));
    let store = LocalStore::create(&root).unwrap();
    store.put("config", &[b"this one"]).unwrap();
    store.put("snapshots/a", &[b"x"]).unwrap();
    std::fs::rename(&root, &away).unwrap();
    let opened = LocalStore::open(&away);
    opened.get("config").unwrap();
    std::fs::rename(&away, dir.path().join("further")).unwrap();

    says_nothing(&store);
    assert!(!root.exists());
    std::fs::create_dir(&root).unwrap();
    says_nothing(&store);
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "an empty mount point stays empty");
    // Whether there is a repository at all is asked so.
    assert!(matches!(store.get("config"), Err(ObjectError::NotFound { .. })));
    // One that lies below the mount point.
    let other = LocalStore::create(&away).unwrap();
    other.put("config", &[b"that one"]).unwrap();
    says_nothing(&opened);
    let told = format!("{:?}", opened.list("snapshots"));
    assert!(told.contains("another repository lies there"), "{told}");
    assert!(other.list("snapshots").unwrap().is_empty());

    for place in [&root, &away] {
        std::fs::remove_dir_all(place).unwrap();
    }
    std::fs::rename(dir.path().join("further"), &root).unwrap();
    assert_eq!(store.list("snapshots").unwrap().len(), 1);
    store.put("grap/log/new", &[b"x"]).unwrap();
    assert!(matches!(store.get("snapshots/b"), Err(ObjectError::NotFound { .. })));
    std::fs::rename(&root, &away).unwrap();
    assert_eq!(opened.list("grap").unwrap().len(), 1);
}

fn says_nothing(store: &LocalStore) {
    let failures = [
        store.put("grap/log/b", &[b"x"]),
        store.put("snapshots/b", &[b"x"]),
        store.list("snapshots").map(drop),
        store.get("snapshots/a").map(drop),
        store.get_range("snapshots/a", 0, 1).map(drop),
        store.size("snapshots/a").map(drop),
        store.delete("snapshots/a"),
        store.make_reserve().map(drop),
        store.release_reserve(),
        store.reserve_missing().map(drop),
        store.remove_leftovers(Timestamp::now()).map(drop),
    ];
    for (call, failure) in failures.into_iter().enumerate() {
        assert!(matches!(failure, Err(ObjectError::Failed { .. })), "{call}: {failure:?}");
    }
}

#[test]
fn of_another_repository_that_lies_there_nothing_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (root, away) = (dir.path().join("repository"), dir.path().join("away"));
    let lay_out = |config: &[u8]| {
        let store = LocalStore::create(&root).unwrap();
        store.put("config", &[config]).unwrap();
        store.put("grap/log/a/1", &[config]).unwrap();
        store.get("config").unwrap();
        store
    };
    let store = lay_out(b"this one");
    std::fs::rename(&root, &away).unwrap();
    let other = lay_out(b"that one");
    let refused = store.delete("grap/log/a/1");
    assert!(matches!(refused, Err(ObjectError::Failed { .. })), "{refused:?}");
    assert_eq!(other.get("grap/log/a/1").unwrap(), b"that one");
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    assert_eq!(store.get("grap/log/a/1").unwrap(), b"this one");
    store.delete("grap/log/a/1").unwrap();
}

/// Whoever hears that it is stored drops what he holds. Here the config is a pipe, so that each look at it waits for
/// an answer of its own: the one before the call finds the repository, the one behind it another.
#[test]
fn what_is_done_while_the_repository_goes_away_is_not_told_as_done() {
    for (exists, put) in [(false, true), (true, true), (true, false)] {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::create(dir.path()).unwrap();
        let (config, object) = (dir.path().join("config"), dir.path().join("snapshots/a"));
        store.put("config", &[b"this one"]).unwrap();
        store.get("config").unwrap();
        if exists {
            store.put("snapshots/a", &[b"x"]).unwrap();
        }
        std::fs::remove_file(&config).unwrap();
        mknodat(CWD, &config, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

        let ended = AtomicBool::new(false);
        let (told, was_done) = std::thread::scope(|scope| {
            let goes_away = scope.spawn(|| {
                answer(&config, b"this one", &ended);
                let was_done = wait_for(|| object.exists() == put);
                // Where it was there before, the first look has to be over: if it is not, it fails as well.
                std::thread::sleep(Duration::from_millis(100));
                answer(&config, b"that one", &ended);
                was_done
            });
            let told = if put { store.put("snapshots/a", &[b"x"]) } else { store.delete("snapshots/a") };
            ended.store(true, Ordering::SeqCst);
            (told, goes_away.join().unwrap())
        });
        assert!(matches!(told, Err(ObjectError::Failed { .. })), "{exists}, {put}: {told:?}");
        assert!(was_done, "the second look is behind the call");
    }
}

/// To who opens the pipe and reads from it, unless it ended without.
fn answer(pipe: &Path, with: &[u8], ended: &AtomicBool) {
    while !ended.load(Ordering::SeqCst) {
        match rustix::fs::open(pipe, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
            Ok(reader) => return std::fs::File::from(reader).write_all(with).unwrap(),
            // Nobody reads.
            Err(rustix::io::Errno::NXIO) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
}

fn wait_for(done: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while !done() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    done()
}

#[test]
fn memory() {
    conformance(&MemoryStore::default());
}

#[test]
fn decorators_change_nothing() {
    conformance(&Faulty::new(Recording::new(MemoryStore::default())));
}

#[test]
fn what_dead_processes_left_is_removed_after_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    store.put("data/00/whole", &[b"x"]).unwrap();
    let leftover = dir.path().join("data/00/tmp-7-1");
    std::fs::write(&leftover, b"half").unwrap();
    assert_eq!(store.list("data").unwrap().len(), 1);
    let now = Timestamp::now();
    assert_eq!(store.remove_leftovers(now).unwrap(), 0);
    assert_eq!(store.remove_leftovers(now + SignedDuration::from_hours(25)).unwrap(), 1);
    assert!(!leftover.exists());
    assert_eq!(store.list("data").unwrap().len(), 1);
}

/// A small file system, until it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            let text = "SKIPPED: that nobody takes the released reserve is NOT shown: no tmpfs can be mounted here\n";
            std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
        }
        mounted.then_some(Self(folder))
    }

    fn available(&self) -> u64 {
        grap_disk::space(self.0.path()).unwrap().available
    }

    /// But for so many bytes.
    fn fill(&self, left: u64) {
        let size = usize::try_from(self.available() - left).unwrap();
        std::fs::write(self.0.path().join("filler"), vec![1; size]).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn what_was_released_for_those_who_give_room_back_no_archiver_takes() {
    let Some(small) = Small::mount() else { return };
    let store = LocalStore::create(small.0.path().join("repository")).unwrap();
    let segment = vec![7; 64 << 10];
    let is_full = |result: Result<(), ObjectError>| matches!(result, Err(ObjectError::Full { .. }));
    // Where there is room nobody asks for a reserve.
    assert!(store.reserve_missing().unwrap() > 1 << 20);
    store.put("grap/log/a/1", &[&segment]).unwrap();
    assert!(store.make_reserve().unwrap());
    assert_eq!(store.reserve_missing().unwrap(), 0);
    small.fill(0);
    store.put("grap/log/a/2", &[&segment]).unwrap_err();

    store.release_reserve().unwrap();
    assert!(small.available() > 1 << 20);
    assert!(is_full(store.put("grap/log/a/2", &[&segment])), "it is for others");
    for name in ["locks/1", "index/1", "grap/log-expired/a/1", "grap/notes/a/1", "data/00/1"] {
        store.put(name, &[&segment]).unwrap();
    }
    // Little was given back: a smaller reserve is made, and what is left is anybody's.
    assert!(store.make_reserve().unwrap());
    store.put("grap/log/a/2", &[&segment]).unwrap();
    // As if whoever released it had been killed behind giving room back.
    std::fs::remove_file(store.root().join("grap-reserve")).unwrap();
    assert!(is_full(store.put("grap/log/a/3", &[&segment])));
    std::fs::remove_file(small.0.path().join("filler")).unwrap();
    store.put("grap/log/a/3", &[&segment]).unwrap();
}
