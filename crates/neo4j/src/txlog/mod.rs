//! The transaction log: file headers, entries, transaction boundaries, continuity over files.

pub mod chain;
pub mod entry;
pub mod error;
pub mod header;
pub mod scan;
mod sum;
pub mod tail;
pub mod transaction;
mod window;

pub use chain::{Chain, FileRole, FileScan};
pub use error::{ChainError, ScanError};
pub use header::{FileHeader, HEADER_LENGTH, HeaderError, LogFormat, LogHeader};
pub use scan::Scanner;
pub use tail::Tail;
pub use transaction::{ScanStart, Transaction};
