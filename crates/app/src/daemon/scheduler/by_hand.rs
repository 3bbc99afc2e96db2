//! A run that somebody else asked for: nothing that is in its way begins beside it, and what went well counts.

use grap_core::schedule::{Event, Task};
use grap_task::Stop;
use jiff::Timestamp;

use super::gate::Gate;
use super::{News, Scheduler};

/// Somebody's own run cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{task} cannot run now: {by} is running")]
pub(crate) struct Busy {
    pub(crate) task: Task,
    pub(crate) by: Task,
}

impl Scheduler {
    /// Somebody runs a task outside of the schedule: nothing that is in its way begins before the end.
    pub(crate) fn enter(&self, task: Task, stop: &Stop) -> Result<ByHand<'_>, Busy> {
        let mut book = self.lock();
        if let Some(by) = (Gate { running: &book.runs(), waiting: &[] }).in_the_way(task) {
            return Err(Busy { task, by });
        }
        book.running.insert(task, stop.clone());
        Ok(ByHand { scheduler: self, task, since: self.clock.now(), went_well: false })
    }

    /// Somebody waits to run this: a gc lets a backup pass.
    pub(crate) fn make_way(&self, task: Task) {
        let book = self.lock();
        if let Some(gc) = book.running.get(&Task::Gc).filter(|_| task == Task::Backup) {
            gc.request();
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
        let mut book = self.scheduler.lock();
        book.running.remove(&self.task);
        if self.went_well {
            let event =
                Event::DoneByHand { task: self.task, since: self.since, at: self.scheduler.clock.now() };
            // Not recorded: it runs once more than it would have to.
            if let Err(error) = book.record(event) {
                book.news.push(News::NotRecorded(error));
            }
        }
        self.scheduler.wake(&mut book);
    }
}
