//! Promotion and rollback.

use grap::Error;
use grap::live::Installation;
use grap::ops::{self, RecoverOptions, SwitchAccess, SwitchOptions, SwitchReport};
use grap::recovery::{LiveServer, RetiredStore, retired_stores};
use grap_core::recovery::{InvalidRecoveryId, Order, Recovery, RecoveryId, order};
use grap_task::Finding;

use super::arguments::{PromoteArguments, RollbackArguments, SwitchArguments};
use super::resolve;
use super::verbs::Call;
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn promote(&self, arguments: &PromoteArguments) -> Result<(), Failure> {
        let PromoteArguments { switch: arguments, with_system } = arguments;
        let options = self.switch_options(arguments, None)?;
        let options = SwitchOptions { with_system: *with_system, ..options };
        if arguments.dry_run {
            let plan = self.switch(|access| ops::plan_promotion(&options, access))?;
            return self.output.switch_plan(&plan);
        }
        self.switched(&self.switch(|access| ops::promote(&options, access))?)
    }

    pub(super) fn rollback(&self, arguments: &RollbackArguments) -> Result<(), Failure> {
        let parse = |text: &String| text.parse::<RecoveryId>();
        let id = arguments.id.as_ref().map(parse).transpose();
        let id = id.map_err(|error: InvalidRecoveryId| Failure::Usage(error.to_string()))?;
        let options = self.switch_options(&arguments.switch, id)?;
        if arguments.switch.dry_run {
            let plan = self.switch(|access| ops::plan_rollback(&options, access))?;
            return self.output.switch_plan(&plan);
        }
        self.switched(&self.switch(|access| ops::rollback(&options, access))?)
    }

    /// What is wrong with the settings of a promotion is said before the recovery, and not behind it.
    pub(super) fn recover_and_promote(&self, recovery: &RecoverOptions) -> Result<(), Failure> {
        let options = self.switch_options(&SwitchArguments::default(), None)?;
        self.live_server()?;
        let told = "what passes is promoted (promote.after_validation)";
        self.session.monitor.finding(&Finding::info(told));
        self.switched(&self.switch(|access| ops::recover_and_promote(recovery, &options, access))?)
    }

    pub(super) fn promotes_what_passes(&self) -> Result<bool, Failure> {
        let promotes = self.settings.parsed("promote.after_validation", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("true or false is wanted".to_owned()),
        })?;
        Ok(promotes.unwrap_or(false))
    }

    /// Whether something is owed of a promotion, and nobody is at it.
    pub(crate) fn owes_promotion(&self) -> Result<bool, Failure> {
        let report = ops::recovery_status(&self.state()?, self.session)?;
        Ok(!report.runs && order(&report.state).is_some_and(Order::is_of_switch))
    }

    /// One that no journal knows of, and what is to be done about it.
    pub(crate) fn lost_switch(&self) -> Result<Option<String>, Failure> {
        Ok(ops::lost_switch(&|| self.live_again(), &self.state()?)?)
    }

    /// Which recovery it is that was called off, or has failed, by what its last promotion or rollback came to.
    pub(crate) fn called_off(&self) -> Result<Option<RecoveryId>, Failure> {
        let report = ops::recovery_status(&self.state()?, self.session)?;
        let off = |recovery: &&Recovery| recovery.called_off.is_some() || recovery.cause.is_some();
        Ok(report.recovery().filter(off).map(|recovery| recovery.id.clone()))
    }

    /// Whether there was something.
    pub(crate) fn finish_promotion(&self) -> Result<bool, Failure> {
        let Some(report) = self.switch(ops::resume_promotion)? else { return Ok(false) };
        self.switched(&report).map(|()| true)
    }

    fn switch<T>(&self, act: impl FnOnce(&SwitchAccess<'_>) -> grap::Result<T>) -> Result<T, Failure> {
        let (find, open) = (|| self.live_again(), || self.access_again());
        let access = SwitchAccess { find: &find, open: &open, state: &self.state()?, session: self.session };
        Ok(act(&access)?)
    }

    fn switched(&self, report: &SwitchReport) -> Result<(), Failure> {
        self.output.switched(report)?;
        match report.failure() {
            None => Ok(()),
            Some((code, message)) => Err(Failure::Found { code, message }),
        }
    }

    /// Of an installation that is known; of none there is nothing to say.
    pub(super) fn retired(&self) -> Result<Vec<RetiredStore>, Failure> {
        let Ok(installation) = resolve::installation(self.settings) else { return Ok(Vec::new()) };
        let Ok(data) = Installation::data_directory(&installation) else { return Ok(Vec::new()) };
        let found = retired_stores(&data)?;
        for unreadable in &found.unreadable {
            let told = format!("what is retired there cannot be read: {unreadable}");
            self.session.monitor.finding(&Finding::warning(told));
        }
        Ok(found.stores)
    }

    /// The live server, when an operation comes to it.
    pub(super) fn live_again(&self) -> grap::Result<LiveServer> {
        self.live_server().map_err(|failure| match failure {
            Failure::Operation(error) => error,
            failure => Error::LiveUnknown { why: failure.to_string() },
        })
    }

    fn live_server(&self) -> Result<LiveServer, Failure> {
        Ok(LiveServer {
            installation: resolve::installation(self.settings)?,
            control: self.server_control()?,
            connection: self.connection()?,
        })
    }

    fn switch_options(
        &self,
        arguments: &SwitchArguments,
        retired: Option<RecoveryId>,
    ) -> Result<SwitchOptions, Failure> {
        let (live_is_lost, limits) = (arguments.live_is_lost, self.switch_limits()?);
        Ok(SwitchOptions { retired, live_is_lost, with_system: false, limits })
    }
}
