//! Random walks: time passes, processes die, machines are off, runs fail, people ask, and clocks are set.

use grap_core::schedule::{
    BELIEVED_AHEAD_MAX, DEFERRED_WAIT_S, Event, FAILURES_MAX, Next, Outcome, RETRY_WAITS_S, Reason,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::machine::{Fate, Machine, Seen, TASK, deferral, failure, success};

#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    Off(i64),
    Clock(i64),
    Request,
    Fate(i64, Outcome),
}

fn moments() -> impl Strategy<Value = i64> {
    prop_oneof![1..120_i64, 60..7200_i64, 3600..200_000_i64]
}

fn life() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => moments().prop_map(Step::Pass),
        2 => moments().prop_map(Step::Off),
        1 => Just(Step::Request),
        3 => (0..7200_i64, prop_oneof![3 => Just(success()), 2 => Just(failure()), 1 => Just(deferral())])
            .prop_map(|(takes, outcome)| Step::Fate(takes, outcome)),
    ]
}

/// Minutes, hours, days, months; ahead and back.
fn clock() -> impl Strategy<Value = Step> {
    let far = prop_oneof![1..120_i64, 60..90_000_i64, 80_000..9_000_000_i64];
    (far, any::<bool>()).prop_map(|(by, back)| Step::Clock(if back { -by } else { by }))
}

fn machines() -> impl Strategy<Value = (&'static str, &'static str, u32)> {
    let expressions = prop_oneof![
        Just("30 2 * * *"),
        Just("0 2 * * *"),
        Just("30 * * * *"),
        Just("0 4 * * 0"),
        Just("0 1-3 * * *")
    ];
    let zones = prop_oneof![
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("Asia/Seoul")
    ];
    (expressions, zones, prop_oneof![Just(0_u32), Just(600), Just(100_000)])
}

fn take(machine: &mut Machine, step: &Step) {
    match step {
        Step::Pass(seconds) => machine.pass(SignedDuration::from_secs(*seconds)),
        Step::Off(seconds) => machine.off(SignedDuration::from_secs(*seconds)),
        Step::Clock(seconds) => machine.step_clock(SignedDuration::from_secs(*seconds)),
        Step::Request => machine.request(),
        Step::Fate(takes, outcome) => {
            machine.fate = Fate { takes: SignedDuration::from_secs(*takes), outcome: outcome.clone() };
        }
    }
}

fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}

/// When the machine was on, by its clock.
#[derive(Debug, Default)]
struct Periods(Vec<(Timestamp, Timestamp)>);

impl Periods {
    fn hold(&self, from: Timestamp, to: Timestamp) -> bool {
        self.0.iter().any(|(on, off)| *on <= from && to <= *off)
    }
}

/// A slot while the machine is on is served by a run that begins within the spread of the slot; or, where a run
/// is in progress, when that one ends.
fn assert_every_slot_is_served(machine: &Machine, start: Timestamp, on: &Periods) {
    let spread = seconds(machine.jitter.spread_s);
    let mut slot = start;
    while let Some(next) = machine.schedule.after(slot).filter(|next| *next <= machine.wall()) {
        slot = next;
        let busy = machine.runs.iter().find_map(|run| {
            let (ended, _) = run.ended.as_ref()?;
            (run.started < slot && slot < *ended).then_some(*ended)
        });
        let until = (slot + spread).max(busy.unwrap_or(slot));
        if !on.hold(slot, until) || machine.runs.iter().any(|run| run.ended.is_none() && run.started < slot) {
            continue;
        }
        let served = machine.runs.iter().any(|run| (slot..=until).contains(&run.started));
        assert!(served, "no run for {slot}, until {until}: {:#?}", machine.runs);
    }
}

/// A slot is the reason of one run at most, which serves it and all slots before.
fn assert_no_slot_twice(runs: &[Seen]) {
    let mut before: Option<&Seen> = None;
    for run in runs {
        if let Reason::Slot { slot } = run.reason {
            let put_off =
                before.is_some_and(|before| matches!(&before.ended, Some((_, Outcome::Deferred { .. }))));
            assert!(slot <= run.started);
            assert!(
                put_off || before.is_none_or(|before| before.started < slot),
                "{slot} had been served: {before:?} {run:?}"
            );
        }
        before = Some(run);
    }
}

/// After so many failures in a row, the next run begins at the promised instant, or before it for a slot or a
/// request.
fn assert_retries_come(machine: &Machine, on: &Periods) {
    let mut failures = 0_usize;
    for pair in machine.runs.windows(2) {
        let Some((ended, outcome)) = &pair[0].ended else { panic!("only the last may run") };
        let wait = match outcome {
            Outcome::Succeeded => {
                failures = 0;
                None
            }
            Outcome::Failed { .. } => {
                failures += 1;
                RETRY_WAITS_S.get(failures - 1).copied()
            }
            Outcome::Deferred { .. } => Some(DEFERRED_WAIT_S),
        };
        let next = &pair[1];
        match (wait, &next.reason) {
            (Some(wait), _) => {
                let due = *ended + seconds(wait);
                let late = next.started > due && on.hold(due, next.started);
                assert!(!late, "due {due}: {next:?}");
                let early = next.started < due && matches!(next.reason, Reason::Retry { .. });
                assert!(!early, "due {due}: {next:?}");
            }
            (None, Reason::Retry { .. }) => panic!("a retry that nothing asked for: {pair:?}"),
            (None, _) => {}
        }
    }
}

