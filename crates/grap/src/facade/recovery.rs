//! A recovery, step by step, over the machine of [`crate::recovery`].
//!
//! How far it is, and that a candidate has passed, nobody can claim: both follow from what was done and found, and that is
//! in the journal before it counts. So two of the words are steps that are taken, and three are questions. Each method
//! opens the journal anew: a process that dies between two of them loses nothing.

use grap_core::Target;
use grap_core::recovery::Status;

use super::{Caller, OpenRepository};
use crate::error::{Code, Error, Result};
use crate::ops::{
    self, RecoverOptions, RecoveryReport, StoreReleaseOptions, StoreReleaseReport, SwitchAccess,
    SwitchOptions, SwitchReport, Which,
};
use crate::recovery::LiveServer;
use crate::server::control::ControlError;
use crate::state::StateDirectory;

/// The recovery of a state directory.
pub struct RecoveryStateMachine {
    options: RecoverOptions,
    open: Box<OpenRepository>,
    state: StateDirectory,
    caller: Caller,
    live: Option<LiveServer>,
}

impl RecoveryStateMachine {
    pub fn new(
        options: RecoverOptions,
        open: Box<OpenRepository>,
        state: StateDirectory,
        caller: Caller,
    ) -> Self {
        Self { options, open, state, caller, live: None }
    }

    /// The live server, how it is stopped, started and asked: what a promotion needs to know.
    #[must_use]
    pub fn with_live(self, live: LiveServer) -> Self {
        Self { live: Some(live), ..self }
    }

    /// From `NOT_RECOVERING` to `RECOVERING`: what is going to be done is fixed and noted (`None`: the newest point that
    /// there is now). Nothing is written but that.
    pub fn initialize_recovery(&self, target: Option<Target>) -> Result<RecoveryReport> {
        let options = RecoverOptions { target, ..self.options.clone() };
        ops::begin_recovery(&options, &|| (self.open)(), &self.state, &self.caller.session())
    }

    /// Look anew how it stands and how far it is, whoever performs it.
    pub fn update_progress(&self) -> Result<RecoveryReport> {
        ops::recovery_status(&self.state, &self.caller.session())
    }

    /// Restore what is not restored yet, open it, and ask it tier by tier: until `SUCCESS` or `FAILED`. After an
    /// interruption it goes on where it was.
    pub fn start_validation(&self) -> Result<RecoveryReport> {
        if self.update_progress()?.recovery().is_none() {
            return Err(Error::NoRecovery { asked: "a validation" });
        }
        let options = RecoverOptions { target: None, ..self.options.clone() };
        ops::recover(&options, &|| (self.open)(), &self.state, &self.caller.session())
    }

    /// Whether every tier has passed, as the journal says.
    pub fn validation_passed(&self) -> Result<bool> {
        Ok(self.update_progress()?.status() == Status::Success)
    }

    /// Why it failed, where it did.
    pub fn validation_failed(&self) -> Result<Option<(Code, String)>> {
        Ok(self.update_progress()?.failure())
    }

    /// From `SUCCESS` to `PROMOTED`: what has passed becomes the live database, and what was live is retired. Whether it
    /// was promoted the report says; called off, it is `SUCCESS` with the reason.
    pub fn promote_to_production(&self, options: &SwitchOptions) -> Result<SwitchReport> {
        self.switch(|access| ops::promote(options, access))
    }

    /// From `NOT_RECOVERING` to `PROMOTED`: a candidate is made of the target (`None`: the newest point that there is now),
    /// judged, and, only if it has passed, made live. After an interruption the same call goes on.
    pub fn promote_backup_to_production(
        &self,
        target: Option<Target>,
        options: &SwitchOptions,
    ) -> Result<SwitchReport> {
        let recovery = RecoverOptions { target, ..self.options.clone() };
        self.switch(|access| ops::recover_and_promote(&recovery, options, access))
    }

    /// What a promotion has retired becomes live again, and what is live now is retired.
    pub fn rollback(&self, options: &SwitchOptions) -> Result<SwitchReport> {
        self.switch(|access| ops::rollback(options, access))
    }

    /// What was live once is removed: if the repository holds all of it, or if it is given up by name.
    pub fn release(&self, which: Which) -> Result<StoreReleaseReport> {
        let options = StoreReleaseOptions { installation: self.live()?.installation, which };
        ops::release_store(&options, &|| (self.open)(), &self.state, &self.caller.session())
    }

    fn switch<T>(&self, act: impl FnOnce(&SwitchAccess<'_>) -> T) -> T {
        let (find, open) = (|| self.live(), || (self.open)());
        act(&SwitchAccess { find: &find, open: &open, state: &self.state, session: &self.caller.session() })
    }

    fn live(&self) -> Result<LiveServer> {
        self.live.clone().ok_or_else(|| ControlError::NotSet.into())
    }

    /// From `SUCCESS`, `PROMOTED` or `FAILED` to `NOT_RECOVERING`: the candidate goes.
    pub fn reset_recovery_state(&self) -> Result<RecoveryReport> {
        ops::reset_recovery(&|| self.live(), &|| (self.open)(), &self.state, &self.caller.session())
    }
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::Limits;

    use super::*;
    use crate::recovery::CandidateOptions;
    use crate::server::{InstallationPlace, JavaPlace};

    /// What was not done cannot be said to be done.
    #[test]
    fn nothing_passes_that_was_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_owned();
        let server = InstallationPlace { home, configuration: None, live: None, java: JavaPlace::default() };
        let candidate = CandidateOptions {
            server,
            heap: "64m".to_owned(),
            page_cache: "64m".to_owned(),
            declared: None,
            checks: Vec::new(),
        };
        let options = RecoverOptions {
            target: None,
            source: None,
            timeline: None,
            database: None,
            root: folder.path().to_owned(),
            candidate,
            limits: Limits::default(),
        };
        let open: Box<OpenRepository> = Box::new(|| panic!("there is nothing to be opened"));
        let state = StateDirectory::open(&folder.path().join("state")).unwrap();
        let machine = RecoveryStateMachine::new(options, open, state, Caller::new("test 1"));
        let refused = machine.start_validation().unwrap_err();
        assert!(matches!(refused, Error::NoRecovery { .. }), "{refused}");
        assert!(!machine.validation_passed().unwrap() && machine.validation_failed().unwrap().is_none());
        assert_eq!(machine.reset_recovery_state().unwrap().status(), Status::NotRecovering);
    }
}
