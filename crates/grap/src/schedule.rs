//! The journal of the periodic tasks: `schedule.journal` in the state directory.
//!
//! An event is durable before anything is done about it, and before it is part of the state that is shown. One
//! process writes (it holds the lock of the daemon). A long journal is put again as one entry, whole or not at
//! all; where that fails it stays long, which harms nothing.
//!
//! One that cannot be read stops neither the archiver nor the schedule: it is set aside, and a new one begins. Slots
//! count from then on, as in a new state directory; what was pending is forgotten, and no backup is touched.

use grap_core::schedule::{Event, Illegal, State};
use grap_disk::{Journal, JournalError};
use jiff::Timestamp;

use crate::state::{SetAside, StateDirectory, StateError};

/// Events until they are folded into one entry. Each append reads what is there.
const ENTRIES_MAX: usize = 400;

#[derive(Debug)]
pub struct ScheduleJournal {
    journal: Journal,
    state: State,
    entries: usize,
    /// An append failed, and may have left its event there all the same.
    unsure: bool,
}

impl ScheduleJournal {
    /// Fold what is there.
    pub fn open(directory: &StateDirectory) -> Result<Self, StateError> {
        let journal = Self::journal(directory);
        let events: Vec<Event> = journal.entries()?;
        let state = fold(&events).map_err(|(entry, source)| StateError::Schedule {
            path: journal.path().to_owned(),
            entry,
            source,
        })?;
        Ok(Self { journal, state, entries: events.len(), unsure: false })
    }

    /// As [`ScheduleJournal::open`]; what cannot be read is set aside.
    pub fn open_or_begin(
        directory: &StateDirectory,
        now: Timestamp,
    ) -> Result<(Self, Option<SetAside>), StateError> {
        let legal = |events: &[Event]| fold(events).is_ok();
        SetAside::or_begin(&Self::journal(directory), now, legal, || Self::open(directory))
    }

    fn journal(directory: &StateDirectory) -> Journal {
        Journal::new(directory.root().join("schedule.journal"), "schedule")
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Durable, and part of the state, when this returns. Where it fails the event is no part of the state; after a
    /// crash it may turn out to be there: the same as if the crash had come a moment later.
    pub fn record(&mut self, event: &Event) -> Result<(), StateError> {
        let state = self.state.clone().apply(event).map_err(|source| StateError::Schedule {
            path: self.journal.path().to_owned(),
            entry: self.entries + 1,
            source,
        })?;
        if self.unsure {
            self.fold()?;
        }
        // A journal that is refused was not touched, and is not to be.
        let append = self.journal.append(event);
        self.unsure = matches!(append, Err(JournalError::Disk(_)));
        append?;
        self.state = state;
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            // It stays long, and is tried again with the next.
            let _ = self.fold();
        }
        Ok(())
    }

    /// One entry in place of all: what the state is.
    fn fold(&mut self) -> Result<(), StateError> {
        self.journal.rewrite(&[Event::Folded { state: self.state.clone() }])?;
        self.entries = 1;
        Ok(())
    }
}

/// What the events come to; else the number of the first one that cannot follow.
fn fold(events: &[Event]) -> Result<State, (usize, Illegal)> {
    let apply = |state: State, (index, event): (usize, &Event)| {
        state.apply(event).map_err(|illegal| (index + 1, illegal))
    };
    events.iter().enumerate().try_fold(State::default(), apply)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use grap_core::schedule::{Outcome, Reason, Task};
    use jiff::Timestamp;

    use super::*;

    fn open(directory: &Path) -> Result<ScheduleJournal, StateError> {
        ScheduleJournal::open(&StateDirectory::open(directory).unwrap())
    }

    fn run(second: i64) -> [Event; 2] {
        let at = Timestamp::from_second(1_800_000_000 + second).unwrap();
        [
            Event::Started { task: Task::Backup, at, reason: Reason::Slot { slot: at } },
            Event::Ended { task: Task::Backup, at, outcome: Outcome::Succeeded },
        ]
    }

    #[test]
    fn a_restart_finds_what_was_recorded_and_a_long_journal_gets_short() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = open(directory.path()).unwrap();
        let mut longest = 0;
        for second in 0..250 {
            for event in run(second) {
                journal.record(&event).unwrap();
            }
            longest = longest.max(journal.entries);
            if second % 50 == 0 {
                assert_eq!(open(directory.path()).unwrap().state(), journal.state(), "{second}");
            }
        }
        assert_eq!(longest, ENTRIES_MAX);
        assert_eq!(journal.entries, 100);
        let again = open(directory.path()).unwrap();
        assert_eq!((again.state(), again.entries), (journal.state(), 100));
    }

    #[test]
    fn a_torn_last_line_was_never_acknowledged_and_an_earlier_bad_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = open(directory.path()).unwrap();
        let [started, ended] = run(0);
        journal.record(&started).unwrap();
        let before = journal.state().clone();
        journal.record(&ended).unwrap();
        let path = directory.path().join("schedule.journal");
        let whole = grap_disk::read(&path, 1 << 20).unwrap();
        grap_disk::replace(&path, &[&whole[..whole.len() - 9]]).unwrap();
        assert_eq!(open(directory.path()).unwrap().state(), &before);
        let mut flipped = whole;
        flipped[40] ^= 1;
        grap_disk::replace(&path, &[&flipped]).unwrap();
        let error = open(directory.path()).unwrap_err();
        assert!(matches!(error, StateError::Journal(JournalError::Damaged { .. })), "{error}");
        let state = StateDirectory::open(directory.path()).unwrap();
        let now = "2026-11-26T01:02:03.5Z".parse().unwrap();
        let (mut journal, aside) = ScheduleJournal::open_or_begin(&state, now).unwrap();
        let aside = aside.unwrap();
        assert_eq!(aside.path, directory.path().join("schedule.journal.damaged-20261126-010203.500"));
        assert!(aside.why.contains("line 2"), "{}", aside.why);
        assert_eq!(grap_disk::read(&aside.path, 1 << 20).unwrap(), flipped);
        assert_eq!(state.set_aside().unwrap(), ["schedule.journal.damaged-20261126-010203.500"]);
        assert_eq!(journal.state(), &State::default());
        journal.record(&started).unwrap();
        let (journal, aside) = ScheduleJournal::open_or_begin(&state, now).unwrap();
        assert_eq!((journal.state(), aside), (&before, None));
    }

    #[test]
    fn entries_that_cannot_follow_on_each_other_are_refused_by_number() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = open(directory.path()).unwrap();
        let [started, ended] = run(0);
        assert!(matches!(journal.record(&ended), Err(StateError::Schedule { entry: 1, .. })));
        journal.record(&started).unwrap();
        assert!(journal.record(&started).is_err());
        let raw = Journal::new(directory.path().join("schedule.journal"), "schedule");
        raw.append(&started).unwrap();
        assert!(matches!(open(directory.path()), Err(StateError::Schedule { entry: 2, .. })));
        let state = StateDirectory::open(directory.path()).unwrap();
        let (_, aside) = ScheduleJournal::open_or_begin(&state, Timestamp::UNIX_EPOCH).unwrap();
        assert!(aside.unwrap().why.contains("entry 2"));
    }
}
