//! `expire`, `delete`, `hold`, `release`, and the settings that say what stays.

use grap::ops::{self, DeleteOptions, ExpireOptions, HoldOptions};
use grap_core::RetentionRules;
use grap_core::schedule::Task;

use super::arguments::{DeleteArguments, ExpireArguments, HoldArguments, ReleaseArguments};
use super::resolve;
use super::verbs::{Call, target};
use crate::config::Settings;
use crate::daemon::Timetable;
use crate::failure::Failure;

/// A hundred years.
const DAYS_MAX: i32 = 36_500;
const COUNT_MAX: i32 = 1000;

/// The rules as they are set. What is mistyped is refused, and names its key.
pub(super) fn rules(settings: &Settings) -> Result<RetentionRules, Failure> {
    let default = RetentionRules::default();
    let rules = RetentionRules {
        days: settings.number("retention.days", 1..=DAYS_MAX)?.unwrap_or(default.days),
        daily: settings.number("retention.daily", 0..=COUNT_MAX)?.unwrap_or(default.daily),
        weekly: settings.number("retention.weekly", 0..=COUNT_MAX)?.unwrap_or(default.weekly),
        monthly: settings.number("retention.monthly", 0..=COUNT_MAX)?.unwrap_or(default.monthly),
    };
    if rules.daily == 0 && rules.weekly == 0 && rules.monthly == 0 {
        let why = "retention.daily, retention.weekly and retention.monthly are all 0: nothing older than retention.days would stay; set one of them to 1 or more";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(rules)
}

pub(super) fn window_days(settings: &Settings) -> Result<u32, Failure> {
    Ok(settings.number("retention.window_days", 1..=DAYS_MAX)?.unwrap_or(7))
}

impl Call<'_> {
    pub(super) fn expire(&self, arguments: &ExpireArguments) -> Result<(), Failure> {
        let timetable = Timetable::of(self.settings, &self.session.holder.hostname, false)?;
        let options = ExpireOptions {
            source: resolve::source(self.settings)?,
            rules: rules(self.settings)?,
            window_days: window_days(self.settings)?,
            zone: Timetable::zone(self.settings)?,
            schedule: timetable.schedules.get(&Task::Backup).cloned(),
        };
        let access = self.access()?;
        if arguments.dry_run {
            let plan = ops::plan_expire(&options, access, self.session)?;
            return self.output.expire_plan(&plan);
        }
        let report = ops::expire(&options, access, &self.state()?, self.session)?;
        self.output.expire(&report)
    }

    pub(super) fn delete(&self, arguments: &DeleteArguments) -> Result<(), Failure> {
        let options = DeleteOptions {
            backup: target(&arguments.backup)?,
            source: resolve::source(self.settings)?,
            window_days: window_days(self.settings)?,
        };
        let access = self.access()?;
        if arguments.dry_run {
            let plan = ops::plan_delete(&options, access, self.session)?;
            return self.output.delete(&plan, true);
        }
        let report = ops::delete(&options, access, &self.state()?, self.session)?;
        self.output.delete(&report.plan, false)
    }

    pub(super) fn hold(&self, arguments: HoldArguments) -> Result<(), Failure> {
        if arguments.reason.trim().is_empty() {
            return Err(Failure::Usage(
                "--reason is empty: whoever wants to delete the backup must know why not".into(),
            ));
        }
        let options = HoldOptions {
            backup: target(&arguments.backup)?,
            source: resolve::source(self.settings)?,
            reason: arguments.reason,
        };
        let report = ops::hold(&options, self.access()?, &self.state()?, self.session)?;
        self.output.hold(&report)
    }

    pub(super) fn release(&self, arguments: &ReleaseArguments) -> Result<(), Failure> {
        let (backup, source) = (target(&arguments.backup)?, resolve::source(self.settings)?);
        let access = self.access()?;
        let report = ops::release(&backup, source.as_ref(), access, &self.state()?, self.session)?;
        self.output.hold(&report)
    }
}
