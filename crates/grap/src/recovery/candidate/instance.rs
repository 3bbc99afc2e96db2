//! The test instance on the candidate.
//!
//! It ends with this process, however that ends. A start begins anew, whatever an earlier one left: only the database
//! itself, which recovers, is taken over.

use std::time::Duration;

use grap_core::recovery::{Failure, Instance, Recovery};
use grap_disk as disk;
use grap_task::Unit;

use super::Candidate;
use super::place::Place;
use crate::check::{CheckError, require_clean};
use crate::error::{Code, Error, Result};
use crate::ops::Session;
use crate::recovery::{Start, WhileItRuns};
use crate::server::{
    InstanceHome, InstanceOptions, InstancePlace, Mode, ServerError, ServerInstallation, TestInstance,
    end_processes,
};
use crate::validate::refused;

impl Candidate<'_> {
    pub(super) fn start(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Start> {
        let place = Place::of(recovery);
        self.end(recovery, session)?;
        place.require_ours()?;
        place.remove_what_an_instance_left()?;
        let home = self.make_home(&place)?;
        place.note_opener(&home.release().to_string())?;
        let limit = Duration::from_secs(u64::from(recovery.plan.limits.start_s));
        let until = session.clock.since_boot() + limit;
        let started = TestInstance::start(home, Mode::Writable, limit, session.clock, session.stop);
        let ready = started.and_then(|mut instance| {
            session.monitor.begin("building indexes", Unit::Items, None);
            // What is not online by then the tier of the schema names.
            let left = until.saturating_sub(session.clock.since_boot());
            instance.await_indexes(left, session.stop)?;
            Ok(instance)
        });
        match ready {
            Ok(instance) => {
                let known = known(&instance, &place)?;
                self.instance = Some(instance);
                Ok(Start::Running(known))
            }
            Err(error) => refused(&error).map(Start::Refused).ok_or_else(|| error.into()),
        }
    }

    /// Also where a server has stopped already, for what wants to know of the home.
    pub(super) fn make_home(&self, place: &Place) -> Result<InstanceHome> {
        let options = self.tools()?.options;
        let options = InstanceOptions {
            installation: ServerInstallation::find(&options.server)?,
            heap: options.heap.clone(),
            page_cache: options.page_cache.clone(),
        };
        let inside = InstancePlace {
            id: place.instance_id(),
            // The server wants absolute paths.
            root: disk::absolute(place.root())?.join("home"),
            data: disk::absolute(&place.data())?,
        };
        Ok(InstanceHome::make_in(inside, place.database(), options)?)
    }

    /// In good order. One that an earlier process stopped is stopped; what it was killed in is lost; one that ended of itself
    /// on the candidate is an error, as another start would not help.
    pub(super) fn stop(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileItRuns<()>> {
        let place = Place::of(recovery);
        let mut died = None;
        if self.running(recovery.instance.as_ref()).is_some()
            && let Some(instance) = self.instance.take()
        {
            match instance.stop(Duration::from_secs(u64::from(recovery.plan.limits.stop_s))) {
                Err(error @ ServerError::Died { .. }) => died = Some(error),
                stopped => drop(stopped?),
            }
        }
        self.end(recovery, session)?;
        match died {
            _ if has_stopped(&place)? => Ok(WhileItRuns::Done(())),
            Some(died) => Err(died.into()),
            None => Ok(WhileItRuns::Lost(gone())),
        }
    }

    /// By any means, and nothing of it is left when this returns.
    pub(super) fn end(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
        if let Some(instance) = self.instance.take() {
            instance.kill();
        }
        let place = Place::of(recovery);
        end_processes(&place.instance_id(), place.root(), session.clock)?;
        Ok(())
    }
}

/// It is not there, and nobody stopped it.
pub(super) fn gone() -> Failure {
    let message = "the test instance is gone with the process that had started it".to_owned();
    Failure { code: Code::InstanceFailed.name().to_owned(), message }
}

fn known(instance: &TestInstance, place: &Place) -> Result<Instance> {
    let pid = instance.pid();
    let start_ticks = disk::process_start(pid)?.unwrap_or_default();
    let release = Some(instance.release().to_string());
    Ok(Instance { pid, start_ticks, ports: vec![instance.port()], nonce: place.instance_id(), release })
}

/// It says so itself, and its database was left clean.
fn has_stopped(place: &Place) -> Result<bool> {
    if !InstanceHome::says_stopped(&place.home()) {
        return Ok(false);
    }
    match require_clean(&place.store(), &place.log(), place.database()) {
        Ok(()) => Ok(true),
        Err(CheckError::NotClean { .. }) => Ok(false),
        Err(error) => Err(Error::Check(error)),
    }
}
