//! The verbs that look after a repository: gc.

use grap::ops::{self, GcOptions};

use super::arguments::GcArguments;
use super::resolve;
use super::verbs::Call;
use crate::config::parse_between;
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn gc(&self, arguments: &GcArguments) -> Result<(), Failure> {
        let percent = self.settings.parsed("gc.unused_percent", |text| parse_between(text, 0, 99))?;
        let percent = percent.and_then(|percent| u8::try_from(percent).ok());
        let options = GcOptions { unused_percent: percent.unwrap_or(5) };
        let access = resolve::access(self.settings)?;
        if arguments.dry_run {
            let plan = ops::plan_gc(&options, access, self.session)?;
            return self.output.gc_plan(&plan);
        }
        let report = ops::gc(&options, access, &self.state()?, self.session)?;
        self.output.gc(&report)
    }
}
