//! How much room pins may keep, and how much a backup or a restore needs.

/// What pinned log files may hold back from the database's file system, bytes.
///
/// Only files that Neo4j has deleted count: the others take no room of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinBudget {
    /// Held back at most.
    pub held_max: u64,
    /// Left free at least, while anything is held back.
    pub free_min: u64,
}

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

impl PinBudget {
    /// 10 % of the file system or 10 GiB, the smaller, may be held back; 2 % or 1 GiB, the smaller, stays
    /// free.
    pub fn for_file_system(total: u64) -> Self {
        Self { held_max: (total / 10).min(10 * GIB), free_min: (total / 50).min(GIB) }
    }

    pub fn allows(self, held: u64, available: u64) -> bool {
        held == 0 || (held <= self.held_max && available >= self.free_min)
    }
}

/// Bytes wanted on one file system before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub required: u64,
    pub available: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{required} bytes are required, {available} are available")]
pub struct Shortage {
    pub required: u64,
    pub available: u64,
}

impl Room {
    /// A first backup is taken to need what the store and its log allocate (compression is not counted on). A
    /// later one stores what changed, which nobody knows before reading: a tenth of the store, and the
    /// log.
    pub fn for_backup(store: u64, log: u64, first: bool, available: u64) -> Self {
        let changed = if first { store } else { store / 10 };
        Self { required: changed + log + Self::reserve(), available }
    }

    /// A restore writes every byte of the files, and nothing more.
    pub fn for_restore(files: u64, available: u64) -> Self {
        Self { required: files + Self::reserve(), available }
    }

    /// For indexes, trees, directories: what is not counted file by file.
    fn reserve() -> u64 {
        16 * MIB
    }

    pub fn check(self) -> Result<(), Shortage> {
        if self.required <= self.available {
            Ok(())
        } else {
            Err(Shortage { required: self.required, available: self.available })
        }
    }
}

/// Whether so little of a file system is free, of so much, that somebody should do something before it is full:
/// less than a fifth.
pub fn is_scarce(available: u64, total: u64) -> bool {
    available < total / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_have_a_budget_and_leave_a_floor() {
        let budget = PinBudget::for_file_system(100 * GIB);
        assert_eq!(budget, PinBudget { held_max: 10 * GIB, free_min: GIB });
        assert!(budget.allows(10 * GIB, GIB));
        assert!(!budget.allows(10 * GIB + 1, 50 * GIB));
        assert!(!budget.allows(1, GIB - 1));
        assert!(budget.allows(0, 0), "a full disk that holds nothing of ours is not our doing");
    }

    #[test]
    fn a_first_backup_needs_the_whole_store() {
        assert!(Room::for_backup(GIB, 0, true, GIB).check().is_err());
        assert!(Room::for_backup(GIB, 0, false, GIB).check().is_ok());
        let shortage = Room::for_restore(GIB, 5).check().unwrap_err();
        assert_eq!((shortage.required, shortage.available), (GIB + 16 * MIB, 5));
    }
}
