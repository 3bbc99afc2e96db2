//! How a run of an archiver begins.
//!
//! Every start of the archiver, every new run of the server, a lost position, an object that cannot be read, a
//! mark in front: all end here. What earlier runs of the server left and the present history does not hold is
//! stored first, each under a side run of its own, because acknowledged transactions may stand nowhere else.
//! Then the main start, for all databases at once.
//!
//! A history goes on without a break only where its parent is the very end of the current path, and neither
//! remains nor a takeover came between. Everything else begins a new timeline, which no base reaches yet.

use std::collections::BTreeMap;

use grap_neo4j::TxId;
use grap_neo4j::txlog::ScanStart;

use super::ahead::{Behind, Limits, read_ahead};
use super::held::{HeldLog, Sequence, remains};
use super::names::RunNumber;
use super::parent::{Found, Search, transactions};
use super::runs::Runs;
use super::segment::Segment;
use super::start::{DatabaseStart, Parent, StartRecord};
use super::store::Put;
use super::write_error::WriteError;
use super::writer::{Active, LogCursor, Writer};
use crate::live::{HeldRun, RunIdentity};

/// Somebody else was faster so often, or the server changed under us.
const TRIES: u32 = 50;

/// Where a history must begin, whatever stands before it.
#[derive(Debug, Clone)]
pub struct Floor {
    pub scan: ScanStart,
    pub why: String,
}

/// Where one database's run begins.
struct Beginning {
    start: DatabaseStart,
    cursor: LogCursor,
}

/// What one run of the server left of one database.
struct Remains {
    start: DatabaseStart,
    rest: Rest,
}

/// What is to be read: from `scan` on through files of consecutive versions.
struct Rest {
    files: Vec<HeldLog>,
    scan: ScanStart,
    /// What it goes on from.
    parent: Option<Found>,
    /// Where the remains go on from the file before them, which may have been written on since.
    seam: TxId,
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
        self.follower.look()?;
        let held = self.follower.runs();
        let Some(server) = held.last().map(|run| run.identity.clone()) else { return Ok(None) };
        let runs = self.archive.runs()?;
        let takes_over = self.admit(&runs)?;

