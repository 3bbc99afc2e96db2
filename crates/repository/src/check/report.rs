//! What a check found.

use std::collections::{BTreeSet, HashMap};

use crate::format::id::SnapshotId;

/// More files than this are counted for a damage, but not named.
const AFFECTED_MAX: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Empty: nothing is wrong as far as was looked.
    pub damages: Vec<Damage>,
    /// Checked.
    pub snapshots: usize,
    /// Listed, ...
    pub packs: usize,
    /// ... read, ...
    pub packs_read: usize,
    /// ... and named by no index: left by a run that died. No damage.
    pub packs_unused: usize,
    pub bytes_read: u64,
    /// Where a part of a round was read: where the next one begins.
    pub read_until: Option<u32>,
}

/// Something stored that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The name of the object; `index` for all blobs that no index names, `tree <id>` for a tree that is
    /// whole and wrong.
    pub object: String,
    /// Everything that is wrong with it.
    pub why: Vec<String>,
    /// The files and directories that it takes away, the first thousand.
    pub affected: Vec<Affected>,
    pub affected_count: usize,
    /// Every snapshot that it takes something away from.
    pub snapshots: BTreeSet<SnapshotId>,
    /// The storage did not give it out: whether it is damaged nobody knows.
    pub storage_failed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Affected {
    pub snapshot: SnapshotId,
    pub path: String,
}

/// Which of the [`Damages`].
pub(super) type DamageNumber = usize;

/// One entry for each damaged object.
#[derive(Default)]
pub(super) struct Damages {
    list: Vec<Damage>,
    numbers: HashMap<String, DamageNumber>,
}

impl Damages {
    pub(super) fn add(&mut self, object: String, why: String) -> DamageNumber {
        let number = *self.numbers.entry(object.clone()).or_insert_with(|| {
            self.list.push(Damage {
                object,
                why: Vec::new(),
                affected: Vec::new(),
                affected_count: 0,
                snapshots: BTreeSet::new(),
                storage_failed: false,
            });
            self.list.len() - 1
        });
        let reasons = &mut self.list[number].why;
        if !reasons.contains(&why) {
            reasons.push(why);
        }
        number
    }

    /// `None` if there is nothing to say.
    pub(super) fn add_all(&mut self, object: &str, whys: Vec<String>) -> Option<DamageNumber> {
        whys.into_iter().map(|why| self.add(object.to_owned(), why)).last()
    }

    pub(super) fn storage_failed(&mut self, number: DamageNumber) {
        self.list[number].storage_failed = true;
    }

    pub(super) fn affect(&mut self, number: DamageNumber, affected: Affected) {
        let damage = &mut self.list[number];
        damage.affected_count += 1;
        damage.snapshots.insert(affected.snapshot);
        if damage.affected.len() < AFFECTED_MAX {
            damage.affected.push(affected);
        }
    }

    pub(super) fn into_list(self) -> Vec<Damage> {
        self.list
    }
}
