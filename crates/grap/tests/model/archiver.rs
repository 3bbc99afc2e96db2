//! One process of an archiver: the code's own follower and writer, driven as its loop drives them, one pass at
//! a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grap::archive::{Active, Archive, Floor, Nonces, Round, RunNumber, StartRecord, WriteError, Writer};
use grap::live::Follower;
use grap_task::Clock;

use crate::shelf::{Plan, Seen, Shelf};

pub(crate) struct Archiver {
    pub(crate) id: usize,
    /// Where its database is.
    pub(crate) host: usize,
    /// Its state directory.
    pub(crate) state: usize,
    pub(crate) takeover: bool,
    pub(crate) follower: Follower,
    pub(crate) databases: Vec<String>,
    pub(crate) archive: Archive,
    pub(crate) clock: Clock,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) nonces: Nonces,
    pub(crate) active: Option<Active>,
    pub(crate) floors: BTreeMap<String, Floor>,
    pub(crate) segment_bytes: usize,
    /// What happened lately, for the report of a failure.
    pub(crate) log: Vec<String>,
}

/// How a pass ended.
#[derive(Debug)]
pub(crate) enum Pass {
    /// There was something to do.
    Busy,
    Idle,
    /// It may pass.
    Failed(WriteError),
    /// Only an operator can help.
    Deposed(WriteError),
    /// The process is no more.
    Killed,
}

impl Archiver {
    pub(crate) fn nonces(state: &Path, archive: &Archive) -> Nonces {
        Nonces::open(state, archive.source())
    }

    pub(crate) fn run(&self) -> Option<RunNumber> {
        self.active.as_ref().map(|active| active.run)
    }

    /// A look, a begin where one is due, a round of every database, a watch, a tidy.
    pub(crate) fn pass(&mut self, plan: Plan) -> (Pass, Seen) {
        self.shelf.enter(self.id, plan);
        let result = self.try_pass();
        let seen = self.shelf.leave();
        let pass = match result {
            _ if seen.dead => Pass::Killed,
            Ok(true) => Pass::Busy,
            Ok(false) => Pass::Idle,
            Err(error) if error.may_pass() => Pass::Failed(error),
            Err(error) => Pass::Deposed(error),
        };
        (pass, seen)
    }

    fn try_pass(&mut self) -> Result<bool, WriteError> {
        self.follower.look()?;
        if self.active.is_none() {
            let floors = std::mem::take(&mut self.floors);
            let begun = self.write(|writer| writer.begin(&floors));
            if begun.is_err() {
                self.floors = floors;
            }
            let run = begun?;
            // Said once.
            self.takeover = false;
            self.log.push(format!("archiver {} begins run {run}", self.id));
            self.write(|writer| writer.tidy())?;
            return Ok(true);
        }
        let mut busy = false;
        for database in self.databases.clone() {
            match self.write(|writer| writer.round(&database))? {
                Round::Idle => {}
                Round::Turned => busy = true,
                Round::Stored(stored) => {
                    busy = true;
                    self.log.push(format!("stored {database} {}-{}", stored.first, stored.last));
                }
                Round::Lost { why, floor } => {
                    self.lose(&database, &why, floor);
                    return Ok(true);
                }
                Round::Overtaken { run } => {
                    self.log.push(format!("overtaken by run {run}"));
                    self.active = None;
                    return Ok(true);
                }
            }
        }
        if !busy && self.watch()? {
            return Ok(true);
        }
        self.write(|writer| writer.tidy())?;
        Ok(busy)
    }

    fn lose(&mut self, database: &str, why: &str, floor: Option<Floor>) {
        self.log.push(format!("lost {database}: {why}"));
        if let Some(floor) = floor {
            self.floors.insert(database.to_owned(), floor);
        }
        self.active = None;
    }

    /// Whether the source is still what was read; and whether another run has begun.
    fn watch(&mut self) -> Result<bool, WriteError> {
        for database in self.databases.clone() {
            let why = self.write(|writer| match &writer.active {
                Some(active) => writer.displaced(active, &database),
                None => Ok(None),
            })?;
            if let Some(why) = why {
                self.lose(&database, &why, None);
                return Ok(true);
            }
        }
        let Some(run) = self.run() else { return Ok(false) };
        if self.archive.has_begun(run.next())? {
            self.active = None;
            return Ok(true);
        }
        Ok(false)
    }

    fn write<T>(&mut self, work: impl FnOnce(&mut Writer<'_>) -> T) -> T {
        let mut writer = Writer {
            archive: &self.archive,
            follower: &self.follower,
            databases: &self.databases,
            clock: &self.clock,
            host: format!("host {}", self.host),
            owner: "the repository, the source".to_owned(),
            segment_bytes: self.segment_bytes,
            nonces: self.nonces.clone(),
            takeover: self.takeover,
            active: self.active.take(),
        };
        let result = work(&mut writer);
        self.nonces = writer.nonces.clone();
        self.active = writer.active.take();
        result
    }
}

/// The nonces of a state directory, as they stand there.
pub(crate) fn nonce_file(state: &Path, archive: &Archive) -> PathBuf {
    state.join(format!("archive-{}.json", archive.source()))
}

/// For messages.
pub(crate) fn describe(start: &StartRecord) -> String {
    let of = |(name, start): (&String, &grap::archive::DatabaseStart)| {
        let parent = start
            .parent
            .map_or_else(|| "nothing".to_owned(), |parent| format!("{} {}", parent.run, parent.id));
        let side = if start.side { " (side)" } else { "" };
        format!("{name}{side}: after {parent}, first {}, break {:?}", start.first_id, start.broken)
    };
    let databases: Vec<String> = start.databases.iter().map(of).collect();
    let takeover = if start.takeover { "takeover, " } else { "" };
    format!("{takeover}{}", databases.join("; "))
}
