//! The journal of the periodic tasks, struck at every local call, while it grows, is torn, and is folded.
//!
//! What was recorded is there afterwards, and nothing else but the one event that was being recorded.

use std::path::Path;

use grap::schedule::ScheduleJournal;
use grap::state::{StateDirectory, StateError};
use grap_core::schedule::{Event, Outcome, Reason, State, Task};
use grap_disk::faults::Mode;
use jiff::Timestamp;

use crate::stride;
use crate::world::{calls, scratch, struck, turn};

/// So many events are there before: the journal is folded within the life of the test.
const BEFORE: i64 = 397;

fn events(from: i64, to: i64) -> Vec<Event> {
    let event = |number: i64| {
        let at = Timestamp::from_second(1_800_000_000 + number).unwrap();
        if number % 2 == 0 {
            Event::Started { task: Task::Backup, at, reason: Reason::Slot { slot: at } }
        } else {
            Event::Ended { task: Task::Backup, at, outcome: Outcome::Succeeded }
        }
    };
    (from..to).map(event).collect()
}

fn open(directory: &Path) -> Result<ScheduleJournal, StateError> {
    ScheduleJournal::open(&StateDirectory::open(directory)?)
}

/// Record them one by one; what cannot be recorded is tried once more, as the scheduler does. The state that was
/// acknowledged, and the event that was not.
fn life(directory: &Path, events: &[Event]) -> (Option<State>, Option<Event>) {
    let Ok(mut journal) = open(directory) else { return (None, None) };
    for event in events {
        if journal.record(event).is_err() && journal.record(event).is_err() {
            return (Some(journal.state().clone()), Some(event.clone()));
        }
    }
    (Some(journal.state().clone()), None)
}

fn enumerate(mode: Mode) {
    let (folder, _turn) = (scratch(), turn());
    let directory = folder.path();
    let path = directory.join("schedule.journal");
    life(directory, &events(0, BEFORE));
    let before = std::fs::read(&path).unwrap();
    let first = open(directory).unwrap().state().clone();
    let rest = events(BEFORE, BEFORE + 7);
    let count = calls(|| assert!(life(directory, &rest).1.is_none())).len();
    assert!(std::fs::read(&path).unwrap().len() < before.len(), "it was folded");
    for at in (1..=count).step_by(stride(1)) {
        std::fs::write(&path, &before).unwrap();
        let ((acknowledged, last), hit) = struck(at, mode, || life(directory, &rest));
        assert!(hit, "call {at} of {count} was not reached");
        let acknowledged = acknowledged.unwrap_or_else(|| first.clone());
        let mut allowed = vec![acknowledged.clone()];
        allowed.extend(last.map(|event| acknowledged.apply(&event).unwrap()));
        let mut journal = open(directory).unwrap_or_else(|error| panic!("call {at} of {count}: {error:?}"));
        assert!(allowed.contains(journal.state()), "call {at} of {count}: {:?}", journal.state());
        for event in journal.state().interrupted(Timestamp::UNIX_EPOCH) {
            journal.record(&event).unwrap();
        }
    }
}

struck_by_every_fault!(enumerate);
