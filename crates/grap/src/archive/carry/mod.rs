//! Carries a source's archive into another repository, object by object, as it is stored.
//!
//! Whoever reads the other repository meanwhile sees an older state of the same archive, never a wrong one: runs
//! are carried by number, a start before its segments, segments by id; so what a start names as its parent is
//! there before it. An object is opened here (its seal, its name, its hashes) before it is put there, and what
//! was put is read back. One that is damaged here is named, and the others go on; where a merged object is
//! whole, its parts are not carried.
//!
//! Over a network each request is a round trip. Reads depend on nothing and are many at once: the next objects here
//! ahead of their turn, those that were put there some behind it. Puts stay one after the other, by id: if two were
//! under way and the first did not arrive, whoever reads the other repository then, and whoever has nothing else after
//! the first one was lost, would find a hole before the newest transactions. The archiver puts one by one, too, so
//! this keeps pace with it; and of what was merged there is one object to put for a hundred.
//!
//! Nothing is put again that the other repository has expired: it has records of that. And what this one has
//! expired before it was carried is recorded there, so that it is not taken for lost.

mod read_ahead;

use std::collections::{HashMap, VecDeque};

use grap_neo4j::TxId;
use grap_repository::{ObjectError, Repository, RepositoryError};
use grap_task::{Finding, Monitor, Stop};

use super::expired::{ExpiredLog, ExpiredRange};
use super::names::{self, RunNumber, SegmentName};
use super::runs::{Run, Runs};
use super::segment::Segment;
use super::store::{Archive, ArchiveError};
use crate::abreast::abreast;
use crate::error::{Error, Result, in_one_line};
use crate::notes::Author;
use read_ahead::ReadAhead;

/// Objects that are read ahead, and those that were put and not yet read back: so many, ...
const WINDOW: usize = 32;
/// ... or of so many bytes.
const WINDOW_BYTES: u64 = 8 << 20;

/// What was carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    pub starts: usize,
    /// Objects, ...
    pub segments: usize,
    /// ... and bytes of them.
    pub bytes: u64,
    /// Each names the object.
    pub problems: Vec<String>,
}

/// Carry what `to` lacks of what is stored now.
pub fn carry(
    from: &Archive,
    to: &Archive,
    author: &Author,
    (stop, monitor): (&Stop, &dyn Monitor),
    carried: &mut Carried,
) -> Result<()> {
    let here = from.runs()?;
    let there = to.runs().map_err(Error::at_copy)?;
    require_same(from, &here, &there)?;
    let expired = carry_expired(from, (to, &there), author, carried)?;
    for (run, why) in here.damaged() {
        carried.problems.push(format!("{}: {why}", names::start(from.source(), *run)));
    }
    let sizes = (from.sizes()?, to.sizes().map_err(Error::at_copy)?);
    let mut carrier = Carrier { from, to, sizes, expired, stop, monitor, carried, unread: Vec::new() };
    for (number, run) in here.iter() {
        if there.get(number).is_none() {
            carrier.start(number)?;
        }
        for database in run.stored_databases() {
            carrier.database(number, run, database)?;
        }
    }
    Ok(())
}

/// Of two archives that are not one, the newest starts that both have differ: each was put by its own archiver.
fn require_same(from: &Archive, here: &Runs, there: &Runs) -> Result<()> {
    let both = here.iter().rev().find_map(|(number, run)| Some((number, run, there.get(number)?)));
    match both {
        Some((number, run, other)) if run.start != other.start => {
            Err(Error::CopyDiverged { object: names::start(from.source(), number) })
        }
        _ => Ok(()),
    }
}

/// Note there what is gone here and was never carried. Returns what has expired there.
fn carry_expired(
    from: &Archive,
    (to, there): (&Archive, &Runs),
    author: &Author,
    carried: &mut Carried,
) -> Result<ExpiredLog> {
    let here = ExpiredLog::load(from)?;
    let expired = ExpiredLog::load(to).map_err(Error::at_copy)?;
    carried.problems.extend(here.unreadable.iter().cloned());
    carried.problems.extend(expired.unreadable.iter().map(|why| format!("in the copy: {why}")));
    let ranges: Vec<ExpiredRange> = here.ranges().filter_map(|range| before_held(there, range)).collect();
    expired.put(to, author, author.at, &ranges).map_err(Error::at_copy)?;
    Ok(expired)
}

