//! `check`: the native checker of a stopped database.

use grap::Code;
use grap::ops::{self, CheckOptions};

use super::arguments::CheckArguments;
use super::verbs::Call;
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn check(&self, arguments: CheckArguments) -> Result<(), Failure> {
        let CheckArguments { directory, transactions } = arguments;
        let report = ops::check(&CheckOptions { directory, transactions }, self.session)?;
        self.output.check(&report)?;
        match report.findings() {
            0 => Ok(()),
            count => {
                let message = format!("{count} findings: the database is damaged");
                Err(Failure::Found { code: Code::StoreDamaged, message })
            }
        }
    }
}
