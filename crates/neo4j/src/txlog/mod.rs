//! The transaction log: file headers, entries, transaction boundaries, continuity over files.

pub mod chain;
pub mod entry;
pub mod header;
pub mod scan;
mod window;

pub use chain::{Chain, ChainError, FileRole, FileScan};
pub use header::{FileHeader, HEADER_LENGTH, HeaderError, LogFormat, LogHeader};
pub use scan::{ScanError, ScanStart, Scanner, Tail, Transaction};
