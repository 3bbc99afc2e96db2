//! The end of a retired database.

use grap::ops::{self, StoreReleaseOptions, Which};
use grap_core::recovery::{InvalidRecoveryId, RecoveryId};

use super::arguments::StoreReleaseArguments;
use super::resolve;
use super::verbs::Call;
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn release_store(&self, arguments: &StoreReleaseArguments) -> Result<(), Failure> {
        let options = StoreReleaseOptions {
            installation: resolve::installation(self.settings)?,
            which: which(arguments)?,
        };
        let open = || self.access_again();
        if arguments.dry_run {
            let plan = ops::plan_store_release(&options, &open, &self.state()?, self.session)?;
            return self.output.store_release_plan(&plan);
        }
        let report = ops::release_store(&options, &open, &self.state()?, self.session)?;
        self.output.store_released(&report)
    }
}

fn which(arguments: &StoreReleaseArguments) -> Result<Which, Failure> {
    let id = arguments.id.as_ref().map(|text| text.parse::<RecoveryId>()).transpose();
    let id = id.map_err(|error: InvalidRecoveryId| Failure::Usage(error.to_string()))?;
    match (id, arguments.give_up) {
        (None, false) => Ok(Which::Oldest),
        (Some(id), false) => Ok(Which::Of(id)),
        (Some(id), true) => Ok(Which::GivenUp(id)),
        (None, true) => Err(Failure::Usage("--give-up wants the ID of what is given up".to_owned())),
    }
}
