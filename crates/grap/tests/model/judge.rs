//! What must be true of everything that is stored, read with the code's own reader.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use grap::archive::{ArchiveError, Path, PathReader, RunNumber, Runs, Stretch};
use grap_neo4j::TxId;
use grap_task::Stop;

use crate::history::{Key, NodeId};
use crate::world::World;

/// A path as it was read.
pub(crate) struct ReadPath {
    pub(crate) path: Path,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) transactions: Vec<ReadTransaction>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadTransaction {
    pub(crate) key: Key,
    pub(crate) commit_ms: i64,
    pub(crate) without_commands: bool,
    pub(crate) stretch: usize,
    /// Where it is stored: the run, and the first id of the segment.
    pub(crate) run: RunNumber,
    pub(crate) segment: TxId,
}

impl World {
    /// Read a path from `from` on, and require that each of its stretches is a part of one true history.
    pub(crate) fn read_path(
        &self,
        runs: &Runs,
        database: &str,
        run: RunNumber,
        from: Option<TxId>,
    ) -> ReadPath {
        let path = runs.path(database, run).unwrap();
        let reader = PathReader { archive: &self.archive, runs, path: &path, stop: &Stop::new() };
        let mut transactions: Vec<ReadTransaction> = Vec::new();
        let mut before: Vec<NodeId> = Vec::new();
        let stretches = reader.visit::<ArchiveError>(from, None, &mut |visit| {
            let key = Key::new(visit.store_id, &visit.transaction.end_point());
            let known = self.history.candidates(&key, visit.bytes);
            assert!(
                !known.is_empty(),
                "{} of path {run} was never in a source",
                visit.transaction.end_point()
            );
            let goes_on = transactions.last().is_some_and(|last| last.stretch == visit.stretch);
            before = if goes_on { self.history.follow(&before, &known) } else { known };
            assert!(
                !before.is_empty(),
                "on path {run} of {database} transaction {} follows one that it never followed",
                visit.transaction.end_point()
            );
            transactions.push(ReadTransaction {
                key,
                commit_ms: visit.transaction.commit_time.0,
                without_commands: visit.transaction.without_commands,
                stretch: visit.stretch,
                run: visit.run,
                segment: visit.segment.header.first.0,
            });
            Ok(())
        });
        ReadPath { stretches: stretches.unwrap(), path, transactions }
    }

    /// Every run's own part, and the whole current path; what was stored is on one of them.
    pub(crate) fn check(&self) -> BTreeMap<String, (HashSet<Key>, Option<ReadPath>)> {
        let runs = self.archive.runs().unwrap();
        let mut found = BTreeMap::new();
        for database in &self.names {
            let current = runs.current(database);
            let mut seen = HashSet::new();
            let mut whole = None;
            for (number, run) in runs.iter() {
                let Some(start) = run.database(database) else { continue };
                let is_current = current == Some(number);
                let from = start.parent.filter(|_| !is_current).map(|parent| parent.id);
                let read = self.read_path(&runs, database, number, from);
                seen.extend(read.transactions.iter().map(|read| read.key));
                if is_current {
                    whole = Some(read);
                }
            }
            for (of, key) in self.ledger.stored.iter().filter(|(of, _)| of == database) {
                let excused = self.ledger.exempt.contains(&(of.clone(), *key)) || !runs.damaged().is_empty();
                assert!(excused || seen.contains(key), "{key:?} of {of} was stored, and is on no path");
            }
            found.insert(database.clone(), (seen, whole));
        }
        found
    }

    /// A process has nothing to do any more: everything that was in its source is on a path, the current path
    /// ends where the log does, and the pins are gone.
    pub(crate) fn check_idle(&self, archiver: usize) {
        let found = self.check();
        let process = self.archivers[archiver].as_ref().unwrap();
        let host = &self.hosts[process.host];
        for (database, (seen, whole)) in &found {
            let log = &host.databases[database];
            if !self.excused {
                for node in log.nodes() {
                    let key = self.history.get(node).key;
                    let excused = self.ledger.exempt.contains(&(database.clone(), key));
                    let excused = excused || self.history.get(node).transaction.without_commands;
                    assert!(
                        excused || seen.contains(&key),
                        "{key:?} of {database} is in the log and on no path"
                    );
                }
            }
            let Some(whole) = whole else {
                assert!(self.excused, "an idle archiver covers {database}");
                continue;
            };
            self.check_end(database, log.tip().filter(|tip| log.nodes().any(|node| node == *tip)), whole);
        }
    }

