//! `watch`: look at an installation and its archive from the outside, again and again: how far the archive is behind,
//! and whether the installation is protected. Every look is handed over as it is; the daemon draws its conclusions.
//!
//! It asks neither the archiver nor anything that the archiver keeps, so that a silent stall shows. What cannot be
//! looked at is handed over as that; only a stop ends it.

use std::time::Duration;

use grap_core::SourceName;
use grap_repository::Repository;
use grap_task::{Silent, Stop};

use super::Session;
use super::lateness::Lateness;
use super::status::{StatusReport, look};
use crate::archive::{Archive, DatabaseLag, LagProbe, Proofs, RunNumber};
use crate::error::{Error, Result};
use crate::live::{Installation, InstallationOptions};
use crate::sources;

#[derive(Debug, Clone)]
pub struct WatchOptions {
    pub installation: InstallationOptions,
    /// The repository's only one, where it is not named.
    pub source: Option<SourceName>,
    /// A longer lag is no protection.
    pub lag_max: Duration,
}

/// One look.
#[derive(Debug)]
pub enum Look {
    /// The repository or the installation cannot be looked at.
    Blind(Error),
    Lag(LagLook),
    Protection(Box<StatusReport>),
}

#[derive(Debug)]
pub struct LagLook {
    /// Empty where it could not be measured.
    pub databases: Vec<DatabaseLag>,
    /// What has lasted longer than the limit.
    pub late: Vec<String>,
    /// The newest start of an archiver.
    pub run: Option<RunNumber>,
}

/// Who gets the looks.
pub struct Onlooker<'a> {
    pub see: &'a mut dyn FnMut(Look),
    /// Whether the protection is to be looked at now, and not when its time comes.
    pub look_now: &'a dyn Fn() -> bool,
}

/// Between two looks at the lag.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// Between two looks at the protection, where nothing changes: a look may read a lot.
const PROTECTION_INTERVAL: Duration = Duration::from_mins(10);
/// The same, where it could not be looked at.
const PROTECTION_AGAIN: Duration = Duration::from_mins(1);
/// Between two tries while the installation is away.
const BLIND_INTERVAL: Duration = Duration::from_secs(10);

/// Until the session's stop.
pub fn watch(
    options: &WatchOptions,
    repository: &Repository,
    onlooker: &mut Onlooker<'_>,
    session: &Session<'_>,
) {
    while let Err(error) = find_and_watch(options, repository, onlooker, session) {
        (onlooker.see)(Look::Blind(error));
        if session.clock.wait(BLIND_INTERVAL, session.stop) {
            return;
        }
    }
}

fn find_and_watch(
    options: &WatchOptions,
    repository: &Repository,
    onlooker: &mut Onlooker<'_>,
    session: &Session<'_>,
) -> Result<()> {
    let installation = Installation::find(&options.installation)?;
    let source = sources::choose(repository, options.source.as_ref())?;
    let archive = Archive::new(repository.clone(), source.name.clone());
    let watch = Watch {
        installation: &installation,
        repository,
        source: &source.name,
        archive: &archive,
        lag_max: options.lag_max,
        session,
    };
    watch.run(onlooker);
    Ok(())
}

struct Watch<'a> {
    installation: &'a Installation,
    repository: &'a Repository,
    source: &'a SourceName,
    archive: &'a Archive,
    lag_max: Duration,
    session: &'a Session<'a>,
}

impl Watch<'_> {
    /// Until the stop.
    fn run(&self, onlooker: &mut Onlooker<'_>) {
        let Session { clock, stop, .. } = *self.session;
        let mut probe = LagProbe::new(self.installation, self.archive, stop);
        let (mut lateness, mut proofs) = (Lateness::default(), Proofs::default());
        let (mut next_look, mut run) = (Duration::ZERO, None);
        while !stop.requested() {
            let lag = self.lag(&mut probe, &mut lateness, stop);
            let another = lag.run.is_some() && lag.run != run;
            run = lag.run.or(run);
            (onlooker.see)(Look::Lag(lag));
            let now = clock.since_boot();
            if another || now >= next_look || (onlooker.look_now)() {
                let looked = self.protection(&mut proofs);
                next_look = now + if looked.is_ok() { PROTECTION_INTERVAL } else { PROTECTION_AGAIN };
                (onlooker.see)(looked.map_or_else(Look::Blind, |status| Look::Protection(Box::new(status))));
            }
            clock.wait(LAG_INTERVAL, stop);
        }
    }

    fn lag(&self, probe: &mut LagProbe<'_>, lateness: &mut Lateness, stop: &Stop) -> LagLook {
        let clock = self.session.clock;
        let measured = probe.measure(clock.now());
        let databases = measured.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
        let late = match measured {
            // What failed because of a stop says nothing.
            Err(_) if stop.requested() => Vec::new(),
            measured => lateness.hear(measured, clock.since_boot(), self.lag_max),
        };
        let late = late.into_iter().map(|late| late.text).collect();
        LagLook { databases, late, run: probe.newest_run() }
    }

    fn protection(&self, proofs: &mut Proofs) -> Result<StatusReport> {
        let quiet = Session { monitor: &Silent, ..*self.session };
        look(self.repository, self.source, Some(self.installation), self.lag_max, proofs, &quiet)
    }
}
