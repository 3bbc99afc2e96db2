//! Directories that are to be there behind a loss of power.

use grap_disk::{Call, faults};

use crate::world::{scratch, turn};

/// The process died between making the last level and syncing it: the next one cannot know, and syncs it.
#[test]
fn a_level_that_was_made_and_not_synced_is_synced_by_the_next() {
    let _turn = turn();
    let folder = scratch();
    let made = folder.path().join("a");
    std::fs::create_dir(&made).unwrap();
    let wanted = made.join("b/c");
    faults::record();
    assert!(grap_disk::make_dirs(&wanted, Some(0o700)).unwrap());
    let steps = faults::clear();
    let synced: Vec<_> =
        steps.iter().filter(|step| step.call == Call::SyncDirectory).map(|step| step.path.clone()).collect();
    assert_eq!(synced, [folder.path().to_owned(), made.clone(), made.join("b")]);
    assert!(!grap_disk::make_dirs(&wanted, Some(0o700)).unwrap());
}
