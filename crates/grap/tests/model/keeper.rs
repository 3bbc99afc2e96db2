//! What others do to the archive: bases are taken, segments merged, what is old expires; and objects are
//! destroyed. What expires is worked out here, transaction by transaction, and must be what the code decides.

use std::collections::{BTreeSet, HashMap, HashSet};

use grap::archive::{ArchiveError, PathReader, RunNumber, Runs, SegmentName};
use grap_neo4j::{StoreId, TransactionEnd, TxId};
use grap_repository::ObjectStore;
use grap_task::Stop;

use crate::expiry::names;
use crate::history::Key;
use crate::judge::ReadPath;
use crate::random::Random;
use crate::world::World;

/// A backup's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) database: String,
    key: Key,
    pub(crate) store_id: StoreId,
    pub(crate) end: TransactionEnd,
}

/// A part of the archive: run, database, first id of the segment.
type Part = (RunNumber, String, TxId);

impl World {
    pub(crate) fn note_base(&mut self, random: &mut Random) {
        let host = random.below(self.hosts.len());
        for name in &self.names {
            let log = &self.hosts[host].databases[name];
            let Some(tip) = log.tip() else { continue };
            let node = self.history.get(tip);
            // Nothing joins at a transaction without commands.
            if !node.transaction.without_commands {
                let (store_id, end) = (log.store().clone(), node.transaction.end_point());
                self.bases.push(Base { database: name.clone(), key: node.key, store_id, end });
            }
        }
    }

    /// Some segments of a run, that follow each other, once more as one object.
    pub(crate) fn merge(&mut self, random: &mut Random) {
        let runs = self.archive.runs().unwrap();
        let all: Vec<(RunNumber, String)> = runs
            .iter()
            .flat_map(|(number, run)| run.start.databases.keys().map(move |name| (number, name.clone())))
            .collect();
        if all.is_empty() {
            return;
        }
        let (number, database) = random.pick(&all);
        let run = runs.get(number).unwrap();
        let singles: Vec<SegmentName> = run.segments(&database).filter(|name| name.last.is_none()).collect();
        if singles.len() < 2 {
            return;
        }
        let from = random.below(singles.len() - 1);
        let upto = (from + 2 + random.below(4)).min(singles.len());
        let mut parts = Vec::new();
        for name in &singles[from..upto] {
            let Ok(found) = self.archive.segments(number, &database, *name) else { return };
            parts.extend(found);
        }
        if parts.windows(2).any(|pair| pair[0].header.last.0.next() != pair[1].header.first.0) {
            return;
        }
        let merged = self.archive.put_merged(number, &database, &parts).unwrap();
        self.note(format!("run {number}: merged {merged:?}"));
    }

    /// An hour later: the parts of merged objects go, each after the merged one was read back.
    pub(crate) fn collect(&mut self) {
        self.shelf.grow_old();
        let runs = self.archive.runs().unwrap();
        for (number, run) in runs.iter() {
            for database in run.start.databases.keys() {
                for merged in run.segments(database).filter(|name| name.last.is_some()) {
                    let Ok(parts) = self.archive.segments(number, database, merged) else { continue };
                    for part in parts {
                        let name = SegmentName::single(part.header.first.0);
                        self.delete(number, database, &name.to_string());
                    }
                }
            }
        }
        self.note("parts of merged objects are gone");
    }

    /// Rule 13: of every path that reaches into the window, the newest base before it, and all behind that.
    pub(crate) fn expire(&mut self, random: &mut Random) {
        if self.excused {
            return;
        }
        self.shelf.grow_old();
        let runs = self.archive.runs().unwrap();
        let since = self.time().0 - 1000 * random.number(120);
        let decided = self.decide(since);
        let problems = self.problems();
        self.record(&decided);
        let mut gone = BTreeSet::new();
        for database in self.names.clone() {
            let mut kept: HashSet<Part> = HashSet::new();
            let mut holes = HashMap::new();
            let paths = self.all_paths(&runs, &database);
            for read in &paths {
                let is_current = runs.current(&database) == Some(read.path.run);
                let begins = read.transactions.iter().position(|read| read.commit_ms >= since);
                if begins.is_none() && !is_current {
                    continue;
                }
                let begins = begins.unwrap_or(read.transactions.len());
                let base = self.newest_base(&database, read, begins);
                holes.insert(read.path.run, (base, holes_behind(read, base)));
                for transaction in read.transactions.iter().skip(base.unwrap_or(0)) {
                    kept.insert((transaction.run, database.clone(), transaction.segment));
                }
                if let Some(base) = base {
                    holes.insert(read.path.run, (Some(base), holes_behind(read, Some(base))));
                }
            }
            gone.extend(self.delete_all_but(&runs, &database, &kept));
            let exempt: Vec<Key> = paths
                .iter()
                .flat_map(|read| &read.transactions)
                .filter(|read| !kept.contains(&(read.run, database.clone(), read.segment)))
                .map(|read| read.key)
                .collect();
            self.ledger.exempt.extend(exempt.into_iter().map(|key| (database.clone(), key)));
            let after = self.archive.runs().unwrap();
            for before in &paths {
                let Some((Some(base), count)) = holes.get(&before.path.run) else { continue };
                let read = self.read_path(&after, &database, before.path.run, None);
                let base = before.transactions[*base].key;
                let found = read.transactions.iter().position(|read| read.key == base);
                assert!(found.is_some(), "expire took the base at {base:?}");
                assert_eq!(holes_behind(&read, found), *count, "expire made a hole behind {base:?}");
            }
        }
        assert_eq!(names(&decided), gone, "what goes before {since}");
        let new: Vec<String> =
            self.problems().into_iter().filter(|found| !problems.contains(found)).collect();
        assert_eq!(new, Vec::<String>::new(), "what expired is taken for lost");
        self.note(format!("expired before {since}"));
    }

