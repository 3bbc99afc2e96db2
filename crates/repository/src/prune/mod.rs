//! Giving room back: packs that no snapshot needs go, those of which little is needed are written anew.
//!
//! ```text
//! lock | scan: snapshots, index, trees, packs | new packs | new index, old index deleted | snapshots | packs deleted
//! ```
//! Why nothing that is needed is ever deleted:
//! - What is needed is what the snapshots name, and all of it was read: one snapshot, index object or tree that
//!   cannot be read, one needed chunk without a whole pack, and nothing is deleted at all.
//! - One exclusive lock is held from before the scan to the last deletion, and is seen to be there and fresh right
//!   before every deletion. So nobody who respects locks publishes a snapshot, or finds a doomed blob in the index
//!   and builds on it, in between. A lock that was given up between the scan and the deletions would not do.
//! - A doomed pack is named by no index any more when it is deleted, and what stays is named by one at every
//!   moment: new index objects are put before the old ones go. So even where our lock is lost between the look at
//!   it and the deletion (a machine that sleeps there), whoever comes later cannot find what we delete, and will
//!   not build on it.
//! - The snapshots are listed again before the first deletion and again before the first pack goes. One that
//!   appeared (somebody does not respect locks) ends the run; packs that were taken out of the index are named
//!   in it again.
//!
//! A run that is killed leaves packs in no index, and blobs that are named twice. The next one begins with the
//! scan, as if nothing had been, and takes both for what they are.
//!
//! What it does not save: a listing that hides an old snapshot or index object. The first would have its chunks
//! deleted, the second ends the run. Storages with such listings are not fit for deletion.

#[cfg(test)]
mod bench;
mod decide;
mod mark;
mod reindex;
mod repack;

use std::collections::{BTreeSet, HashMap, HashSet};

use grap_task::{Monitor, Stop, Unit};

use crate::error::{RepositoryError, Result};
use crate::format::id::{Id, SnapshotId};
use crate::format::index::IndexFile;
use crate::index::{Index, IndexBuilder};
use crate::lock::Lock;
use crate::object::{ObjectError, probe_name};
use crate::repository::{Inner, Repository, object_name};
use crate::write::WriterOptions;
use decide::{Decision, Fate, Limits};
use repack::Repacker;

/// Index objects beyond what the blobs take are written together once there are so many more.
const INDEXES_SPARE: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneOptions {
    /// So much unused room in partly used packs is left alone, in a hundred of the whole: less costs more copying.
    pub unused_percent: u8,
    /// At most so many bytes are copied to new packs: there must be room for them before any room is given back.
    pub repack_bytes_max: u64,
    /// A new pack is put once it has this many bytes.
    pub pack_size: usize,
    /// Somebody found them damaged: of a blob that lies elsewhere, too, the other place is kept.
    pub damaged_packs: BTreeSet<Id>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            unused_percent: 5,
            repack_bytes_max: u64::MAX,
            pack_size: WriterOptions::default().pack_size,
            damaged_packs: BTreeSet::new(),
        }
    }
}

/// What would be done, in numbers. Bytes are those of packs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PruneSummary {
    pub snapshots: usize,
    pub packs: usize,
    pub bytes: u64,
    /// Of which nothing is needed.
    pub unused_packs: usize,
    pub unused_bytes: u64,
    /// In no index: left by runs that died.
    pub unindexed_packs: usize,
    pub unindexed_bytes: u64,
    /// Written anew, ...
    pub repacked_packs: usize,
    pub repacked_bytes: u64,
    /// ... of which so much is copied.
    pub copied_bytes: u64,
    /// Worth it, and more than may be copied at once.
    pub postponed_packs: usize,
    /// Not needed, in packs that stay.
    pub left_unused_bytes: u64,
    /// Not there and not needed: the index forgets them.
    pub missing_packs: usize,
    pub indexes: usize,
}

