//! Weeks of a machine, against a list of promised runs that is made without the planner.

use grap_core::schedule::{Reason, Schedule};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::machine::{Fate, Machine, failure, success};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When the runs of a machine begin that is on and off for these times, one after the other.
fn promised(
    schedule: &Schedule,
    start: Timestamp,
    periods: &[(SignedDuration, SignedDuration)],
) -> Vec<Timestamp> {
    let mut runs = Vec::new();
    let (mut now, mut covered) = (start, start);
    for (on, off) in periods {
        // What was missed while it was off: once.
        if schedule.after(covered).is_some_and(|slot| slot <= now) {
            runs.push(now);
        }
        covered = now;
        let end = now + *on;
        while let Some(slot) = schedule.after(covered).filter(|slot| *slot <= end) {
            runs.push(slot);
            covered = slot;
        }
        now = end + *off;
    }
    runs
}

fn starts(machine: &Machine) -> Vec<Timestamp> {
    machine.runs.iter().map(|run| run.started).collect()
}

#[test]
fn eight_weeks_without_a_break_are_one_run_a_night() {
    for (zone, start) in [
        ("Europe/Berlin", "2026-03-01T12:00:00Z"),
        ("America/New_York", "2026-10-01T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-03-01T12:00:00Z"),
        ("Asia/Seoul", "2026-03-01T12:00:00Z"),
    ] {
        let mut machine = Machine::new("30 2 * * *", zone, 0, start);
        machine.pass(8 * WEEK);
        let expected = promised(&machine.schedule, start.parse().unwrap(), &[(8 * WEEK, HOUR)]);
        assert_eq!(starts(&machine), expected, "{zone}");
        assert_eq!(machine.runs.len(), 56, "{zone}");
    }
}

/// Case litestream#479: timers that begin anew at each start never fire when starts are frequent.
#[test]
fn restarts_each_50_minutes_delay_nothing() {
    let mut machine = Machine::new("0 2 * * *", "UTC", 0, "2026-11-01T12:00:00Z");
    for _ in 0..(5 * 24 * 60 / 50) {
        machine.pass(SignedDuration::from_mins(50));
        machine.off(SignedDuration::from_secs(5));
    }
    let nights = starts(&machine);
    assert_eq!(nights.len(), 5);
    let late =
        |start: &Timestamp| start.duration_since("2026-11-02T02:00:00Z".parse().unwrap()).as_secs() % 86_400;
    assert!(nights.iter().all(|start| late(start) <= 5), "{nights:?}");
}

/// Failures at night, and the machine is restarted each 50 minutes: each retry comes when it was promised.
#[test]
fn retries_keep_their_times_through_restarts() {
    let mut machine = Machine::new("0 2 * * 0", "UTC", 0, "2026-11-07T12:00:00Z");
    machine.fate = Fate { takes: SignedDuration::from_secs(20), outcome: failure() };
    for _ in 0..(3 * 24 * 60 / 50) {
        machine.pass(SignedDuration::from_mins(50));
        machine.off(SignedDuration::from_secs(5));
    }
    let starts: Vec<String> = starts(&machine).iter().map(ToString::to_string).collect();
    assert_eq!(
        starts,
        [
            "2026-11-08T02:00:00Z",
            "2026-11-08T02:01:20Z",
            "2026-11-08T02:06:40Z",
            "2026-11-08T02:37:00Z",
            "2026-11-09T02:37:20Z",
        ]
    );
    assert!(machine.state.task(crate::machine::TASK).alerts());
    machine.fate.outcome = success();
    machine.pass(WEEK);
    let last = machine.runs.last().unwrap();
    assert_eq!(last.started, "2026-11-15T02:00:00Z".parse().unwrap(), "the cron goes on");
    assert!(!machine.state.task(crate::machine::TASK).alerts());
}

proptest! {
    /// Eight weeks, off at random times, for minutes or days: exactly the promised runs.
    #[test]
    fn eight_weeks_with_the_machine_off_at_random_times(
        zone in prop_oneof![
            Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"), Just("Asia/Seoul")
        ],
        expression in prop_oneof![Just("30 2 * * *"), Just("0 2 * * *"), Just("0 4 * * 0"), Just("15 */4 * * *")],
        start in prop_oneof![Just("2026-03-01T12:00:00Z"), Just("2026-10-01T12:00:00Z")],
        periods in proptest::collection::vec((1..200_000_i64, prop_oneof![1..3600_i64, 3600..400_000_i64]), 10..40),
    ) {
        let mut machine = Machine::new(expression, zone, 0, start);
        // Runs of no length: a run that a power cut ends is another test's.
        machine.fate = Fate { takes: SignedDuration::ZERO, outcome: success() };
        let start = machine.truth;
        let mut lived = Vec::new();
        for (on, off) in periods {
            let period = (SignedDuration::from_secs(on), SignedDuration::from_secs(off));
            machine.pass(period.0);
            machine.off(period.1);
            lived.push(period);
            if machine.truth.duration_since(start) > 8 * WEEK {
                break;
            }
        }
        // It has just been switched on.
        lived.push((SignedDuration::ZERO, SignedDuration::ZERO));
        prop_assert_eq!(starts(&machine), promised(&machine.schedule, start, &lived));
        let all_slots = machine.runs.iter().all(|run| matches!(run.reason, Reason::Slot { .. }));
        prop_assert!(all_slots, "a run that no slot asked for");
        machine.assert_replayed();
    }
}
