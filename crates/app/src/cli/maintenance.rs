//! The verbs that look after a repository: gc, key.

use grap::ops::{self, GcOptions};
use grap_repository::KdfCost;

use super::arguments::{GcArguments, KeyVerb, NewPassword, Verb};
use super::resolve;
use super::secret::Secret;
use super::verbs::Call;
use crate::failure::Failure;

impl Verb {
    /// Passwords that the arguments name by file or command are read here, where those are: whoever does the work
    /// may be another process, with another directory and other rights.
    pub(crate) fn read_secrets(&mut self) -> Result<(), Failure> {
        match self {
            Self::Key(KeyVerb::Add(new) | KeyVerb::Change(new)) if new.read.is_none() => {
                let file = new.file.take();
                let command = new.command.take();
                let password = resolve::new_password(file.as_deref(), command.as_deref())?;
                new.read = Some(Secret(password));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Call<'_> {
    pub(super) fn gc(&self, arguments: &GcArguments) -> Result<(), Failure> {
        let unused_percent = self.settings.number("gc.unused_percent", 0..=99)?.unwrap_or(5);
        let options = GcOptions { unused_percent };
        let access = self.access()?;
        if arguments.dry_run {
            let plan = ops::plan_gc(&options, access, self.session)?;
            return self.output.gc_plan(&plan);
        }
        let report = ops::gc(&options, access, &self.state()?, self.session)?;
        self.output.gc(&report)
    }

    pub(super) fn key(&self, verb: KeyVerb) -> Result<(), Failure> {
        let (access, cost) = (self.access()?, KdfCost::default());
        let password = |new: NewPassword| {
            let unsaid = || Failure::Usage("the new password is not given".to_owned());
            Ok::<_, Failure>(new.read.ok_or_else(unsaid)?.0)
        };
        let report = match verb {
            KeyVerb::List => ops::list_keys(access)?,
            KeyVerb::Add(new) => ops::add_key(access, &password(new)?, cost, &self.state()?, self.session)?,
            KeyVerb::Change(new) => {
                ops::change_key(access, &password(new)?, cost, &self.state()?, self.session)?
            }
            KeyVerb::Remove { id } => ops::remove_key(access, &id, &self.state()?, self.session)?,
        };
        self.output.keys(&report)
    }
}
