//! The thread that runs the periodic tasks when they are due: the shell around `grap_core::schedule`.
//!
//! - What is due the planner says; what happened is in the journal before anything is done about it. What cannot be
//!   recorded is not done, is said, and tried again.
//! - Each run is one thread. However it ends, also in a panic, the scheduler goes on.
//! - It looks at the wall clock twice a minute at least, so that a clock that is set, and a machine that slept, are
//!   seen. In between it sleeps.
//! - A backup that was asked for stops a gc that runs: the gc comes again, the moment does not.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grap::schedule::ScheduleJournal;
use grap::state::StateError;
use grap_core::schedule::{
    Event, Jitter, Next, Outcome, Reason, Run, Running, Schedule, Task, TaskState, next, observed,
};
use grap_task::{Clock, Stop};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::job::panic_message;

/// When which task is due. A task that is not in it is off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timetable {
    pub(crate) schedules: BTreeMap<Task, Schedule>,
    pub(crate) jitter: Jitter,
}

impl Timetable {
    /// Whether the first time of a task behind this instant, jitter included, has passed by more than `by`.
    pub(crate) fn is_late(&self, task: Task, since: Timestamp, now: Timestamp, by: SignedDuration) -> bool {
        let slot = self.schedules.get(&task).and_then(|schedule| schedule.after(since));
        let spread = SignedDuration::from_secs(self.jitter.spread_s.into());
        slot.is_some_and(|slot| now.duration_since(slot) > by + spread)
    }
}

/// What runs a task, in a thread of its own, until it is done or told to stop.
pub(crate) type Perform = dyn Fn(Task, &Reason, &Stop) -> Outcome + Send + Sync;

/// Who is told what happened.
pub(crate) type Listener = dyn Fn(&Note) + Send + Sync;

