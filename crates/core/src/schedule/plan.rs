//! What is owed now. Pure: `now` comes in, an answer comes out, nothing is changed.
//!
//! The shell (the scheduler of `grap serve`) notes what [`observed`] says, then asks [`next`], notes the start,
//! acts, notes the end.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::state::{Event, Reason, State, Task, TaskState};
use super::{Schedule, state::later};

/// What to do about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Due(Reason),
    /// Nothing before this instant.
    At(Timestamp),
    /// It runs; what comes next is known when it ends.
    Runs,
    /// It is off, and nobody asked for it.
    Never,
}

/// Spreads the runs of many hosts behind their common slot.
#[derive(Debug, Clone, Default)]
pub struct Jitter {
    pub spread_s: u32,
    /// Hosts of different names wait differently long.
    pub host: String,
}

impl Jitter {
    /// When the run of a slot is due: the same whenever it is asked, and before the slot behind it.
    fn due(&self, task: Task, slot: Timestamp, schedule: &Schedule) -> Timestamp {
        if self.spread_s == 0 {
            return slot;
        }
        let until_next = schedule.after(slot).map_or(i64::MAX, |next| next.duration_since(slot).as_secs());
        let spread = u64::from(self.spread_s).min(u64::try_from(until_next).unwrap_or(0)).max(1);
        let mut hasher = DefaultHasher::new();
        (&self.host, task, slot.as_second()).hash(&mut hasher);
        let delay = u32::try_from(hasher.finish() % spread).unwrap_or(0);
        later(slot, delay)
    }
}

/// What has to be noted before anything else: the clock was ahead, the schedules are others than before.
pub fn observed(state: &State, schedules: &[(Task, Option<Schedule>)], now: Timestamp) -> Vec<Event> {
    let ahead = schedules.iter().any(|(task, _)| state.task(*task).is_ahead_of(now));
    let turned = ahead.then_some(Event::ClockTurnedBack { at: now });
    let changed = schedules.iter().filter_map(|(task, schedule)| {
        let text = schedule.as_ref().map(ToString::to_string);
        let known = state.task(*task).schedule;
        (known != text).then_some(Event::Scheduled { task: *task, at: now, schedule: text })
    });
    turned.into_iter().chain(changed).collect()
}

/// What is owed, of one task.
pub fn next(
    task: Task,
    state: &TaskState,
    schedule: Option<&Schedule>,
    jitter: &Jitter,
    now: Timestamp,
) -> Next {
    if state.running.is_some() {
        return Next::Runs;
    }
    if let Some(why) = &state.requested {
        return Next::Due(Reason::Requested { why: why.clone() });
    }
    let slot = schedule.and_then(|schedule| {
        let slot = schedule.after(state.covered?)?;
        Some((jitter.due(task, slot, schedule), Reason::Slot { slot }))
    });
    let pending = state.pending.as_ref().map(|pending| (pending.due, pending.reason.clone()));
    // A slot comes before a retry: it is what was promised.
    let owed = [slot, pending].into_iter().flatten();
    match owed.min_by_key(|(due, _)| *due) {
        Some((due, reason)) if due <= now => Next::Due(reason),
        Some((due, _)) => Next::At(due),
        None => Next::Never,
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn hosts_are_spread_between_a_slot_and_the_next() {
        let schedule = Schedule::parse("*/10 * * * *", &TimeZone::UTC).unwrap();
        let slot: Timestamp = "2026-11-25T02:00:00Z".parse().unwrap();
        let delays = |spread_s: u32| -> Vec<i64> {
            let delay = |host: u32| {
                let jitter = Jitter { spread_s, host: format!("db-{host}") };
                let due = jitter.due(Task::Backup, slot, &schedule);
                assert_eq!(due, jitter.due(Task::Backup, slot, &schedule), "it is the same when asked again");
                due.duration_since(slot).as_secs()
            };
            (0..200).map(delay).collect()
        };
        assert_eq!(delays(0), [0; 200]);
        for (spread, bound) in [(60, 60), (100_000, 600)] {
            let delays = delays(spread);
            assert!(delays.iter().all(|delay| (0..bound).contains(delay)), "{delays:?}");
            let (early, late) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
            assert!(*early < bound / 10 && *late > bound * 9 / 10, "from {early} to {late} of {bound}");
        }
    }
}