/// What of a range stands before the first object that is there.
fn before_held(there: &Runs, range: ExpiredRange) -> Option<ExpiredRange> {
    let run = there.get(range.run);
    let overlaps = |name: &SegmentName| {
        name.first <= range.last && name.last.map_or(name.first >= range.first, |last| last >= range.first)
    };
    let held = run.into_iter().flat_map(|run| run.segments(&range.database)).find(overlaps);
    let last = held.map_or(range.last, |name| TxId(name.first.0.saturating_sub(1)));
    (range.first <= last).then_some(ExpiredRange { last, ..range })
}

type Sizes = HashMap<(RunNumber, String, SegmentName), u64>;

/// What became of a put.
enum Done {
    Stored,
    /// It was there, the same.
    Present,
    /// What is there is not whole.
    Damaged(String),
}

struct Carrier<'a> {
    from: &'a Archive,
    to: &'a Archive,
    /// Bytes, here and there.
    sizes: (Sizes, Sizes),
    /// What it has deleted.
    expired: ExpiredLog,
    stop: &'a Stop,
    monitor: &'a dyn Monitor,
    carried: &'a mut Carried,
    /// What was put, and not read back yet.
    unread: Vec<Unread>,
}

struct Unread {
    number: RunNumber,
    database: String,
    object: String,
    bytes: Vec<u8>,
    /// It was not there before.
    stored: bool,
}

