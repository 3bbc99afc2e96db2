//! A machine on which a scheduler runs one task: it has a true time, a wall clock that may be wrong, a journal
//! that survives, and a process that does not.
//!
//! The loop in [`Machine::wake`] is the loop of the real scheduler, without threads: note what was observed,
//! ask what is owed, note the start, act, note the end.

use grap_core::schedule::{
    Event, Jitter, Next, Outcome, Reason, Schedule, State, Task, next, observed, time_zone,
};
use jiff::{SignedDuration, Timestamp};

pub(crate) const TASK: Task = Task::Backup;

/// A run as somebody saw it who watched the machine, with its times by the wall clock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) started: Timestamp,
    pub(crate) reason: Reason,
    pub(crate) ended: Option<(Timestamp, Outcome)>,
}

/// What the next run will be like.
#[derive(Debug, Clone)]
pub(crate) struct Fate {
    pub(crate) takes: SignedDuration,
    pub(crate) outcome: Outcome,
}

pub(crate) struct Machine {
    pub(crate) truth: Timestamp,
    /// The wall clock is ahead of the truth by this.
    pub(crate) wrong: SignedDuration,
    pub(crate) schedule: Schedule,
    pub(crate) jitter: Jitter,
    pub(crate) journal: Vec<Event>,
    pub(crate) state: State,
    pub(crate) runs: Vec<Seen>,
    pub(crate) fate: Fate,
    /// When the run in progress ends, in truth, and how.
    ends: Option<(Timestamp, Outcome)>,
}

pub(crate) fn success() -> Outcome {
    Outcome::Succeeded
}

pub(crate) fn failure() -> Outcome {
    Outcome::Failed { code: "STORAGE_ERROR".to_owned(), message: "unreachable".to_owned() }
}

pub(crate) fn deferral() -> Outcome {
    Outcome::Deferred { why: "the repository is locked".to_owned() }
}

impl Machine {
    pub(crate) fn new(expression: &str, zone: &str, spread_s: u32, start: &str) -> Self {
        let schedule = Schedule::parse(expression, &time_zone(zone).unwrap()).unwrap();
        let mut machine = Self {
            truth: start.parse().unwrap(),
            wrong: SignedDuration::ZERO,
            schedule,
            jitter: Jitter { spread_s, host: "db-1".to_owned() },
            journal: Vec::new(),
            state: State::default(),
            runs: Vec::new(),
            fate: Fate { takes: SignedDuration::from_mins(10), outcome: success() },
            ends: None,
        };
        machine.wake();
        machine
    }

    pub(crate) fn wall(&self) -> Timestamp {
        self.truth + self.wrong
    }

    /// The machine runs for so long.
    pub(crate) fn pass(&mut self, time: SignedDuration) {
        let until = self.truth + time;
        loop {
            self.wake();
            let owed = match self.next() {
                Next::At(wall) => Some(wall - self.wrong),
                Next::Runs => self.ends.as_ref().map(|(ends, _)| *ends),
                Next::Due(reason) => panic!("{reason:?} is still owed at {}", self.wall()),
                Next::Never => None,
            };
            match owed {
                Some(owed) if owed <= until => self.truth = owed,
                _ => break,
            }
        }
        self.truth = until;
        self.wake();
    }

    /// The process dies and comes back; a machine that is off meanwhile is the same, for longer.
    pub(crate) fn off(&mut self, time: SignedDuration) {
        if self.ends.take().is_some() {
            let run = self.runs.last_mut().expect("it runs");
            run.ended = Some((self.truth + self.wrong + time, failure()));
        }
        self.truth += time;
        let fold = |state: State, event: &Event| state.apply(event);
        self.state = self.journal.iter().try_fold(State::default(), fold).unwrap();
        for event in self.state.interrupted(self.wall()) {
            self.record(event);
        }
        self.wake();
    }

    pub(crate) fn step_clock(&mut self, by: SignedDuration) {
        self.wrong += by;
        self.wake();
    }

    pub(crate) fn request(&mut self) {
        self.record(Event::Requested { task: TASK, at: self.wall(), why: "by hand".to_owned() });
        self.wake();
    }

    pub(crate) fn next(&self) -> Next {
        next(TASK, &self.state.task(TASK), Some(&self.schedule), &self.jitter, self.wall())
    }

    fn wake(&mut self) {
        loop {
            if let Some((_, outcome)) = self.ends.take_if(|(ends, _)| *ends <= self.truth) {
                self.runs.last_mut().expect("it runs").ended = Some((self.wall(), outcome.clone()));
                self.record(Event::Ended { task: TASK, at: self.wall(), outcome });
            }
            for event in observed(&self.state, &[(TASK, Some(self.schedule.clone()))], self.wall()) {
                self.record(event);
            }
            let Next::Due(reason) = self.next() else { break };
            self.record(Event::Started { task: TASK, at: self.wall(), reason: reason.clone() });
            assert!(self.ends.is_none(), "two at once");
            self.runs.push(Seen { started: self.wall(), reason, ended: None });
            self.ends = Some((self.truth + self.fate.takes, self.fate.outcome.clone()));
        }
    }

    fn record(&mut self, event: Event) {
        self.state = std::mem::take(&mut self.state).apply(&event).unwrap();
        self.journal.push(event);
    }

    /// What is in the journal is what is in memory.
    pub(crate) fn assert_replayed(&self) {
        let fold = |state: State, event: &Event| state.apply(event);
        let text: Vec<String> =
            self.journal.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let read: Vec<Event> = text.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.iter().try_fold(State::default(), fold).unwrap(), self.state);
    }
}
