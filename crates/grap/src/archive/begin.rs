//! How a run of an archiver begins.
//!
//! Every start of the archiver, every new run of the server, a lost position, an object that cannot be read, a
//! mark in front: all end here. What earlier runs of the server left and the present history does not hold is
//! stored first, each under a side run of its own, because acknowledged transactions may stand nowhere else.
//! Then the main start, for all databases at once.
//!
//! A history goes on without a break only where its parent is the very end of the current path, and neither
//! remains nor a takeover came between. Everything else begins a new timeline; whether a base
//! reaches it is looked at from outside.

use std::collections::{BTreeMap, HashSet};

use grap_neo4j::txlog::ScanStart;
use grap_neo4j::{LogVersion, TxId};

use super::cursor::LogCursor;
use super::held::{HeldLog, Sequence, is_stray, remains, unreadable};
use super::names::RunNumber;
use super::parent::{Found, Search};
use super::remains::Rest;
use super::runs::Runs;
use super::start::{DatabaseStart, Parent, StartRecord};
use super::store::Put;
use super::write_error::WriteError;
use super::writer::{Active, Writer};
use crate::live::{HeldRun, RunIdentity};

/// Somebody else was faster so often, or the server changed under us.
const TRIES: u32 = 50;

/// Where a history must begin, whatever stands before it.
#[derive(Debug, Clone)]
pub struct Floor {
    pub scan: ScanStart,
    /// Of the file that the scan begins in: in another file of the same version it means nothing.
    pub inode: u64,
    pub why: String,
}

/// Where one database's run begins.
struct Beginning {
    start: DatabaseStart,
    cursor: LogCursor,
}

