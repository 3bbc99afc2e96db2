//! What stands behind the last complete transaction of a log file.
//!
//! The scanner only says what is there. Whether it is damage depends on what the caller knows: is the file
//! the newest, does somebody write, was it the same a while ago (`docs/format/transaction-log.md`, section
//! 4).

use std::fmt;

/// What stands behind the last complete transaction. Offsets are in the scanned file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The file ends exactly there.
    Eof { at: u64 },
    /// Zeros up to `to`, which is the end of the data unless the scan only glanced.
    Zeros { from: u64, to: u64 },
    /// A transaction begins and its COMMIT is not there: it is being written, was torn, or a byte of it is
    /// damaged. Damaged it is for certain in a file that is not the newest, or if it stays so while
    /// nobody writes.
    Incomplete {
        start: u64,
        /// Right behind the last byte other than zero. Much more than one transaction's worth speaks for
        /// damage.
        written_to: u64,
        /// End of the data.
        end: u64,
    },
    /// No log: neither the end, nor zeros to the end, nor the beginning of a transaction.
    Garbage {
        /// Right behind the last complete transaction.
        from: u64,
        /// The first byte that cannot be explained.
        at: u64,
    },
}

impl Tail {
    /// Where the last complete transaction ends.
    pub fn from(&self) -> u64 {
        match *self {
            Tail::Eof { at: from }
            | Tail::Zeros { from, .. }
            | Tail::Incomplete { start: from, .. }
            | Tail::Garbage { from, .. } => from,
        }
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Tail::Eof { .. } => write!(f, "the end of the file"),
            Tail::Zeros { to, .. } => write!(f, "zeros up to {to}"),
            Tail::Incomplete { written_to, .. } => {
                write!(f, "a transaction without its end, written up to {written_to}")
            }
            Tail::Garbage { at, .. } => write!(f, "no log (unexplained byte at {at})"),
        }
    }
}
