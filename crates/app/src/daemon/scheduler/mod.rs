//! The thread that runs the periodic tasks when they are due: the shell around `grap_core::schedule`.
//!
//! - What is due the planner says; what happened is in the journal before anything is done about it. What cannot be
//!   recorded is not done, is said, and tried again.
//! - Each run is one thread. However it ends, also in a panic, the scheduler goes on.
//! - It looks at the wall clock twice a minute at least, so that a clock that is set, and a machine that slept, are
//!   seen. In between it sleeps.
//! - A backup that was asked for stops a gc that runs: the gc comes again, the moment does not.

mod book;
mod by_hand;
mod gate;
#[cfg(test)]
mod tests;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grap::schedule::ScheduleJournal;
use grap::state::StateError;
use grap_core::schedule::{Event, Next, Outcome, Reason, Task};
use grap_task::{Clock, Stop};
use jiff::Timestamp;

use super::job::panic_message;
use super::timetable::Timetable;
use book::Book;
pub(crate) use book::{News, TaskView};
pub(crate) use by_hand::ByHand;
use gate::Gate;

/// What runs a task, in a thread of its own, until it is done or told to stop.
pub(crate) type Perform = dyn Fn(Task, &Reason, &Stop) -> Outcome + Send + Sync;

/// Who is told what happened.
pub(crate) type Listener = dyn Fn(&News) + Send + Sync;

pub(crate) struct Scheduler {
    book: Mutex<Book>,
    changed: Condvar,
    clock: Clock,
    perform: Box<Perform>,
    listener: Box<Listener>,
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
        let book = Mutex::new(Book::new(journal, timetable));
        Arc::new(Self { book, changed: Condvar::new(), clock, perform, listener })
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
            let book = self.lock();
            let asleep = self.changed.wait_timeout_while(book, wait, |book| !book.awake);
            drop(asleep.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Run a task as soon as can be, whatever its schedule says. Durable when this returns.
    pub(crate) fn request(&self, task: Task, why: &str) -> Result<(), StateError> {
        let mut book = self.lock();
        let recorded = book.record(Event::Requested { task, at: self.clock.now(), why: why.to_owned() });
        self.wake(&mut book);
        recorded
    }

    /// New schedules, as after a reload. What is pending stays.
    pub(crate) fn replace(&self, timetable: Timetable) {
        let mut book = self.lock();
        book.timetable = timetable;
        self.wake(&mut book);
    }

    pub(crate) fn view(&self) -> Vec<TaskView> {
        let (book, now) = (self.lock(), self.clock.now());
        let waiting = book.owed(now);
        Task::ALL.iter().map(|task| book.view(*task, &waiting, now)).collect()
    }

    /// Since when it has one.
    pub(crate) fn scheduled_since(&self, task: Task) -> Option<Timestamp> {
        self.lock().journal.state().task(task).scheduled_since
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, book: &mut Book) {
        book.awake = true;
        self.changed.notify_all();
    }

    /// A stop ends the sleep of the scheduler, too.
    fn end_with(self: &Arc<Self>, stop: &Stop) -> io::Result<()> {
        let (scheduler, stop) = (Arc::clone(self), stop.clone());
        let wait = move || {
            while !stop.wait(STOP_WAIT) {}
            let mut book = scheduler.lock();
            book.ending = true;
            scheduler.wake(&mut book);
        };
        std::thread::Builder::new().name("schedule-stop".to_owned()).spawn(wait).map(drop)
    }

    /// Runs that the journal knows as running and nobody runs.
    fn close_interrupted(&self) {
        let mut book = self.lock();
        for event in book.journal.state().interrupted(self.clock.now()) {
            if let Event::Ended { task, at, outcome } = event
                && !book.running.contains_key(&task)
                && !book.ended.iter().any(|(ended, ..)| *ended == task)
            {
                book.ended.push((task, at, outcome));
            }
        }
    }

    /// Do what is owed. How long nothing will be, and whether this was the last look.
    fn look(self: &Arc<Self>) -> (Duration, bool) {
        let mut book = self.lock();
        book.awake = false;
        if let Err(error) = self.act(&mut book) {
            book.news.push(News::NotRecorded(error));
            // At the end there is no later: what is not recorded counts as interrupted.
            let done = book.ending && book.running.is_empty();
            return (LOOK_AT_LEAST, done);
        }
        let done = book.ending && book.running.is_empty() && book.ended.is_empty();
        (book.quiet_for(self.clock.now()), done)
    }

    fn act(self: &Arc<Self>, book: &mut Book) -> Result<(), StateError> {
        book.record_ends()?;
        if book.ending {
            book.running.values().for_each(Stop::request);
            return Ok(());
        }
        book.record_observed(self.clock.now())?;
        book.make_way_for_a_backup();
        self.start_owed(book)
    }

    fn start_owed(self: &Arc<Self>, book: &mut Book) -> Result<(), StateError> {
        let now = self.clock.now();
        let waiting: Vec<Task> = book.owed(now);
        for task in &waiting {
            let gate = Gate { running: &book.runs(), waiting: &waiting };
            if let (None, Next::Due(reason)) = (gate.in_the_way(*task), book.next(*task, now)) {
                self.start(book, *task, reason, now)?;
            }
        }
        Ok(())
    }

    fn start(
        self: &Arc<Self>,
        book: &mut Book,
        task: Task,
        reason: Reason,
        now: Timestamp,
    ) -> Result<(), StateError> {
        book.record(Event::Started { task, at: now, reason: reason.clone() })?;
        let stop = Stop::new();
        book.running.insert(task, stop.clone());
        let scheduler = Arc::clone(self);
        let work = move || {
            let outcome = scheduler.outcome_of(task, &reason, &stop);
            scheduler.note_end(task, outcome);
        };
        if let Err(error) = std::thread::Builder::new().name(task.name().to_owned()).spawn(work) {
            let message = format!("cannot start a thread: {error}");
            book.running.remove(&task);
            book.ended.push((task, now, Outcome::Failed { code: "FILE_FAILED".to_owned(), message }));
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
        let mut book = self.lock();
        book.running.remove(&task);
        book.ended.push((task, self.clock.now(), outcome));
        self.wake(&mut book);
    }

    /// The listener may ask for a view, so it is told without the lock.
    fn tell(&self) {
        let news = std::mem::take(&mut self.lock().news);
        for news in &news {
            (self.listener)(news);
        }
    }
}