#[derive(Debug)]
pub(crate) enum Note {
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

/// Somebody's own run cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{task} cannot run now: {by} is running")]
pub(crate) struct Busy {
    pub(crate) task: Task,
    pub(crate) by: Task,
}

pub(crate) struct Scheduler {
    inner: Mutex<Inner>,
    changed: Condvar,
    clock: Clock,
    perform: Box<Perform>,
    listener: Box<Listener>,
}

struct Inner {
    journal: ScheduleJournal,
    timetable: Timetable,
    /// Ours and those by hand, each with its stop.
    running: BTreeMap<Task, Stop>,
    /// Ended, and not yet recorded.
    ended: Vec<(Task, Timestamp, Outcome)>,
    notes: Vec<Note>,
    /// Something has changed since it was last looked.
    awake: bool,
    ending: bool,
}

/// It looks around so often, whatever the clock says.
const LOOK_AT_LEAST: Duration = Duration::from_secs(30);
/// A thread that only waits for a stop wakes up so often.
const STOP_WAIT: Duration = Duration::from_hours(1);

impl Scheduler {
    pub(crate) fn new(
        journal: ScheduleJournal,
        timetable: Timetable,
        clock: Clock,
        perform: Box<Perform>,
        listener: Box<Listener>,
    ) -> Arc<Self> {
        let inner = Inner {
            journal,
            timetable,
            running: BTreeMap::new(),
            ended: Vec::new(),
            notes: Vec::new(),
            awake: true,
            ending: false,
        };
        Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::new(), clock, perform, listener })
    }

    /// Until the stop, which every run is told, and waited for.
    pub(crate) fn run(self: &Arc<Self>, stop: &Stop) -> io::Result<()> {
        self.lock().ending = false;
        self.end_with(stop)?;
        self.close_interrupted();
        loop {
            let (wait, done) = self.look();
            self.tell();
            if done {
                return Ok(());
            }
            let inner = self.lock();
            let asleep = self.changed.wait_timeout_while(inner, wait, |inner| !inner.awake);
            drop(asleep.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Run a task as soon as can be, whatever its schedule says. Durable when this returns.
    pub(crate) fn request(&self, task: Task, why: &str) -> Result<(), StateError> {
        let mut inner = self.lock();
        let recorded = inner.record(Event::Requested { task, at: self.clock.now(), why: why.to_owned() });
        self.wake(&mut inner);
        recorded
    }

    /// New schedules, as after a reload. What is pending stays.
    pub(crate) fn replace(&self, timetable: Timetable) {
        let mut inner = self.lock();
        inner.timetable = timetable;
        self.wake(&mut inner);
    }

    /// Somebody runs a task outside of the schedule: nothing that is in its way begins before the end.
    pub(crate) fn enter(&self, task: Task, stop: &Stop) -> Result<ByHand<'_>, Busy> {
        let mut inner = self.lock();
        if let Some(by) = (Gate { running: &inner.runs(), waiting: &[] }).in_the_way(task) {
            return Err(Busy { task, by });
        }
        inner.running.insert(task, stop.clone());
        Ok(ByHand { scheduler: self, task, since: self.clock.now(), went_well: false })
    }

    /// Somebody waits to run this: a gc lets a backup pass.
    pub(crate) fn make_way(&self, task: Task) {
        let inner = self.lock();
        if let Some(gc) = inner.running.get(&Task::Gc).filter(|_| task == Task::Backup) {
            gc.request();
        }
    }

    pub(crate) fn view(&self) -> Vec<TaskView> {
        let (inner, now) = (self.lock(), self.clock.now());
        let waiting = inner.owed(now);
        Task::ALL.iter().map(|task| inner.view(*task, &waiting, now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, inner: &mut Inner) {
        inner.awake = true;
        self.changed.notify_all();
    }

    /// A stop ends the sleep of the scheduler, too.
    fn end_with(self: &Arc<Self>, stop: &Stop) -> io::Result<()> {
        let (scheduler, stop) = (Arc::clone(self), stop.clone());
        let wait = move || {
            while !stop.wait(STOP_WAIT) {}
            let mut inner = scheduler.lock();
            inner.ending = true;
            scheduler.wake(&mut inner);
        };
        std::thread::Builder::new().name("schedule-stop".to_owned()).spawn(wait).map(drop)
    }

    /// Runs that the journal knows as running and nobody runs.
    fn close_interrupted(&self) {
        let mut inner = self.lock();
        for event in inner.journal.state().interrupted(self.clock.now()) {
            if let Event::Ended { task, at, outcome } = event
                && !inner.running.contains_key(&task)
                && !inner.ended.iter().any(|(ended, ..)| *ended == task)
            {
                inner.ended.push((task, at, outcome));
            }
        }
    }

    /// Do what is owed. How long nothing will be, and whether this was the last look.
    fn look(self: &Arc<Self>) -> (Duration, bool) {
        let mut inner = self.lock();
        inner.awake = false;
        if let Err(error) = self.act(&mut inner) {
            inner.notes.push(Note::NotRecorded(error));
            // At the end there is no later: what is not recorded counts as interrupted.
            let done = inner.ending && inner.running.is_empty();
            return (LOOK_AT_LEAST, done);
        }
        let done = inner.ending && inner.running.is_empty() && inner.ended.is_empty();
        (inner.quiet_for(self.clock.now()), done)
    }

    fn act(self: &Arc<Self>, inner: &mut Inner) -> Result<(), StateError> {
        inner.record_ends()?;
        if inner.ending {
            inner.running.values().for_each(Stop::request);
            return Ok(());
        }
        inner.record_observed(self.clock.now())?;
        inner.make_way_for_a_backup();
        self.start_owed(inner)
    }

    fn start_owed(self: &Arc<Self>, inner: &mut Inner) -> Result<(), StateError> {
        let now = self.clock.now();
        let waiting: Vec<Task> = inner.owed(now);
        for task in &waiting {
            let gate = Gate { running: &inner.runs(), waiting: &waiting };
            if let (None, Next::Due(reason)) = (gate.in_the_way(*task), inner.next(*task, now)) {
                self.start(inner, *task, reason, now)?;
            }
        }
        Ok(())
    }

    fn start(
        self: &Arc<Self>,
        inner: &mut Inner,
        task: Task,
        reason: Reason,
        now: Timestamp,
    ) -> Result<(), StateError> {
        inner.record(Event::Started { task, at: now, reason: reason.clone() })?;
        let stop = Stop::new();
        inner.running.insert(task, stop.clone());
        let scheduler = Arc::clone(self);
        let work = move || {
            let outcome = scheduler.outcome_of(task, &reason, &stop);
            scheduler.note_end(task, outcome);
        };
        if let Err(error) = std::thread::Builder::new().name(task.name().to_owned()).spawn(work) {
            let message = format!("cannot start a thread: {error}");
            inner.running.remove(&task);
            inner.ended.push((task, now, Outcome::Failed { code: "FILE_FAILED".to_owned(), message }));
        }
        Ok(())
    }

    fn outcome_of(&self, task: Task, reason: &Reason, stop: &Stop) -> Outcome {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.perform)(task, reason, stop)));
        match outcome {
            Ok(Outcome::Failed { .. }) if stop.requested() => {
                Outcome::Deferred { why: "it was told to stop".to_owned() }
            }
            Ok(outcome) => outcome,
            Err(panic) => {
                Outcome::Failed { code: "PANIC".to_owned(), message: panic_message(panic.as_ref()) }
            }
        }
    }

    fn note_end(&self, task: Task, outcome: Outcome) {
        let mut inner = self.lock();
        inner.running.remove(&task);
        inner.ended.push((task, self.clock.now(), outcome));
        self.wake(&mut inner);
    }

    /// The listener may ask for a view, so it is told without the lock.
    fn tell(&self) {
        let notes = std::mem::take(&mut self.lock().notes);
        for note in &notes {
            (self.listener)(note);
        }
    }
}

