//! The journal: what it refuses, and that it does not grow for ever.

use grap::Code;
use grap::recovery::{Lane, RecoveryJournal, unreadable};
use grap_core::recovery::{State, Status};

use crate::world::World;

#[test]
fn one_that_cannot_be_read_is_refused_and_set_aside_only_by_word() {
    let world = World::new();
    drop(world.begin().unwrap());
    world.go_on();
    let path = world.directory.root().join("recovery.journal");
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[60] ^= 1;
    // One entry out of the middle: each line is whole, and the events cannot follow on each other.
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let without_one: Vec<u8> = [&lines[..3], &lines[4..]].concat().concat();
    let told = || unreadable(&world.directory, Lane::Recovery);
    assert_eq!(told().unwrap(), None);
    for (bytes, why) in [(flipped, "line 2"), (without_one, "entry 3")] {
        std::fs::write(&path, &bytes).unwrap();
        let error = world.open().unwrap_err();
        assert_eq!(error.code(), Code::StateUnusable);
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert!(told().unwrap().unwrap().contains(why));
    }
    // A disk that does not answer is no third journal.
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(told().is_err());
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    let now = world.clock.now();
    let (journal, aside) = RecoveryJournal::open_or_begin(&world.directory, Lane::Recovery, now).unwrap();
    assert_eq!(journal.state(), &State::Idle);
    assert!(aside.unwrap().to_string().contains("its candidate lies where it was"));
}

#[test]
fn old_recoveries_go_when_there_are_many() {
    let world = World::new();
    let mut longest = 0;
    for _ in 0..75 {
        let machine = world.run(world.begin().unwrap(), &mut world.fake([], None)).unwrap();
        assert_eq!(machine.state().status(), Status::Success);
        drop(machine);
        world.reset();
        world.things.borrow_mut().restores = 0;
        world.tick();
        longest = longest
            .max(RecoveryJournal::open(&world.directory, Lane::Recovery).unwrap().history().unwrap().len());
    }
    assert!((1000..1100).contains(&longest), "{longest}");
    let journal = RecoveryJournal::open(&world.directory, Lane::Recovery).unwrap();
    assert!(journal.history().unwrap().len() < 800);
    assert_eq!(journal.state(), &State::Idle);
}
