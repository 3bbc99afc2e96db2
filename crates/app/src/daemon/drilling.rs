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

    /// The newest drill that went well; else the first try, else our own start.
    fn proved_at(&self) -> Option<Timestamp> {
        // A journal that cannot be read is an alert of its own as soon as it is set aside.
        let history = ops::drill_history(&self.state).ok()?;
        let proved = history.iter().rev().find(|drill| drill.0.succeeded());
        let first = history.first().map(|drill| drill.0.recovery.begun);
        Some(proved.and_then(|drill| drill.0.ended).or(first).unwrap_or(self.since))
    }
}
