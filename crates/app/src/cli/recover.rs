//! A recovery, and a drill of one.

use std::path::PathBuf;

use grap::Error;
use grap::live::Installation;
use grap::ops::{self, DrillOptions, RecoverOptions, RecoveryReport};
use grap::recovery::CandidateOptions;
use grap_core::Target;
use grap_core::recovery::Limits;

use super::arguments::{DrillArguments, RecoverStartArguments, RecoverVerb};
use super::health::{custom_checks, schema_file};
use super::resolve;
use super::verbs::{Call, target};
use crate::config::parse_memory;
use crate::failure::Failure;

/// In place of a target: any that can be reached.
const RANDOM: &str = "random";

impl Call<'_> {
    pub(super) fn recover(&self, verb: &RecoverVerb) -> Result<(), Failure> {
        match verb {
            RecoverVerb::Start(arguments) => self.recover_start(arguments),
            RecoverVerb::Status => {
                let report = ops::recovery_status(&self.state()?, self.session)?;
                let report = RecoveryReport { retired: self.retired()?, ..report };
                self.output.recovery_status(&report, self.promotes_what_passes()?)
            }
            RecoverVerb::Promote(arguments) => self.promote(&arguments.switch),
            RecoverVerb::Rollback(arguments) => self.rollback(arguments),
            RecoverVerb::Release(arguments) => self.release_store(arguments),
            RecoverVerb::Cancel => {
                let find = || self.live_again();
                self.output.recovery(&ops::cancel_recovery(&find, &self.state()?, self.session)?)
            }
            RecoverVerb::Reset => {
                let (find, open) = (|| self.live_again(), || self.access_again());
                self.output.recovery(&ops::reset_recovery(&find, &open, &self.state()?, self.session)?)
            }
        }
    }

    fn recover_start(&self, arguments: &RecoverStartArguments) -> Result<(), Failure> {
        let options = RecoverOptions {
            target: arguments.target.as_deref().map(target).transpose()?,
            timeline: arguments.timeline,
            ..self.recover_options(self.candidate_root()?)?
        };
        if self.promotes_what_passes()? {
            return self.recover_and_promote(&options);
        }
        let report: RecoveryReport =
            ops::recover(&options, &|| self.access_again(), &self.state()?, self.session)?;
        self.output.recovery(&report)?;
        match report.failure() {
            None => Ok(()),
            Some((code, message)) => Err(Failure::Found { code, message }),
        }
    }

    pub(super) fn drill(&self, arguments: &DrillArguments) -> Result<(), Failure> {
        if arguments.history {
            return self.output.drills(&ops::drill_history(&self.state()?)?);
        }
        let options = self.drill_options(arguments)?;
        let report = ops::drill(&options, &|| self.access_again(), &self.state()?, self.session)?;
        self.output.drill(&report)?;
        match report.failure() {
            None => Ok(()),
            Some((code, message)) => Err(Failure::Found { code, message }),
        }
    }

    pub(super) fn drill_options(&self, arguments: &DrillArguments) -> Result<DrillOptions, Failure> {
        let configured = self.settings.parsed("drill.target", |text| match text {
            "latest" => Ok(false),
            RANDOM => Ok(true),
            _ => Err("latest or random is wanted".to_owned()),
        })?;
        let named: Option<Target> = arguments.target.as_deref().map(target).transpose()?;
        let random = arguments.random || (named.is_none() && configured.unwrap_or(false));
        let root = match self.settings.path("drill.scratch_dir") {
            Some(root) => root,
            None => self.state_root()?.join("drill"),
        };
        let recovery = RecoverOptions { target: named, ..self.recover_options(root)? };
        Ok(DrillOptions { recovery, random })
    }

    fn recover_options(&self, root: PathBuf) -> Result<RecoverOptions, Failure> {
        let memory = |key| Ok::<_, Failure>(self.settings.parsed(key, parse_memory)?.unwrap_or_default());
        let schema = self.settings.path("health.schema_file");
        let checks = self.settings.path("health.checks_file");
        Ok(RecoverOptions {
            target: None,
            source: resolve::source(self.settings)?,
            timeline: None,
            database: self.settings.text("neo4j.database").map(str::to_lowercase),
            root,
            candidate: CandidateOptions {
                server: self.installation_place()?,
                heap: memory("recovery.heap")?,
                page_cache: memory("recovery.page_cache")?,
                declared: schema.as_deref().map(schema_file).transpose()?,
                checks: checks.as_deref().map(custom_checks).transpose()?.unwrap_or_default(),
            },
            limits: self.limits()?,
        })
    }

    fn limits(&self) -> Result<Limits, Failure> {
        let default = Limits::default();
        let seconds =
            |key, default: u32| Ok::<_, Failure>(self.settings.number(key, 1..=86_400)?.unwrap_or(default));
        Ok(Limits {
            start_s: self.settings.number("recovery.start_limit_s", 10..=86_400)?.unwrap_or(default.start_s),
            connectivity_s: seconds("recovery.connectivity_limit_s", default.connectivity_s)?,
            schema_s: seconds("recovery.schema_limit_s", default.schema_s)?,
            orphans_s: seconds("recovery.orphans_limit_s", default.orphans_s)?,
            counts_s: seconds("recovery.counts_limit_s", default.counts_s)?,
            custom_s: seconds("recovery.custom_limit_s", default.custom_s)?,
            stop_s: seconds("recovery.stop_limit_s", default.stop_s)?,
            store_s: seconds("recovery.store_limit_s", default.store_s)?,
        })
    }

    /// On the live data's own file system: so it can take its place by a rename.
    fn candidate_root(&self) -> Result<PathBuf, Failure> {
        if let Some(root) = self.settings.path("recovery.candidate_dir") {
            return Ok(root);
        }
        let installation = resolve::installation(self.settings)?;
        let data = Installation::data_directory(&installation).map_err(Error::from)?;
        Ok(data.join(".grap/candidate"))
    }

    /// The repository, in the middle of an operation.
    pub(super) fn access_again(&self) -> grap::Result<ops::Access> {
        self.access().map_err(|failure| match failure {
            Failure::Operation(error) => error,
            failure => Error::NotOpenedAgain { why: failure.to_string() },
        })
    }
}
