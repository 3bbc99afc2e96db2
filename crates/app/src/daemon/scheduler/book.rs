//! What the scheduler knows, under one lock: the journal, what runs, what has ended and is not recorded yet, and what is
//! to be told.

use std::collections::BTreeMap;
use std::time::Duration;

use grap::schedule::ScheduleJournal;
use grap::state::StateError;
use grap_core::schedule::{Event, Next, Outcome, Run, Running, Task, TaskState, next, observed};
use grap_task::Stop;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LOOK_AT_LEAST;
use super::gate::Gate;
use crate::daemon::timetable::Timetable;

#[derive(Debug)]
pub(crate) enum News {
    /// It is in the journal; so stands its task now.
    Happened(Event, Box<TaskState>),
    /// The clock had been ahead by more than is believed.
    ClockTurnedBack,
    /// The journal cannot be written: nothing new begins.
    NotRecorded(StateError),
}

/// What is shown of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskView {
    pub(crate) task: Task,
    /// `None`: it is off.
    pub(crate) schedule: Option<String>,
    pub(crate) running: Option<Running>,
    pub(crate) last: Option<Run>,
    pub(crate) last_success: Option<Timestamp>,
    /// In a row.
    pub(crate) failures: u32,
    /// It is due, and waits for this one to end.
    pub(crate) waits_for: Option<Task>,
    pub(crate) next: Option<Timestamp>,
}

pub(super) struct Book {
    pub(super) journal: ScheduleJournal,
    pub(super) timetable: Timetable,
    /// Ours and those by hand, each with its stop.
    pub(super) running: BTreeMap<Task, Stop>,
    /// Ended, and not yet recorded.
    pub(super) ended: Vec<(Task, Timestamp, Outcome)>,
    pub(super) news: Vec<News>,
    /// Something has changed since it was last looked.
    pub(super) awake: bool,
    pub(super) ending: bool,
}

impl Book {
    pub(super) fn new(journal: ScheduleJournal, timetable: Timetable) -> Self {
        Self {
            journal,
            timetable,
            running: BTreeMap::new(),
            ended: Vec::new(),
            news: Vec::new(),
            awake: true,
            ending: false,
        }
    }

    pub(super) fn record(&mut self, event: Event) -> Result<(), StateError> {
        self.journal.record(&event)?;
        let task = match &event {
            Event::Scheduled { task, .. }
            | Event::Requested { task, .. }
            | Event::Started { task, .. }
            | Event::Ended { task, .. }
            | Event::DoneByHand { task, .. } => *task,
            Event::ClockTurnedBack { .. } => {
                self.news.push(News::ClockTurnedBack);
                return Ok(());
            }
            Event::Folded { .. } => return Ok(()),
        };
        let state = Box::new(self.journal.state().task(task));
        self.news.push(News::Happened(event, state));
        Ok(())
    }

    pub(super) fn record_ends(&mut self) -> Result<(), StateError> {
        while let Some((task, at, outcome)) = self.ended.first().cloned() {
            self.record(Event::Ended { task, at, outcome })?;
            self.ended.remove(0);
        }
        Ok(())
    }

    pub(super) fn record_observed(&mut self, now: Timestamp) -> Result<(), StateError> {
        let schedules: Vec<_> =
            Task::ALL.iter().map(|task| (*task, self.timetable.schedules.get(task).cloned())).collect();
        for event in observed(self.journal.state(), &schedules, now) {
            self.record(event)?;
        }
        Ok(())
    }

    pub(super) fn make_way_for_a_backup(&self) {
        let asked_for = self.journal.state().task(Task::Backup).requested.is_some();
        if let Some(gc) = self.running.get(&Task::Gc).filter(|_| asked_for) {
            gc.request();
        }
    }

    pub(super) fn runs(&self) -> Vec<Task> {
        self.running.keys().copied().collect()
    }

    pub(super) fn next(&self, task: Task, now: Timestamp) -> Next {
        let state = self.journal.state().task(task);
        next(task, &state, self.timetable.schedules.get(&task), &self.timetable.jitter, now)
    }

    /// In the order in which they begin.
    pub(super) fn owed(&self, now: Timestamp) -> Vec<Task> {
        Task::ALL.into_iter().filter(|task| matches!(self.next(*task, now), Next::Due(_))).collect()
    }

    pub(super) fn quiet_for(&self, now: Timestamp) -> Duration {
        let next = Task::ALL.into_iter().filter_map(|task| match self.next(task, now) {
            Next::At(due) => Duration::try_from(due.duration_since(now)).ok(),
            Next::Due(_) | Next::Runs | Next::Never => None,
        });
        next.min().unwrap_or(LOOK_AT_LEAST).min(LOOK_AT_LEAST)
    }

    pub(super) fn view(&self, task: Task, waiting: &[Task], now: Timestamp) -> TaskView {
        let state = self.journal.state().task(task);
        let due = waiting.contains(&task);
        let next = match self.next(task, now) {
            Next::At(due) => Some(due),
            Next::Due(_) => Some(now),
            Next::Runs | Next::Never => None,
        };
        TaskView {
            task,
            schedule: self.timetable.schedules.get(&task).map(ToString::to_string),
            running: state.running,
            last: state.last,
            last_success: state.last_success,
            failures: state.failures,
            waits_for: (Gate { running: &self.runs(), waiting }).in_the_way(task).filter(|_| due),
            next,
        }
    }
}
