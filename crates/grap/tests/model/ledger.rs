//! What was put, in the order of putting, judged as it comes: who may write where, and what a start says.

use std::collections::{BTreeMap, HashSet};

use grap::archive::{DatabaseStart, RunNumber, SegmentName, StartRecord};
use grap_neo4j::txlog::Transaction;
use grap_neo4j::{TransactionEnd, TxId};

use crate::archiver::describe;
use crate::history::Key;
use crate::shelf::{Actor, PutNote};
use crate::world::World;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) runs: BTreeMap<u64, RunNote>,
    /// Of every database, what was stored.
    pub(crate) stored: HashSet<(String, Key)>,
    /// Destroyed or expired: nobody answers for these.
    pub(crate) exempt: HashSet<(String, Key)>,
}

#[derive(Debug)]
pub(crate) struct RunNote {
    actor: Actor,
    pub(crate) start: StartRecord,
    stored: BTreeMap<String, BTreeMap<u64, TransactionEnd>>,
}

/// The parts of an object's name behind the source.
enum Name {
    Start(u64),
    Segment(u64, String, SegmentName),
}

fn parse(name: &str) -> Option<Name> {
    let mut parts = name.strip_prefix("grap/log/prod/")?.split('/');
    let run = parts.next()?.parse().ok()?;
    let Some(database) = parts.next().filter(|part| *part != "start") else { return Some(Name::Start(run)) };
    let segment = parts.next()?;
    let id = |text: &str| text.parse().ok().map(TxId);
    let name = match segment.split_once('-') {
        None => SegmentName { first: id(segment)?, last: None },
        Some((first, last)) => SegmentName { first: id(first)?, last: id(last) },
    };
    Some(Name::Segment(run, database.to_owned(), name))
}

impl World {
    /// Judge what was put since the last time.
    pub(crate) fn settle(&mut self) {
        for note in self.shelf.take_notes() {
            match parse(&note.name) {
                Some(Name::Start(run)) => self.judge_start(run, &note),
                Some(Name::Segment(run, database, name)) if name.last.is_none() => {
                    self.judge_segment(run, &database, name, &note);
                }
                _ => {}
            }
        }
    }

    fn judge_start(&mut self, run: u64, note: &PutNote) {
        let start = match self.archive.start(RunNumber(run)) {
            Ok(Some(start)) => start,
            other => {
                self.note(format!("the start of run {run} is torn: {other:?}"));
                self.excused = true;
                return;
            }
        };
        self.note(format!("run {run} begins: {}", describe(&start)));
        let newest = self.ledger.runs.last_key_value().map_or(0, |(number, _)| *number);
        assert!(run == newest + 1 || self.excused, "run {run} begins behind run {newest}");
        self.judge_owner(run, &start, note);
        for (database, beginning) in &start.databases {
            if !self.excused {
                self.judge_beginning(run, database, beginning, &start, note);
            }
        }
        if let Some(actor) = note.actor {
            let (_, state) = self.actors[actor];
            self.states[state].nonces.insert(start.nonce.clone());
        }
        let stored = BTreeMap::new();
        self.ledger.runs.insert(run, RunNote { actor: note.actor, start, stored });
    }

    /// Only the installation of the newest start goes on, unless somebody said that another takes over.
    fn judge_owner(&self, run: u64, start: &StartRecord, note: &PutNote) {
        let Some((_, newest)) = self.ledger.runs.last_key_value() else { return };
        let (host, state) = self.actors[note.actor.expect("the judge begins no run")];
        assert_eq!(Some(start.place), self.hosts[host].place);
        if start.takeover || self.excused {
            return;
        }
        assert_eq!(newest.start.place, start.place, "run {run} begins in another place");
        let known = &self.states[state].nonces;
        assert!(known.contains(&newest.start.nonce), "run {run} begins from another state directory");
    }

