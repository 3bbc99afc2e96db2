//! The settings that say when: a schedule for each task, one time zone, one jitter.

use std::collections::BTreeMap;

use grap_core::schedule::{Jitter, Schedule, Task};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::{SettingError, Settings, parse_time_zone, system_time_zone};

/// When which task is due. A task that is not in it is off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timetable {
    pub(crate) schedules: BTreeMap<Task, Schedule>,
    pub(crate) jitter: Jitter,
}

/// In place of a schedule: the task runs only when it is asked for.
const OFF: &str = "off";
/// More than a day spreads nothing further.
const JITTER_MAX_S: i32 = 86_400;

impl Timetable {
    /// `host` decides how long this host waits behind a slot; `copies`: there is somewhere to copy to.
    pub(crate) fn of(settings: &Settings, host: &str, copies: bool) -> Result<Self, SettingError> {
        let zone = Self::zone(settings)?;
        let spread_s = settings.number("schedule.jitter_s", 0..=JITTER_MAX_S)?.unwrap_or(0);
        let mut schedules = BTreeMap::new();
        for task in Task::ALL {
            let schedule = settings.parsed(key_of(task), |text| parse_schedule(text, &zone))?.flatten();
            if let Some(schedule) = schedule.filter(|_| copies || task != Task::Copy) {
                schedules.insert(task, schedule);
            }
        }
        Ok(Self { schedules, jitter: Jitter { spread_s, host: host.to_owned() } })
    }

    /// Of every schedule; days, weeks and months of backups are counted in it, too.
    pub(crate) fn zone(settings: &Settings) -> Result<TimeZone, SettingError> {
        Ok(settings.parsed("schedule.timezone", parse_time_zone)?.unwrap_or_else(system_time_zone))
    }

    /// Whether the first time of a task behind this instant, jitter included, has passed by more than `by`.
    pub(crate) fn is_late(&self, task: Task, since: Timestamp, now: Timestamp, by: SignedDuration) -> bool {
        let slot = self.schedules.get(&task).and_then(|schedule| schedule.after(since));
        let spread = SignedDuration::from_secs(self.jitter.spread_s.into());
        slot.is_some_and(|slot| now.duration_since(slot) > by + spread)
    }

    /// Whether nobody makes backups but by hand: worth a warning.
    pub(crate) fn backups_are_off(&self) -> bool {
        !self.schedules.contains_key(&Task::Backup)
    }
}

fn key_of(task: Task) -> &'static str {
    match task {
        Task::Backup => "backup.schedule",
        Task::Copy => "copy.schedule",
        Task::Verify => "verify.schedule",
        Task::Expire => "expire.schedule",
        Task::Gc => "gc.schedule",
        Task::Drill => "drill.schedule",
    }
}

fn parse_schedule(text: &str, zone: &TimeZone) -> Result<Option<Schedule>, String> {
    if text.trim() == OFF {
        return Ok(None);
    }
    Schedule::parse(text, zone).map(Some).map_err(|error| format!("{error}, or `{OFF}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn table(lines: &[(&'static str, &str)]) -> Result<Timetable, SettingError> {
        let said = lines.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = Settings::resolve(Some(file.path()), &Environment::default(), said).unwrap();
        Timetable::of(&settings, "db-1", false)
    }

    fn shown(table: &Timetable) -> Vec<String> {
        table.schedules.iter().map(|(task, schedule)| format!("{task} {schedule}")).collect()
    }

    #[test]
    fn every_task_has_a_schedule_by_default_but_a_copy_that_goes_nowhere() {
        let table = table(&[("schedule.timezone", "Europe/Berlin")]).unwrap();
        assert_eq!(
            shown(&table),
            [
                "backup 0 2 * * * (Europe/Berlin)",
                "verify 0 5 * * * (Europe/Berlin)",
                "expire 30 3 * * * (Europe/Berlin)",
                "gc 0 4 * * 0 (Europe/Berlin)",
            ]
        );
        assert!(!table.backups_are_off());
        assert_eq!((table.jitter.spread_s, table.jitter.host.as_str()), (0, "db-1"));
    }

    #[test]
    fn off_is_off() {
        let table = table(&[("backup.schedule", "off"), ("gc.schedule", " off ")]).unwrap();
        assert!(table.backups_are_off());
        assert_eq!(table.schedules.keys().copied().collect::<Vec<_>>(), [Task::Verify, Task::Expire]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        for (key, value) in [
            ("backup.schedule", "61 2 * * *"),
            ("expire.schedule", "0 0 31 2 *"),
            ("verify.schedule", "nightly"),
            ("schedule.timezone", "Europe/Atlantis"),
            ("schedule.jitter_s", "-1"),
            ("schedule.jitter_s", "10m"),
        ] {
            let error = table(&[(key, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key} = `{value}`")), "{error}");
        }
    }
}
