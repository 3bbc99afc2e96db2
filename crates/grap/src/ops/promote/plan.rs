//! What a promotion or a rollback would do, and what it costs. Nothing is done.

use std::path::Path;

use grap_core::recovery::{End, Failure, Halves, Part, Phase, Plan, Recovery, RecoveryId, State, Switch};
use grap_neo4j::{TransactionEnd, TxId};
use grap_task::{Finding, Unit};
use jiff::Timestamp;

use super::places::{halves, places};
use super::{SwitchAccess, SwitchOptions};
use crate::archive::Archive;
use crate::check::behind_newest_checkpoint;
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, SYSTEM};
use crate::ops::Session;
use crate::recovery::{
    Candidate, RetiredStore, against_the_server, archived_databases, bytes_of, failure, given_up,
    retired_stores,
};

/// What a promotion or a rollback would do, and what it costs.
#[derive(Debug, Clone)]
pub struct SwitchPlan {
    /// A rollback: whose retired database comes back.
    pub undoes: Option<RecoveryId>,
    pub target: String,
    pub switch: Switch,
    pub ends: Ends,
    /// Where it goes with it.
    pub ends_of_system: Option<Ends>,
    /// A rollback: the last transaction that what is live now was promoted with.
    pub fork: Option<TxId>,
    /// Of what is live now, where it will lie.
    pub retired_bytes: u64,
    /// What will be lost, or cannot be said, one thing a line.
    pub losses: Vec<String>,
}

/// The last transactions of a database, as far as they can be read.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Of what will be live.
    pub new: Option<TransactionEnd>,
    pub live: Option<TransactionEnd>,
}

pub(super) struct Planner<'a> {
    pub(super) options: &'a SwitchOptions,
    pub(super) access: &'a SwitchAccess<'a>,
}

impl Planner<'_> {
    pub(super) fn promotion(&self, recovery: &Recovery) -> Result<SwitchPlan> {
        let user = recovery.plan.ends.iter().find(|end| end.database != SYSTEM);
        let database = user.map(|end| end.database.clone()).ok_or(Error::SystemNotOpened)?;
        let data = Path::new(&recovery.plan.candidate).join("data");
        let found = halves(&data, &data, &database)?;
        let installation = self.installation(&database)?;
        let switch = self.switch(&installation, &recovery.id, &recovery.plan, found, &database)?;
        // One that cannot be read is not promoted: the look again says why.
        let switch = Switch { made_of: Candidate::made_of(recovery).ok(), ..switch };
        let target = recovery.plan.target.clone();
        if !self.options.with_system {
            return Ok(SwitchPlan::of(&installation, switch, target));
        }
        let (end, found) = restored_system(recovery)?;
        let switch = with_system(switch, &installation, &recovery.id, found)?;
        let mut plan = SwitchPlan::of(&installation, switch, target);
        plan.losses.push(
            "the restored `system` was judged as files only: the live server is the first that opens it"
                .to_owned(),
        );
        if let Some(short) = &end.short {
            plan.losses.push(format!("the restored `system` ends with transaction {}: {short}", end.tx_id));
        }
        Ok(plan)
    }

    pub(super) fn rollback(&self, retired: &RetiredStore, id: &RecoveryId) -> Result<SwitchPlan> {
        if let Some(missing) = &retired.missing {
            let why = format!("{missing} is not there: of {} not all was retired", retired.recovery);
            return Err(Error::PromotionRefused { why });
        }
        let installation = self.installation(&retired.database)?;
        let (plan, found) = (&retired.plan, retired.halves.clone());
        let switch = self.switch(&installation, id, plan, found, &retired.database)?;
        let switch = match &retired.system {
            Some(system) => with_system(switch, &installation, id, system.clone())?,
            None => switch,
        };
        let target = format!("what {} replaced", retired.recovery);
        let ends = plan.ends.iter().find(|end| end.database == retired.database);
        let fork = ends.map(|end| end.tx_id);
        let planned = SwitchPlan::of(&installation, switch, target);
        Ok(SwitchPlan { undoes: Some(retired.recovery.clone()), fork, ..planned })
    }

    /// The one that is named; else what the last promotion, or rollback, has retired. Where no journal knows that, the newest
    /// by the clock, if all can be read.
    pub(super) fn retired(&self, state: &State) -> Result<RetiredStore> {
        let data = Installation::data_directory(&(self.access.find)()?.installation)?;
        let last = state
            .recovery()
            .filter(|recovery| matches!(recovery.phase, Phase::Promoted | Phase::AskedAgain))
            .map(|recovery| recovery.id.clone());
        let id = self.options.retired.clone().or(last);
        let wanted = |store: &RetiredStore| id.as_ref().is_none_or(|id| *id == store.recovery);
        let found = retired_stores(&data)?;
        if id.is_none() && !found.unreadable.is_empty() {
            let why = format!(
                "which retired database is the newest cannot be said, please name one: {}",
                found.unreadable.join("; ")
            );
            return Err(Error::PromotionRefused { why });
        }
        for unreadable in &found.unreadable {
            self.access.session.monitor.finding(&Finding::warning(unreadable.clone()));
        }
        let newest = found.stores.into_iter().rfind(wanted);
        newest.ok_or(Error::NoRetired { id })
    }

    /// A plan only: what the server would be asked later, and called off for.
    pub(super) fn with_server_asked(&self, plan: SwitchPlan) -> Result<SwitchPlan> {
        let against = against_the_server(&(self.access.find)()?, &plan.switch.user, self.access.session)?;
        Ok(SwitchPlan { losses: plan.losses.into_iter().chain(against).collect(), ..plan })
    }

    fn installation(&self, database: &str) -> Result<Installation> {
        Ok(Installation::locate(&(self.access.find)()?.installation, database)?)
    }

    fn switch(
        &self,
        installation: &Installation,
        id: &RecoveryId,
        plan: &Plan,
        found: Halves,
        database: &str,
    ) -> Result<Switch> {
        let user = places(installation, id, found, database)?;
        let (archived, archive_unknown) = self.archived(installation, plan)?;
        let (limits, live_is_lost) = (self.options.limits.clone(), self.options.live_is_lost);
        Ok(Switch { user, archived, archive_unknown, live_is_lost, made_of: None, limits, system: None })
    }

    /// Which logs the archive is to hold the end of. Of a database that is given up: all that are there.
    fn archived(&self, installation: &Installation, plan: &Plan) -> Result<(Vec<String>, Option<Failure>)> {
        self.access.session.monitor.begin("opening the repository", Unit::Items, None);
        let looked = (self.access.open)().and_then(|access| {
            let archive = Archive::new(access.open()?, plan.source.clone());
            archived_databases(installation, &archive, self.access.session)
        });
        match looked {
            Err(error) if self.options.live_is_lost && error.code() != Code::Interrupted => {
                let told = format!("how far the archive is cannot be said: {}", in_one_line(&error));
                self.access.session.monitor.finding(&Finding::warning(told));
                Ok((Vec::new(), Some(failure(&error))))
            }
            looked => Ok((looked?, None)),
        }
    }
}

