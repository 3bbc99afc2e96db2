//! A cron expression in a time zone. What it names are readings of a wall clock; what comes out are instants.
//!
//! Where the wall clock jumps (a *gap*, in spring) or repeats itself (an *overlap*, in autumn), there are two
//! kinds of schedules:
//!
//! - One that **names hours** (`30 2 * * *`) goes by the wall clock: each reading is one slot. A reading in
//!   a gap is due at the first instant behind the gap; one that comes twice is due the first time. So a daily
//!   schedule has a slot each day, and no more.
//! - One that **names every hour** (`* * * * *`, `0 * * * *`) goes by elapsed time: what the gap skips is not
//!   there, and the repeated hour is an hour like any other.
//!
//! The parser knows which readings match; it is asked in UTC only, where no reading is special. What a reading
//! is in the zone is decided here. This is right because readings become instants in their order (`instant`
//! is monotone), so the first reading behind `t` whose instant is behind `t` is the next slot.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The slots of something periodic. Never empty: an expression that no day matches is refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    expression: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error(
        "`{expression}` is no schedule: {why} (five fields: minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, @monthly, @yearly)"
    )]
    Expression { expression: String, why: String },
    #[error("`{expression}` never comes: no day matches it")]
    Never { expression: String },
    #[error("`{name}` is no time zone: give a name of the IANA database, as Europe/Berlin or UTC")]
    Zone { name: String },
}

/// The zone of this name in the IANA database, which the program brings along.
pub fn time_zone(name: &str) -> Result<TimeZone, InvalidSchedule> {
    TimeZone::get(name.trim()).map_err(|_| InvalidSchedule::Zone { name: name.to_owned() })
}

