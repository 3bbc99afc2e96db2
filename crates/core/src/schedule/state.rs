//! What is remembered of the periodic tasks: a state, folded from events.
//!
//! The events are in a journal; each is there before anything is done about it. So the state after a restart is
//! the state before it, and a run that was begun and never ended is seen.
//!
//! - A run that begins serves all that is owed at that moment: every slot that has passed, the request, the
//!   retry. Hence one run after a night in which the machine was off, and never two for one slot.
//! - `covered` is the instant up to which slots are served. It goes back only where the clock is seen to have
//!   been ahead by more than [`BELIEVED_AHEAD_MAX`].
//! - Failures in a row are counted until a success. A try that was only put off is none.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Backup,
    Copy,
    Verify,
    Expire,
    Gc,
    Drill,
}

/// Why a run begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// The schedule's slot (the first, where several have passed).
    Slot {
        slot: Timestamp,
    },
    /// So many failures in a row came before.
    Retry {
        failures: u32,
    },
    Requested {
        why: String,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed {
        code: String,
        message: String,
    },
    /// Something else was in the way, or it was told to stop: no failure, tried again soon.
    Deferred {
        why: String,
    },
}

/// What happened, in the order in which it was noted. `at` is the wall clock of that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// From here on the slots of this schedule count (None: the task is off).
    Scheduled {
        task: Task,
        at: Timestamp,
        schedule: Option<String>,
    },
    Requested {
        task: Task,
        at: Timestamp,
        why: String,
    },
    Started {
        task: Task,
        at: Timestamp,
        reason: Reason,
    },
    Ended {
        task: Task,
        at: Timestamp,
        outcome: Outcome,
    },
    /// It was done outside of the schedule, from `since` to `at`, and went well: it counts.
    DoneByHand {
        task: Task,
        since: Timestamp,
        at: Timestamp,
    },
    /// The clock had been ahead: what waits for an instant that is far off does not wait for it.
    ClockTurnedBack {
        at: Timestamp,
    },
    /// All events before, folded.
    Folded {
        state: State,
    },
}

/// Every task that was ever scheduled or run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(BTreeMap<Task, TaskState>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// The schedule whose slots count, as text.
    pub schedule: Option<String>,
    /// Since when it has one, whichever; older journals may not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_since: Option<Timestamp>,
    /// Slots up to here are served.
    pub covered: Option<Timestamp>,
    pub requested: Option<String>,
    pub running: Option<Running>,
    pub pending: Option<Pending>,
    /// In a row.
    pub failures: u32,
    pub last: Option<Run>,
    pub last_success: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub since: Timestamp,
    pub reason: Reason,
}

/// A further try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub due: Timestamp,
    /// How long it was to wait when it was noted.
    pub wait_s: u32,
    pub reason: Reason,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub started: Timestamp,
    pub ended: Timestamp,
    pub outcome: Outcome,
}

/// An event that cannot follow on this state: the journal is not the one of these events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    #[error("{task} begins while it runs")]
    BegunTwice { task: Task },
    #[error("{task} ends and had not begun")]
    NotBegun { task: Task },
}

/// Waits before the 2nd, 3rd, 4th and 5th try in a row, seconds.
pub const RETRY_WAITS_S: [u32; 4] = [60, 5 * 60, 30 * 60, 24 * 60 * 60];
/// So many failures in a row are an alert, and there are no more retries; slots are still tried.
pub const FAILURES_MAX: u32 = 5;
/// Wait before what was put off is tried again.
pub const DEFERRED_WAIT_S: u32 = 60;
/// Slots that a clock went through which was ahead by no more do not come again.
pub const BELIEVED_AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);
/// A clock that is set back by less was corrected, not wrong; no further try is moved for it.
const CORRECTION_MAX: SignedDuration = SignedDuration::from_mins(1);
/// The code of a run whose process died.
pub const INTERRUPTED: &str = "INTERRUPTED";

