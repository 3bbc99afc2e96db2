//! The journal of recoveries: `recovery.journal` in the state directory; that of drills, `drill.journal`, is another of
//! the same kind.
//!
//! An event is durable before it is part of the state. One process writes: it holds the lock of the job. Others read; a
//! last line that is being written they do not see.
//!
//! Recoveries that ended stay in it, as its history, until there are many: then, before a new one begins, the oldest go.

use std::collections::BTreeSet;

use grap_core::recovery::{Event, Illegal, RecoveryId, State, What, apply};
use grap_disk::{self as disk, Journal};
use jiff::Timestamp;

use super::Lane;
use crate::error::Error;
use crate::state::{SetAside, StateDirectory, StateError};

/// More are cut to half of it when a recovery begins. Each append reads what is there.
const ENTRIES_MAX: usize = 1000;
/// A journal of that many is smaller.
const ROOM: u64 = 16 << 20;

#[derive(Debug)]
pub struct RecoveryJournal {
    journal: Journal,
    lane: Lane,
    state: State,
    entries: usize,
    ids: BTreeSet<RecoveryId>,
}

impl RecoveryJournal {
    /// Fold what is there.
    pub fn open(directory: &StateDirectory, lane: Lane) -> Result<Self, StateError> {
        let journal = Self::journal(directory, lane);
        let events: Vec<Event> = journal.entries()?;
        let state = fold(&events).map_err(|(entry, source)| StateError::Recovery {
            path: journal.path().to_owned(),
            entry,
            source,
        })?;
        Ok(Self { journal, lane, state, entries: events.len(), ids: ids(&events) })
    }

    /// As [`RecoveryJournal::open`]; what cannot be read is set aside. Only for whoever has seen to it that no candidate
    /// is left which nobody would find again.
    pub fn open_or_begin(
        directory: &StateDirectory,
        lane: Lane,
        now: Timestamp,
    ) -> Result<(Self, Option<SetAside>), StateError> {
        let legal = |events: &[Event]| fold(events).is_ok();
        SetAside::or_begin(&Self::journal(directory, lane), now, legal, || Self::open(directory, lane))
    }

    fn journal(directory: &StateDirectory, lane: Lane) -> Journal {
        Journal::new(directory.root().join(format!("{}.journal", lane.name())), lane.name())
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// For what is noted between the stop of a live server and its start.
    pub(super) fn require_room(&self) -> crate::Result<()> {
        let free = disk::space(self.journal.path())?.available;
        if free >= ROOM {
            return Ok(());
        }
        Err(Error::NoRoomForJournal { path: self.journal.path().to_owned(), free, wanted: ROOM })
    }

    /// Every event, oldest first.
    pub fn history(&self) -> Result<Vec<Event>, StateError> {
        Ok(self.journal.entries()?)
    }

    /// An id that no recovery has had.
    pub fn next_id(&self, now: Timestamp) -> RecoveryId {
        RecoveryId::choose(self.lane.kind(), now, |id| self.ids.contains(id))
    }

    /// Durable, and part of the state, when this returns. Where it fails nobody knows whether the event is there: the
    /// journal is to be opened again before anything else is done.
    pub(super) fn record(&mut self, event: &Event) -> Result<(), StateError> {
        let next = apply(self.state.clone(), event).map_err(|source| StateError::Recovery {
            path: self.journal.path().to_owned(),
            entry: self.entries + 1,
            source,
        })?;
        if let Some(id) = begins(event) {
            // What a rollback replaces stands until it has begun.
            if self.state == State::Idle {
                self.shorten()?;
            }
            self.ids.insert(id.clone());
        }
        self.journal.append(event)?;
        self.state = next;
        self.entries += 1;
        Ok(())
    }

    /// Between two recoveries: what is left begins with the beginning of one.
    fn shorten(&mut self) -> Result<(), StateError> {
        if self.entries <= ENTRIES_MAX {
            return Ok(());
        }
        let events: Vec<Event> = self.journal.entries()?;
        let behind = events.len().saturating_sub(ENTRIES_MAX / 2);
        let cut =
            (behind..events.len()).find(|index| begins(&events[*index]).is_some()).unwrap_or(events.len());
        self.journal.rewrite(&events[cut..])?;
        self.entries = events.len() - cut;
        Ok(())
    }
}

fn ids(events: &[Event]) -> BTreeSet<RecoveryId> {
    events.iter().filter_map(begins).cloned().collect()
}

/// Which recovery, or rollback, begins with it.
fn begins(event: &Event) -> Option<&RecoveryId> {
    match &event.what {
        What::Begun { id, .. } | What::RollbackBegun { id, .. } | What::SwitchFound { id, .. } => Some(id),
        _ => None,
    }
}

/// What the events come to; else the number of the first one that cannot follow.
fn fold(events: &[Event]) -> Result<State, (usize, Illegal)> {
    let step = |state, (index, event)| apply(state, event).map_err(|illegal| (index + 1, illegal));
    events.iter().enumerate().try_fold(State::Idle, step)
}
