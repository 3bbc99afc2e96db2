//! The look before anything is done: at what was validated, at what is live, and at what is needed on the way. Nothing of
//! the live database is changed; under `.grap/retired/` directories and two files are made and removed, to see that an
//! exchange is possible there.

use std::path::Path;

use grap_core::recovery::{Part, Recovery, Switch};
use grap_disk::{self as disk, Kind};
use grap_task::{Finding, Unit};

use super::confirm::is_wrong_password;
use super::locked::require_nobody;
use super::{LiveSwitch, asker, end_of_side, patient_asker, progress, switch_of};
use crate::ask::{Asker, DatabaseStatus};
use crate::check::{metadata, not_running, store_id};
use crate::error::{Code, Error, Result, in_one_line};
use crate::live::{Installation, SYSTEM, ServerRun, release};
use crate::ops::Session;
use crate::recovery::halves::{PRIVATE, parent};
use crate::recovery::{Candidate, LiveServer};
use crate::server::ServerRelease;
use crate::server::control::StoresLock;

impl LiveSwitch<'_> {
    /// Whether the server runs; an error is what speaks against the switch.
    pub(super) fn look(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool> {
        let (switch, swap) = switch_of(recovery)?;
        session.monitor.begin("look again", Unit::Items, None);
        let installation = self.installation(switch)?;
        self.claim(switch)?;
        let control = self.live()?.control;
        control.check(&installation, session)?;
        both_are_what_they_were(recovery, switch, &installation)?;
        if switch.live_is_lost {
            for told in switch.parts().flat_map(given_up) {
                session.monitor.finding(&Finding::warning(told));
            }
        }
        let exchanges = switch.parts().try_for_each(can_be_exchanged);
        swap.remove_empty()?;
        exchanges?;
        switch.parts().try_for_each(no_half_is_a_mount)?;
        let runs = StoresLock::holder(&installation.data)?.is_some();
        let system = if runs { self.let_in(recovery, switch, session)? } else { None };
        if !runs {
            require_nobody(switch)?;
        }
        let agent = system.as_ref().map(|system| system.agent().trim_start_matches("Neo4j/"));
        let opens_it = opens_it(recovery, &installation, switch, agent, session);
        unless_passed_over(recovery, switch, session, opens_it)?;
        self.looked = true;
        // One that is about to be started again is one that the stop keeps down.
        Ok(runs || control.is_wanted(session) == Some(true))
    }

    /// The server lets us in, to be asked later; and whoever answers at the address serves this store: another server would be
    /// drained, and asked in the end. None: it does not, and that is passed over.
    fn let_in(
        &mut self,
        recovery: &Recovery,
        switch: &Switch,
        session: &Session<'_>,
    ) -> Result<Option<Asker>> {
        let live = self.live()?;
        let asked = patient_asker(&live, session).and_then(|system| is_the_one(system, &switch.user));
        match asked {
            Ok((_, Some(why))) => Err(Error::PromotionRefused { why }),
            Ok((system, None)) => Ok(Some(system)),
            Err(error) => unless_passed_over(recovery, switch, session, Err(error)).map(|()| None),
        }
    }
}

/// Or why not.
fn is_the_one(mut system: Asker, part: &Part) -> Result<(Asker, Option<String>)> {
    let databases = system.databases()?;
    let named = databases.iter().find(|database| database.name == part.database);
    let another = named.map_or(Ok(None), |found| is_of_another(found, &part.live.store))?;
    Ok((system, another))
}

/// What a plan can ask about the server: whether it can be told to stop, lets us in, and is the one; what speaks against that.
/// One that does not run is not asked.
pub(crate) fn against_the_server(
    live: &LiveServer,
    part: &Part,
    session: &Session<'_>,
) -> Result<Vec<String>> {
    let installation = Installation::locate(&live.installation, &part.database)?;
    let mut against = Vec::new();
    if let Err(error) = live.control.check(&installation, session) {
        against.push(format!("the live server cannot be told to stop: {}", in_one_line(&error)));
    }
    if StoresLock::holder(&installation.data)?.is_some() {
        match asker(live, SYSTEM).and_then(|system| is_the_one(system, part)) {
            Ok((_, another)) => against.extend(another),
            Err(error) => against.push(format!("the live server cannot be asked: {}", in_one_line(&error))),
        }
    }
    Ok(against)
}

