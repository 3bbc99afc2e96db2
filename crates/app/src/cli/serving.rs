//! With a daemon: what it is asked to do, and what it needs to know to begin.

use grap::copy::Manifest;
use grap::in_one_line;
use grap::ops::{
    self, ArchiveOptions, ArchiveReport, Onlooker, VerifyOptions, VerifyPartOptions, VerifyReport,
    WatchOptions,
};
use grap_core::SourceName;
use grap_repository::Repository;
use grap_task::Finding;

use super::arguments::{
    ArchiveArguments, Arguments, BackupArguments, CopyArguments, DrillArguments, LOCATIONS, Verb,
};
use super::verbs::{Call, lag_max, target};
use super::{resolve, retention};
use crate::config::{Origin, Settings};
use crate::daemon::{self, RunRequest, Said};
use crate::failure::Failure;

impl Call<'_> {
    /// Where a daemon runs on our state directory it is the one who does it.
    pub(super) fn by_the_daemon_or_here(&self, arguments: Arguments) -> Result<u8, Failure> {
        let state = resolve::state_path(self.settings, self.environment)?;
        let request = RunRequest {
            common: arguments.common.clone(),
            verb: arguments.verb.clone().made_absolute(),
            said: self.said(),
        };
        let session = self.session;
        if let Some(status) = daemon::forward(&state, request, session.stop, session.monitor)? {
            return Ok(status);
        }
        self.perform(arguments.verb)?;
        Ok(0)
    }

    /// Where we would work, as far as it was said at all.
    fn said(&self) -> Vec<Said> {
        // The state directory is where we met.
        let locations = LOCATIONS.iter().filter(|key| **key != "state_dir");
        let said = locations.filter_map(|key| {
            let value = self.settings.value(key)?;
            let is_flag = matches!(value.origin, Origin::Flag(_));
            let (key, origin) = ((*key).to_owned(), value.origin.to_string());
            let text = absolute(&key, &value.text);
            Some(Said { key, text, origin, is_flag })
        });
        said.collect()
    }

    /// Archive for the daemon, which watches itself; `open` waits as long as it takes.
    pub(crate) fn archive_for_daemon(
        &self,
        open: impl FnOnce() -> grap::Result<Repository>,
    ) -> Result<ArchiveReport, Failure> {
        let options = ArchiveOptions { lag_max: None, ..self.archive_options(&ArchiveArguments::default())? };
        Ok(ops::archive(&options, open, &self.state()?, self.session)?)
    }

    /// A scheduled backup, and the verdict that makes it a good one.
    pub(crate) fn backup_and_verify(&self) -> Result<(), Failure> {
        let rules = retention::rules(self.settings)?;
        let report = self.backup_report(BackupArguments::default())?;
        self.output.backup(&report, &rules)?;
        self.verified(&self.verify_backup(report.manifest)?)
    }

    fn verify_backup(&self, manifest: Manifest) -> Result<VerifyReport, Failure> {
        let options = VerifyOptions {
            backup: Some(target(manifest.id.as_str())?),
            source: Some(manifest.source),
            read_data_percent: None,
        };
        Ok(ops::verify(&options, self.access()?, self.session)?)
    }

    /// What a client asks for. Says whether it is all that a run of its task by the schedule would have been, so that it
    /// counts as one.
    pub(crate) fn perform_for_client(&self, verb: Verb) -> Result<bool, Failure> {
        match verb {
            Verb::Backup(arguments) => self.backup_for_client(arguments),
            // One backup, not what the rules say; another place than the one that is kept in step; another target than the
            // schedule's.
            Verb::Delete(_) => self.perform(verb).map(|()| false),
            Verb::Copy(CopyArguments { to: Some(_), .. }) => self.perform(verb).map(|()| false),
            Verb::Drill(DrillArguments { target: Some(_), .. } | DrillArguments { random: true, .. }) => {
                self.perform(verb).map(|()| false)
            }
            _ => self.perform(verb).map(|()| true),
        }
    }

    /// The same report as without a daemon, and behind it the verdict that a scheduled one gets.
    fn backup_for_client(&self, arguments: BackupArguments) -> Result<bool, Failure> {
        let rules = retention::rules(self.settings)?;
        let report = self.backup_report(arguments)?;
        self.output.backup(&report, &rules)?;
        match self.verify_backup(report.manifest) {
            Ok(VerifyReport { problems, .. }) if problems.is_empty() => Ok(true),
            Ok(VerifyReport { problems, .. }) => {
                for problem in &problems {
                    self.session.monitor.finding(&Finding::warning(problem.clone()));
                }
                Err(grap::Error::Damaged { problems: problems.len() }.into())
            }
            Err(failure) => {
                let text = format!(
                    "the backup is made, but it could not be verified, and does not count as good yet: {}",
                    in_one_line(&failure)
                );
                self.session.monitor.finding(&Finding::warning(text));
                Ok(false)
            }
        }
    }

    /// The part of the stored data that is to be read today.
    pub(crate) fn verify_part(&self) -> Result<(), Failure> {
        let options = VerifyPartOptions {
            source: resolve::source(self.settings)?,
            percent_per_day: percent_per_day(self.settings)?,
        };
        self.verified(&ops::verify_part(&options, self.access()?, &self.state()?, self.session)?)
    }

    /// Look at the lag and the protection for the daemon.
    pub(crate) fn watch(&self, repository: &Repository, onlooker: &mut Onlooker<'_>) -> Result<(), Failure> {
        let options = WatchOptions {
            installation: resolve::installation(self.settings)?,
            source: resolve::source(self.settings)?,
            lag_max: lag_max(self.settings)?,
        };
        ops::watch(&options, repository, onlooker, self.session);
        Ok(())
    }

    pub(crate) fn open_repository(&self) -> Result<Repository, Failure> {
        Ok(self.access()?.open()?)
    }

    /// Whether every setting makes sense, before anything is done by them. The repository and the database may be away.
    pub(crate) fn check_settings(&self) -> Result<(), Failure> {
        self.settings.require("repository", "the repository")?;
        resolve::require_password(self.settings)?;
        let _: Option<SourceName> = resolve::source(self.settings)?;
        self.backup_options(BackupArguments::default())?;
        self.archive_options(&ArchiveArguments::default())?;
        retention::rules(self.settings)?;
        retention::window_days(self.settings)?;
        percent_per_day(self.settings)?;
        daemon::check(self.settings)?;
        self.server_control_if_set()?;
        self.promotes_what_passes()?;
        let _: Option<u16> = self.settings.number("drill.max_age_days", 1..=3650)?;
        if self.settings.text("drill.schedule").is_some_and(|schedule| schedule.trim() != "off") {
            self.drill_options(&DrillArguments::default())?;
        }
        Ok(())
    }
}

fn percent_per_day(settings: &Settings) -> Result<u8, Failure> {
    Ok(settings.number("verify.percent_per_day", 1..=100)?.unwrap_or(1))
}

impl Verb {
    /// The daemon stands in another directory.
    fn made_absolute(mut self) -> Self {
        if let Self::Copy(copy) = &mut self {
            for (key, path) in [("copy.to", &mut copy.to), ("copy.password_file", &mut copy.to_password_file)]
            {
                *path = path.take().map(|path| absolute(key, &path));
            }
        }
        self
    }
}

fn absolute(key: &str, text: &str) -> String {
    let is_path = !matches!(key, "source" | "neo4j.database") && !grap_remote::is_url(text);
    let path = is_path.then(|| std::path::absolute(text).ok()).flatten();
    path.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| text.to_owned())
}
