use std::sync::mpsc::{Receiver, Sender, channel};

use grap::state::StateDirectory;
use grap_core::schedule::{INTERRUPTED, Jitter, Schedule};
use grap_task::ManualClock;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::by_hand::Busy;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A scheduler in its thread, under a clock of the test. A run begins when the test sees it, and ends when the test
/// says how.
struct Stage {
    _directory: tempfile::TempDir,
    state: StateDirectory,
    clock: ManualClock,
    scheduler: Arc<Scheduler>,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
    begun: Receiver<Begun>,
    news: Receiver<Event>,
}

struct Begun {
    task: Task,
    reason: Reason,
    stop: Stop,
    end: Sender<Outcome>,
}

fn timetable(lines: &[(Task, &str)]) -> Timetable {
    let parse =
        |(task, expression): &(Task, &str)| (*task, Schedule::parse(expression, &TimeZone::UTC).unwrap());
    Timetable { schedules: lines.iter().map(parse).collect(), jitter: Jitter::default() }
}

impl Stage {
    fn set(start: &str, lines: &[(Task, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path()).unwrap();
        let clock = ManualClock::at(start.parse().unwrap());
        Self::begin(directory, state, clock, timetable(lines))
    }

    fn begin(
        directory: tempfile::TempDir,
        state: StateDirectory,
        clock: ManualClock,
        table: Timetable,
    ) -> Self {
        let ((begins, begun), (tells, news)) = (channel(), channel());
        let perform = move |task, reason: &Reason, stop: &Stop| {
            let (end, ended) = channel();
            begins.send(Begun { task, reason: reason.clone(), stop: stop.clone(), end }).unwrap();
            // A test that is over lets go of it.
            ended.recv().unwrap_or(Outcome::Failed { code: "OVER".to_owned(), message: String::new() })
        };
        let listener = move |news: &News| {
            if let News::Happened(event, _) = news {
                let _ = tells.send(event.clone());
            }
        };
        let journal = ScheduleJournal::open(&state).unwrap();
        let scheduler = Scheduler::new(
            journal,
            table,
            Clock::Manual(clock.clone()),
            Box::new(perform),
            Box::new(listener),
        );
        let stop = Stop::new();
        let (running, its_stop) = (Arc::clone(&scheduler), stop.clone());
        let thread = std::thread::spawn(move || running.run(&its_stop).unwrap());
        let stage =
            Self { _directory: directory, state, clock, scheduler, stop, thread: Some(thread), begun, news };
        stage.sees(|event| matches!(event, Event::Scheduled { .. }));
        stage
    }

    /// Wait until this has happened.
    fn sees(&self, happened: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.news.recv_timeout(PATIENCE).expect("it did not happen");
            if happened(&event) {
                return event;
            }
        }
    }

    /// Time passes, and the scheduler has looked.
    fn pass(&self, time: SignedDuration) {
        self.clock.advance(time.unsigned_abs());
        self.scheduler.wake(&mut self.scheduler.lock());
        let begun = std::time::Instant::now();
        while self.scheduler.lock().awake {
            assert!(begun.elapsed() < PATIENCE, "it does not look");
            std::thread::yield_now();
        }
    }

    fn begins(&self) -> Begun {
        self.begun.recv_timeout(PATIENCE).expect("nothing began")
    }

    fn ends(&self, run: &Begun, outcome: Outcome) {
        run.end.send(outcome).unwrap();
        self.sees(|event| matches!(event, Event::Ended { task, .. } if *task == run.task));
    }

    fn view(&self, task: Task) -> TaskView {
        self.scheduler.view().into_iter().find(|view| view.task == task).unwrap()
    }

    /// As a process that is killed: what it was doing is known from its journal only.
    fn killed(&self) -> Vec<u8> {
        grap_disk::read(&self.state.root().join("schedule.journal"), 1 << 20).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.request();
        // Runs that nobody ended end by themselves, as their senders go.
        while let Ok(run) = self.begun.try_recv() {
            drop(run);
        }
        if let Some(thread) = self.thread.take().filter(|_| !std::thread::panicking()) {
            thread.join().unwrap();
        }
    }
}

