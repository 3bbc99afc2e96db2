//! The canary, for `health --canary` and for the daemon; and the daemon's looks at the health.

use grap::live::Installation;
use grap::ops::{self, CanaryOptions, CanaryRun, HealthOptions, HealthReport};
use grap_repository::Repository;

use super::resolve;
use super::verbs::{Call, lag_max};
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn health_and_canary(&self, options: &HealthOptions) -> Result<HealthReport, Failure> {
        let (canary, access) = (self.canary_options()?, self.access()?);
        let fly = Box::new(|| ops::canary(&canary, || access.open(), self.session));
        Ok(ops::health_with_canary(options, Some(fly), self.session))
    }

    /// A look for the daemon, whose canaries fly by themselves: with what the last one came to.
    pub(crate) fn health_report(
        &self,
        detailed: bool,
        canary: Option<CanaryRun>,
    ) -> Result<HealthReport, Failure> {
        let options = self.health_options(detailed)?;
        let known = canary.map(|run| Box::new(|| run) as Box<dyn FnOnce() -> CanaryRun>);
        Ok(ops::health_with_canary(&options, known, self.session))
    }

    pub(crate) fn canary(&self, repository: &Repository) -> Result<CanaryRun, Failure> {
        Ok(ops::canary(&self.canary_options()?, || Ok(repository.clone()), self.session))
    }

    /// Whether a promotion is between its barrier and its end: nothing of ours is to be written then.
    pub(crate) fn is_switching(&self) -> Result<bool, Failure> {
        let data = Installation::data_directory(&resolve::installation(self.settings)?)
            .map_err(grap::Error::from)?;
        Ok(grap::recovery::switch_in_progress(&data)?)
    }

    fn canary_options(&self) -> Result<CanaryOptions, Failure> {
        Ok(CanaryOptions {
            connection: self.connection()?,
            database: self.settings.text("neo4j.database").map(str::to_owned),
            installation: resolve::installation(self.settings)?,
            source: resolve::source(self.settings)?,
            archive_limit: lag_max(self.settings)?,
        })
    }
}
