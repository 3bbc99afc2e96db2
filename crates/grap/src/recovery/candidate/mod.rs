//! What performs the orders of a recovery in the real world: directories, a second server, the repository.
//!
//! Everything lies in the candidate's directory ([`place`]); what is there can be found by the plan alone:
//! - `recovery.json` says whose it is;
//! - `opener` is the release of the server that was started on it;
//! - `data/` is the data directory: the user database, for the time of the test instance with its own `system` beside it;
//! - `system/` is the restored `system`, which no server has opened;
//! - `home/` is the test instance's.
//!
//! An instance carries an id in its command line that follows from the plan ([`place::Place::instance_id`]). It ends with
//! the process that started it; should something of it live on all the same, the orders that start and end one find it.
//!
//! The live database is not touched: the only path that comes from it is the place of the candidate, and nothing is
//! written outside of the candidate's own directory there.

mod data;
mod instance;
mod judge;
mod place;
mod print;

use grap_core::BackupId;
use grap_core::recovery::{Instance, Recovery, Tier};
use grap_core::schema::SchemaFile;
use grap_repository::Repository;
use grap_task::Finding;

use super::LiveSwitch;
use super::perform::{Answer, Perform, Start, WhileItRuns};
use super::promote::Promote;
use crate::error::{Error, Result};
use crate::ops::{Access, CustomCheck, Session};
use crate::server::{InstallationPlace, TestInstance};
use crate::state::StateDirectory;

pub(super) use judge::require_repository;
use place::Place;
pub(super) use place::remove_rest;
pub use place::room_for;

/// Opens the way to the repository: a recovery needs it again and again, and each time anew.
pub type OpenAgain<'a> = dyn Fn() -> Result<Access> + 'a;

/// With what a candidate is opened and judged.
#[derive(Debug, Clone)]
pub struct CandidateOptions {
    pub server: InstallationPlace,
    /// `512m`
    pub heap: String,
    /// `64m`
    pub page_cache: String,
    /// The schema that should be there.
    pub declared: Option<SchemaFile>,
    /// The operator's own checks.
    pub checks: Vec<CustomCheck>,
}

#[derive(Clone, Copy)]
struct Tools<'a> {
    options: &'a CandidateOptions,
    open: &'a OpenAgain<'a>,
    state: &'a StateDirectory,
}

/// Performs the orders of one recovery, in one process.
pub struct Candidate<'a> {
    /// None: it only clears away.
    tools: Option<Tools<'a>>,
    /// None: what was found cannot be recorded.
    open: Option<&'a OpenAgain<'a>>,
    /// Opened for the plan, and not used since: an opening takes a while. What is done later opens it anew, and sees whether
    /// it is still the same one.
    repository: Option<Repository>,
    /// While it runs, and this process is the one that started it.
    instance: Option<TestInstance>,
    /// None: what is owed is no step of a promotion.
    switch: Option<LiveSwitch<'a>>,
}

impl<'a> Candidate<'a> {
    pub fn new(options: &'a CandidateOptions, open: &'a OpenAgain<'a>, state: &'a StateDirectory) -> Self {
        Self {
            tools: Some(Tools { options, open, state }),
            open: Some(open),
            repository: None,
            instance: None,
            switch: None,
        }
    }

    /// For the ways back alone: they need no server, and the repository only to record what was found.
    pub fn to_clear_away(open: Option<&'a OpenAgain<'a>>) -> Self {
        Self { tools: None, open, repository: None, instance: None, switch: None }
    }

    /// It performs what is about the live database, too.
    #[must_use]
    pub(crate) fn with_live(self, switch: LiveSwitch<'a>) -> Self {
        Self { switch: Some(switch), ..self }
    }

    /// What the plan was made from, and the restore can read.
    pub(crate) fn hand(&mut self, repository: Repository) {
        self.repository = Some(repository);
    }

    /// Whether what lies there is still what every tier has passed: the same directories and files, nobody on them, the
    /// same last transaction. Looks at names, sizes and times, and reads the newest log; not every byte.
    pub fn still_what_passed(recovery: &Recovery) -> Result<()> {
        print::still_what_passed(recovery)
    }

    /// The release of the server that was last started on it, or was about to be.
    pub(crate) fn opened_by(recovery: &Recovery) -> Result<Option<String>> {
        Place::of(recovery).opener()
    }

