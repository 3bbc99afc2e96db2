//! The follower on directories that a test plays server in.

use std::path::{Path, PathBuf};

use grap_core::PinBudget;
use grap_neo4j::files::LogFile;
use grap_task::ManualClock;

use super::*;
use crate::live::Configuration;

/// `neo4j` and `system`, each with an empty store; the run that is there is told.
struct World {
    folder: tempfile::TempDir,
    run: ManualRun,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for database in ["neo4j", "system"] {
            for side in ["databases", "transactions"] {
                std::fs::create_dir_all(folder.path().join(side).join(database)).unwrap();
            }
        }
        let clock = ManualClock::at("2026-11-25T02:00:00Z".parse().unwrap());
        Self { folder, run: ManualRun::new("a"), clock }
    }

    fn installation(&self) -> Installation {
        Installation {
            home: None,
            configuration: Configuration::default(),
            configuration_text: None,
            data: self.folder.path().to_owned(),
            transactions: self.folder.path().join("transactions"),
            databases: vec!["neo4j".into(), "system".into()],
        }
    }

    fn options(&self) -> FollowOptions {
        FollowOptions {
            probe: RunProbe::Manual(self.run.clone()),
            pace: Pace::OnDemand,
            clock: Clock::Manual(self.clock.clone()),
            budget: None,
        }
    }

    fn start(&self) -> Follower {
        Follower::start(&self.installation(), &self.options()).unwrap()
    }

    fn log(&self, version: u64) -> PathBuf {
        let name = LogFile::Transactions(LogVersion(version)).to_string();
        self.folder.path().join("transactions/neo4j").join(name)
    }

    /// The server makes a log file of `neo4j`.
    fn write(&self, version: u64, content: &str) {
        std::fs::write(self.log(version), content).unwrap();
    }

    /// The server prunes it.
    fn prune(&self, version: u64) {
        std::fs::remove_file(self.log(version)).unwrap();
    }

    /// The names below `.grap/pins`.
    fn pins(&self) -> Vec<String> {
        let pins = self.folder.path().join(".grap/pins");
        let entries = disk::walk(&pins).unwrap_or_default();
        let names = entries.iter().map(|entry| entry.path.strip_prefix(&pins).unwrap());
        names.map(|name| name.to_str().unwrap().to_owned()).collect()
    }

    fn folders(&self) -> Vec<String> {
        self.pins().into_iter().filter(|name| name.starts_with("archive-") && !name.contains('/')).collect()
    }

    fn pin_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(".grap/pins").join(name)
    }
}

fn read(file: &PinnedFile) -> String {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut file.open().unwrap(), &mut text).unwrap();
    text
}

/// Each run with the contents of its files of `neo4j`.
fn held(follower: &Follower) -> Vec<(String, bool, Vec<String>)> {
    let runs = follower.runs();
    let row = |run: &HeldRun| {
        let files = run.files("neo4j").into_iter().map(|file| format!("{}:{}", file.version(), read(&file)));
        let told = serde_json::to_value(&run.identity).unwrap()["boot"].as_str().unwrap().to_owned();
        (told, run.present, files.collect())
    };
    runs.iter().map(row).collect()
}

fn row(run: &str, present: bool, files: &[&str]) -> (String, bool, Vec<String>) {
    (run.to_owned(), present, files.iter().map(ToString::to_string).collect())
}

#[test]
fn what_the_server_deletes_stays_readable_and_outlives_the_follower() {
    let world = World::new();
    world.write(1, "one");
    world.write(2, "two");
    std::fs::write(world.folder.path().join("transactions/neo4j/checkpoint.0"), "c").unwrap();
    let follower = world.start();
    world.write(3, "three");
    follower.look().unwrap();
    world.prune(1);
    assert_eq!(held(&follower), [row("a", true, &["1:one", "2:two", "3:three"])]);
    assert!(matches!(follower.mode(), PinMode::Links(path) if path == world.pin_folder("archive-1")));
    drop(follower);
    world.prune(2);

    let next = world.start();
    assert_eq!(held(&next), [row("a", true, &["3:three"])], "nothing is adopted before the claim");
    assert_eq!(next.claim("here").unwrap(), 1);
    assert_eq!(held(&next), [row("a", true, &["1:one", "2:two", "3:three"])]);
    assert_eq!(next.claim("here").unwrap(), 0);
    let live: Vec<_> = next.live("neo4j").unwrap().into_iter().map(|(version, _)| version.0).collect();
    assert_eq!(live, [3]);
    assert!(matches!(next.live("other"), Err(FollowError::UnknownDatabase { .. })));
}