fn failed() -> Outcome {
    Outcome::Failed { code: "STORAGE_ERROR".to_owned(), message: "unreachable".to_owned() }
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

const NOON: &str = "2026-11-25T12:00:00Z";

#[test]
fn a_slot_runs_its_task_and_the_next_one_is_shown() {
    let stage = Stage::set(NOON, &[(Task::Backup, "0 2 * * *")]);
    assert_eq!(stage.view(Task::Backup).next, Some("2026-11-26T02:00:00Z".parse().unwrap()));
    stage.pass(hours(14));
    let run = stage.begins();
    assert_eq!(run.reason, Reason::Slot { slot: "2026-11-26T02:00:00Z".parse().unwrap() });
    assert!(stage.view(Task::Backup).running.is_some());
    stage.ends(&run, Outcome::Succeeded);
    let view = stage.view(Task::Backup);
    assert_eq!((view.running, view.failures), (None, 0));
    assert_eq!(view.next, Some("2026-11-27T02:00:00Z".parse().unwrap()));
}

#[test]
fn a_failure_is_tried_again_and_a_lock_is_waited_for() {
    let stage = Stage::set(NOON, &[(Task::Backup, "0 2 * * *")]);
    stage.pass(hours(14));
    stage.ends(&stage.begins(), failed());
    assert_eq!(stage.view(Task::Backup).failures, 1);
    stage.pass(SignedDuration::from_mins(1));
    let run = stage.begins();
    assert_eq!(run.reason, Reason::Retry { failures: 1 });
    stage.ends(&run, Outcome::Deferred { why: "REPOSITORY_LOCKED".to_owned() });
    assert_eq!(stage.view(Task::Backup).failures, 1);
    stage.pass(SignedDuration::from_mins(1));
    stage.ends(&stage.begins(), Outcome::Succeeded);
    assert_eq!(stage.view(Task::Backup).failures, 0);
}

#[test]
fn a_panic_is_a_failure_and_takes_nothing_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(directory.path()).unwrap();
    let (tells, news) = channel();
    let scheduler = Scheduler::new(
        ScheduleJournal::open(&state).unwrap(),
        Timetable::default(),
        Clock::System,
        Box::new(|_, _, _| panic!("on purpose")),
        Box::new(move |news| {
            if let News::Happened(Event::Ended { outcome, .. }, _) = news {
                let _ = tells.send(outcome.clone());
            }
        }),
    );
    let stop = Stop::new();
    let (running, its_stop) = (Arc::clone(&scheduler), stop.clone());
    let thread = std::thread::spawn(move || running.run(&its_stop).unwrap());
    for _ in 0..2 {
        scheduler.request(Task::Verify, "by hand").unwrap();
        let outcome = news.recv_timeout(PATIENCE).unwrap();
        let Outcome::Failed { code, message } = outcome else { panic!("{outcome:?}") };
        assert_eq!((code.as_str(), message.as_str()), ("PANIC", "a fault of the program: on purpose"));
    }
    stop.request();
    thread.join().unwrap();
}

#[test]
fn gc_has_the_repository_alone_and_a_backup_never_waits_for_a_waiting_gc() {
    let lines = [(Task::Backup, "0 * * * *"), (Task::Gc, "30 12 * * *"), (Task::Verify, "0 12 * * *")];
    let stage = Stage::set("2026-11-25T11:59:00Z", &lines);
    stage.pass(SignedDuration::from_mins(1));
    let mut both = [stage.begins(), stage.begins()];
    both.sort_by_key(|run| run.task);
    let [backup, verify] = both;
    assert_eq!((backup.task, verify.task), (Task::Backup, Task::Verify));
    stage.ends(&backup, Outcome::Succeeded);
    stage.pass(SignedDuration::from_mins(30));
    let gc = stage.view(Task::Gc);
    assert_eq!((gc.waits_for, gc.running), (Some(Task::Verify), None));
    stage.pass(SignedDuration::from_mins(30));
    let backup = stage.begins();
    assert_eq!(backup.task, Task::Backup);
    stage.ends(&backup, Outcome::Succeeded);
    stage.ends(&verify, Outcome::Succeeded);
    let gc = stage.begins();
    assert_eq!(gc.task, Task::Gc);
    stage.pass(hours(1));
    let backup = stage.view(Task::Backup);
    assert_eq!((backup.waits_for, backup.running), (Some(Task::Gc), None));
    assert!(!gc.stop.requested(), "a slot does not stop a gc");
    stage.ends(&gc, Outcome::Succeeded);
    assert_eq!(stage.begins().task, Task::Backup);
}

#[test]
fn a_backup_that_was_asked_for_stops_a_gc_which_comes_again() {
    let stage = Stage::set(NOON, &[(Task::Gc, "30 12 * * *")]);
    stage.pass(SignedDuration::from_mins(30));
    let gc = stage.begins();
    stage.scheduler.request(Task::Backup, "a new timeline has no base").unwrap();
    assert!(gc.stop.wait(PATIENCE), "the gc is told to stop");
    stage.ends(&gc, failed());
    let backup = stage.begins();
    assert_eq!(backup.reason, Reason::Requested { why: "a new timeline has no base".to_owned() });
    let view = stage.view(Task::Gc);
    assert_eq!(view.failures, 0);
    assert!(matches!(view.last.unwrap().outcome, Outcome::Deferred { .. }));
    stage.ends(&backup, Outcome::Succeeded);
    stage.pass(SignedDuration::from_mins(1));
    assert_eq!(stage.begins().task, Task::Gc);
}

