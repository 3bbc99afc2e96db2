//! The transaction log: file headers, entries, transaction boundaries, continuity over files; commands, and
//! what they say about the schema.

mod body;
pub mod chain;
pub mod entry;
pub mod error;
mod fields;
pub mod header;
pub mod scan;
pub mod schema;
mod sum;
pub mod tail;
pub mod transaction;
pub mod walk;
pub mod watch;
mod window;

pub use chain::{Chain, FileRole, FileScan};
pub use error::{ChainError, ScanError};
pub use header::{FileHeader, HEADER_LENGTH, HeaderError, LogFormat, LogHeader};
pub use scan::Scanner;
pub use schema::{Change, Rule, RuleId, RuleKind, SchemaChange};
pub use tail::Tail;
pub use transaction::{ScanStart, Transaction};
pub use walk::{Command, CommandKind, Commands, WalkError, commands};
pub use watch::{Creation, CreationEnd, SchemaWatch, WatchError, WholePoints, whole_points};