#[test]
fn another_run_of_the_server_is_another_history() {
    let world = World::new();
    world.write(1, "one");
    drop(world.start());
    world.run.set("b");
    world.write(2, "two");
    let follower = world.start();
    assert_eq!(follower.claim("here").unwrap(), 1);
    let expected = [row("a", false, &["1:one"]), row("b", true, &["1:one", "2:two"])];
    assert_eq!(held(&follower), expected);
    let inodes: Vec<_> = follower.runs().iter().map(|run| run.files("neo4j")[0].inode).collect();
    assert_eq!(inodes[0], inodes[1], "a file that lay there in both runs joins them");

    drop(follower);
    let next = world.start();
    assert_eq!(next.claim("here").unwrap(), 2);
    assert_eq!(held(&next), expected);
}

#[test]
fn folders_of_other_archives_and_of_the_living_are_left() {
    let world = World::new();
    world.write(1, "one");
    let other = world.start();
    other.claim("elsewhere").unwrap();
    drop(other);
    let living = world.start();
    let before = world.pins();
    let follower = world.start();
    assert_eq!(follower.claim("here").unwrap(), 0);
    let reasons: Vec<_> = follower.left().into_iter().map(|left| (left.path, left.reason)).collect();
    let expected = [
        (world.pin_folder("archive-1"), LeftReason::OtherOwner("elsewhere".into())),
        (world.pin_folder("archive-2"), LeftReason::Held),
    ];
    assert_eq!(reasons, expected);
    assert!(before.iter().all(|name| world.pins().contains(name)));
    assert!(!world.pin_folder("archive-2/owner").exists());

    drop(living);
    assert_eq!(follower.claim("here").unwrap(), 1);
    assert_eq!(follower.left().len(), 1);
    assert!(matches!(follower.claim("elsewhere"), Err(FollowError::OtherOwner { .. })));
}

#[test]
fn a_file_seen_while_the_run_changed_goes_over_to_the_newer() {
    let world = World::new();
    world.write(1, "one");
    let follower = world.start();
    // The server is restarted between two looks, and makes a file that is linked before that is seen.
    world.run.set("b");
    world.write(2, "two");
    follower.look().unwrap();
    assert_eq!(held(&follower), [row("a", false, &["1:one"]), row("b", true, &["1:one", "2:two"])]);
    let pins = world.pins();
    let links =
        |folder: &str| pins.iter().filter(|name| name.starts_with(folder) && name.contains(".db.")).count();
    assert_eq!((links("archive-1/"), links("archive-2/")), (1, 2), "{pins:?}");
}

#[test]
fn what_is_in_doubt_is_held_until_the_newer_run_has_a_folder() {
    let world = World::new();
    world.write(1, "one");
    let follower = world.start();
    let gate = disk::FileLock::try_exclusive(&world.pin_folder("gate")).unwrap();
    world.run.set("b");
    world.write(2, "two");
    world.write(3, "three");
    assert!(matches!(follower.look(), Err(FollowError::GateShut { .. })));
    assert_eq!(held(&follower), [row("a", true, &["1:one"])], "what is in doubt is not shown");
    drop(gate);
    world.prune(2);

    // A link that cannot go over does not make a folder in each look.
    let link = disk::walk(&world.pin_folder("archive-1")).unwrap();
    let link = &link.iter().find(|entry| entry.path.to_str().unwrap().contains(".db.3.")).unwrap().path;
    std::fs::remove_file(link).unwrap();
    std::fs::create_dir(link).unwrap();
    assert!(follower.look().is_err());
    assert!(follower.look().is_err());
    assert_eq!(world.folders(), ["archive-1", "archive-2"]);
    std::fs::remove_dir(link).unwrap();
    std::fs::hard_link(world.log(3), link).unwrap();

    world.prune(3);
    follower.look().unwrap();
    let b = row("b", true, &["1:one", "2:two", "3:three"]);
    assert_eq!(held(&follower), [row("a", false, &["1:one"]), b]);
}

#[test]
fn the_two_newest_stay_when_everything_is_stored() {
    let world = World::new();
    for version in 1..=4 {
        world.write(version, "x");
    }
    drop(world.start());
    let follower = world.start();
    follower.claim("here").unwrap();
    assert_eq!(world.folders(), ["archive-2"], "what is held twice is held once after the claim");
    follower.stored_below(&follower.present_run().unwrap(), "neo4j", LogVersion(2)).unwrap();
    follower.look().unwrap();
    assert_eq!(held(&follower), [row("a", true, &["2:x", "3:x", "4:x"])], "though 1 is live");
    follower.stored_below(&follower.present_run().unwrap(), "neo4j", LogVersion(9)).unwrap();
    follower.look().unwrap();
    assert_eq!(held(&follower), [row("a", true, &["3:x", "4:x"])]);
    assert_eq!(world.pins().iter().filter(|name| name.contains(".db.")).count(), 2);

    // Another run knows nothing of what was stored under this one.
    world.run.set("b");
    follower.look().unwrap();
    let all = ["1:x", "2:x", "3:x", "4:x"];
    assert_eq!(held(&follower), [row("a", false, &["3:x", "4:x"]), row("b", true, &all)]);
}

