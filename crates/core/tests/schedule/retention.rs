//! Schedule and retention together: after eight weeks exactly the promised backups are there.
//!
//! What is promised is computed here from the calendar alone, once, over all backups that were ever made; the
//! machine expired day by day.

use std::collections::BTreeSet;

use grap_core::schedule::Outcome;
use grap_core::{BackupId, Candidate, RetentionRules, Verdict, newest_verified};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::machine::{Machine, Seen};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A backup that is later than that is overdue.
const GRACE: SignedDuration = SignedDuration::from_hours(12);

/// The repository of a machine, as far as retention sees it.
#[derive(Default)]
struct Shelf {
    made: Vec<Timestamp>,
    there: BTreeSet<Timestamp>,
}

impl Shelf {
    /// Every backup that succeeded is verified at once, as the daemon does it.
    fn take_in(&mut self, runs: &[Seen]) {
        let ended = runs.iter().filter(|run| matches!(run.ended, Some((_, Outcome::Succeeded))));
        for run in ended.skip(self.made.len()) {
            self.made.push(run.started);
            self.there.insert(run.started);
        }
    }

    fn expire(&mut self, rules: &RetentionRules, machine: &Machine, zone: &TimeZone) {
        let candidates: Vec<Candidate> = self.there.iter().map(|began| candidate(*began)).collect();
        let newest = newest_verified(&candidates).map(|newest| newest.began);
        let due_by = newest.and_then(|began| Some(machine.schedule.after(began)? + GRACE));
        let plan = rules.plan(&candidates, machine.wall(), zone, due_by);
        for (candidate, decision) in candidates.iter().zip(&plan.decisions) {
            if decision.goes() {
                self.there.remove(&candidate.began);
            }
        }
    }
}

fn candidate(began: Timestamp) -> Candidate {
    let id: BackupId = began.strftime("neo4j-%Y%m%d-%H%M%S").to_string().parse().unwrap();
    Candidate { id, began, verdict: Some(Verdict::Verified), holds: Vec::new(), needed: false, doubt: None }
}

/// The promise, from the calendar: young ones, and the newest of the last days, weeks and months that have one.
fn promised(
    rules: &RetentionRules,
    made: &[Timestamp],
    now: Timestamp,
    zone: &TimeZone,
) -> BTreeSet<Timestamp> {
    let date = |made: &Timestamp| made.to_zoned(zone.clone()).date();
    let monday =
        |date: Date| date.saturating_sub(jiff::Span::new().days(date.weekday().to_monday_zero_offset()));
    let mut kept: BTreeSet<Timestamp> = made
        .iter()
        .filter(|began| now.duration_since(**began) < SignedDuration::from_hours(24 * i64::from(rules.days)))
        .copied()
        .collect();
    let mut newest_of_last = |count: u32, bucket: &dyn Fn(Date) -> Date| {
        let buckets: BTreeSet<Date> = made.iter().map(|made| bucket(date(made))).collect();
        for last in buckets.iter().rev().take(count as usize) {
            kept.extend(made.iter().filter(|made| bucket(date(made)) == *last).max().copied());
        }
    };
    newest_of_last(rules.daily, &|date| date);
    newest_of_last(rules.weekly, &monday);
    newest_of_last(rules.monthly, &|date| date.first_of_month());
    kept.extend(made.iter().max().copied());
    kept
}

#[test]
fn eight_weeks_leave_exactly_the_promised_backups() {
    let mut machine = Machine::new("0 2 * * *", "Europe/Berlin", 0, "2026-03-01T12:00:00Z");
    let (zone, mut shelf) = (TimeZone::get("Europe/Berlin").unwrap(), Shelf::default());
    for _ in 0..56 {
        machine.pass(SignedDuration::from_hours(24));
        shelf.take_in(&machine.runs);
        shelf.expire(&RetentionRules::default(), &machine, &zone);
    }
    assert_eq!(shelf.made.len(), 56);
    let kept: Vec<String> =
        shelf.there.iter().map(|at| at.to_zoned(zone.clone()).date().to_string()).collect();
    // 30 days, and the newest of the last days, weeks and the month are among them.
    assert_eq!(kept.len(), 30);
    assert_eq!((kept.first().unwrap().as_str(), kept.last().unwrap().as_str()), ("2026-03-28", "2026-04-26"));
    assert_eq!(shelf.there, promised(&RetentionRules::default(), &shelf.made, machine.wall(), &zone));
}

proptest! {
    #[test]
    fn eight_weeks_with_the_machine_off_at_random_times_leave_exactly_the_promised_backups(
        zone in prop_oneof![Just("Europe/Berlin"), Just("America/New_York"), Just("Asia/Seoul")],
        start in prop_oneof![Just("2026-03-01T12:00:00Z"), Just("2026-10-01T12:00:00Z")],
        days in 1..31_u32,
        counts in (0..8_u32, 0..5_u32, 0..3_u32),
        periods in proptest::collection::vec((3600..200_000_i64, prop_oneof![1..3600_i64, 3600..400_000_i64]), 60),
    ) {
        let rules = RetentionRules { days, daily: counts.0, weekly: counts.1, monthly: counts.2 };
        let mut machine = Machine::new("30 2 * * *", zone, 0, start);
        let (name, zone, mut shelf) = (zone, TimeZone::get(zone).unwrap(), Shelf::default());
        let begun = machine.truth;
        for (on, off) in periods {
            machine.pass(SignedDuration::from_secs(on));
            shelf.take_in(&machine.runs);
            shelf.expire(&rules, &machine, &zone);
            if machine.truth.duration_since(begun) > 8 * WEEK {
                break;
            }
            machine.off(SignedDuration::from_secs(off));
        }
        // Nothing is overdue when the machine has been on for a day.
        machine.pass(SignedDuration::from_hours(25));
        shelf.take_in(&machine.runs);
        shelf.expire(&rules, &machine, &zone);
        prop_assert_eq!(&shelf.there, &promised(&rules, &shelf.made, machine.wall(), &zone), "{} {:?}", name, rules);
    }
}