    /// The backup that it was really made of.
    pub(crate) fn made_of(recovery: &Recovery) -> Result<BackupId> {
        Ok(data::restored(&Place::of(recovery))?.backup)
    }

    fn tools(&self) -> Result<&Tools<'a>> {
        self.tools
            .as_ref()
            .ok_or_else(|| Error::NotOpenedAgain { why: "nothing is to be made here".to_owned() })
    }

    /// The instance that the journal knows of, where it is ours.
    fn running(&mut self, known: Option<&Instance>) -> Option<&mut TestInstance> {
        self.instance.as_mut().filter(|instance| known.is_some_and(|known| known.pid == instance.pid()))
    }
}

impl Perform for Candidate<'_> {
    fn reserve(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        let place = Place::of(recovery);
        place.require_room(recovery.plan.bytes)?;
        place.make()
    }

    fn restore(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.restore_data(recovery, session)
    }

    fn reread(&mut self, recovery: &Recovery, _: &Session<'_>) -> Result<()> {
        data::reread(recovery)
    }

    fn start_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Start> {
        self.start(recovery, session)
    }

    fn judge(
        &mut self,
        tier: Tier,
        recovery: &Recovery,
        session: &Session<'_>,
    ) -> Result<WhileItRuns<Answer>> {
        self.ask(tier, recovery, session)
    }

    fn stop_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileItRuns<()>> {
        self.stop(recovery, session)
    }

    fn check_store(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Answer> {
        self.read_store(recovery, session)
    }

    fn write_record(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.record(recovery, session)
    }

    fn remove_scratch(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.end(recovery, session)?;
        let place = Place::of(recovery);
        place.require_ours()?;
        place.remove_what_an_instance_left()
    }

    fn end_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.end(recovery, session)
    }

    fn remove_candidate(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        self.end(recovery, session)?;
        LiveSwitch::remove_staged(recovery)?;
        let place = Place::of(recovery);
        if place.is_anothers()? {
            let text = format!(
                "{} is left: it does not say any more that it is of {}; look at it, and remove it",
                place.root().display(),
                recovery.id
            );
            session.monitor.finding(&Finding::warning(text));
        }
        place.remove()
    }

    fn promote(&mut self) -> Result<&mut dyn Promote> {
        match &mut self.switch {
            Some(switch) => Ok(switch),
            None => Err(Error::SwitchUnknown { what: "how it is done here" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use grap_disk as disk;

    use super::place::tests::recovery;
    use super::*;
    use crate::facade::Caller;

    /// Killed between the rename of the logs and the note: what is there is no restored database yet.
    #[test]
    fn a_restore_that_was_struck_before_its_note_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let recovery = recovery(&folder.path().join("c"), "2026-11-26T02:00:00Z");
        let (caller, place) = (Caller::new("test 1"), Place::of(&recovery));
        place.make().unwrap();
        disk::create_dir_all(&place.log()).unwrap();
        // It has nothing to restore with, and so it cannot say that it is done.
        let restored = Candidate::to_clear_away(None).restore(&recovery, &caller.session());
        assert!(matches!(restored, Err(Error::NotOpenedAgain { .. })), "{restored:?}");
        disk::create_dir_all(&place.data().join(".grap")).unwrap();
        disk::publish(&place.data().join(".grap/restored.json"), &[b"{}"]).unwrap();
        Candidate::to_clear_away(None).restore(&recovery, &caller.session()).unwrap();
    }

    /// Who only clears away still records what was found.
    #[test]
    fn a_verdict_is_recorded_by_who_clears_away() {
        let folder = tempfile::tempdir().unwrap();
        let recovery = recovery(&folder.path().join("c"), "2026-11-26T02:00:00Z");
        let (caller, place) = (Caller::new("test 1"), Place::of(&recovery));
        place.make().unwrap();
        disk::create_dir_all(&place.data().join(".grap")).unwrap();
        let note = br#"{"backup":"neo4j-20261125-020000","databases":[]}"#;
        disk::publish(&place.data().join(".grap/restored.json"), &[note]).unwrap();
        let asked = Cell::new(0);
        let open = || {
            asked.set(asked.get() + 1);
            Err(Error::NotOpenedAgain { why: "it is away".to_owned() })
        };
        let recorded = Candidate::to_clear_away(Some(&open)).write_record(&recovery, &caller.session());
        assert!(recorded.is_err() && asked.get() == 1, "{recorded:?}");
    }
}