#[test]
fn an_adopted_folder_of_the_present_run_gives_up_what_is_stored_too() {
    let world = World::new();
    world.write(1, "one");
    world.write(2, "two");
    drop(world.start());
    world.prune(1);
    world.write(3, "three");
    let follower = world.start();
    follower.claim("here").unwrap();
    assert_eq!(held(&follower), [row("a", true, &["1:one", "2:two", "3:three"])]);
    assert_eq!(world.folders().len(), 2);
    follower.stored_below(&follower.present_run().unwrap(), "neo4j", LogVersion(2)).unwrap();
    assert_eq!(held(&follower), [row("a", true, &["2:two", "3:three"])]);
    assert_eq!(world.folders(), ["archive-2"]);
}

#[test]
fn an_earlier_run_goes_as_a_whole() {
    let world = World::new();
    world.write(1, "one");
    drop(world.start());
    let follower = world.start();
    world.run.set("b");
    follower.look().unwrap();
    follower.claim("here").unwrap();
    let runs = follower.runs();
    assert_eq!((runs.len(), world.folders().len()), (2, 3));
    assert!(matches!(follower.drop_run(&runs[1].identity), Err(FollowError::RunIsPresent)));
    follower.drop_run(&runs[0].identity).unwrap();
    assert_eq!(held(&follower), [row("b", true, &["1:one"])]);
    assert_eq!(world.folders(), ["archive-3"]);
}

#[test]
fn a_file_made_anew_in_one_run_is_held_beside_the_first() {
    let world = World::new();
    world.write(1, "one");
    world.write(2, "first");
    let follower = world.start();
    world.prune(2);
    world.write(2, "second");
    follower.look().unwrap();
    let expected = [row("a", true, &["1:one", "2:first", "2:second"])];
    assert_eq!(held(&follower), expected);
    follower.stored_below(&follower.present_run().unwrap(), "neo4j", LogVersion(9)).unwrap();
    assert_eq!(held(&follower), expected, "the two newest versions stay with all that they are");
    drop(follower);
    world.prune(2);
    world.write(3, "three");
    let next = world.start();
    next.claim("here").unwrap();
    assert_eq!(held(&next), [row("a", true, &["1:one", "2:first", "2:second", "3:three"])]);
}

#[test]
fn beyond_the_budget_the_old_stay_and_the_new_are_told() {
    let world = World::new();
    let block = "x".repeat(4096);
    for version in 1..=3 {
        world.write(version, &block);
    }
    let budget = Some(PinBudget { held_max: 4096, free_min: 0 });
    let follower =
        Follower::start(&world.installation(), &FollowOptions { budget, ..world.options() }).unwrap();
    // A second folder with the same links, as of a backup: it changes nothing.
    let second = world.start();
    world.prune(1);
    follower.look().unwrap();
    assert!(follower.held_back().allows());
    world.prune(2);
    world.write(4, &block);
    follower.look().unwrap();
    let gap = follower.gap().expect("4 is not pinned");
    assert_eq!((gap.database.as_str(), gap.version, gap.held_back.bytes), ("neo4j", LogVersion(4), 8192));
    let versions = |follower: &Follower| -> Vec<u64> {
        follower.runs().last().unwrap().files("neo4j").iter().map(|file| file.version()).collect()
    };
    assert_eq!(versions(&follower), [1, 2, 3]);

    // A new run of the server: what is held already is held for it, too, and nothing else.
    world.run.set("b");
    follower.look().unwrap();
    assert_eq!(versions(&follower), [3]);

    // It is counted once.
    world.prune(3);
    follower.look().unwrap();
    assert_eq!(follower.held_back().bytes, 3 * 4096);
    let runs = follower.runs();
    follower.drop_run(&runs[0].identity).unwrap();
    follower.look().unwrap();
    assert_eq!(versions(&follower), [3, 4]);
    assert_eq!((follower.held_back().bytes, follower.gap()), (4096, Some(gap)));
    follower.clear_gap();
    assert_eq!(follower.gap(), None);
    drop(second);
}

