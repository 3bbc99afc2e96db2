//! The archive: the transaction log of every database, kept whole in the repository.
//!
//! Objects lie under `grap/log/<source>/`, are put once and never modified (docs/format/archive.md):
//! run `n` of an archiver begins with its [`StartRecord`] and goes on with [`Segment`]s, whole transactions
//! of one log file each. Only the process whose put of a start won its number writes under that number, so
//! what a deposed, paused or cloned writer still puts lies beside the history, never in it.
//!
//! - [`names`], [`start`], [`segment`]: the format.
//! - [`Archive`] reads and puts objects; [`Runs`] is what was found there: which runs there are, and the
//!   [`Path`] of each (its parent's path up to where it left it, then its own transactions).
//! - [`Writer`] is the one hand that puts: it begins runs and ships what a [`Follower`](crate::live::Follower)
//!   holds.
//! - [`PathReader`] goes over a path, transaction by transaction, and believes nothing that it did not check.

mod ahead;
mod begin;
mod held;
mod names;
mod owner;
mod parent;
mod path;
mod remains;
mod runs;
mod segment;
mod start;
mod store;
mod write_error;
mod writer;

pub use begin::Floor;
pub use names::{RunNumber, SegmentName};
pub use owner::{Nonces, NotOurs};
pub use path::{Path, PathError, PathReader, Stretch, Visit};
pub use runs::{Run, Runs};
pub use segment::{Segment, SegmentError, SegmentHeader};
pub use start::{DatabaseStart, Parent, StartError, StartRecord};
pub use store::{Archive, ArchiveError, Put};
pub use write_error::WriteError;
pub use writer::{Active, Round, Stored, Writer};