impl PruneSummary {
    /// What the repository will be smaller.
    pub fn freed_bytes(&self) -> u64 {
        self.unused_bytes + self.unindexed_bytes + self.repacked_bytes.saturating_sub(self.copied_bytes)
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    pub packs_deleted: usize,
    pub bytes_deleted: u64,
    pub packs_written: usize,
    pub bytes_written: u64,
    pub indexes_written: usize,
    pub indexes_deleted: usize,
    /// Objects that the storage did not let us delete.
    pub denied: Vec<String>,
}

impl PruneReport {
    /// Together with one that came after it.
    pub fn add(&mut self, other: Self) {
        self.packs_deleted += other.packs_deleted;
        self.bytes_deleted += other.bytes_deleted;
        self.packs_written += other.packs_written;
        self.bytes_written += other.bytes_written;
        self.indexes_written += other.indexes_written;
        self.indexes_deleted += other.indexes_deleted;
        self.denied.extend(other.denied);
    }
}

/// What is to be done, found out under a lock that is still held.
pub struct PrunePlan<'a> {
    repository: &'a Repository,
    lock: &'a Lock,
    options: PruneOptions,
    summary: PruneSummary,
    snapshots: BTreeSet<SnapshotId>,
    index: Index,
    decision: Decision,
    unindexed: Vec<(Id, u64)>,
    /// Something is named twice, or there are many more index objects than are needed.
    index_untidy: bool,
}

impl Repository {
    /// Find out what nobody needs. With a shared lock the plan can be shown; to execute it takes an exclusive one.
    pub fn plan_prune<'a>(
        &'a self,
        lock: &'a Lock,
        options: &PruneOptions,
        stop: &Stop,
        monitor: &dyn Monitor,
    ) -> Result<PrunePlan<'a>> {
        let mut found = self.snapshots()?;
        if !found.damaged.is_empty() {
            return Err(found.damaged.swap_remove(0));
        }
        let (index, indexes, named) = self.inner.whole_index()?;
        let marked = mark::mark(self, &index, &found.found, stop, monitor)?;
        let listed = self.inner.list_packs()?;
        let limits =
            Limits { unused_percent: options.unused_percent, repack_bytes: options.repack_bytes_max };
        let decision = decide::decide(&index, &listed, &marked, &options.damaged_packs, limits)?;
        let known: HashSet<Id> = index.packs().iter().map(|pack| pack.id).collect();
        let mut unindexed: Vec<(Id, u64)> =
            listed.iter().filter(|(id, _)| !known.contains(id)).map(|(id, size)| (*id, *size)).collect();
        unindexed.sort_unstable();
        let enough = INDEXES_SPARE + 2 * index.place_count() / reindex::INDEX_BLOBS_MAX;
        let mut plan = PrunePlan {
            repository: self,
            lock,
            options: options.clone(),
            summary: PruneSummary { snapshots: found.found.len(), indexes, ..PruneSummary::default() },
            snapshots: found.found.iter().map(|snapshot| snapshot.id).collect(),
            index_untidy: indexes > enough || named > index.place_count(),
            index,
            decision,
            unindexed,
        };
        plan.sum_up(&listed);
        Ok(plan)
    }
}

impl Inner {
    /// The index, without any damage; how many objects it has, and how many places they name together.
    fn whole_index(&self) -> Result<(Index, usize, usize)> {
        let mut builder = IndexBuilder::default();
        let (mut objects, mut named) = (0, 0);
        for (id, name) in self.named_objects("index")? {
            let file: IndexFile = self.load(&name, id)?;
            builder.add(&file)?;
            objects += 1;
            named += file.packs.iter().map(|pack| pack.packed().count()).sum::<usize>();
        }
        Ok((builder.build(), objects, named))
    }
}

