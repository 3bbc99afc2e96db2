//! Is the new database what it should be? A few questions, in seconds: a validation has asked the others.

use std::path::Path;

use grap_bolt::Error as BoltError;
use grap_core::recovery::{Guard, Part, Recovery, Switch};
use grap_core::schema::{Drift, DriftKind, LiveObject, LiveState, faults};
use grap_disk::{self as disk, Source};
use grap_neo4j::files::LogFile;
use grap_task::Finding;

use super::look::is_of_another;
use super::{LiveServer, LiveSwitch, PAUSE, asker, owed_still, seconds};
use crate::archive::ends_there;
use crate::check::{Rule, read_rules};
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::SYSTEM;
use crate::ops::Session;
use crate::recovery::perform;
use crate::recovery::promote::Confirmation;
use crate::validate::not_shown;

/// What one look found.
enum Found {
    Good,
    /// But for indexes that the server is still making, which it goes on with.
    Populating(String),
    /// It may become good.
    NotYet(String),
    /// Nothing, so far.
    Unseen(Error),
    /// The server does not let us look.
    Blind(Error),
}

/// Why the database is not asked further.
enum Unfit {
    NotOnline(String),
    /// Another server has answered.
    Another(String),
}

impl LiveSwitch<'_> {
    pub(super) fn confirmed(
        &mut self,
        recovery: &Recovery,
        switch: &Switch,
        guard: &Guard,
        session: &Session<'_>,
    ) -> Result<Confirmation> {
        let live = owed_still(self.live())?;
        let until = session.clock.since_boot() + seconds(switch.limits.confirm_s);
        for (part, guard) in switch.parts().zip(guard.parts()) {
            require_end(part, guard)?;
        }
        loop {
            let found = look(&live, recovery, switch, session)?;
            let is_late = session.clock.since_boot() >= until;
            match found {
                Found::Good => return Ok(Confirmation::Confirmed),
                Found::Blind(error) => return Ok(Confirmation::Unsure(perform::failure(&error))),
                Found::Unseen(error) if is_late => {
                    return Ok(Confirmation::Unsure(perform::failure(&error)));
                }
                Found::NotYet(why) if is_late => return Err(Error::NotConfirmed { why }),
                Found::Populating(what) if is_late => {
                    session.monitor.finding(&Finding::warning(format!("it is still being made: {what}")));
                    return Ok(Confirmation::Confirmed);
                }
                Found::NotYet(_) | Found::Populating(_) | Found::Unseen(_) => {}
            }
            session.clock.wait(PAUSE, session.stop);
            session.stop.check()?;
        }
    }
}

/// The live log holds what the new database ended with; unless the server has pruned it since.
fn require_end(part: &Part, guard: &Guard) -> Result<()> {
    let log = Path::new(&part.live.log);
    let version = guard.end.position.version;
    let path = log.join(LogFile::Transactions(version).to_string());
    let files = owed_still(disk::list(log).map_err(Error::from))?.unwrap_or_default();
    let versions = files.iter().filter_map(|name| LogFile::parse(name)).filter_map(|file| match file {
        LogFile::Transactions(version) => Some(version),
        LogFile::Checkpoints(_) => None,
    });
    let begins_with = versions.min();
    if begins_with.is_some_and(|oldest| oldest > version) {
        return Ok(());
    }
    let looked = Source::open(&path).and_then(|source| ends_there(&source, &guard.end));
    match looked {
        Ok(true) => Ok(()),
        Err(error) if !error.is_not_found() => Err(Error::StillOwed(Box::new(error.into()))),
        Ok(false) | Err(_) => {
            Err(Error::NotConfirmed { why: format!("{} does not hold {}", path.display(), guard.end) })
        }
    }
}

/// The database is ONLINE, and shows the schema that is in its stores. What somebody has added since is nobody's fault.
fn look(live: &LiveServer, recovery: &Recovery, switch: &Switch, session: &Session<'_>) -> Result<Found> {
    // `system` answers, however the other one is.
    let asked = asker(live, SYSTEM).and_then(|mut system| {
        let databases = system.databases()?;
        let named = databases.into_iter().find(|database| database.name == switch.user.database);
        if let Some(database) = &named
            && let Some(why) = is_of_another(database, &switch.user.live.store)?
        {
            return Ok(Err(Unfit::Another(why)));
        }
        Ok(match named {
            Some(database) if database.status == "online" => {
                Ok(asker(live, &switch.user.database)?.schema()?)
            }
            Some(database) => Err(Unfit::NotOnline(format!(
                "database `{}` is {} {}",
                database.name, database.status, database.message
            ))),
            None => Err(Unfit::NotOnline(format!("there is no database `{}`", switch.user.database))),
        })
    });
    let shown = match asked {
        Ok(Ok(shown)) => shown,
        Ok(Err(Unfit::NotOnline(why))) => return Ok(Found::NotYet(why)),
        // Of the new database it says nothing.
        Ok(Err(Unfit::Another(why))) => return Ok(Found::Blind(Error::NotConfirmed { why })),
        Err(error) if error.code() == Code::Interrupted => return Err(error),
        // That somebody was wrong before is no answer; it passes.
        Err(error) if is_to_wait(&error) => return Ok(Found::Unseen(error)),
        // Whoever is not let in has not seen anything wrong.
        Err(error) if is_not_let_in(&error) => return Ok(Found::Blind(error)),
        Err(error) if is_answer(&error) => return Ok(Found::NotYet(in_one_line(&error))),
        Err(error) => return Ok(Found::Unseen(error)),
    };
    let rules = match read_rules(Path::new(&switch.user.live.store), session.stop, session.monitor) {
        Ok((rules, _)) => rules,
        Err(error) => return Ok(Found::Unseen(error.into())),
    };
    Ok(judged(&rules, &shown, recovery, session))
}

