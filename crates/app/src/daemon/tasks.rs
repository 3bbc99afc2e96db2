//! What has a schedule: how each task is run, and what is told of it.
//!
//! A backup is verified as soon as it is there: only a verified one is *good*, and counts for the retention. Whatever a
//! task reports goes to the log; a task that fails is an alert until it has gone well again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use grap::schedule::ScheduleJournal;
use grap::{Code, in_one_line};
use grap_core::schedule::{Event, FAILURES_MAX, Outcome, Reason, Task, TaskState};
use grap_task::Stop;
use jiff::SignedDuration;

use super::Daemon;
use super::alarms::SCHEDULE;
use super::job::{JobError, RunEnd};
use super::scheduler::{News, Scheduler};
use super::timetable::Timetable;
use crate::cli::{Call, CopyArguments, DrillArguments, ExpireArguments, GcArguments, Verb};
use crate::config::Settings;
use crate::failure::Failure;
use crate::view::{Output, Stdout};

impl Daemon {
    /// The scheduler, which goes on where the journal ends.
    pub(super) fn make_scheduler(self: &Arc<Self>) -> Result<Arc<Scheduler>, Failure> {
        let opened = ScheduleJournal::open_or_begin(&self.state, self.clock.now());
        let (journal, aside) = opened.map_err(grap::Error::from)?;
        if let Some(aside) = aside {
            self.log.error(&aside.to_string());
        }
        let timetable = self.timetable(&self.settings())?;
        // The daemon holds the scheduler: it must not be held by it, too.
        let (performer, listener) = (Arc::downgrade(self), Arc::downgrade(self));
        let perform = move |task: Task, reason: &Reason, stop: &Stop| match performer.upgrade() {
            Some(daemon) => daemon.perform(task, reason, stop),
            None => Outcome::Deferred { why: "the daemon has ended".to_owned() },
        };
        let hear = move |news: &News| {
            if let Some(daemon) = listener.upgrade() {
                daemon.hear(news);
            }
        };
        Ok(Scheduler::new(journal, timetable, self.clock.clone(), Box::new(perform), Box::new(hear)))
    }

    pub(super) fn timetable(&self, settings: &Settings) -> Result<Timetable, Failure> {
        let copies = settings.text("copy.to").is_some();
        let table = Timetable::of(settings, &self.holder.hostname, copies)?;
        if table.backups_are_off() {
            self.log.warning(
                "backup.schedule is off: backups are made only by hand, and where a new timeline needs one",
            );
        }
        Ok(table)
    }

    pub(super) fn run_scheduler(&self, stop: &Stop) -> RunEnd {
        let ended = self.scheduler().map(|scheduler| scheduler.run(stop));
        match ended {
            Some(Err(error)) => RunEnd::Failed(JobError {
                code: Code::FileFailed.name().to_owned(),
                message: format!("cannot start a thread: {error}"),
                at: self.clock.now(),
            }),
            _ => RunEnd::Done,
        }
    }

    /// One that a new timeline needs to be restored.
    pub(super) fn request_backup(&self, why: &str) {
        self.log.warning(&format!("a backup is asked for: {why}"));
        if let Some(Err(error)) = self.scheduler().map(|scheduler| scheduler.request(Task::Backup, why)) {
            let why = format!("the request for a backup cannot be noted: {}", in_one_line(&error));
            self.alerts.raise(SCHEDULE, grap_core::AlertLevel::Critical, &why);
        }
    }

    fn perform(&self, task: Task, reason: &Reason, stop: &Stop) -> Outcome {
        let log = self.log.of(task.name());
        log.info(&format!("begins: {}", described(reason)));
        let lines = log.clone();
        let stdout = Stdout::Asker(Box::new(move |text| {
            text.lines().for_each(|line| lines.info(line.trim()));
            Ok(())
        }));
        let output = Output { json: false, stdout: &stdout };
        let ended = self.call(&self.settings(), (stop, &log), output, |call| run(task, call));
        // What was deleted, or has come, may change what can be restored.
        self.look_now.store(true, Ordering::SeqCst);
        match ended {
            Ok(()) => Outcome::Succeeded,
            Err(failure) => {
                self.heed_space(&failure);
                outcome_of(&failure)
            }
        }
    }