impl Task {
    pub const ALL: [Self; 6] = [Self::Backup, Self::Copy, Self::Verify, Self::Expire, Self::Gc, Self::Drill];

    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Copy => "copy",
            Self::Verify => "verify",
            Self::Expire => "expire",
            Self::Gc => "gc",
            Self::Drill => "drill",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl State {
    pub fn task(&self, task: Task) -> TaskState {
        self.0.get(&task).cloned().unwrap_or_default()
    }

    pub fn apply(mut self, event: &Event) -> Result<Self, Illegal> {
        match event {
            Event::Folded { state } => return Ok(state.clone().with_since()),
            Event::ClockTurnedBack { at } => {
                self.0.values_mut().for_each(|state| state.turn_back(*at));
            }
            Event::Scheduled { task, at, schedule } => self.entry(*task).adopt(*at, schedule.clone()),
            Event::Requested { task, why, .. } => {
                self.entry(*task).requested.get_or_insert_with(|| why.clone());
            }
            Event::Started { task, at, reason } => {
                let state = self.entry(*task);
                if state.running.is_some() {
                    return Err(Illegal::BegunTwice { task: *task });
                }
                state.start(*at, reason.clone());
            }
            Event::Ended { task, at, outcome } => {
                let state = self.entry(*task);
                let running = state.running.take().ok_or(Illegal::NotBegun { task: *task })?;
                state.end(*at, running, outcome.clone());
            }
            Event::DoneByHand { task, since, at } => {
                let state = self.entry(*task);
                state.pending = None;
                state.cover(*since);
                let running = Running { since: *since, reason: Reason::Requested { why: String::new() } };
                state.end(*at, running, Outcome::Succeeded);
            }
        }
        Ok(self)
    }

    /// What has to be noted after a start of the program: a run in progress died with its process.
    pub fn interrupted(&self, at: Timestamp) -> Vec<Event> {
        let running = self.0.iter().filter(|(_, state)| state.running.is_some());
        running
            .map(|(task, _)| {
                let message = "its process died before it was done".to_owned();
                let outcome = Outcome::Failed { code: INTERRUPTED.to_owned(), message };
                Event::Ended { task: *task, at, outcome }
            })
            .collect()
    }

    /// An older program that folded did not say since when a task has its schedule: not later than up to when it had been
    /// served.
    fn with_since(mut self) -> Self {
        for state in self.0.values_mut().filter(|state| state.schedule.is_some()) {
            state.scheduled_since = state.scheduled_since.or(state.covered);
        }
        self
    }

    fn entry(&mut self, task: Task) -> &mut TaskState {
        self.0.entry(task).or_default()
    }
}

impl TaskState {
    /// So many failures in a row that an operator has to look.
    pub fn alerts(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// A task that is switched off has nothing to try again.
    fn adopt(&mut self, at: Timestamp, schedule: Option<String>) {
        if schedule.is_none() {
            self.pending = None;
            self.scheduled_since = None;
        } else {
            self.scheduled_since.get_or_insert(at);
        }
        self.schedule = schedule;
        self.cover(at);
    }

    fn start(&mut self, at: Timestamp, reason: Reason) {
        self.running = Some(Running { since: at, reason });
        self.requested = None;
        self.pending = None;
        self.cover(at);
    }

    fn end(&mut self, at: Timestamp, running: Running, outcome: Outcome) {
        match &outcome {
            Outcome::Succeeded => {
                self.failures = 0;
                self.last_success = Some(at);
            }
            Outcome::Failed { .. } => {
                self.failures = self.failures.saturating_add(1);
                self.pending = self.retry(at);
            }
            Outcome::Deferred { .. } => {
                self.pending = Some(Pending::behind(at, DEFERRED_WAIT_S, running.reason));
            }
        }
        self.last = Some(Run { started: running.since, ended: at, outcome });
    }

    fn retry(&self, at: Timestamp) -> Option<Pending> {
        let wait = usize::try_from(self.failures).ok()?.checked_sub(1)?;
        let wait_s = *RETRY_WAITS_S.get(wait)?;
        Some(Pending::behind(at, wait_s, Reason::Retry { failures: self.failures }))
    }

    fn cover(&mut self, at: Timestamp) {
        self.covered = self.covered.max(Some(at));
    }

    /// Whether something here waits for an instant that only a clock that was ahead can have named.
    pub(super) fn is_ahead_of(&self, now: Timestamp) -> bool {
        let mut turned = self.clone();
        turned.turn_back(now);
        turned != *self
    }

    fn turn_back(&mut self, at: Timestamp) {
        for noted in [&mut self.covered, &mut self.scheduled_since] {
            if noted.is_some_and(|noted| noted.duration_since(at) > BELIEVED_AHEAD_MAX) {
                *noted = Some(at);
            }
        }
        if let Some(pending) = &mut self.pending
            && pending.due.duration_since(later(at, pending.wait_s)) > CORRECTION_MAX
        {
            pending.due = later(at, pending.wait_s);
        }
    }
}

impl Pending {
    fn behind(at: Timestamp, wait_s: u32, reason: Reason) -> Self {
        Self { due: later(at, wait_s), wait_s, reason }
    }
}

/// The end of time stays the end of time.
pub(super) fn later(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}Z").parse().unwrap()
    }

