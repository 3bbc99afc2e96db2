//! Grap as a library: hot backup of a running Neo4j Community Edition, from outside the server.
//!
//! - [`live`]: the live installation, read only: where it is, which run of the server holds it, its logs,
//!   pinned.
//! - [`copy`]: from live files to a snapshot, and from a snapshot to a data directory.
//! - [`ops`]: the operations, one file a verb. Blocking; they report to a `Monitor`, obey a `Stop`, print
//!   nothing.
//! - [`ask`]: the running server, asked over Bolt.
//! - [`archive`]: the transaction log, kept whole in the repository; its runs and paths.
//! - [`check`]: the native checker of a stopped database.
//! - [`catalog`], [`notes`] and [`sources`]: what a repository holds, as Grap sees it.
//! - [`facade`]: objects that own what the operations are given, for who links the library.
//! - [`recovery`]: the loop around the state machine of a recovery.
//! - [`schedule`]: what is remembered of the periodic tasks.
//! - [`server`]: a second Neo4j, started on a restored database.
//! - [`state`]: the state directory: locks of jobs, the journal of operations.
//! - [`validate`]: whether a restored candidate is what it should be.
//! - [`Error`]: every way to fail, with its code, exit status and hints.

mod abreast;
pub mod archive;
pub mod ask;
pub mod catalog;
pub mod check;
pub mod copy;
#[cfg(test)]
mod documented;
mod error;
pub mod facade;
pub mod live;
pub mod notes;
pub mod ops;
mod random;
pub mod recovery;
pub mod schedule;
mod series;
pub mod server;
pub mod sources;
pub mod state;
mod substop;
pub mod validate;

pub use error::{Code, Error, Result, causes, in_one_line};
