//! One bit a record, set by many threads.
//!
//! Relaxed order suffices: a bit says nothing about other memory, and what one pass sets the next one reads, behind the end
//! of its threads.

use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Bits {
    words: Vec<AtomicU64>,
}

impl Bits {
    pub(super) fn new(records: u64) -> Self {
        let words = usize::try_from(records.div_ceil(64)).expect("a bit a record fits into memory");
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Sets the bit of a record; whether it was set before. Beyond the end there is nothing to set.
    pub(super) fn set(&self, id: u64) -> bool {
        let (word, bit) = place(id);
        self.words.get(word).is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit != 0)
    }

    pub(super) fn get(&self, id: u64) -> bool {
        let (word, bit) = place(id);
        self.words.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }
}

fn place(id: u64) -> (usize, u64) {
    (usize::try_from(id / 64).unwrap_or(usize::MAX), 1 << (id % 64))
}
