//! How old the newest proof is that a recovery would work.

use grap::ops;
use jiff::{SignedDuration, Timestamp};

use super::Daemon;
use super::alarms::DRILL_AGE;
use grap_core::schedule::Task;

impl Daemon {
    /// Where drills have a schedule, and none has gone well for too long.
    pub(super) fn judge_drills(&self) {
        let settings = self.settings();
        let scheduled =
            self.timetable(&settings).is_ok_and(|table| table.schedules.contains_key(&Task::Drill));
        let days = settings.number::<u16>("drill.max_age_days", 1..=3650).ok().flatten();
        let (true, Some(days)) = (scheduled, days) else { return self.alerts.clear(DRILL_AGE) };
        let Some(since) = self.proved_at() else { return };
        let age = self.clock.now().duration_since(since);
        if age <= SignedDuration::from_hours(24 * i64::from(days)) {
            return self.alerts.clear(DRILL_AGE);
        }
        let text = format!(
            "no drill has gone well for {} days (since {}): whether a recovery would work is not proved",
            age.as_hours() / 24,
            since.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        self.alerts.raise(DRILL_AGE, grap_core::AlertLevel::Critical, &text);
    }

    fn proved_at(&self) -> Option<Timestamp> {
        // A journal that cannot be read is an alert of its own.
        let history = ops::drill_history(&self.state).ok()?;
        let proved = history.iter().rev().find(|drill| drill.0.succeeded());
        let tried = history.first().map(|drill| drill.0.recovery.begun);
        let scheduled = self.scheduler().and_then(|scheduler| scheduler.scheduled_since(Task::Drill));
        Some(counts_from(proved.and_then(|drill| drill.0.ended), tried, scheduled).unwrap_or(self.since))
    }
}

/// The newest drill that went well; else when one was first tried, or first wanted by a schedule: both are in journals, so
/// that a daemon that is started again and again does not put off the alert.
fn counts_from(
    proved: Option<Timestamp>,
    tried: Option<Timestamp>,
    scheduled: Option<Timestamp>,
) -> Option<Timestamp> {
    proved.or_else(|| [tried, scheduled].into_iter().flatten().min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_proof_its_age_counts_from_what_is_in_a_journal() {
        let at = |day: i64| Some(Timestamp::from_second(day * 86_400).unwrap());
        assert_eq!(counts_from(at(9), at(1), at(2)), at(9));
        assert_eq!(counts_from(None, at(3), at(2)), at(2));
        assert_eq!(counts_from(None, at(1), at(2)), at(1));
        assert_eq!(counts_from(None, None, at(2)), at(2));
        assert_eq!(counts_from(None, None, None), None);
    }
}
