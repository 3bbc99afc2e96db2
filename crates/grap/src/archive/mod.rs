//! The archive: the transaction log of every database, kept whole in the repository.
//!
//! Objects lie under `grap/log/<source>/`, are put once and never modified (docs/format/archive.md):
//! run `n` of an archiver begins with its [`StartRecord`] and goes on with [`Segment`]s, whole transactions
//! of one log file each. Only the process whose put of a start won its number writes under that number, so
//! what a deposed, paused or cloned writer still puts lies beside the history, never in it.
//!
//! - `names`, `start`, `segment`: the format.
//! - [`Archive`] reads and puts objects; [`Runs`] is what was found there: which runs there are, and the
//!   [`Path`] of each (its parent's path up to where it left it, then its own transactions).
//! - [`Writer`] is the one hand that puts: it begins runs and ships what a [`Follower`](crate::live::Follower)
//!   holds.
//! - [`Shipper`] drives it; [`Merger`] puts many small segments as one; [`MergedParts`] are what may go then.
//! - [`PathReader`] goes over a path, transaction by transaction, and believes nothing that it did not check.
//! - [`keep`](fn@keep) says which segments the kept window needs; [`ExpiredLog`] remembers what was deleted, so that it
//!   is never taken for lost.
//! - [`survey`](fn@survey) is one such pass with a question: which backups join, where is this transaction, where is the
//!   cut for that time. [`Proofs`] asks again and again whether a path can be reached to its end. [`History`] is all
//!   that is known of a source: its backups and its archive.

mod ahead;
mod begin;
mod carry;
mod cursor;
mod expired;
mod held;
mod history;
mod keep;
mod lag;
mod latency;
mod merge;
mod names;
mod owner;
mod parent;
mod parts;
mod path;
mod proof;
mod remains;
mod runs;
mod segment;
mod ship;
mod source;
mod start;
mod store;
mod survey;
mod verify;
mod window;
mod write_error;
mod writer;

pub use begin::Floor;
pub use carry::{Carried, carry};
pub use expired::{ExpiredLog, ExpiredRange};
pub(crate) use held::ends_there;
pub use history::{Bases, History, KnownBackup, end_of, path_end};
pub use keep::{Begins, Going, Keeping, KeptPath, keep};
pub use lag::{DatabaseLag, LagProbe, Standing, database_lag};
pub use latency::Latencies;
pub use merge::Merger;
pub use names::{RunNumber, SegmentName};
pub use owner::{Nonces, NotOurs, Ownership};
pub use parts::{MergedParts, PartsReport};
pub use path::{Path, PathError, PathReader, Piece, Stretch, Visit};
pub use proof::{Proofs, Reachable};
pub use runs::{Run, Runs};
pub use segment::{Segment, SegmentError, SegmentHeader};
pub use ship::{ShipOptions, Shipped, Shipper};
pub use start::{DatabaseStart, Parent, StartError, StartRecord};
pub use store::{Archive, ArchiveError, Put};
pub use survey::{BaseEnd, Survey, SurveyOptions, joins, survey};
pub use verify::{Verified, verify};
pub use window::{DatabaseWindow, Gap, SpanWindow, TimelineWindow, outline, windows};
pub use write_error::WriteError;
pub use writer::{Active, Round, Stored, Writer};
