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
//! - [`PathReader`] goes over a path, transaction by transaction, and believes nothing that it did not check.
//! - [`survey`](fn@survey) is one such pass with a question: which backups join, where is this transaction, where is the
//!   cut for that time. [`History`] is all that is known of a source: its backups and its archive.

mod history;
mod names;
mod path;
mod runs;
mod segment;
mod start;
mod store;
mod survey;
mod window;

pub use history::{Bases, History, KnownBackup, end_of};
pub use names::{RunNumber, SegmentName};
pub use path::{Path, PathError, PathReader, Piece, Stretch, Visit};
pub use runs::{Run, Runs};
pub use segment::{Segment, SegmentError, SegmentHeader};
pub use start::{DatabaseStart, Parent, Place, StartError, StartRecord};
pub use store::{Archive, ArchiveError, Put};
pub use survey::{BaseEnd, Survey, SurveyOptions, joins, survey};
pub use window::{DatabaseWindow, SpanWindow, TimelineWindow, database_window, windows};