proptest! {
    /// With a clock that is right: everything promised, and nothing else.
    #[test]
    fn everything_promised_happens(
        (expression, zone, spread) in machines(),
        start in prop_oneof![Just("2026-03-25T12:00:00Z"), Just("2026-10-20T12:00:00Z"), Just("2026-04-01T12:00:00Z")],
        steps in proptest::collection::vec(life(), 1..60),
    ) {
        let mut machine = Machine::new(expression, zone, spread, start);
        let (start, mut on, mut since) = (machine.wall(), Periods::default(), machine.wall());
        for step in &steps {
            let before = machine.wall();
            take(&mut machine, step);
            if let Step::Off(_) = step {
                on.0.push((since, before));
                since = machine.wall();
            }
        }
        on.0.push((since, machine.wall()));
        machine.assert_replayed();
        assert_every_slot_is_served(&machine, start, &on);
        assert_no_slot_twice(&machine.runs);
        assert_retries_come(&machine, &on);
        let failures = machine.state.task(TASK).failures;
        prop_assert_eq!(machine.state.task(TASK).alerts(), failures >= FAILURES_MAX);
    }

    /// With a clock that is set: no slot comes twice, unless the clock was far ahead, which is said; and nothing
    /// waits for an instant that only the wrong clock knew.
    #[test]
    fn a_clock_that_is_set_repeats_nothing_and_stops_nothing(
        (expression, zone, spread) in machines(),
        steps in proptest::collection::vec(prop_oneof![3 => life(), 1 => clock()], 1..60),
    ) {
        let mut machine = Machine::new(expression, zone, spread, "2026-03-25T12:00:00Z");
        for step in &steps {
            take(&mut machine, step);
            let now = machine.wall();
            if let Next::At(due) = machine.next() {
                let believed = machine.schedule.after(now + BELIEVED_AHEAD_MAX).unwrap();
                prop_assert!(due <= believed + seconds(spread), "at {now} it waits until {due}");
            }
        }
        machine.assert_replayed();
        let mut slots = std::collections::BTreeSet::new();
        for event in &machine.journal {
            match event {
                Event::ClockTurnedBack { .. } => slots.clear(),
                Event::Started { reason: Reason::Slot { slot }, .. } => {
                    let put_off = machine.runs.iter().any(|run| {
                        run.reason == Reason::Slot { slot: *slot }
                            && matches!(&run.ended, Some((_, Outcome::Deferred { .. })))
                    });
                    prop_assert!(slots.insert(*slot) || put_off, "{slot} comes twice");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_clock_set_back_by_hours_repeats_no_slot() {
    let mut machine = Machine::new("0 2 * * *", "UTC", 0, "2026-11-24T12:00:00Z");
    machine.pass(SignedDuration::from_hours(15));
    assert_eq!(machine.runs.len(), 1);
    machine.step_clock(SignedDuration::from_hours(-4));
    machine.pass(SignedDuration::from_hours(6));
    assert_eq!(machine.runs.len(), 1, "02:00 came again");
    machine.pass(SignedDuration::from_hours(24));
    assert_eq!(machine.runs.len(), 2);
}

#[test]
fn a_clock_that_had_been_ahead_by_a_year_is_said_and_stops_nothing() {
    let mut machine = Machine::new("0 2 * * *", "UTC", 0, "2026-11-24T12:00:00Z");
    let year = SignedDuration::from_hours(365 * 24);
    machine.step_clock(year);
    machine.pass(SignedDuration::from_mins(30));
    assert_eq!(machine.runs.len(), 1, "a year of missed slots is one run");
    machine.step_clock(-year);
    assert!(matches!(machine.journal.last(), Some(Event::ClockTurnedBack { .. })));
    machine.pass(SignedDuration::from_hours(24));
    assert_eq!(machine.runs.len(), 2);
    assert_eq!(machine.runs[1].started, "2026-11-25T02:00:00Z".parse().unwrap());
}

#[test]
fn a_retry_does_not_wait_for_the_time_of_a_clock_that_was_ahead() {
    let mut machine = Machine::new("0 2 * * *", "UTC", 0, "2026-11-24T12:00:00Z");
    machine.fate = Fate { takes: SignedDuration::from_secs(1), outcome: failure() };
    machine.step_clock(SignedDuration::from_hours(20));
    machine.pass(SignedDuration::from_secs(10));
    assert_eq!(machine.runs.len(), 1);
    machine.step_clock(SignedDuration::from_hours(-20));
    machine.pass(SignedDuration::from_secs(60));
    assert_eq!(machine.runs.len(), 2);
}