/// The live server's release opens what another one has opened.
fn opens_it(
    recovery: &Recovery,
    installation: &Installation,
    switch: &Switch,
    agent: Option<&str>,
    session: &Session<'_>,
) -> Result<()> {
    let known = release(installation, &ServerRun::of(&installation.store(SYSTEM))?);
    let known = known.as_deref().or(agent);
    let parsed = |text: &str| text.parse::<ServerRelease>().ok();
    match (known.and_then(parsed), recovery.opened_by.as_deref().and_then(parsed)) {
        (Some(live), Some(tested)) if live < tested => {
            let why = format!(
                "database `{}` was opened by Neo4j {tested}, and the live server is the older {live}",
                switch.user.database
            );
            Err(Error::PromotionRefused { why })
        }
        (None, Some(tested)) => {
            let told =
                format!("the release of the live server is not known; the candidate was opened by {tested}");
            session.monitor.finding(&Finding::warning(told));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What stands in the way of a database that was given up is told, and no more.
fn unless_passed_over(
    recovery: &Recovery,
    switch: &Switch,
    session: &Session<'_>,
    looked: Result<()>,
) -> Result<()> {
    match looked {
        Err(error) if is_passed_over(recovery, switch, &error) => {
            session.monitor.finding(&Finding::warning(in_one_line(&error)));
            Ok(())
        }
        looked => looked,
    }
}

/// Of a live database that was given up. And a rollback takes away a `system` with the passwords of another time: that it does
/// not let Grap in is what the rollback is for. Whether it is the server of this store is not known then; that it has stopped
/// is seen by its lock.
pub(super) fn is_passed_over(recovery: &Recovery, switch: &Switch, error: &Error) -> bool {
    let is_of_then = recovery.is_rollback() && switch.system.is_some();
    (switch.live_is_lost && error.code() != Code::Interrupted) || (is_of_then && is_wrong_password(error))
}

/// Looked at before anything is done, and again under the lock, right before the first exchange.
pub(super) fn both_are_what_they_were(
    recovery: &Recovery,
    switch: &Switch,
    installation: &Installation,
) -> Result<()> {
    if !recovery.is_rollback() {
        Candidate::still_what_passed(recovery)?;
    }
    if switch.system.is_none() {
        no_barrier_of_system(switch, &installation.log(SYSTEM))?;
    }
    for part in switch.parts() {
        side_is_there(recovery, part)?;
        live_can_be_replaced(part, switch.live_is_lost)?;
    }
    Ok(())
}

/// Behind it no server starts, whichever database is put there; and it may be that of another switch, which is not finished.
fn no_barrier_of_system(switch: &Switch, log: &Path) -> Result<()> {
    if disk::stat_link(log)?.map(|stat| stat.kind) != Some(Kind::File) {
        return Ok(());
    }
    match progress::whose_barrier(&switch.user, log)? {
        Some(id) => Err(Error::BarrierOfAnother { path: log.to_owned(), id }),
        None => Err(Error::PromotionRefused {
            why: format!(
                "{} is no directory, and what it stands for is noted nowhere: no server starts; a promotion with --with-system --live-is-lost gives `system` up, too",
                log.display()
            ),
        }),
    }
}

fn side_is_there(recovery: &Recovery, part: &Part) -> Result<()> {
    for half in [&part.found.store, &part.found.log] {
        if kind(half)? != Some(Kind::Directory) {
            return Err(Error::PromotionRefused { why: format!("{half} is no directory") });
        }
    }
    not_running(Path::new(&part.found.store))?;
    end_of_side(recovery, part, &part.found.log).map(drop)
}

/// It is a database of the same store: another one is not replaced by mistake.
fn live_can_be_replaced(part: &Part, is_lost: bool) -> Result<()> {
    for half in [&part.live.store, &part.live.log] {
        let why = match kind(half)? {
            Some(Kind::Directory) => continue,
            None if is_lost => continue,
            Some(Kind::File) if is_lost && *half == part.live.log && progress::is_unknown_barrier(part)? => {
                continue;
            }
            None => format!("{half} is missing; with --live-is-lost the live database is given up"),
            Some(Kind::File) if *half == part.live.log => {
                match progress::whose_barrier(part, Path::new(half))? {
                    Some(id) => return Err(Error::BarrierOfAnother { path: half.into(), id }),
                    None => format!(
                        "{half} is no directory, and what it stands for is noted nowhere; with --live-is-lost the live database is given up"
                    ),
                }
            }
            Some(_) => format!("{half} is no directory: what is it?"),
        };
        return Err(Error::PromotionRefused { why });
    }
    let (live, side) = (store_id(Path::new(&part.live.store)), store_id(Path::new(&part.found.store))?);
    match live {
        Ok(live) if live == side => Ok(()),
        Ok(live) if !is_lost => {
            let why = format!(
                "the live database `{}` is of another store ({live:?}) than what is to replace it ({side:?}); with --live-is-lost it is given up",
                part.database
            );
            Err(Error::PromotionRefused { why })
        }
        Err(error) if !is_lost => {
            let why = format!("{}; with --live-is-lost the live database is given up", in_one_line(&error));
            Err(Error::PromotionRefused { why })
        }
        _ => Ok(()),
    }
}

/// What is given up by name, and is not what it is taken for: said in the plan, and again when it is done.
pub(crate) fn given_up(part: &Part) -> Vec<String> {
    let mut told = Vec::new();
    for half in [&part.live.store, &part.live.log] {
        let half = Path::new(half);
        match disk::stat_link(half) {
            Ok(Some(found)) if found.kind == Kind::Directory => {}
            Ok(Some(_)) => told.push(format!("{} is no directory: it is put aside as it is", half.display())),
            Ok(None) => {
                told.push(format!("{} is missing: there is nothing of it to put aside", half.display()));
            }
            Err(error) => told.push(in_one_line(&error)),
        }
        if !matches!(disk::stat(parent(half)), Ok(Some(_))) {
            told.push(format!(
                "{} is missing, and made anew: the archiver takes it for another place, and needs to be told (docs/archiving.md)",
                parent(half).display()
            ));
        }
    }
    let ids = store_id(Path::new(&part.live.store))
        .and_then(|live| Ok((live, store_id(Path::new(&part.found.store))?)));
    match ids {
        Ok((live, side)) if live != side => told.push(format!(
            "{} is ANOTHER DATABASE ({live:?}), and no older state of what takes its place ({side:?})",
            part.live.store
        )),
        Ok(_) => {}
        Err(error) => {
            let why = in_one_line(&Error::from(error));
            told.push(format!("of which store the live database is cannot be read: {why}"));
        }
    }
    told
}

/// No name of a mount point can be exchanged.
fn no_half_is_a_mount(part: &Part) -> Result<()> {
    for half in [&part.live.store, &part.live.log] {
        let half = Path::new(half);
        if disk::stat(half)?.is_some() && !disk::is_one_mount(half, parent(half))? {
            let why = format!("{} is a mount point: it cannot be renamed", half.display());
            return Err(Error::PromotionRefused { why });
        }
    }
    Ok(())
}

fn can_be_exchanged(part: &Part) -> Result<()> {
    for (live, retired) in [(&part.live.store, &part.retired.store), (&part.live.log, &part.retired.log)] {
        let directory = parent(Path::new(retired));
        disk::make_dirs(directory, Some(PRIVATE))?;
        let why = if !disk::supports_exchange(directory)? {
            "its file system cannot exchange two names (renameat2, RENAME_EXCHANGE)".to_owned()
        } else if !disk::is_one_mount(parent(Path::new(live)), directory)? {
            format!("it lies on another mount than {live}")
        } else {
            continue;
        };
        return Err(Error::PromotionRefused { why: format!("{}: {why}", directory.display()) });
    }
    Ok(())
}

fn kind(path: &str) -> Result<Option<Kind>> {
    Ok(disk::stat_link(Path::new(path))?.map(|stat| stat.kind))
}

/// Why whoever answers is not the server of this store, where it says so: equal ids would prove that it is.
pub(super) fn is_of_another(database: &DatabaseStatus, store: &str) -> Result<Option<String>> {
    let lies_there = metadata(Path::new(store))?.database_id();
    let another = database.id.as_ref().filter(|said| !said.eq_ignore_ascii_case(&lies_there));
    Ok(another.map(|said| {
        format!(
            "the server that answers has another database `{}` (id {said}) than {store} (id {lies_there}): is neo4j.uri that of another server?",
            database.name
        )
    }))
}