    /// The right parent, and `break` where it belongs and nowhere else.
    fn judge_beginning(
        &self,
        run: u64,
        database: &str,
        beginning: &DatabaseStart,
        start: &StartRecord,
        note: &PutNote,
    ) {
        let DatabaseStart { parent, first_id, broken, side } = beginning;
        if let Some(parent) = parent {
            assert_eq!(parent.id.next(), *first_id, "run {run} of {database}");
            assert!(parent.run.0 < run);
        }
        if *side {
            assert!(broken.is_some(), "side run {run} goes on without a break");
            return;
        }
        if note.hooked {
            return;
        }
        let covering = |note: &&RunNote| note.start.covers(database);
        let current = self
            .ledger
            .runs
            .iter()
            .rev()
            .find(|(_, note)| note.start.databases.get(database).is_some_and(|start| !start.side));
        let goes_on = current.is_some_and(|(number, _)| {
            let end = self.ledger.end_of(*number, database);
            let between = || self.ledger.runs.range(number + 1..).map(|(_, note)| note);
            let crossed = between().any(|note| note.start.takeover)
                || between().filter(covering).any(|note| note.start.databases[database].side);
            let same = parent.is_some_and(|parent| {
                end == Some((
                    parent.id.0,
                    parent.checksum.0,
                    parent.position.version.0,
                    parent.position.offset,
                ))
            });
            same && !crossed && !start.takeover
        });
        let current = current.map(|(number, _)| (*number, self.ledger.end_of(*number, database)));
        assert_eq!(
            broken.is_none(),
            goes_on,
            "run {run} of {database}: parent {parent:?}, break {broken:?}; the current path is {current:?}"
        );
        if let Some(newest) = self.newest_stored(database, note.actor) {
            let found = parent.map(|parent| parent.id.0);
            assert!(
                found >= Some(newest.id),
                "run {run} of {database} goes on from {found:?}, and {newest:?} is stored and in the source"
            );
        }
    }

    /// The newest transaction with commands in the source's log that is stored.
    fn newest_stored(&self, database: &str, actor: Actor) -> Option<Key> {
        let (host, _) = self.actors[actor?];
        let log = &self.hosts[host].databases[database];
        let live: HashSet<_> = log.nodes().collect();
        let chain = self.history.chain(log.tip()).take_while(|node| live.contains(node));
        let mut keys = chain.map(|node| self.history.get(node));
        let is_stored = |key: &Key| {
            let named = (database.to_owned(), *key);
            self.ledger.stored.contains(&named) && !self.ledger.exempt.contains(&named)
        };
        keys.find(|node| !node.transaction.without_commands && is_stored(&node.key)).map(|node| node.key)
    }

    fn judge_segment(&mut self, run: u64, database: &str, name: SegmentName, note: &PutNote) {
        let newest = self.ledger.runs.last_key_value().map_or(0, |(number, _)| *number);
        let segments = match self.archive.segments(RunNumber(run), database, name) {
            Ok(segments) => segments,
            Err(error) => {
                self.note(format!("segment {name} of run {run} is torn: {error}"));
                self.excused = true;
                return;
            }
        };
        let Some(owner) = self.ledger.runs.get(&run) else {
            assert!(self.excused, "a segment of run {run}, which has no start");
            return;
        };
        let is_side = owner.start.databases[database].side;
        assert_eq!(owner.actor, note.actor, "somebody else writes under run {run}");
        assert!(
            run == newest || note.hooked || self.excused || is_side,
            "under run {run} something is put though run {newest} has begun"
        );
        let mut found: Vec<(Key, Transaction)> = Vec::new();
        for segment in &segments {
            let store = segment.log_header().unwrap().store_id;
            let scanned = segment.scan(None, |transaction, bytes| {
                let key = Key::new(&store, &transaction.end_point());
                let known = !self.history.candidates(&key, bytes).is_empty();
                assert!(known, "{} of run {run} was never in a source", transaction.end_point());
                found.push((key, *transaction));
            });
            scanned.unwrap();
        }
        let fresh = found.iter().any(|(key, transaction)| {
            let named = (database.to_owned(), *key);
            let known = self.ledger.stored.contains(&named) && !self.ledger.exempt.contains(&named);
            !known || transaction.without_commands
        });
        let position = segments[0].header.position;
        self.note(format!(
            "put under run {run}: {database} {name}, {} transactions at {position}",
            found.len()
        ));
        assert!(fresh || !is_side || self.excused, "side run {run} stores what is stored");
        let note = self.ledger.runs.get_mut(&run).expect("it was there above");
        let stored = note.stored.entry(database.to_owned()).or_default();
        for (key, transaction) in found {
            stored.insert(transaction.id.0, transaction.end_point());
            self.ledger.stored.insert((database.to_owned(), key));
        }
    }
}

impl Ledger {
    /// Where the path of a run ends: id, checksum, log version, offset.
    pub(crate) fn end_of(&self, run: u64, database: &str) -> Option<(u64, u32, u64, u64)> {
        let note = self.runs.get(&run)?;
        if let Some((_, end)) = note.stored.get(database).and_then(|stored| stored.last_key_value()) {
            return Some((end.id.0, end.checksum.0, end.position.version.0, end.position.offset));
        }
        let parent = note.start.databases.get(database)?.parent?;
        Some((parent.id.0, parent.checksum.0, parent.position.version.0, parent.position.offset))
    }
}
