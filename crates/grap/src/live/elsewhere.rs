//! Whether a running server writes the logs that we look at. A copy of them that was left behind has the right
//! store id, and is no log of that store any more.

use std::path::PathBuf;

use grap_disk::{self as disk, DiskError};
use grap_neo4j::files::LogFile;

use super::{Installation, ServerRun};

/// A rotation between the look and the question makes another file the newest.
const TRIES: u32 = 3;

/// The server that holds a database and not its newest log file, and where that lies; `None` also where its
/// descriptors may not be looked at.
pub fn logs_elsewhere(
    installation: &Installation,
    database: &str,
) -> Result<Option<(u32, PathBuf)>, DiskError> {
    let ServerRun::Process { pid, .. } = ServerRun::of(&installation.store(database))? else {
        return Ok(None);
    };
    let directory = installation.log(database);
    for _ in 0..TRIES {
        let names = disk::list(&directory)?.unwrap_or_default();
        let logs = names.iter().filter_map(|name| match LogFile::parse(name)? {
            LogFile::Transactions(version) => Some((version, name)),
            LogFile::Checkpoints(_) => None,
        });
        let Some((_, newest)) = logs.max() else { continue };
        let Some(stat) = disk::stat(&directory.join(newest))? else { continue };
        if disk::holds_open(pid, &stat) != Some(false) {
            return Ok(None);
        }
    }
    Ok(Some((pid, directory)))
}