fn until(condition: impl Fn() -> bool) {
    let pause = Stop::new();
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        pause.wait(Duration::from_millis(1));
    }
    panic!("it did not come");
}

#[test]
fn the_thread_pins_and_ends() {
    let world = World::new();
    world.write(1, "one");
    let pace = Pace::Every(Duration::from_millis(1));
    let follower =
        Follower::start(&world.installation(), &FollowOptions { pace, ..world.options() }).unwrap();
    world.write(2, "two");
    until(|| follower.runs()[0].files("neo4j").len() == 2);
    // What goes wrong in the thread is told, and it goes on.
    let logs = world.folder.path().join("transactions/system");
    std::fs::remove_dir(&logs).unwrap();
    std::fs::write(&logs, "").unwrap();
    until(|| follower.shared.lock().failure.is_some());
    world.write(3, "three");
    until(|| follower.runs()[0].files("neo4j").len() == 3);
    std::fs::remove_file(&logs).unwrap();
    std::fs::create_dir(&logs).unwrap();
    assert!(follower.look().is_err());
    follower.look().unwrap();
    drop(follower);
}

#[test]
fn a_file_that_cannot_be_held_does_not_stand_in_the_way_of_others() {
    let world = World::new();
    let follower = world.start();
    std::fs::create_dir(world.log(0)).unwrap();
    world.write(1, "one");
    assert!(follower.look().is_err());
    assert_eq!(held(&follower), [row("a", true, &["1:one"])]);
}

#[test]
fn without_links_the_files_are_held_open() {
    let world = World::new();
    for root in [world.folder.path().to_owned(), world.folder.path().join("transactions")] {
        std::fs::write(root.join(".grap"), "in the way").unwrap();
    }
    world.write(1, "one");
    let follower = world.start();
    assert!(matches!(follower.mode(), PinMode::Descriptors(_)));
    world.run.set("b");
    world.write(2, "two");
    follower.look().unwrap();
    world.prune(1);
    let expected = [row("a", false, &["1:one"]), row("b", true, &["1:one", "2:two"])];
    assert_eq!(held(&follower), expected);
    assert_eq!(follower.claim("here").unwrap(), 0);
    follower.drop_run(&follower.runs()[0].identity).unwrap();
    assert_eq!(held(&follower), [row("b", true, &["1:one", "2:two"])]);
}

#[test]
fn what_killed_starts_leave_is_rubbish_unless_it_holds_links() {
    let world = World::new();
    world.write(1, "one");
    drop(world.start());
    let spoil = |name: &str, change: fn(&Path)| {
        let folder = world.pin_folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        change(&folder);
    };
    spoil("archive-1", |folder| std::fs::write(folder.join("run"), "{").unwrap());
    spoil("archive-2", |folder| std::fs::write(folder.join("tmp-12"), "{\"ver").unwrap());
    spoil("archive-3", |folder| std::fs::write(folder.join("notes"), "not ours").unwrap());
    let follower = world.start();
    assert_eq!(follower.claim("here").unwrap(), 0);
    assert_eq!(world.folders(), ["archive-1", "archive-3", "archive-4"]);
    let left = follower.left();
    assert!(matches!(left[0].reason, LeftReason::RunUnreadable(_)), "{left:?}");
    assert!(matches!(left[1].reason, LeftReason::Failed(_)), "{left:?}");
    assert!(world.pin_folder("archive-3/notes").exists());
    assert!(world.pin_folder("archive-1/run").exists());
    assert_eq!(held(&follower), [row("a", true, &["1:one"])]);
}

#[test]
fn two_times_without_a_server_are_told_apart_by_what_it_left() {
    let world = World::new();
    let checkpoint = world.folder.path().join("transactions/neo4j/checkpoint.0");
    std::fs::write(&checkpoint, "c").unwrap();
    let options = FollowOptions { probe: RunProbe::System, ..world.options() };
    let follower = Follower::start(&world.installation(), &options).unwrap();
    let first = follower.present_run().unwrap();
    assert!(!first.has_server());
    assert_eq!(follower.present_run().unwrap(), first);
    disk::set_times(&checkpoint, 1_800_000_000_000_000_000).unwrap();
    let second = follower.present_run().unwrap();
    assert_ne!(second, first);
    std::fs::write(world.folder.path().join("databases/system/id-buffer.tmp.0"), "").unwrap();
    assert_ne!(follower.present_run().unwrap(), second);
}

#[test]
fn a_copy_is_another_place() {
    let (here, there) = (World::new(), World::new());
    let (follower, other) = (here.start(), there.start());
    assert_eq!(follower.place().unwrap(), here.start().place().unwrap());
    assert_ne!(follower.place().unwrap(), other.place().unwrap());
}