impl Writer<'_> {
    /// Begin a run. `floors`: for databases whose history must begin at a mark, or behind damage.
    pub fn begin(&mut self, floors: &BTreeMap<String, Floor>) -> Result<RunNumber, WriteError> {
        self.active = None;
        for _ in 0..TRIES {
            if let Some(active) = self.try_begin(floors)? {
                let run = active.run;
                self.active = Some(active);
                return Ok(run);
            }
        }
        Err(WriteError::Contended { tries: TRIES })
    }

    /// `None`: something changed on the way; look again from the start.
    fn try_begin(&mut self, floors: &BTreeMap<String, Floor>) -> Result<Option<Active>, WriteError> {
        self.follower.claim(&self.owner)?;
        self.follower.look_anew()?;
        let held = self.follower.runs();
        let Some(server) = held.last().map(|run| run.identity.clone()) else { return Ok(None) };
        let runs = self.archive.runs()?;
        let takes_over = self.admit(&runs)?;

        let mut presents = BTreeMap::new();
        let mut known = HashSet::new();
        for database in self.databases {
            let live = self.follower.live(database)?;
            presents.insert(database.as_str(), self.present(&held, database, &live)?);
            let files = held.last().map(|run| run.files(database)).unwrap_or_default();
            known.extend(files.iter().filter(|file| is_stray(file, &live)).map(|file| file.inode));
        }
        for index in 0..held.len() {
            if self.store_remains(&held[index..], &presents, &runs, takes_over)? {
                return Ok(None);
            }
        }
        let unread = held.iter().map(|run| unreadable(run, self.databases)).collect::<Result<Vec<_>, _>>()?;
        let stored: Vec<&HeldRun> = held
            .iter()
            .zip(&unread)
            .filter(|(run, unread)| !run.present && unread.is_empty())
            .map(|(run, _)| run)
            .collect();
        self.drop_stored(&held, &stored, &presents)?;
        let mut databases = BTreeMap::new();
        let mut logs = BTreeMap::new();
        for (database, present) in presents {
            let floor = floors.get(database);
            let beginning = self.beginning(database, present, floor, &runs, takes_over)?;
            databases.insert(database.to_owned(), beginning.start);
            logs.insert(database.to_owned(), beginning.cursor);
        }
        if self.follower.present_run()? != server {
            return Ok(None);
        }
        let number = runs.newest().map_or(RunNumber::FIRST, RunNumber::next);
        if !self.put_start(number, &server, databases, takes_over)? {
            return Ok(None);
        }
        let stored = stored.into_iter().map(|run| run.identity.clone()).collect();
        let unread = unread.concat();
        Ok(Some(Active { run: number, server, logs, stored, known, unread }))
    }

    /// The history that the newest live file ends; of that file alone where it could not be pinned.
    fn present(
        &self,
        held: &[HeldRun],
        database: &str,
        live: &[(LogVersion, u64)],
    ) -> Result<Sequence, WriteError> {
        let present = Sequence::present(held, database, live)?;
        if !present.files.is_empty() {
            return Ok(present);
        }
        let newest = self.follower.open_newest(database)?;
        let newest = newest.as_ref().map(HeldLog::read).transpose()?.flatten();
        Ok(Sequence { files: newest.into_iter().collect() })
    }

    /// Remains are stored by now. Earlier runs of the server that hold nothing of the present history go at
    /// once, and what the present run holds from before a gap: beyond the budget nothing new can be pinned
    /// before.
    fn drop_stored(
        &self,
        held: &[HeldRun],
        stored: &[&HeldRun],
        presents: &BTreeMap<&str, Sequence>,
    ) -> Result<(), WriteError> {
        for run in stored {
            let is_used = |(database, present): (&&str, &Sequence)| {
                run.files(database).iter().any(|file| present.contains(file))
            };
            if !presents.iter().any(is_used) {
                self.follower.drop_run(&run.identity)?;
            }
        }
        let Some(run) = held.last() else { return Ok(()) };
        for (database, present) in presents {
            let first = match present.files.first() {
                Some(log) => Some(log.version()),
                None => self.follower.live(database)?.last().map(|(version, _)| *version),
            };
            if let Some(first) = first {
                self.follower.stored_below(&run.identity, database, first)?;
            }
        }
        Ok(())
    }

    /// Whether writing here is a takeover; an error where it would be one and nobody said so.
    pub(super) fn admit(&self, runs: &Runs) -> Result<bool, WriteError> {
        let Some(newest) = runs.newest() else { return Ok(false) };
        let refused = if let Some(run) = runs.get(newest) {
            match self.nonces.admit(newest, &run.start, self.follower.place()?) {
                Ok(()) => return Ok(false),
                Err(error @ WriteError::NotOurs(_)) => error,
                Err(error) => return Err(error),
            }
        } else {
            let why = runs.damaged().get(&newest).cloned().unwrap_or_default();
            WriteError::StartUnreadable { run: newest, why }
        };
        if self.takeover { Ok(true) } else { Err(refused) }
    }

    /// Put the start; `false`: the number is another's.
    fn put_start(
        &mut self,
        number: RunNumber,
        server: &RunIdentity,
        databases: BTreeMap<String, DatabaseStart>,
        takeover: bool,
    ) -> Result<bool, WriteError> {
        let nonce = self.nonces.intend()?;
        let server_run = serde_json::to_string(server).expect("an identity is plain data");
        let start = StartRecord::new(
            (&nonce, self.follower.place()?, &self.host, self.clock),
            (server_run, takeover, databases),
        );
        if self.archive.put_start(number, &start)? == Put::Taken {
            return Ok(false);
        }
        self.nonces.stands(&nonce)?;
        Ok(true)
    }

    /// Where the present history of a database goes on.
    fn beginning(
        &self,
        database: &str,
        present: Sequence,
        floor: Option<&Floor>,
        runs: &Runs,
        takes_over: bool,
    ) -> Result<Beginning, WriteError> {
        // In another file of the same version a floor means nothing.
        let floor = floor.filter(|floor| {
            let file = present.file(floor.scan.position.version);
            file.is_some_and(|file| file.inode() == floor.inode)
        });
        // What lies before the floor is another history, whatever its numbers are.
        let present = match floor {
            Some(floor) => Sequence { files: present.from(floor.scan.position.version).to_vec() },
            None => present,
        };
        let search = Search { archive: self.archive, runs, database };
        let above = floor.map_or(TxId(0), |floor| floor.scan.last_id);
        let parent = search.newest_in(&present, above, TxId(u64::MAX))?;
        let current = search.current_end()?;
        let broken = broken(&search, current, parent.as_ref(), floor, takes_over);
        // A run that holds nothing of its own has its parent's end, and the break that it recorded counts.
        let parent = parent.map(|parent| match current {
            Some((run, Some(end))) if end.is(&parent.end) => Found { run, ..parent },
            _ => parent,
        });
        let no_log = || WriteError::NoLog { database: database.to_owned() };
        let oldest = present.files.first().ok_or_else(no_log)?;
        let scan = match (&parent, floor) {
            (Some(parent), _) => ScanStart::after(&parent.end),
            (None, Some(floor)) => floor.scan,
            (None, _) => ScanStart::of_file(&oldest.header),
        };
        let log = present.file(scan.position.version).ok_or_else(no_log)?.clone();
        let last = parent.map(|parent| (log.header.store_id.clone(), parent.end));
        let start = DatabaseStart {
            parent: parent.map(|parent| Parent::new(parent.run, &parent.end)),
            first_id: scan.last_id.next(),
            broken,
            side: false,
        };
        Ok(Beginning { start, cursor: LogCursor::new(present, log, scan, last) })
    }

    /// Store what the first of `held` left and the present history does not hold. `true`: something was stored,
    /// under a side run.
    fn store_remains(
        &mut self,
        held: &[HeldRun],
        presents: &BTreeMap<&str, Sequence>,
        runs: &Runs,
        takes_over: bool,
    ) -> Result<bool, WriteError> {
        let Some(run) = held.first() else { return Ok(false) };
        let mut starts = BTreeMap::new();
        let mut rests: Vec<(String, Rest)> = Vec::new();
        for (database, present) in presents {
            let live = self.follower.live(database)?;
            // One remnant of a database at a time; the next comes with the next try.
            for remnant in remains(held, database, present, &live)? {
                let search = Search { archive: self.archive, runs, database };
                if let Some(rest) = self.not_stored(&search, &remnant)? {
                    starts.insert((*database).to_owned(), rest.start());
                    rests.push(((*database).to_owned(), rest));
                    break;
                }
            }
        }
        if starts.is_empty() {
            return Ok(false);
        }
        let number = runs.newest().map_or(RunNumber::FIRST, RunNumber::next);
        if !self.put_start(number, &run.identity, starts, takes_over)? {
            return Ok(true);
        }
        for (database, rest) in rests {
            self.read_rest(&rest, |segment| {
                // Taken: by ourselves, when an answer was lost. The next try finds what is missing.
                self.archive.put_segment(number, &database, &segment)?;
                Ok(true)
            })?;
        }
        Ok(true)
    }
}

