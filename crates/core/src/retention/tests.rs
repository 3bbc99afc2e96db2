//! Rules one by one; then whole lives: weeks of backups, each expire working on what the one before left, against
//! what was promised, worked out anew from everything that ever was.

use std::collections::BTreeSet;

use jiff::civil::date;
use jiff::{Span, Zoned};
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn backup(began: Timestamp, verdict: Option<Verdict>) -> Candidate {
    let id = BackupId::choose(began, |_| false);
    Candidate { id, began, verdict, holds: Vec::new(), needed: false, doubt: None }
}

fn good(text: &str) -> Candidate {
    backup(at(text), Some(Verdict::Verified))
}

fn kept_by(plan: &RetentionPlan, number: usize) -> Vec<&'static str> {
    match &plan.decisions[number].outcome {
        Outcome::Stays(keeps) => keeps.iter().map(Keep::name).collect(),
        Outcome::Goes(_) => Vec::new(),
    }
}

const NONE: RetentionRules = RetentionRules { days: 1, daily: 0, weekly: 0, monthly: 0 };

#[test]
fn each_rule_alone() {
    let candidates = [
        backup(at("2026-10-01T02:00:00Z"), None),
        backup(at("2026-10-02T02:00:00Z"), Some(Verdict::Failed)),
        Candidate { holds: vec!["ann: audit".to_owned()], ..backup(at("2026-10-03T02:00:00Z"), None) },
        Candidate { needed: true, ..backup(at("2026-10-04T02:00:00Z"), None) },
        Candidate { doubt: Some("a note".to_owned()), ..backup(at("2026-10-05T02:00:00Z"), None) },
        good("2026-10-06T02:00:00Z"),
        good("2026-10-07T02:00:00Z"),
        backup(at("2026-11-24T03:00:00Z"), None),
    ];
    let plan = NONE.plan(&candidates, at("2026-11-25T02:00:00Z"), &TimeZone::UTC, None);
    let kept: Vec<_> = (0..candidates.len()).map(|number| kept_by(&plan, number)).collect();
    let none: Vec<&str> = Vec::new();
    let expected = [
        none.clone(),
        none.clone(),
        vec!["held"],
        vec!["needed_by_window"],
        vec!["in_doubt"],
        none,
        vec!["newest_verified"],
        vec!["young"],
    ];
    assert_eq!(kept, expected);
    assert_eq!(plan.pause, None);
    let why = |number: usize| match &plan.decisions[number].outcome {
        Outcome::Goes(why) => why.iter().map(Go::name).collect(),
        Outcome::Stays(_) => Vec::new(),
    };
    assert_eq!(why(0), ["old", "never_verified"]);
    assert_eq!(why(1), ["old", "failed_verification"]);
    assert_eq!(why(5), ["old", "not_counted"]);
}

#[test]
fn the_newest_verified_of_each_of_the_last_that_have_one() {
    let rules = RetentionRules { days: 1, daily: 2, weekly: 2, monthly: 2 };
    let candidates = [
        good("2026-08-30T02:00:00Z"),
        good("2026-09-30T02:00:00Z"), // the newest of September
        good("2026-11-08T02:00:00Z"), // Sunday of week 45
        good("2026-11-09T02:00:00Z"), // Monday of week 46
        good("2026-11-10T02:00:00Z"),
        good("2026-11-10T04:00:00Z"),
        backup(at("2026-11-10T05:00:00Z"), Some(Verdict::Failed)),
        backup(at("2026-11-12T05:00:00Z"), None),
    ];
    let plan = rules.plan(&candidates, at("2026-11-25T02:00:00Z"), &TimeZone::UTC, None);
    let kept: Vec<_> = (0..candidates.len()).map(|number| kept_by(&plan, number)).collect();
    let none: Vec<&str> = Vec::new();
    let newest = vec!["daily", "weekly", "monthly", "newest_verified"];
    let expected = [
        none.clone(),
        vec!["monthly"],
        vec!["weekly"],
        vec!["daily"],
        none.clone(),
        newest,
        none.clone(),
        none,
    ];
    assert_eq!(kept, expected, "{plan:?}");
}

