//! What the bytes of a Neo4j Community database mean: transaction log, checkpoint log, `neostore`, file
//! names.
//!
//! Pure: everything here takes `&[u8]` or `Read` and gives values; nothing opens a file, reads a clock or
//! prints. The layouts are described in `docs/format/transaction-log.md`; each decoder names its section.
//!
//! Three rules hold throughout:
//! - **Nothing unknown is guessed.** A header format, kernel byte, entry type or store format that is not in
//!   the tables is an error that names it. Bytes that follow the last complete transaction are classified,
//!   not skipped.
//! - **A transaction is believed only by its CRC**, under the id that must come next.
//! - **No input panics**, and no input makes memory grow with the size of a transaction.

mod bytes;
pub mod checkpoint;
pub mod files;
pub mod ids;
pub mod kernel;
pub mod metadata;
pub mod record;
pub mod store_id;
#[cfg(feature = "synthetic")]
pub mod synthetic;
pub mod txlog;

pub use ids::{AppendIndex, Checksum, CommitTime, LogPosition, LogVersion, TransactionEnd, TxId};
pub use kernel::KernelVersion;
pub use store_id::StoreId;
