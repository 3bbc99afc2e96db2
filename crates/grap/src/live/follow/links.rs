//! What archivers hold by links of log that the server has deleted, seen from the outside: for a measurement that asks
//! no archiver.
//!
//! Files of one folder lay in the source during one run of the server, so they are one history. An earlier folder goes
//! before it where a file lies in both (the same inode).

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError};
use grap_neo4j::LogVersion;
use grap_neo4j::files::LogFile;

use super::folder::PREFIX;
use crate::live::Installation;
use crate::live::pin_folder::places;
use crate::live::pinned::parse_link_name;

struct Link {
    version: LogVersion,
    inode: u64,
    path: PathBuf,
}

/// The log files right before this one of the live directory, without a hole, oldest first.
pub(crate) fn held_before(
    installation: &Installation,
    database: &str,
    (version, inode): (LogVersion, u64),
) -> Result<Vec<(LogVersion, PathBuf)>, DiskError> {
    let mut files: Vec<(LogVersion, PathBuf)> = Vec::new();
    let mut oldest = (version, inode);
    for folder in folders(installation)? {
        let links = links(&folder, database)?;
        if !links.iter().any(|link| (link.version, link.inode) == oldest) {
            continue;
        }
        while let Some(link) = before(&links, oldest.0) {
            oldest = (link.version, link.inode);
            files.push((link.version, link.path.clone()));
        }
    }
    files.reverse();
    Ok(files)
}

/// The only one with the number before; of two it is in doubt which one the server went on from.
fn before(links: &[Link], version: LogVersion) -> Option<&Link> {
    let mut found = links.iter().filter(|link| link.version.0.checked_add(1) == Some(version.0));
    let link = found.next()?;
    found.next().is_none().then_some(link)
}

/// Of every archiver, the newest first.
fn folders(installation: &Installation) -> Result<Vec<PathBuf>, DiskError> {
    let mut folders = Vec::new();
    for pins in places(installation) {
        for name in disk::list(&pins)?.unwrap_or_default() {
            let number = name.strip_prefix(PREFIX).and_then(|number| number.parse::<u64>().ok());
            folders.extend(number.map(|number| (number, pins.join(&name))));
        }
    }
    folders.sort_unstable_by(|a, b| b.cmp(a));
    folders.dedup();
    Ok(folders.into_iter().map(|(_, folder)| folder).collect())
}

fn links(folder: &Path, database: &str) -> Result<Vec<Link>, DiskError> {
    let link = |name: String| match parse_link_name(&name)? {
        (of, LogFile::Transactions(version), inode) if of == database => {
            Some(Link { version, inode, path: folder.join(name) })
        }
        _ => None,
    };
    Ok(disk::list(folder)?.unwrap_or_default().into_iter().filter_map(link).collect())
}
