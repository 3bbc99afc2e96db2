//! The campaigns that show what `grap serve` is worth: the shipped program beside a real server under load, for an
//! hour, killed, without room, idle. The long runs are the bin `serve`.
//!
//! - [`hour`]: backups, expire, gc and verify by schedule under load; what is shown restores; memory; what the writers lose.
//! - [`kills`]: kill -9 at random instants of everything that it does.
//! - [`full`]: the repository's file system fills and empties again.
//! - [`idle`]: what it costs when there is nothing to do.

pub mod clock;
pub mod daemon;
pub mod full;
pub mod hour;
pub mod idle;
pub mod kills;
pub mod targets;

pub use clock::SetClock;
pub use daemon::Daemon;

use std::path::Path;

use crate::error::{Error, Result};
use crate::pitr::World;
use crate::{Distribution, Grap, LogKeeper, Server};

/// A server that keeps no log, the program, and a clock that both go by.
fn start(binary: &Path, distribution: &Distribution) -> Result<(World, SetClock)> {
    let folder = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    let clock = SetClock::make(folder.path())?;
    let builder = Server::builder(distribution)
        .busy_logs()
        .setting("db.tx_log.rotation.retention_policy", "keep_none")
        .environment(&clock.environment());
    let server = builder.start(&folder.path().join("home"))?;
    let keeper = LogKeeper::start(&server.transaction_logs(), &folder.path().join("kept"))?;
    let mut grap = Grap::new(binary, folder.path())?;
    grap.environment = clock.environment();
    grap.json(&["init"])?;
    Ok((World { workload: None, server, keeper: Some(keeper), grap, folder }, clock))
}