    fn fold(events: &[Event]) -> TaskState {
        let state = events.iter().try_fold(State::default(), State::apply);
        state.unwrap().task(Task::Backup)
    }

    fn scheduled(time: &str) -> Event {
        Event::Scheduled { task: Task::Backup, at: at(time), schedule: Some("0 2 * * *".to_owned()) }
    }

    fn started(time: &str) -> Event {
        Event::Started { task: Task::Backup, at: at(time), reason: Reason::Slot { slot: at(time) } }
    }

    fn ended(time: &str, outcome: Outcome) -> Event {
        Event::Ended { task: Task::Backup, at: at(time), outcome }
    }

    fn failed() -> Outcome {
        Outcome::Failed { code: "STORAGE_ERROR".to_owned(), message: String::new() }
    }

    #[test]
    fn failures_wait_longer_each_time_and_the_fifth_is_the_last_retry() {
        let mut events = vec![scheduled("25T00:00:00")];
        let mut waits = Vec::new();
        for _ in 0..6 {
            events.extend([started("25T02:00:00"), ended("25T02:00:10", failed())]);
            let state = fold(&events);
            waits.push((state.pending.map(|pending| pending.wait_s), state.failures >= FAILURES_MAX));
        }
        let expected = [Some(60), Some(300), Some(1800), Some(86_400), None, None];
        assert_eq!(waits.iter().map(|wait| wait.0).collect::<Vec<_>>(), expected);
        assert_eq!(waits.iter().position(|wait| wait.1), Some(4));
        events.extend([started("26T02:00:00"), ended("26T02:00:10", Outcome::Succeeded)]);
        let state = fold(&events);
        assert_eq!((state.failures, state.pending), (0, None));
        assert_eq!(state.last_success, Some(at("26T02:00:10")));
    }

    #[test]
    fn what_is_put_off_is_no_failure_and_keeps_its_reason() {
        let deferred = Outcome::Deferred { why: "the repository is locked".to_owned() };
        let state = fold(&[
            scheduled("25T00:00:00"),
            started("25T02:00:00"),
            ended("25T02:00:00", failed()),
            started("25T02:01:00"),
            ended("25T02:01:01", deferred),
        ]);
        assert_eq!(state.failures, 1);
        let pending = state.pending.unwrap();
        assert_eq!(
            (pending.due, pending.reason),
            (at("25T02:02:01"), Reason::Slot { slot: at("25T02:01:00") })
        );
    }

    #[test]
    fn a_run_by_hand_that_went_well_counts() {
        let by_hand =
            Event::DoneByHand { task: Task::Backup, since: at("25T02:00:30"), at: at("25T02:00:50") };
        let state = fold(&[
            scheduled("25T00:00:00"),
            started("25T02:00:00"),
            ended("25T02:00:10", failed()),
            by_hand,
        ]);
        assert_eq!((state.failures, state.pending, state.running), (0, None, None));
        assert_eq!((state.covered, state.last_success), (Some(at("25T02:00:30")), Some(at("25T02:00:50"))));
    }