impl Schedule {
    /// Five fields, as in a crontab, or a nickname as `@daily`.
    pub fn parse(expression: &str, zone: &TimeZone) -> Result<Self, InvalidSchedule> {
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&expression)
            .map_err(|why| InvalidSchedule::Expression {
                expression: expression.clone(),
                why: why.to_string().trim_end_matches('.').to_owned(),
            })?;
        let schedule = Self { cron, zone: zone.clone(), expression };
        match schedule.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(InvalidSchedule::Never { expression: schedule.expression }),
        }
    }

    /// The first slot behind `t`. None only at the end of time.
    pub fn after(&self, t: Timestamp) -> Option<Timestamp> {
        if self.names_every_hour() { self.by_elapsed_time(t) } else { self.by_wall_clock(t) }
    }

    fn names_every_hour(&self) -> bool {
        (0..24).all(|hour| self.cron.pattern.hour_match(hour).unwrap_or(false))
    }

    fn by_wall_clock(&self, t: Timestamp) -> Option<Timestamp> {
        let mut reading = self.zone.to_datetime(t);
        loop {
            reading = self.reading(reading, Bound::Behind)?;
            let slot = self.instant(reading)?;
            // In the second half of an overlap, readings ahead had their instant in the first half.
            if slot > t {
                return Some(slot);
            }
        }
    }

    /// Between two changes of the offset, the wall clock goes as the time does.
    fn by_elapsed_time(&self, t: Timestamp) -> Option<Timestamp> {
        let (mut from, mut bound) = (t, Bound::Behind);
        loop {
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|transition| transition.timestamp());
            let slot = self
                .reading(offset.to_datetime(from), bound)
                .and_then(|reading| offset.to_timestamp(reading).ok());
            match (slot, change) {
                (Some(slot), Some(change)) if slot < change => return Some(slot),
                (slot, None) => return slot,
                (_, Some(change)) => (from, bound) = (change, Bound::AtOrBehind),
            }
        }
    }

    /// The next reading of a wall clock that matches.
    fn reading(&self, from: DateTime, bound: Bound) -> Option<DateTime> {
        let from = from.to_zoned(TimeZone::UTC).ok()?;
        let next = self.cron.find_next_occurrence(&from, bound == Bound::AtOrBehind).ok()?;
        Some(next.datetime())
    }

    /// When the wall clock shows this reading for the first time, or has just jumped over it.
    fn instant(&self, reading: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(reading).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(reading).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(reading).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                // Had the clock not jumped it would show the reading at or behind the jump.
                let unjumped = before.to_timestamp(reading).ok()?;
                let behind = unjumped.checked_add(SignedDuration::from_secs(1)).ok()?;
                self.zone.preceding(behind).next().map(|jump| jump.timestamp())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Behind,
    AtOrBehind,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expression)?;
        match self.zone.iana_name() {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(expression: &str, zone: &str) -> Schedule {
        Schedule::parse(expression, &time_zone(zone).unwrap()).unwrap()
    }

    /// The next slots behind `from`, as the zone's wall clock shows them.
    fn slots(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = schedule(expression, zone);
        let from: Timestamp = from.parse().unwrap();
        std::iter::successors(schedule.after(from), |slot| schedule.after(*slot))
            .take(count)
            .map(|slot| slot.to_zoned(schedule.zone.clone()).strftime("%d %H:%M%:z").to_string())
            .collect()
    }

    #[test]
    fn a_slot_lies_strictly_behind() {
        let nightly = schedule("0 2 * * *", "UTC");
        let slot: Timestamp = "2026-11-25T02:00:00Z".parse().unwrap();
        assert_eq!(nightly.after(slot - SignedDuration::from_nanos(1)), Some(slot));
        assert_eq!(nightly.after(slot).unwrap() - slot, jiff::Span::new().seconds(86_400).fieldwise());
        assert_eq!(nightly.after(slot + SignedDuration::from_millis(500)), nightly.after(slot));
        let each_minute = slots("* * * * *", "UTC", "2026-11-25T02:00:30Z", 2);
        assert_eq!(each_minute, ["25 02:01+00:00", "25 02:02+00:00"]);
    }

    #[test]
    fn a_daily_slot_in_the_gap_comes_at_its_end_and_one_in_the_overlap_once() {
        let spring = slots("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!(spring, ["28 02:30+01:00", "29 03:00+02:00", "30 02:30+02:00"]);
        let autumn = slots("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3);
        assert_eq!(autumn, ["24 02:30+02:00", "25 02:30+02:00", "26 02:30+01:00"]);
        let behind_the_first = slots("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1);
        assert_eq!(behind_the_first, ["26 02:30+01:00"], "02:10, for the second time");
        let new_york = slots("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2);
        assert_eq!(new_york, ["08 03:00-04:00", "09 02:30-04:00"]);
    }

    #[test]
    fn a_jump_of_half_an_hour_is_a_jump() {
        let spring = slots("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00:00Z", 2);
        assert_eq!(spring, ["04 02:30+11:00", "05 02:15+11:00"]);
        let autumn = slots("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2);
        assert_eq!(autumn, ["05 01:45+11:00", "06 01:45+10:30"]);
    }

    #[test]
    fn several_readings_in_a_gap_are_one_slot() {
        let quarters = slots("*/15 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2);
        assert_eq!(quarters, ["29 03:00+02:00", "30 02:00+02:00"]);
        let twice = slots("0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2);
        assert_eq!(twice, ["29 03:00+02:00", "30 02:00+02:00"]);
    }

    #[test]
    fn every_hour_is_every_hour_of_elapsed_time() {
        let spring = slots("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3);
        assert_eq!(spring, ["29 01:30+01:00", "29 03:30+02:00", "29 04:30+02:00"]);
        let autumn = slots("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3);
        assert_eq!(autumn, ["25 02:30+02:00", "25 02:30+01:00", "25 03:30+01:00"]);
        let half = slots("15 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", 3);
        assert_eq!(half, ["04 01:15+10:30", "04 03:15+11:00", "04 04:15+11:00"]);
        let at_the_change = slots("0 */1 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", 2);
        assert_eq!(at_the_change, ["25 02:00+01:00", "25 03:00+01:00"]);
    }

    #[test]
    fn a_day_that_a_zone_left_out_runs_at_its_end() {
        let samoa = slots("30 2 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3);
        assert_eq!(samoa, ["29 02:30-10:00", "31 00:00+14:00", "31 02:30+14:00"]);
    }

    #[test]
    fn nicknames_and_names_are_read() {
        assert_eq!(slots("@daily", "UTC", "2026-11-25T02:00:00Z", 1), ["26 00:00+00:00"]);
        assert_eq!(slots("@hourly", "UTC", "2026-11-25T02:00:00Z", 1), ["25 03:00+00:00"]);
        assert_eq!(slots("0 4 * * sun", "UTC", "2026-11-25T02:00:00Z", 1), ["29 04:00+00:00"]);
        assert_eq!(slots("0 0 29 2 *", "UTC", "2026-11-25T02:00:00Z", 1), ["29 00:00+00:00"]);
        assert_eq!(schedule(" 0  4 * * 0 ", "Europe/Berlin").to_string(), "0 4 * * 0 (Europe/Berlin)");
    }

    #[test]
    fn what_is_no_schedule_is_refused_by_name() {
        for expression in
            ["", "0 2 * *", "60 2 * * *", "0 24 * * *", "* * * * * *", "0 0 2 * * * 2027", "@noon", "nightly"]
        {
            let error = Schedule::parse(expression, &TimeZone::UTC).unwrap_err();
            assert!(matches!(error, InvalidSchedule::Expression { .. }), "{expression}: {error}");
        }
        let never = Schedule::parse("0 0 30 2 *", &TimeZone::UTC);
        assert!(matches!(never, Err(InvalidSchedule::Never { .. })), "{never:?}");
        assert!(matches!(time_zone("Europe/Atlantis"), Err(InvalidSchedule::Zone { .. })));
    }

    const ZONES: [&str; 5] =
        ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Seoul"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 5000 }))]

        /// A daily schedule has one slot for each day of the calendar, at its hour or at the end of a gap.
        #[test]
        fn a_daily_schedule_has_one_slot_a_day(
            zone in 0..ZONES.len(),
            hour in 0..24_i8,
            minute in 0..60_i8,
            start in 1_700_000_000..1_900_000_000_i64,
        ) {
            let schedule = schedule(&format!("{minute} {hour} * * *"), ZONES[zone]);
            let mut slot = schedule.after(Timestamp::from_second(start).unwrap()).unwrap();
            for _ in 0..200 {
                let next = schedule.after(slot).unwrap();
                let (day, next_day) = (schedule.zone.to_datetime(slot), schedule.zone.to_datetime(next));
                prop_assert_eq!(day.date().tomorrow().unwrap(), next_day.date());
                let behind = next_day.time().duration_since(jiff::civil::time(hour, minute, 0, 0));
                prop_assert!((0..=3600).contains(&behind.as_secs()), "{} for {}", next_day, schedule);
                slot = next;
            }
        }

        /// Asked from anywhere between two slots, the answer is the same.
        #[test]
        fn the_next_slot_does_not_depend_on_where_it_is_asked_from(
            zone in 0..ZONES.len(),
            expression in prop_oneof![
                Just("* * * * *"), Just("30 2 * * *"), Just("*/20 1-3 * * *"), Just("0 * * * *"), Just("15 2 * * 0")
            ],
            start in 1_700_000_000..1_900_000_000_i64,
            share in 0.0..1.0_f64,
        ) {
            let schedule = schedule(expression, ZONES[zone]);
            let slot = schedule.after(Timestamp::from_second(start).unwrap()).unwrap();
            let next = schedule.after(slot).unwrap();
            let between = slot + next.duration_since(slot).mul_f64(share);
            prop_assert!(slot < next);
            prop_assert_eq!(schedule.after(between), Some(next));
        }
    }
}