/// 23:30 UTC is the next day in Berlin; the year of an ISO week is not that of its days.
#[test]
fn days_weeks_and_months_are_those_of_the_zone() {
    let rules = RetentionRules { days: 1, daily: 9, weekly: 9, monthly: 9 };
    let candidates = [good("2026-12-31T22:30:00Z"), good("2026-12-31T23:30:00Z")];
    let plan = |zone: &TimeZone| rules.plan(&candidates, at("2027-03-01T00:00:00Z"), zone, None);
    assert_eq!(kept_by(&plan(&TimeZone::UTC), 0), Vec::<&str>::new());
    let berlin = plan(&zone("Europe/Berlin"));
    assert_eq!(kept_by(&berlin, 0), ["daily", "monthly"], "one week holds both");
    let Outcome::Stays(keeps) = &berlin.decisions[1].outcome else { panic!() };
    assert!(keeps.contains(&Keep::NewestOfDay(date(2027, 1, 1))));
    assert!(keeps.contains(&Keep::NewestOfWeek { year: 2026, week: 53 }));
}

/// The hour that is there twice belongs to one day; so does what is before and behind the one that is missing.
#[test]
fn summer_time_both_ways() {
    let rules = RetentionRules { days: 1, daily: 9, weekly: 0, monthly: 0 };
    for times in [
        ["2026-10-24T21:59:00Z", "2026-10-24T22:01:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
        ["2026-03-28T22:59:00Z", "2026-03-28T23:01:00Z", "2026-03-29T00:59:00Z", "2026-03-29T01:01:00Z"],
    ] {
        let candidates = times.map(good);
        let plan = rules.plan(&candidates, at("2027-03-01T00:00:00Z"), &zone("Europe/Berlin"), None);
        let kept: Vec<bool> = plan.decisions.iter().map(|decision| !decision.goes()).collect();
        assert_eq!(kept, [true, false, false, true], "{times:?}");
    }
}

#[test]
fn age_deletes_nothing_while_the_newest_is_overdue_to_come_or_not_there() {
    let old = [good("2026-09-01T02:00:00Z"), good("2026-09-02T02:00:00Z"), good("2026-11-01T02:00:00Z")];
    let plan = |candidates: &[Candidate], now: &str, due: Option<&str>| {
        NONE.plan(candidates, at(now), &TimeZone::UTC, due.map(at))
    };
    let goes = |plan: &RetentionPlan| plan.decisions.iter().filter(|decision| decision.goes()).count();
    let free = plan(&old, "2026-11-02T02:00:00Z", Some("2026-11-03T02:00:00Z"));
    assert_eq!((free.pause.clone(), goes(&free)), (None, 2));
    let due = plan(&old, "2026-11-03T02:00:00Z", Some("2026-11-03T02:00:00Z"));
    assert!(matches!(due.pause, Some(Pause::Overdue { .. })), "{due:?}");
    assert_eq!((goes(&due), kept_by(&due, 0)), (0, vec!["paused"]));
    let back = plan(&old, "2026-11-01T01:59:59Z", None);
    assert!(matches!(back.pause, Some(Pause::ClockBehind { .. })) && goes(&back) == 0, "{back:?}");
    let unverified = [backup(at("2026-09-01T02:00:00Z"), None)];
    let none = plan(&unverified, "2026-11-02T02:00:00Z", None);
    assert_eq!((none.pause.clone(), goes(&none)), (Some(Pause::NoneVerified), 0));
}

/// A backup as the simulation made it.
#[derive(Debug, Clone)]
struct Made {
    candidate: Candidate,
    /// Days after its beginning on which it is released.
    released: Option<i64>,
}

/// What one simulated day is.
#[derive(Debug, Clone, Copy)]
enum Day {
    Good,
    Unverified,
    FailsVerification,
    /// No backup came of it.
    Missing,
    /// The machine is off: neither backup nor expire.
    Off,
}

fn a_day(off: u32) -> impl Strategy<Value = Day> {
    prop_oneof![
        8 => Just(Day::Good),
        1 => Just(Day::Unverified),
        1 => Just(Day::FailsVerification),
        1 => Just(Day::Missing),
        off => Just(Day::Off),
    ]
}

/// The next slot of `0 2 * * *`: 02:00 of the zone, or what stands for it where it is missing.
fn slot_after(time: &Zoned) -> Zoned {
    let date = time.date();
    let slot = |date: Date| date.at(2, 0, 0, 0).to_zoned(time.time_zone().clone()).unwrap();
    if slot(date) > *time { slot(date) } else { slot(date.tomorrow().unwrap()) }
}

struct Life {
    zone: TimeZone,
    rules: RetentionRules,
    /// Everything that ever was, oldest first.
    made: Vec<Made>,
    left: BTreeSet<BackupId>,
    /// How often anything could have gone, and did not.
    paused: usize,
}

impl Life {
    fn live(&mut self, start: Date, days: &[(Day, Option<i64>)]) -> Zoned {
        let mut now = start.at(2, 0, 0, 0).to_zoned(self.zone.clone()).unwrap();
        for (day, hold) in days {
            if !matches!(day, Day::Off) {
                self.back_up(&now, *day, *hold);
                self.expire(&now.checked_add(Span::new().hours(1)).unwrap());
            }
            now = slot_after(&now);
        }
        // The last day ends well, so that nothing is overdue.
        self.back_up(&now, Day::Good, None);
        let end = now.checked_add(Span::new().hours(1)).unwrap();
        self.expire(&end);
        end
    }

    fn back_up(&mut self, now: &Zoned, day: Day, hold: Option<i64>) {
        let verdict = match day {
            Day::Good => Some(Verdict::Verified),
            Day::Unverified => None,
            Day::FailsVerification => Some(Verdict::Failed),
            Day::Missing | Day::Off => return,
        };
        let candidate = backup(now.timestamp(), verdict);
        self.left.insert(candidate.id.clone());
        self.made.push(Made { candidate, released: hold });
    }

    /// As it is known now: with the holds that are open.
    fn seen(&self, now: &Zoned, which: impl Fn(&Made) -> bool) -> Vec<Candidate> {
        let day = SignedDuration::from_hours(24);
        let seen = |made: &Made| {
            let mut candidate = made.candidate.clone();
            let until = made.released.map(|days| candidate.began + day * i32::try_from(days).unwrap());
            if until.is_some_and(|until| now.timestamp() < until) {
                candidate.holds.push("somebody".to_owned());
            }
            candidate
        };
        self.made.iter().filter(|made| which(made)).map(seen).collect()
    }

    fn expire(&mut self, now: &Zoned) {
        let seen = self.seen(now, |made| self.left.contains(&made.candidate.id));
        let due = newest_verified(&seen)
            .map(|newest| slot_after(&slot_after(&newest.began.to_zoned(self.zone.clone()))).timestamp());
        let plan = self.rules.plan(&seen, now.timestamp(), &self.zone, due);
        let good: Vec<_> = seen.iter().filter(|one| is_verified(one)).collect();
        for decision in plan.decisions.iter().filter(|decision| decision.goes()) {
            assert_eq!(plan.pause, None);
            let gone = seen.iter().find(|one| one.id == decision.id).unwrap();
            assert!(gone.holds.is_empty());
            assert!(good.iter().any(|one| one.began > gone.began), "the last good one goes");
            self.left.remove(&decision.id);
        }
        self.paused += usize::from(plan.pause.is_some());
    }

    /// What the rules promise, from all that ever was, in other words than the planner's.
    fn promised(&self, now: &Zoned) -> BTreeSet<BackupId> {
        let all = self.seen(now, |_| true);
        let mut promised = BTreeSet::new();
        let age = |one: &Candidate| now.timestamp().duration_since(one.began);
        let limit = SignedDuration::from_hours(24 * i64::from(self.rules.days));
        promised.extend(
            all.iter().filter(|one| age(one) < limit || !one.holds.is_empty()).map(|one| one.id.clone()),
        );
        let mut tags: [BTreeMap<String, BackupId>; 3] = Default::default();
        for one in all.iter().filter(|one| is_verified(one)) {
            let local = one.began.to_zoned(self.zone.clone());
            for (tags, form) in tags.iter_mut().zip(["%Y-%m-%d", "%G-%V", "%Y-%m"]) {
                tags.insert(local.strftime(form).to_string(), one.id.clone());
            }
        }
        let counts = [self.rules.daily, self.rules.weekly, self.rules.monthly];
        for (tags, count) in tags.iter().zip(counts) {
            promised.extend(tags.values().rev().take(count as usize).cloned());
        }
        promised.extend(all.iter().rfind(|one| is_verified(one)).map(|one| one.id.clone()));
        promised
    }
}

fn rules() -> impl Strategy<Value = RetentionRules> {
    prop_oneof![
        2 => Just(RetentionRules::default()),
        1 => Just(RetentionRules { days: 7, ..RetentionRules::default() }),
        2 => (1..40_u32, 0..9_u32, 0..9_u32, 0..4_u32)
            .prop_map(|(days, daily, weekly, monthly)| RetentionRules { days, daily, weekly, monthly }),
    ]
}

/// From a Monday in any season: both changes of summer time are met.
fn start() -> impl Strategy<Value = (Date, &'static str)> {
    let zones = prop_oneof![
        Just("UTC"),
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("Pacific/Apia"),
    ];
    (0..400_i32, zones)
        .prop_map(|(days, zone)| (date(2026, 1, 1).checked_add(Span::new().days(days)).unwrap(), zone))
}

fn days(off: u32) -> impl Strategy<Value = Vec<(Day, Option<i64>)>> {
    let hold = prop_oneof![6 => Just(None), 1 => (1..70_i64).prop_map(Some)];
    proptest::collection::vec((a_day(off), hold), 56..=60)
}

fn live(rules: RetentionRules, (start, zone_name): (Date, &str), days: &[(Day, Option<i64>)]) -> Life {
    let mut life = Life { zone: zone(zone_name), rules, made: Vec::new(), left: BTreeSet::new(), paused: 0 };
    let end = life.live(start, days);
    assert_eq!(life.left, life.promised(&end));
    life
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn eight_weeks_leave_exactly_what_was_promised(rules in rules(), start in start(), days in days(0)) {
        live(rules, start, &days);
    }

    #[test]
    fn so_do_eight_weeks_with_a_machine_that_is_off_at_times(rules in rules(), start in start(), days in days(8)) {
        live(rules, start, &days);
    }

    /// Whatever the clock says, what is held, needed, or the last good one stays.
    #[test]
    fn no_clock_makes_the_floor_go(rules in rules(), days in days(2), clock in -4000..4000_i64, keep in 0..60_usize) {
        let mut life = Life {
            zone: TimeZone::UTC, rules, made: Vec::new(), left: BTreeSet::new(), paused: 0,
        };
        let end = life.live(date(2026, 5, 4), &days);
        let mut seen = life.seen(&end, |_| true);
        let index = keep % seen.len();
        seen[index].needed = true;
        let now = end.timestamp() + SignedDuration::from_hours(clock);
        let plan = rules.plan(&seen, now, &TimeZone::UTC, None);
        prop_assert!(!plan.decisions[index].goes());
        let newest = newest_verified(&seen).unwrap();
        let floor = plan.decisions.iter().find(|decision| decision.id == newest.id).unwrap();
        prop_assert!(!floor.goes());
        if now < newest.began {
            prop_assert!(plan.decisions.iter().all(|decision| !decision.goes()));
        }
    }
}

/// Eight weeks as they should be, written out: what the defaults leave.
#[test]
fn the_defaults_after_eight_weeks() {
    let days = vec![(Day::Good, None); 56];
    let life = live(RetentionRules::default(), (date(2026, 1, 5), "UTC"), &days);
    // 2026-03-02 is the last; 30 days lie behind it; the older weeks and month are covered by those.
    let oldest = life.left.first().unwrap().as_str();
    assert_eq!((life.left.len(), oldest), (30, "neo4j-20260201-020000"));
    let short = RetentionRules { days: 3, ..RetentionRules::default() };
    let life = live(short, (date(2026, 1, 5), "UTC"), &days);
    let left: Vec<&str> = life.left.iter().map(BackupId::as_str).collect();
    let dates = ["20260215", "20260222", "20260224", "20260225", "20260226", "20260227", "20260228"];
    let dates = dates.into_iter().chain(["20260301", "20260302"]);
    let expected: Vec<String> = dates.map(|date| format!("neo4j-{date}-020000")).collect();
    assert_eq!(left, expected);
}