    #[test]
    fn since_when_a_task_has_a_schedule_outlives_its_changes_and_its_runs() {
        let said = |time: &str, schedule: Option<&str>| Event::Scheduled {
            task: Task::Backup,
            at: at(time),
            schedule: schedule.map(str::to_owned),
        };
        let mut events = vec![
            said("25T00:00:00", Some("0 2 * * *")),
            started("25T02:00:00"),
            ended("25T02:00:10", failed()),
            said("26T00:00:00", Some("0 3 * * *")),
        ];
        assert_eq!(fold(&events).scheduled_since, Some(at("25T00:00:00")));
        events.push(said("27T00:00:00", None));
        assert_eq!(fold(&events).scheduled_since, None);
        events.push(said("28T00:00:00", Some("0 2 * * *")));
        assert_eq!(fold(&events).scheduled_since, Some(at("28T00:00:00")));
        // A clock that was ahead by more than is believed had named it.
        events.push(Event::ClockTurnedBack { at: at("26T00:00:00") });
        assert_eq!(fold(&events).scheduled_since, Some(at("26T00:00:00")));
    }

    #[test]
    fn what_an_older_program_has_folded_says_since_when_there_is_a_schedule() {
        let task = |schedule: &str, more: &str| {
            format!(
                r#"{{"schedule":{schedule},"covered":"2026-11-25T02:00:00Z","requested":null,"running":null,"pending":null,"failures":0,"last":null,"last_success":null{more}}}"#
            )
        };
        let since = r#","scheduled_since":"2026-11-20T00:00:00Z""#;
        for (text, expected) in [
            (task(r#""0 2 * * *""#, ""), Some("25T02:00:00")),
            (task(r#""0 2 * * *""#, since), Some("20T00:00:00")),
            (task("null", ""), None),
        ] {
            let text = format!(r#"{{"event":"folded","state":{{"backup":{text}}}}}"#);
            let folded: Event = serde_json::from_str(&text).unwrap();
            // The daemon starts, and says what it has said before.
            let mut events = vec![folded];
            events.extend(expected.map(|_| scheduled("27T00:00:00")));
            assert_eq!(fold(&events).scheduled_since, expected.map(at), "{text}");
        }
    }

    #[test]
    fn a_request_made_while_it_runs_is_kept() {
        let request =
            Event::Requested { task: Task::Backup, at: at("25T02:00:05"), why: "by hand".to_owned() };
        let before = fold(&[request.clone(), started("25T02:00:06")]);
        assert_eq!(before.requested, None);
        let beside = fold(&[started("25T02:00:00"), request, ended("25T02:00:10", Outcome::Succeeded)]);
        assert_eq!(beside.requested.as_deref(), Some("by hand"));
    }

    #[test]
    fn events_that_cannot_be_are_refused() {
        let twice = [started("25T02:00:00"), started("25T02:00:00")];
        let fold = |events: &[Event]| events.iter().try_fold(State::default(), State::apply);
        assert_eq!(fold(&twice), Err(Illegal::BegunTwice { task: Task::Backup }));
        let never = [ended("25T02:00:00", Outcome::Succeeded)];
        assert_eq!(fold(&never), Err(Illegal::NotBegun { task: Task::Backup }));
    }

    #[test]
    fn the_format_of_the_events_is_kept() {
        let state = State::default().apply(&started("25T02:00:00")).unwrap();
        let json = |event: &Event| serde_json::to_string(event).unwrap();
        assert_eq!(
            json(&started("25T02:00:00")),
            r#"{"event":"started","task":"backup","at":"2026-11-25T02:00:00Z","reason":{"kind":"slot","slot":"2026-11-25T02:00:00Z"}}"#
        );
        let folded = Event::Folded { state };
        assert_eq!(serde_json::from_str::<Event>(&json(&folded)).unwrap(), folded);
    }
}