impl PrunePlan<'_> {
    pub fn summary(&self) -> &PruneSummary {
        &self.summary
    }

    fn sum_up(&mut self, listed: &HashMap<Id, u64>) {
        let summary = &mut self.summary;
        summary.packs = listed.len();
        summary.bytes = listed.values().sum();
        summary.postponed_packs = self.decision.postponed;
        summary.unindexed_packs = self.unindexed.len();
        summary.unindexed_bytes = self.unindexed.iter().map(|(_, size)| size).sum();
        for (number, pack) in self.index.packs().iter().enumerate() {
            let usage = self.decision.usage[number];
            match self.decision.fates[number] {
                Fate::Keep => summary.left_unused_bytes += usage.unused,
                Fate::Repack => {
                    summary.repacked_packs += 1;
                    summary.repacked_bytes += pack.size;
                    summary.copied_bytes += usage.kept;
                }
                Fate::Remove => {
                    summary.unused_packs += 1;
                    summary.unused_bytes += listed.get(&pack.id).copied().unwrap_or(0);
                }
                Fate::Forget => summary.missing_packs += 1,
            }
        }
    }

    /// Packs that leave the index, by number.
    fn gone(&self) -> Vec<usize> {
        (0..self.decision.fates.len()).filter(|pack| self.decision.fates[*pack] != Fate::Keep).collect()
    }

    /// Do it. Interrupted anywhere, the next run makes it good.
    pub fn execute(self, stop: &Stop, monitor: &dyn Monitor) -> Result<PruneReport> {
        let mut report = PruneReport::default();
        let inner = &self.repository.inner;
        let mut deleter = Deleter { repository: self.repository, lock: self.lock, stop, denied: Vec::new() };
        let gone = self.gone();
        if gone.is_empty() && self.unindexed.is_empty() && !self.index_untidy {
            return Ok(report);
        }
        if !deleter.is_allowed()? {
            return Ok(PruneReport { denied: self.doomed_names(), ..report });
        }
        monitor.begin("writing packs anew", Unit::Bytes, Some(self.summary.copied_bytes));
        let repacker = Repacker::new(self.repository, &self.index, self.options.pack_size)?;
        (report.packs_written, report.bytes_written) =
            repacker.run(&self.decision.fates, &self.decision.kept, stop, monitor)?;
        self.require_same_snapshots()?;
        if !gone.is_empty() || self.index_untidy {
            monitor.begin("writing the index anew", Unit::Items, None);
            let ids = gone.iter().map(|pack| self.index.packs()[*pack].id).collect();
            (report.indexes_written, report.indexes_deleted) = reindex::rewrite(inner, &ids, &mut deleter)?;
        }
        if let Err(error) = self.require_same_snapshots() {
            let there = gone.iter().copied().filter(|pack| self.decision.fates[*pack] != Fate::Forget);
            reindex::reinstate(inner, &self.index, &there.collect::<Vec<_>>())?;
            return Err(error);
        }
        self.delete_packs(&gone, &mut deleter, &mut report, monitor)?;
        report.denied = deleter.denied;
        Ok(report)
    }

    fn delete_packs(
        &self,
        gone: &[usize],
        deleter: &mut Deleter<'_>,
        report: &mut PruneReport,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let indexed = gone
            .iter()
            .filter(|pack| self.decision.fates[**pack] != Fate::Forget)
            .map(|pack| (self.index.packs()[*pack].id, self.index.packs()[*pack].size));
        let mut doomed = self.unindexed.clone();
        // An index object that could not be deleted still names some of them: it stays true.
        if deleter.denied.is_empty() {
            doomed.extend(indexed);
        }
        monitor.begin("deleting packs", Unit::Items, Some(doomed.len() as u64));
        for (pack, size) in doomed {
            if deleter.delete(&object_name("data", pack))? {
                report.packs_deleted += 1;
                report.bytes_deleted += size;
            }
            monitor.advance(1);
        }
        Ok(())
    }

    fn doomed_names(&self) -> Vec<String> {
        let indexed = self.gone().into_iter().map(|pack| self.index.packs()[pack].id);
        let doomed = indexed.chain(self.unindexed.iter().map(|(id, _)| *id));
        doomed.map(|pack| object_name("data", pack)).collect()
    }

    fn require_same_snapshots(&self) -> Result<()> {
        for (id, _) in self.repository.inner.named_objects("snapshots")? {
            if !self.snapshots.contains(&SnapshotId(id)) {
                return Err(RepositoryError::SnapshotAppeared { snapshot: SnapshotId(id) });
            }
        }
        Ok(())
    }
}

/// The one hand that deletes here.
struct Deleter<'a> {
    repository: &'a Repository,
    lock: &'a Lock,
    stop: &'a Stop,
    denied: Vec<String>,
}

impl Deleter<'_> {
    /// `false`: the storage does not allow it.
    fn delete(&mut self, name: &str) -> Result<bool> {
        self.stop.check()?;
        match self.repository.delete(name, self.lock) {
            Err(RepositoryError::Object(ObjectError::Denied { .. })) => {
                self.denied.push(name.to_owned());
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }

    /// Whether the storage lets us delete at all: else each run would write packs and index anew, and give
    /// nothing back. Tried on an object made for it.
    fn is_allowed(&mut self) -> Result<bool> {
        let probe = probe_name();
        self.repository.inner.store.put(&probe, &[b"may this be deleted?"])?;
        let allowed = self.delete(&probe)?;
        self.denied.clear();
        Ok(allowed)
    }
}
