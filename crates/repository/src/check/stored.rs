//! Looking at what was just stored, with one look at the index: the structure of these snapshots, and every byte
//! of these packs as the next reader will find them.

use std::collections::{BTreeSet, HashSet};

use grap_task::{Monitor, Stop};

use super::report::{CheckReport, Damages};
use super::walk::Walk;
use super::{Lost, check_listing};
use crate::error::Result;
use crate::format::id::{Id, SnapshotId};
use crate::format::snapshot::Snapshot;
use crate::index::Index;
use crate::object::ObjectError;
use crate::repository::{Repository, object_name};

/// Which packs are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredPacks {
    /// All that the snapshots use.
    Used,
    /// Those alone.
    These(BTreeSet<Id>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    pub check: CheckReport,
    /// All that these use was read.
    pub read_whole: BTreeSet<SnapshotId>,
}

impl Repository {
    /// Check these snapshots. As for [`Repository::check`], damage is in the report.
    pub fn check_stored(
        &self,
        wanted: &[SnapshotId],
        read: &StoredPacks,
        stop: &Stop,
        monitor: &dyn Monitor,
    ) -> Result<StoredReport> {
        let mut damages = Damages::default();
        let snapshots = self.stored_snapshots(wanted)?;
        let index = self.check_index(&mut damages)?;
        let listed = self.inner.list_packs()?;
        let mut bad = check_listing(&index, &listed, &mut damages);
        let mut used = Vec::new();
        for snapshot in &snapshots {
            used.push(self.used_packs(&index, std::slice::from_ref(snapshot), stop)?);
        }
        let is_wanted = |pack: &usize| match read {
            StoredPacks::Used => used.iter().any(|used| used.contains(pack)),
            StoredPacks::These(these) => these.contains(&index.packs()[*pack].id),
        };
        let readable: Vec<usize> =
            (0..index.packs().len()).filter(is_wanted).filter(|pack| !bad.whole.contains_key(pack)).collect();
        let bytes_read =
            self.look((&index, &snapshots), &readable, (stop, monitor), (&mut damages, &mut bad))?;
        let all_read = |used: &HashSet<usize>| used.iter().all(&is_wanted);
        let read_whole = snapshots.iter().zip(&used).filter(|(_, used)| all_read(used));
        Ok(StoredReport {
            read_whole: read_whole.map(|(snapshot, _)| snapshot.id).collect(),
            check: CheckReport {
                damages: damages.into_list(),
                snapshots: snapshots.len(),
                packs: listed.len(),
                packs_read: readable.len(),
                packs_unused: 0,
                bytes_read,
                read_until: None,
            },
        })
    }

    fn stored_snapshots(&self, wanted: &[SnapshotId]) -> Result<Vec<Snapshot>> {
        let all = self.snapshots()?.found;
        let find = |id: &SnapshotId| {
            let found = all.iter().find(|snapshot| snapshot.id == *id).cloned();
            found.ok_or_else(|| ObjectError::NotFound { name: object_name("snapshots", id.0) }.into())
        };
        wanted.iter().map(find).collect()
    }

    /// The numbers of the packs that snapshots use.
    pub(super) fn used_packs(
        &self,
        index: &Index,
        snapshots: &[Snapshot],
        stop: &Stop,
    ) -> Result<HashSet<usize>> {
        let (nothing_lost, mut unreported) = (Lost::new(), Damages::default());
        let mut walk = Walk::new(self, index, &nothing_lost, &mut unreported)?;
        for snapshot in snapshots {
            stop.check()?;
            walk.snapshot(snapshot);
        }
        Ok(walk.used_packs().clone())
    }
}