/// How a start names a run of the server.
pub(super) fn server_run(run: &RunIdentity) -> String {
    serde_json::to_string(run).expect("an identity is plain data")
}

/// Why a new timeline begins, if one does.
fn broken(
    search: &Search<'_>,
    current: Option<(RunNumber, Option<Parent>)>,
    parent: Option<&Found>,
    floor: Option<&Floor>,
    takes_over: bool,
) -> Option<String> {
    let Some((current, end)) = current else {
        return Some("nothing of this database was stored before".to_owned());
    };
    let Some(parent) = parent else {
        let nothing = || "the log holds nothing that was stored before".to_owned();
        return Some(floor.map_or_else(nothing, |floor| floor.why.clone()));
    };
    if !end.is_some_and(|end| end.is(&parent.end)) {
        let stored = end.map_or_else(|| "nowhere".to_owned(), |end| format!("with transaction {}", end.id));
        let from = parent.end.id;
        let from =
            if end.is_some_and(|end| end.id == from) { format!("another {from}") } else { from.to_string() };
        return Some(format!("what is stored ends {stored}, the log goes on from transaction {from}"));
    }
    let mut between = search.runs.iter().rev().take_while(|(number, _)| *number > current);
    let crossed = between.find_map(|(number, run)| {
        let side = run.database(search.database).is_some_and(|start| start.side);
        if side {
            Some(format!("run {number} stored what an earlier run of the server left"))
        } else {
            run.start.takeover.then(|| format!("run {number} took over"))
        }
    });
    crossed.or_else(|| takes_over.then(|| "this run takes over".to_owned()))
}