/// `system` goes with it: found there.
fn with_system(
    switch: Switch,
    installation: &Installation,
    id: &RecoveryId,
    found: Halves,
) -> Result<Switch> {
    Ok(Switch { system: Some(places(installation, id, found, SYSTEM)?), ..switch })
}

/// Of a candidate. No server has opened it.
fn restored_system(recovery: &Recovery) -> Result<(&End, Halves)> {
    let end = recovery.plan.ends.iter().find(|end| end.database == SYSTEM).ok_or_else(|| {
        let why = "what was restored has no `system`: promote it without --with-system".to_owned();
        Error::PromotionRefused { why }
    })?;
    let data = Path::new(&recovery.plan.candidate).join(SYSTEM);
    Ok((end, halves(&data, &data, SYSTEM)?))
}

impl SwitchPlan {
    fn of(installation: &Installation, switch: Switch, target: String) -> Self {
        let (ends, ends_of_system) = (Ends::of(&switch.user), switch.system.as_ref().map(Ends::of));
        let retired_bytes = switch.parts().filter_map(|part| bytes_of(&part.live).ok()).sum();
        let mut losses = Vec::new();
        losses.extend(ends_of_system.as_ref().map(told_of_system));
        if ends.live.is_none() {
            losses.push(format!("how far the live log goes cannot be read now: {}", switch.user.live.log));
        }
        if switch.live_is_lost {
            losses.extend(switch.parts().flat_map(given_up));
        }
        if let Some(why) = &switch.archive_unknown {
            losses.push(format!("how far the archive is cannot be said: {}", why.message));
        }
        for database in installation.databases.iter().filter(|name| !switch.archived.contains(name)) {
            let goes = switch.parts().any(|part| part.database == *database);
            let whose = if goes {
                "the retired database is the only copy of what is not in a backup"
            } else {
                "it stays live"
            };
            losses.push(format!("the log of `{database}` is not archived: {whose}"));
        }
        Self { undoes: None, target, switch, ends, ends_of_system, fork: None, retired_bytes, losses }
    }

    /// Transactions that will be live no more: the first and the last, and when the last one of what stays, and of what
    /// goes, were committed.
    pub fn lost(&self) -> Option<(u64, u64, Option<Timestamp>, Option<Timestamp>)> {
        let live = self.ends.live?;
        let at = |end: TransactionEnd| Timestamp::from_millisecond(end.commit_time.0).ok();
        // What comes back by a rollback went its own way: what both have ends where it was replaced.
        let (stays, when) = match (&self.undoes, self.fork, self.ends.new) {
            (Some(_), fork, _) => (fork?, None),
            (None, _, new) => (new?.id, at(new?)),
        };
        (live.id > stays).then(|| (stays.0 + 1, live.id.0, when, at(live)))
    }