fn judged(rules: &[Rule], shown: &[LiveObject], recovery: &Recovery, session: &Session<'_>) -> Found {
    let (populating, broken): (Vec<Drift>, Vec<Drift>) = faults(shown)
        .into_iter()
        .partition(|fault| matches!(fault.kind, DriftKind::NotOnline { state: LiveState::Populating(_) }));
    let broken = broken.first().map(ToString::to_string);
    // What comes back was so before.
    if recovery.is_rollback()
        && let Some(why) = &broken
    {
        session.monitor.finding(&Finding::warning(why.clone()));
    }
    let broken = broken.filter(|_| !recovery.is_rollback());
    match (broken.or_else(|| not_shown(rules, shown).into_iter().next()), populating.first()) {
        (Some(why), _) => Found::NotYet(why),
        (None, Some(what)) => Found::Populating(what.to_string()),
        (None, None) => Found::Good,
    }
}

/// The server has said so.
fn is_answer(error: &Error) -> bool {
    matches!(error, Error::Bolt(BoltError::Server { .. }))
}

/// For some seconds a server asks nobody for a password by whose name three wrong ones were said.
pub(super) fn is_to_wait(error: &Error) -> bool {
    matches!(error, Error::Bolt(BoltError::Server { failure, .. })
        if failure.code() == "Neo.ClientError.Security.AuthenticationRateLimit")
}

fn is_not_let_in(error: &Error) -> bool {
    matches!(error, Error::Bolt(BoltError::Tls { .. })) || is_wrong_password(error)
}

/// Or a user that does not exist, or may not.
pub(super) fn is_wrong_password(error: &Error) -> bool {
    matches!(error, Error::Bolt(BoltError::Server { failure, .. })
        if failure.code().starts_with("Neo.ClientError.Security."))
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{State, What, apply, atlas};
    use grap_core::schema::{Entity, IndexConfig, SchemaKind, Shape};
    use grap_repository::LockHolder;
    use grap_task::{Clock, Silent, Stop};

    use super::super::is_written;
    use super::*;

    fn shown(state: LiveState) -> LiveObject {
        let tokens = vec!["Step".to_owned()];
        let properties = vec!["n".to_owned()];
        let shape = Shape { kind: SchemaKind::Range, entity: Entity::Node, tokens, properties };
        LiveObject { name: "n".to_owned(), shape, state, config: IndexConfig::new() }
    }

    /// No record of the store knows it: somebody has made it since.
    #[test]
    fn what_is_being_made_is_waited_for_and_what_was_broken_before_is_told() {
        let holder = LockHolder { hostname: String::new(), username: String::new(), uid: 0, gid: 0 };
        let stop = Stop::new();
        let session =
            Session { clock: &Clock::System, stop: &stop, monitor: &Silent, holder: &holder, program: "t" };
        let rollback = apply(State::Idle, &atlas::event(atlas::rollback_begun(false))).unwrap();
        let switch = Box::new(atlas::switch(false));
        let promotion = apply(atlas::validated(), &atlas::event(What::PromoteAsked { switch })).unwrap();
        let judge = |state: &State, object: LiveState| {
            judged(&[], &[shown(object)], state.recovery().unwrap(), &session)
        };
        for state in [&promotion, &rollback] {
            assert!(matches!(judge(state, LiveState::Online), Found::Good));
            assert!(matches!(judge(state, LiveState::Populating(5)), Found::Populating(_)));
        }
        let failed = || LiveState::Failed("no".to_owned());
        assert!(matches!(judge(&promotion, failed()), Found::NotYet(_)));
        assert!(matches!(judge(&rollback, failed()), Found::Good));
    }

    #[test]
    fn a_log_that_was_pruned_is_no_fault_and_one_that_cannot_be_read_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut switch = atlas::switch(false);
        switch.user.live.log = folder.path().display().to_string();
        let mut guard = atlas::guard();
        guard.end.position.version = grap_neo4j::LogVersion(3);
        assert!(matches!(require_end(&switch.user, &guard), Err(Error::NotConfirmed { .. })));
        let name = LogFile::Transactions(grap_neo4j::LogVersion(4)).to_string();
        disk::replace(&folder.path().join(name), &[b"later"]).unwrap();
        assert!(require_end(&switch.user, &guard).is_ok());
        assert!(is_written(&guard, &switch, true));
    }
}