    fn newest_base(&self, database: &str, read: &ReadPath, begins: usize) -> Option<usize> {
        let of_database = |base: &&Base| base.database == database;
        let keys: HashSet<Key> = self.bases.iter().filter(of_database).map(|base| base.key).collect();
        read.transactions[..begins]
            .iter()
            .rposition(|read| !read.without_commands && keys.contains(&read.key))
    }

    fn all_paths(&self, runs: &Runs, database: &str) -> Vec<ReadPath> {
        let covering = runs.iter().filter(|(_, run)| run.start.covers(database));
        covering.map(|(number, _)| self.read_path(runs, database, number, None)).collect()
    }

    fn delete_all_but(
        &self,
        runs: &Runs,
        database: &str,
        kept: &HashSet<Part>,
    ) -> Vec<(RunNumber, String, SegmentName)> {
        let mut gone = Vec::new();
        for (number, run) in runs.iter() {
            for name in run.segments(database) {
                let last = name.last.unwrap_or(name.first);
                let holds = |(run, of, first): &Part| {
                    *run == number && of == database && (name.first..=last).contains(first)
                };
                if !kept.iter().any(holds) {
                    self.delete(number, database, &name.to_string());
                    gone.push((number, database.to_owned(), name));
                }
            }
        }
        gone
    }

    fn delete(&self, run: RunNumber, database: &str, name: &str) {
        self.shelf.delete(&format!("grap/log/prod/{:010}/{database}/{name}", run.0)).unwrap();
    }

    /// A stored object is gone, or not what it was.
    pub(crate) fn destroy(&mut self, random: &mut Random) {
        self.excused = true;
        let objects = self.shelf.list("grap/log").unwrap();
        if objects.is_empty() {
            return;
        }
        let name = objects[random.below(objects.len())].name.clone();
        self.exempt_object(&name);
        if random.below(2) == 0 {
            self.shelf.delete(&name).unwrap();
        } else {
            let at = random.below(1 << 16);
            self.shelf.objects.damage(&name, |bytes| {
                let at = at % bytes.len();
                bytes[at] ^= 0x10;
            });
        }
        self.note(format!("{name} is destroyed"));
    }

    /// Nobody answers any more for what stands in an object; if it is a start, for what stands under it.
    fn exempt_object(&mut self, name: &str) {
        let runs = self.archive.runs().unwrap();
        let (folder, is_start) = name.strip_suffix("start").map_or((name, false), |folder| (folder, true));
        for database in self.names.clone() {
            let mut keys = Vec::new();
            for (number, run) in runs.iter() {
                let Some(start) = run.database(&database) else { continue };
                let path = runs.path(&database, number).unwrap();
                let reader =
                    PathReader { archive: &self.archive, runs: &runs, path: &path, stop: &Stop::new() };
                let from = start.parent.map(|parent| parent.id);
                let visited = reader.visit::<ArchiveError>(from, None, &mut |visit| {
                    let first = SegmentName::single(visit.segment.header.first.0);
                    let single = format!("grap/log/prod/{:010}/{database}/{first}", visit.run.0);
                    if single.starts_with(folder) && (is_start || single.len() <= name.len()) {
                        keys.push(Key::new(visit.store_id, &visit.transaction.end_point()));
                    }
                    Ok(())
                });
                visited.unwrap();
            }
            // A merged object: everything of its run is excused.
            if name.rsplit('/').next().is_some_and(|name| name.contains('-')) {
                keys.extend(self.ledger.stored.iter().filter(|(of, _)| *of == database).map(|(_, key)| *key));
            }
            self.ledger.exempt.extend(keys.into_iter().map(|key| (database.clone(), key)));
        }
    }
}

/// How many holes there are on the way from a transaction to the end.
fn holes_behind(read: &ReadPath, from: Option<usize>) -> usize {
    let from = from.and_then(|from| read.transactions.get(from));
    let last = read.transactions.last().map_or(0, |last| last.stretch);
    last - from.map_or(0, |from| from.stretch)
}