impl Carrier<'_> {
    fn start(&mut self, number: RunNumber) -> Result<()> {
        let object = names::start(self.from.source(), number);
        let bytes = self.from.repository().get_sealed(&object).map_err(ArchiveError::from)?;
        match self.put_whole(&object, &bytes)? {
            Done::Stored => self.carried.starts += 1,
            Done::Present => {}
            Done::Damaged(why) => self.carried.problems.push(format!("in the copy: {why}")),
        }
        Ok(())
    }

    fn database(&mut self, number: RunNumber, run: &Run, database: &str) -> Result<()> {
        let mut names: Vec<SegmentName> = run.segments(database).collect();
        // A merged one before its first part.
        names.sort_by_key(|name| (name.first, name.last.is_none()));
        let expected = self.expected(number, database, &names);
        let mut ahead = ReadAhead::new(self.from, number, database, expected);
        // Up to here the other one holds it, as merged.
        let mut merged_to = None;
        let mut names = names.into_iter().peekable();
        while let Some(name) = names.next() {
            self.stop.check()?;
            let expired = self.has_expired(number, database, name);
            let mut last = name.last;
            if !is_within(name, merged_to) && !expired && !self.is_there(number, database, name) {
                last = self.segment(&mut ahead, name)?;
                let listed = names.peek().map(|next| next.first);
                last = self.hidden(&mut ahead, last, listed)?;
            }
            if name.last.is_some() && !expired {
                merged_to = merged_to.max(last);
            }
        }
        self.read_back()
    }

    /// What will be read here, if nothing is damaged and nothing hidden.
    fn expected(
        &self,
        number: RunNumber,
        database: &str,
        names: &[SegmentName],
    ) -> VecDeque<(SegmentName, u64)> {
        let mut merged_to = None;
        let mut expected = VecDeque::new();
        for name in names.iter().filter(|name| !self.has_expired(number, database, **name)) {
            if !is_within(*name, merged_to) && !self.is_there(number, database, *name) {
                let size = self.sizes.0.get(&(number, database.to_owned(), *name));
                expected.push_back((*name, size.copied().unwrap_or(0)));
            }
            merged_to = merged_to.max(name.last);
        }
        expected
    }

    /// Single ones go whole; of a merged one a part may be wanted still.
    fn has_expired(&self, number: RunNumber, database: &str, name: SegmentName) -> bool {
        self.expired.covers(number, database, name.first, name.last.unwrap_or(name.first))
    }

    /// Carry what a listing has hidden between a segment and the next that it shows: it lags, and what was put
    /// before is there. Returns the last transaction that was carried.
    fn hidden(
        &mut self,
        ahead: &mut ReadAhead<'_>,
        mut last: Option<TxId>,
        listed: Option<TxId>,
    ) -> Result<Option<TxId>> {
        while let (Some(before), Some(listed)) = (last, listed)
            && before.next() < listed
            && let Some(behind) = self.segment(ahead, SegmentName::single(before.next()))?
        {
            last = Some(behind);
        }
        Ok(last)
    }

    /// Its last transaction; `None`: it is damaged, which is noted, or not there (any more).
    fn segment(&mut self, ahead: &mut ReadAhead<'_>, name: SegmentName) -> Result<Option<TxId>> {
        let (number, database) = (ahead.number, ahead.database);
        let object = names::segment(self.from.source(), number, database, name);
        let (bytes, parts) = match ahead.load(name) {
            Ok(loaded) => loaded,
            Err(ArchiveError::Repository(RepositoryError::Object(ObjectError::NotFound { .. }))) => {
                return Ok(None);
            }
            Err(error) if error.is_damage() || error.is_newer() => {
                let text = in_one_line(&error);
                let named = if text.contains(&object) { text } else { format!("{object}: {text}") };
                self.carried.problems.push(named);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let stored = self.put(&object, &bytes)?;
        self.unread.push(Unread { number, database: database.to_owned(), object, bytes, stored });
        let unread: usize = self.unread.iter().map(|put| put.bytes.len()).sum();
        if self.unread.len() >= WINDOW || unread as u64 >= WINDOW_BYTES {
            self.read_back()?;
        }
        Ok(parts.last().map(|part| part.header.last.0))
    }

    /// Read what was put.
    fn read_back(&mut self) -> Result<()> {
        let unread = std::mem::take(&mut self.unread);
        let to = self.to.repository();
        let found = abreast(&unread, |put| damage(to, &put.object, &put.bytes))?;
        for (put, damage) in unread.into_iter().zip(found) {
            let stored = match damage {
                Some(why) => self.put_beside(&put, &why)?,
                None => put.stored,
            };
            if stored {
                self.carried.segments += 1;
                self.carried.bytes += put.bytes.len() as u64;
                self.monitor.advance(1);
            }
        }
        Ok(())
    }

    /// Whether the other repository holds it, as far as listings tell.
    fn is_there(&self, number: RunNumber, database: &str, name: SegmentName) -> bool {
        let object = (number, database.to_owned(), name);
        let there = self.sizes.1.get(&object);
        there.is_some() && there == self.sizes.0.get(&object)
    }

    /// Where the other storage keeps damaged bytes under a name, what it should hold is put part by part as
    /// merged objects of one: readers take whichever is whole. Whether it was put now.
    fn put_beside(&mut self, whole: &Unread, why: &str) -> Result<bool> {
        let Unread { number, database, object, bytes, .. } = whole;
        let damaged = |source| ArchiveError::Segment { object: object.clone(), source };
        let parts = Segment::parse_object(bytes).map_err(damaged)?;
        let mut stored = false;
        for part in parts {
            let name = SegmentName { first: part.header.first.0, last: Some(part.header.last.0) };
            let object = names::segment(self.from.source(), *number, database, name);
            match self.put_whole(&object, &Segment::merge(std::slice::from_ref(&part)))? {
                Done::Stored => stored = true,
                Done::Present => {}
                Done::Damaged(again) => {
                    self.carried.problems.push(format!("in the copy: {again}"));
                    return Ok(false);
                }
            }
        }
        let text = format!("in the copy: {why}; what it should hold stands beside it");
        self.monitor.finding(&Finding::warning(text));
        Ok(stored)
    }

    /// Put an object; false: there is one of that name.
    fn put(&self, object: &str, bytes: &[u8]) -> Result<bool> {
        match self.to.repository().put_sealed(object, bytes) {
            Ok(()) => Ok(true),
            Err(RepositoryError::Object(ObjectError::AlreadyExists { .. })) => Ok(false),
            Err(error) => Err(Error::at_copy(error)),
        }
    }

    /// Put an object and read it back.
    fn put_whole(&self, object: &str, bytes: &[u8]) -> Result<Done> {
        let stored = self.put(object, bytes)?;
        Ok(match damage(self.to.repository(), object, bytes)? {
            Some(why) => Done::Damaged(why),
            None if stored => Done::Stored,
            None => Done::Present,
        })
    }
}

/// Whether the other one holds it within what it holds as merged.
fn is_within(name: SegmentName, merged_to: Option<TxId>) -> bool {
    name.last.is_none() && merged_to.is_some_and(|last| name.first <= last)
}

/// What is wrong with an object that was put there. That it holds something else ends the copy.
fn damage(to: &Repository, object: &str, bytes: &[u8]) -> Result<Option<String>> {
    match to.get_sealed(object) {
        Ok(stored) if stored == bytes => Ok(None),
        Ok(_) => Err(Error::CopyDiverged { object: object.to_owned() }),
        Err(error @ RepositoryError::Damaged { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(Error::at_copy(error)),
    }
}