        let mut presents = BTreeMap::new();
        for database in self.databases {
            let live = self.follower.live(database)?;
            presents.insert(database.as_str(), Sequence::present(&held, database, &live)?);
        }
        for run in &held {
            if self.store_remains(run, &presents, &runs, takes_over)? {
                return Ok(None);
            }
        }
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
        let inodes = |run: &HeldRun| {
            let files = self.databases.iter().flat_map(|database| run.files(database));
            files.map(|file| file.inode).collect()
        };
        let known = held.last().map(inodes).unwrap_or_default();
        let stored = held.into_iter().filter(|run| !run.present).map(|run| run.identity).collect();
        Ok(Some(Active { run: number, server, logs, stored, known }))
    }

    /// Whether writing here is a takeover; an error where it would be one and nobody said so.
    pub(super) fn admit(&self, runs: &Runs) -> Result<bool, WriteError> {
        let Some(newest) = runs.newest() else { return Ok(false) };
        let refused = if let Some(run) = runs.get(newest) {
            match self.nonces.admit(newest, &run.start, self.follower.place()?) {
                Ok(()) => return Ok(false),
                Err(not_ours) => not_ours.into(),
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
        let since_boot = self.clock.since_boot();
        let start = StartRecord {
            version: StartRecord::VERSION,
            nonce: nonce.clone(),
            place: self.follower.place()?,
            host: self.host.clone(),
            server_run: serde_json::to_string(server).expect("an identity is plain data"),
            at: self.clock.now(),
            since_boot_ms: u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX),
            takeover,
            databases,
        };
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
            (None, Some(floor)) if present.file(floor.scan.position.version).is_some() => floor.scan,
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

    /// Store what a run of the server left and the present history does not hold. `true`: something was stored,
    /// under a side run.
    fn store_remains(
        &mut self,
        run: &HeldRun,
        presents: &BTreeMap<&str, Sequence>,
        runs: &Runs,
        takes_over: bool,
    ) -> Result<bool, WriteError> {
        let mut starts = BTreeMap::new();
        let mut rests: Vec<(String, Rest)> = Vec::new();
        for (database, present) in presents {
            // One sequence of a database at a time; the next comes with the next try.
            for (before, sequence) in remains(run, database, present)? {
                if let Some(remains) = self.remains_of(database, before, sequence, runs)? {
                    starts.insert((*database).to_owned(), remains.start);
                    rests.push(((*database).to_owned(), remains.rest));
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

    /// The transactions of a sequence that are not stored; `None`: all are. (A mark without anything behind it
    /// is no loss, and nothing could ever tell that it is stored.)
    fn remains_of(
        &self,
        database: &str,
        before: Option<HeldLog>,
        sequence: Sequence,
        runs: &Runs,
    ) -> Result<Option<Remains>, WriteError> {
        let search = Search { archive: self.archive, runs, database };
        let mut floor = None;
        loop {
            let Some(rest) = self.rest_of(&search, before.as_ref(), &sequence, floor)? else {
                return Ok(None);
            };
            let mut first_id = None;
            let mut has_commands = false;
            let stopped_at = self.read_rest(&rest, |segment| {
                first_id.get_or_insert(segment.header.first.0);
                let found = transactions(&segment).map(|(_, found)| found).unwrap_or_default();
                has_commands = found.iter().any(|transaction| !transaction.without_commands);
                Ok(!has_commands)
            })?;
            if let Some(first_id) = first_id.filter(|_| has_commands) {
                let start = DatabaseStart {
                    parent: rest.parent.map(|parent| Parent::new(parent.run, &parent.end)),
                    first_id,
                    broken: Some(
                        "what an earlier run of the server left, or what lies before a gap".to_owned(),
                    ),
                    side: true,
                };
                return Ok(Some(Remains { start, rest }));
            }
            let Some(next) = stopped_at else { return Ok(None) };
            floor = Some(next);
        }
    }

    /// Segment after segment, as long as `each` wants more. Says where it stopped because another history begins:
    /// at a mark, or at a file that does not go on from the one before it.
    fn read_rest(
        &self,
        rest: &Rest,
        mut each: impl FnMut(Segment) -> Result<bool, WriteError>,
    ) -> Result<Option<ScanStart>, WriteError> {
        let mut scan = rest.scan;
        let mut begins = rest.parent.is_none();
        for (index, log) in rest.files.iter().enumerate() {
            if log.version() < scan.position.version {
                continue;
            }
            if log.version() > scan.position.version {
                if log.header.last_id != scan.last_id {
                    return Ok(Some(ScanStart::of_file(&log.header)));
                }
                scan = scan.into_file(&log.header);
            }
            let seam = rest.files.get(index + 1).map(|behind| behind.header.last_id);
            let last = seam.filter(|seam| *seam == rest.seam);
            loop {
                let limits = Limits { bytes: self.segment_bytes, last, begins, to_end: true };
                let ahead = read_ahead(log, &scan, limits, self.clock.now().as_millisecond())?;
                scan = ahead.resume;
                let Some(segment) = ahead.segment else {
                    if let Behind::Mark(mark) = ahead.behind {
                        return Ok(Some(mark));
                    }
                    break;
                };
                begins = false;
                if !each(segment)? {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
    /// Where what is not stored of a sequence may begin: behind its newest stored transaction above `floor`,
    /// else at the floor, else where the sequence begins.
    fn rest_of(
        &self,
        search: &Search<'_>,
        before: Option<&HeldLog>,
        sequence: &Sequence,
        floor: Option<ScanStart>,
    ) -> Result<Option<Rest>, WriteError> {
        let Some(first) = sequence.files.first().map(|log| log.header.clone()) else { return Ok(None) };
        let (from, above) =
            floor.map_or((first.version, TxId(0)), |floor| (floor.position.version, floor.last_id));
        let behind = Sequence { files: sequence.from(from).to_vec() };
        let mut parent = search.newest_in(&behind, above, TxId(u64::MAX))?;
        let mut files = behind.files;
        if let (None, None, Some(before)) = (parent, floor, before) {
            // It goes on from the end of the file before it, as that was then.
            let source = Sequence { files: vec![before.clone()] };
            let found = search.newest_in(&source, TxId(0), first.last_id)?;
            if let Some(found) = found
                && self.reaches(before, &found, first.last_id)?
            {
                parent = Some(found);
                files.insert(0, before.clone());
            }
        }
        let begin = floor.unwrap_or_else(|| ScanStart::of_file(&first));
        let scan = parent.map_or(begin, |parent| ScanStart::after(&parent.end));
        Ok(Some(Rest { files, scan, parent, seam: first.last_id }))
    }

    /// Whether a file still holds everything behind `parent` up to the transaction `seam`: a server that
    /// recovered may have cut it.
    fn reaches(&self, log: &HeldLog, parent: &Found, seam: TxId) -> Result<bool, WriteError> {
        let mut scan = ScanStart::after(&parent.end);
        let limits = Limits { bytes: self.segment_bytes, last: Some(seam), begins: false, to_end: true };
        while scan.last_id < seam {
            let ahead = read_ahead(log, &scan, limits, 0)?;
            scan = ahead.resume;
            if ahead.segment.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
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
        return Some(format!(
            "what is stored ends {stored}, the log goes on from transaction {}",
            parent.end.id
        ));
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