    fn hear(&self, news: &News) {
        match news {
            News::Happened(Event::Ended { task, outcome, .. }, state) => self.hear_end(*task, outcome, state),
            News::Happened(Event::DoneByHand { task, .. }, _) => self.alerts.clear(&key(*task)),
            News::Happened(..) => {}
            News::ClockTurnedBack => {
                self.log.of("scheduler").warning(
                    "the clock was ahead and has been set back: what waits for an instant far off waits no longer",
                );
            }
            News::NotRecorded(error) => {
                let why = format!(
                    "the schedule's journal cannot be written, nothing new begins (one that is damaged is set aside when the daemon is started anew): {}",
                    in_one_line(error)
                );
                self.alerts.raise(SCHEDULE, grap_core::AlertLevel::Critical, &why);
                return;
            }
        }
        self.alerts.clear(SCHEDULE);
    }

    fn hear_end(&self, task: Task, outcome: &Outcome, state: &TaskState) {
        let log = self.log.of(task.name());
        match outcome {
            Outcome::Succeeded => {
                log.info("done");
                self.alerts.clear(&key(task));
            }
            Outcome::Deferred { why } => {
                log.info(&format!("put off: {why}"));
                self.judge_put_off(task, why, state);
            }
            Outcome::Failed { code, message } => {
                log.error(&format!("error[{code}]: {message}"));
                let next = state.pending.as_ref().map_or_else(
                    || "it is not tried again before its next time".to_owned(),
                    |pending| format!("the next try is at {}", pending.due.strftime("%Y-%m-%dT%H:%M:%SZ")),
                );
                let text = format!(
                    "{task} has failed {} times in a row ({code}: {message}); {next}",
                    state.failures
                );
                let critical = state.failures >= FAILURES_MAX || is_critical(code);
                let level =
                    if critical { grap_core::AlertLevel::Critical } else { grap_core::AlertLevel::Warning };
                self.alerts.raise(&key(task), level, &text);
            }
        }
    }
}

/// So long after its time a task may be put off before somebody hears of it.
const PUT_OFF_MAX: SignedDuration = SignedDuration::from_hours(1);

impl Daemon {
    /// Who is put off does not fail; but what a lock keeps from running for long is as good as failed.
    fn judge_put_off(&self, task: Task, why: &str, state: &TaskState) {
        let Ok(timetable) = Timetable::of(&self.settings(), &self.holder.hostname, true) else { return };
        let since = state.last_success.unwrap_or(self.since);
        if timetable.is_late(task, since, self.clock.now(), PUT_OFF_MAX) {
            let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
            let text =
                format!("{task} is put off again and again, and has not gone well since {since}: {why}");
            self.alerts.raise(&key(task), grap_core::AlertLevel::Critical, &text);
        }
    }
}

fn run(task: Task, call: &Call<'_>) -> Result<(), Failure> {
    match task {
        Task::Backup => call.backup_and_verify(),
        Task::Verify => call.verify_part(),
        Task::Expire => call.perform(Verb::Expire(ExpireArguments { dry_run: false })),
        Task::Gc => call.perform(Verb::Gc(GcArguments { dry_run: false })),
        Task::Drill => call.perform(Verb::Drill(DrillArguments::default())),
        Task::Copy => call.perform(Verb::Copy(CopyArguments::default())),
    }
}

fn key(task: Task) -> String {
    format!("task.{task}")
}

/// What the next try will hardly mend.
fn is_critical(code: &str) -> bool {
    [Code::NoSpace, Code::BackupCorrupted, Code::ArchiveDamaged, Code::SourceMismatch]
        .iter()
        .any(|critical| critical.name() == code)
}

/// Who finds another at work comes again: that is no failure.
fn outcome_of(failure: &Failure) -> Outcome {
    match failure.code() {
        Code::JobRunning | Code::RepositoryLocked => Outcome::Deferred { why: in_one_line(failure) },
        code => Outcome::Failed { code: code.name().to_owned(), message: in_one_line(failure) },
    }
}

fn described(reason: &Reason) -> String {
    match reason {
        Reason::Slot { slot } => format!("its time was {}", slot.strftime("%Y-%m-%dT%H:%M:%SZ")),
        Reason::Retry { failures } => format!("it has failed {failures} times"),
        Reason::Requested { why } => format!("asked for, because {why}"),
    }
}

/// Beside what a verb that a client asks for may run: as this task.
pub(super) fn runs_as(verb: &Verb) -> Option<Task> {
    match verb {
        Verb::Backup(_) => Some(Task::Backup),
        Verb::Expire(_) | Verb::Delete(_) => Some(Task::Expire),
        Verb::Gc(_) => Some(Task::Gc),
        Verb::Copy(_) => Some(Task::Copy),
        Verb::Drill(_) => Some(Task::Drill),
        _ => None,
    }
}