#[test]
fn a_run_by_hand_is_in_the_way_and_counts() {
    let stage = Stage::set(NOON, &[(Task::Backup, "0 13 * * *")]);
    let by_hand = stage.scheduler.enter(Task::Backup, &Stop::new()).unwrap();
    let again = stage.scheduler.enter(Task::Backup, &Stop::new()).err();
    assert_eq!(again, Some(Busy { task: Task::Backup, by: Task::Backup }));
    let gc = stage.scheduler.enter(Task::Gc, &Stop::new()).err();
    assert_eq!(gc, Some(Busy { task: Task::Gc, by: Task::Backup }));
    stage.pass(hours(1));
    assert_eq!(stage.view(Task::Backup).waits_for, Some(Task::Backup));
    by_hand.went_well();
    let run = stage.begins();
    assert!(matches!(run.reason, Reason::Slot { .. }), "the slot passed while it ran");
    stage.ends(&run, failed());
    stage.scheduler.enter(Task::Backup, &Stop::new()).unwrap().went_well();
    assert_eq!(stage.view(Task::Backup).failures, 0);
}

#[test]
fn a_restart_forgets_nothing_and_a_run_that_died_has_failed() {
    let stage = Stage::set(NOON, &[(Task::Backup, "0 2 * * *")]);
    stage.pass(hours(14));
    let run = stage.begins();
    let journal = stage.killed();
    let now = Clock::Manual(stage.clock.clone()).now();
    drop((run, stage));

    let directory = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(directory.path()).unwrap();
    grap_disk::publish(&state.root().join("schedule.journal"), &[&journal]).unwrap();
    let opened = ScheduleJournal::open(&state).unwrap();
    assert!(opened.state().task(Task::Backup).running.is_some());
    let clock = ManualClock::at(now + SignedDuration::from_secs(5));
    let table = timetable(&[(Task::Backup, "0 2 * * *"), (Task::Expire, "0 3 * * *")]);
    let stage = Stage::begin(directory, state, clock, table);
    let view = stage.view(Task::Backup);
    assert_eq!(view.failures, 1);
    let last = view.last.unwrap().outcome;
    assert!(matches!(&last, Outcome::Failed { code, .. } if code == INTERRUPTED), "{last:?}");
    stage.pass(SignedDuration::from_mins(1));
    assert_eq!(stage.begins().reason, Reason::Retry { failures: 1 });
}

#[test]
fn a_stop_ends_the_runs_and_they_come_again_after_the_start() {
    let mut stage = Stage::set(NOON, &[(Task::Backup, "0 2 * * *")]);
    stage.pass(hours(14));
    let run = stage.begins();
    stage.stop.request();
    assert!(run.stop.wait(PATIENCE));
    run.end.send(failed()).unwrap();
    stage.thread.take().unwrap().join().unwrap();
    let state = ScheduleJournal::open(&stage.state).unwrap();
    let backup = state.state().task(Task::Backup);
    assert_eq!((backup.failures, backup.running), (0, None));
    assert_eq!(backup.pending.unwrap().wait_s, 60);
}

#[test]
fn new_schedules_keep_what_is_pending_and_off_is_off() {
    let stage = Stage::set(NOON, &[(Task::Backup, "0 13 * * *"), (Task::Expire, "0 14 * * *")]);
    stage.pass(hours(1));
    stage.ends(&stage.begins(), failed());
    stage.scheduler.replace(timetable(&[(Task::Backup, "0 22 * * *")]));
    stage.sees(|event| matches!(event, Event::Scheduled { task: Task::Expire, schedule: None, .. }));
    let view = stage.view(Task::Backup);
    assert_eq!(view.schedule.as_deref(), Some("0 22 * * * (UTC)"));
    assert_eq!(view.next, Some("2026-11-25T13:01:00Z".parse().unwrap()), "the retry");
    assert_eq!(stage.view(Task::Expire).next, None);
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let stage = Stage::set(NOON, &[(Task::Backup, "0 13 * * *")]);
    let path = stage.state.root().join("schedule.journal");
    let good = stage.killed();
    grap_disk::replace(&path, &[b"grap-journal 2 schedule\n"]).unwrap();
    stage.pass(hours(1));
    assert!(stage.scheduler.request(Task::Expire, "by hand").is_err());
    assert!(stage.begun.recv_timeout(Duration::from_millis(300)).is_err());
    grap_disk::replace(&path, &[&good]).unwrap();
    stage.pass(SignedDuration::from_secs(1));
    assert_eq!(stage.begins().task, Task::Backup);
}
