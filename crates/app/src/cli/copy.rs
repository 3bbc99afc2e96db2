//! `copy`: a second repository, kept in step.

use grap::ops::{self, CopyOptions};

use super::resolve;
use super::verbs::Call;
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn copy(&self) -> Result<(), Failure> {
        let options =
            CopyOptions { source: resolve::source(self.settings)?, writer: resolve::writer(self.settings)? };
        let from = resolve::access(self.settings, self.environment, self.session)?;
        let to = resolve::copy_access(self.settings, self.environment, self.session)?;
        let report = ops::copy(&options, from, to, &self.state()?, self.session)?;
        match report.into_result() {
            Ok(report) => self.output.copy(&report),
            Err((report, error)) => {
                self.output.copy(&report)?;
                Err(error.into())
            }
        }
    }
}