    /// A process that began alone on its host, and has nothing to do any more, has stored all that was pinned.
    pub(crate) fn check_held(&self, archiver: usize) {
        let found = self.check();
        let process = self.archivers[archiver].as_ref().unwrap();
        let host = &self.hosts[process.host];
        for (database, nodes) in host.held.values() {
            let (seen, whole) = &found[database];
            let front = self.in_front(database, process.host, whole.as_ref());
            for node in nodes.iter().filter(|node| !front.contains(node)) {
                let key = self.history.get(*node).key;
                let excused = self.ledger.exempt.contains(&(database.clone(), key));
                // A mark alone holds nothing.
                let excused = excused || self.history.get(*node).transaction.without_commands;
                assert!(excused || seen.contains(&key), "{key:?} of {database} was pinned and is on no path");
            }
        }
    }

    /// What the log's history held before the current path begins: pinned by somebody whom the archiver could
    /// not inherit when it began.
    fn in_front(&self, database: &str, host: usize, whole: Option<&ReadPath>) -> HashSet<NodeId> {
        let first = whole.and_then(|whole| whole.path.pieces.first()).map_or(0, |piece| piece.first.0);
        let chain = self.history.chain(self.hosts[host].databases[database].tip());
        chain.filter(|node| self.history.get(*node).key.id < first).collect()
    }

    fn check_end(&self, database: &str, tip: Option<NodeId>, whole: &ReadPath) {
        let Some(tip) = tip else { return };
        let tip = self.history.get(tip).key;
        let last = whole.transactions.last().map(|read| read.key);
        if self.excused {
            return;
        }
        assert_eq!(last, Some(tip), "the current path of {database} ends elsewhere than its log");
        let (Some(piece), Some(stretch)) = (whole.path.pieces.last(), whole.stretches.last()) else { return };
        let expired = |(of, key): &(String, Key)| of == database && key.id + 1 == stretch.first.id.0;
        assert!(
            stretch.first.id <= piece.first || self.ledger.exempt.iter().any(expired),
            "run {} of {database} has a hole: {stretch:?}",
            whole.path.run
        );
    }

    /// Only the two newest files of each database are pinned, for the present run of the server. Of an earlier one
    /// only what holds the file of a last stored transaction, which the next run of an archiver finds its parent
    /// in, and which the present run does not hold. (What an earlier run left goes as a whole: beside such a file its
    /// other links stay, also those of files that are live. They lose nothing, and go with the next transaction.)
    pub(crate) fn check_pins(&self, archiver: usize) {
        if self.unseen {
            return;
        }
        let process = self.archivers[archiver].as_ref().unwrap();
        let present = format!("\"boot\":\"{}\"", self.hosts[process.host].server_run);
        let mut newest: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let mut held = HashSet::new();
        let mut earlier: BTreeMap<String, Vec<(String, u64, u64)>> = BTreeMap::new();
        for (database, inode, link) in self.pins(process.host) {
            let name = link.file_name().unwrap().to_str().unwrap();
            let version = name.rsplit('.').nth(1).unwrap().parse().unwrap();
            let record = std::fs::read_to_string(link.with_file_name("run")).unwrap();
            if record.contains(&present) {
                newest.entry(database).or_default().insert(version);
                held.insert(inode);
            } else {
                let run = record.split("identity").nth(1).unwrap().to_owned();
                earlier.entry(run).or_default().push((database, version, inode));
            }
        }
        for (database, versions) in newest {
            assert!(versions.len() <= 2, "of {database} log files {versions:?} stay pinned");
        }
        let is_needed = |(database, version, inode): &(String, u64, u64)| {
            let stored = process.active.as_ref().and_then(|active| active.stored(database));
            stored.is_some_and(|end| end.position.version.0 == *version) && !held.contains(inode)
        };
        for (run, files) in earlier {
            assert!(files.iter().any(is_needed), "{files:?} stay, and none is needed: {run}");
        }
    }
}
