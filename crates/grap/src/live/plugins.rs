//! The plugins of a server: what must be installed again where a backup is restored. Names and hashes, not the jars.

use grap_disk as disk;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Installation;
use crate::error::Result;

#[derive(Debug, Serialize)]
pub struct Plugin {
    name: String,
    /// Of the file, in hexadecimal digits.
    sha256: String,
}

/// `None`: of a data directory alone nobody knows the home, and so the plugins.
pub fn plugins(installation: &Installation) -> Result<Option<Vec<Plugin>>> {
    let Some(home) = &installation.home else { return Ok(None) };
    let directory =
        home.join(installation.configuration.get("server.directories.plugins").unwrap_or("plugins"));
    let mut plugins = Vec::new();
    for name in disk::list(&directory)?.unwrap_or_default() {
        let path = directory.join(&name);
        if disk::stat(&path)?.is_some_and(|stat| stat.kind == disk::Kind::File) {
            let mut hasher = Sha256::new();
            std::io::copy(&mut disk::Source::open(&path)?, &mut hasher)
                .map_err(|error| disk::DiskError::reading(&path, error))?;
            plugins.push(Plugin { name, sha256: hex::encode(hasher.finalize()) });
        }
    }
    Ok(Some(plugins))
}