    pub(super) fn ends(&self) -> Vec<End> {
        let end = |end: TransactionEnd| End {
            database: self.switch.user.database.clone(),
            tx_id: end.id,
            short: None,
        };
        self.ends.new.map(end).into_iter().collect()
    }

    pub(super) fn tell(&self, session: &Session<'_>) {
        if let Some((first, last, ..)) = self.lost() {
            let told = format!(
                "transactions {first} to {last} of `{}` will be in the retired database only",
                self.switch.user.database
            );
            session.monitor.finding(&Finding::warning(told));
        }
        for loss in &self.losses {
            session.monitor.finding(&Finding::warning(loss.clone()));
        }
    }
}

impl Ends {
    fn of(part: &Part) -> Self {
        Self { new: end_of(&part.found.log, &part.database), live: end_of(&part.live.log, &part.database) }
    }
}

/// Of a live log that is written, and of one that had crashed, the last whole one.
fn end_of(log: &str, database: &str) -> Option<TransactionEnd> {
    let (_, span, _) = behind_newest_checkpoint(Path::new(log), database).ok()?;
    Some(span.end)
}

/// What comes with the users of another time.
fn told_of_system(ends: &Ends) -> String {
    let lost = match (ends.new, ends.live) {
        (Some(new), Some(live)) if new.id == live.id && new.checksum == live.checksum => {
            "none of them has changed since".to_owned()
        }
        (Some(new), Some(live)) => {
            format!("it ends with transaction {} there, and with {} now", new.id, live.id)
        }
        _ => "how far it goes here or there cannot be read now".to_owned(),
    };
    format!(
        "`system` goes with it: users, passwords and settings of databases become what they were there ({lost}); where what Grap signs in with (neo4j.auth) was another one there, it ends unconfirmed"
    )
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{Status, SwitchLimits, What, apply, atlas};
    use grap_disk as disk;

    use super::*;
    use crate::live::InstallationOptions;
    use crate::recovery::{LiveServer, root_of_retired};
    use crate::server::control::ServerControl;
    use crate::state::StateDirectory;

    const MARK: &str = include_str!("../../../../../testdata/promotion-v1/retired.json");

    fn done(mut state: State) -> State {
        while let Some(done) = atlas::done(&state) {
            state = apply(state, &done).unwrap();
        }
        state
    }

    /// A clock that was ahead makes an older one the newest; a mark that cannot be read may be that of the newest.
    #[test]
    fn a_rollback_takes_what_the_last_promotion_has_retired() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let put = |id: &str, at: &str| {
            let text = MARK.replace("recovery-20261126-020000", id).replace("1970-01-01T00:00:00Z", at);
            let place = root_of_retired(&data).join(id);
            disk::create_dir_all(&place).unwrap();
            disk::replace(&place.join("retired.json"), &[text.as_bytes()]).unwrap();
        };
        put("recovery-20261126-020000", "2026-11-26T02:00:00Z");
        put("recovery-20991126-020000", "2099-11-26T02:00:00Z");
        let find = || {
            let installation =
                InstallationOptions::Data { data: data.clone(), transactions: None, database: None };
            let control = ServerControl::commands("", "");
            let connection = grap_bolt::client::Options::new(
                "bolt://127.0.0.1:1".parse().unwrap(),
                grap_bolt::client::Auth::None,
            );
            Ok(LiveServer { installation, control, connection })
        };
        let open = || -> Result<_> { panic!("the repository is not needed") };
        let holder =
            grap_repository::LockHolder { hostname: String::new(), username: String::new(), uid: 0, gid: 0 };
        let (clock, stop) = (grap_task::Clock::System, grap_task::Stop::new());
        let session = Session {
            clock: &clock,
            stop: &stop,
            monitor: &grap_task::Silent,
            holder: &holder,
            program: "t",
        };
        let directory = StateDirectory::open(&folder.path().join("state")).unwrap();
        let retired = |named: Option<&str>, state: &State| {
            let options = SwitchOptions {
                retired: named.map(|id| id.parse().unwrap()),
                live_is_lost: false,
                with_system: false,
                limits: SwitchLimits::default(),
            };
            let access = SwitchAccess { find: &find, open: &open, state: &directory, session: &session };
            let planner = Planner { options: &options, access: &access };
            planner.retired(state).map(|store| store.recovery.to_string())
        };
        let asked = What::PromoteAsked { switch: Box::new(atlas::switch(false)) };
        let promoted = done(apply(atlas::validated(), &atlas::event(asked)).unwrap());
        assert_eq!(promoted.status(), Status::Promoted);
        assert_eq!(retired(None, &promoted).unwrap(), "recovery-20261126-020000");
        assert_eq!(retired(None, &State::Idle).unwrap(), "recovery-20991126-020000");
        put("recovery-20270101-020000", "never");
        assert!(matches!(retired(None, &State::Idle), Err(Error::PromotionRefused { .. })));
        assert_eq!(retired(None, &promoted).unwrap(), "recovery-20261126-020000");
        let named = "recovery-20991126-020000";
        assert_eq!(retired(Some(named), &promoted).unwrap(), named);
    }
}