impl Inner {
    fn record(&mut self, event: Event) -> Result<(), StateError> {
        self.journal.record(&event)?;
        let task = match &event {
            Event::Scheduled { task, .. }
            | Event::Requested { task, .. }
            | Event::Started { task, .. }
            | Event::Ended { task, .. }
            | Event::DoneByHand { task, .. } => *task,
            Event::ClockTurnedBack { .. } => {
                self.notes.push(Note::ClockTurnedBack);
                return Ok(());
            }
            Event::Folded { .. } => return Ok(()),
        };
        let state = Box::new(self.journal.state().task(task));
        self.notes.push(Note::Happened(event, state));
        Ok(())
    }

    fn record_ends(&mut self) -> Result<(), StateError> {
        while let Some((task, at, outcome)) = self.ended.first().cloned() {
            self.record(Event::Ended { task, at, outcome })?;
            self.ended.remove(0);
        }
        Ok(())
    }

    fn record_observed(&mut self, now: Timestamp) -> Result<(), StateError> {
        let schedules: Vec<_> =
            Task::ALL.iter().map(|task| (*task, self.timetable.schedules.get(task).cloned())).collect();
        for event in observed(self.journal.state(), &schedules, now) {
            self.record(event)?;
        }
        Ok(())
    }

    fn make_way_for_a_backup(&self) {
        let asked_for = self.journal.state().task(Task::Backup).requested.is_some();
        if let Some(gc) = self.running.get(&Task::Gc).filter(|_| asked_for) {
            gc.request();
        }
    }

    fn runs(&self) -> Vec<Task> {
        self.running.keys().copied().collect()
    }

    fn next(&self, task: Task, now: Timestamp) -> Next {
        let state = self.journal.state().task(task);
        next(task, &state, self.timetable.schedules.get(&task), &self.timetable.jitter, now)
    }

    /// In the order in which they begin.
    fn owed(&self, now: Timestamp) -> Vec<Task> {
        Task::ALL.into_iter().filter(|task| matches!(self.next(*task, now), Next::Due(_))).collect()
    }

    fn quiet_for(&self, now: Timestamp) -> Duration {
        let next = Task::ALL.into_iter().filter_map(|task| match self.next(task, now) {
            Next::At(due) => Duration::try_from(due.duration_since(now)).ok(),
            Next::Due(_) | Next::Runs | Next::Never => None,
        });
        next.min().unwrap_or(LOOK_AT_LEAST).min(LOOK_AT_LEAST)
    }

    fn view(&self, task: Task, waiting: &[Task], now: Timestamp) -> TaskView {
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

/// A run outside of the schedule, as long as this lives.
pub(crate) struct ByHand<'a> {
    scheduler: &'a Scheduler,
    task: Task,
    since: Timestamp,
    went_well: bool,
}

impl ByHand<'_> {
    /// It counts as a run: what was owed when it began is served.
    pub(crate) fn went_well(mut self) {
        self.went_well = true;
    }
}

impl Drop for ByHand<'_> {
    fn drop(&mut self) {
        let mut inner = self.scheduler.lock();
        inner.running.remove(&self.task);
        if self.went_well {
            let event =
                Event::DoneByHand { task: self.task, since: self.since, at: self.scheduler.clock.now() };
            // Not recorded: it runs once more than it would have to.
            if let Err(error) = inner.record(event) {
                inner.notes.push(Note::NotRecorded(error));
            }
        }
        self.scheduler.wake(&mut inner);
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
