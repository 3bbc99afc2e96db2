//! The campaigns around `grap serve`: under load for an hour, killed over and over, on a disk that fills, idle. The
//! shipped program beside a real server; what its windows show is restored and held against the oracle.
//!
//! - [`hour`]: everything at once, each minute and each five.
//! - [`kills`]: kill -9 at random instants.
//! - [`full`]: the repository's file system fills, and has room again.
//! - [`cost`]: what the writers feel of it, and what it takes when nothing happens.

pub mod cost;
pub mod daemon;
pub mod full;
pub mod hour;
pub mod judging;
pub mod kills;

pub use daemon::{Daemon, Schedules};
