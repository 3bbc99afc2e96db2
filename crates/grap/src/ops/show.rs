//! `show`: one backup's manifest, and what was noted of it since.

use grap_core::{SourceName, Target};

use super::{Access, Session};
use crate::catalog::Catalog;
use crate::copy::Manifest;
use crate::error::Result;
use crate::notes::{Notes, Standing};

#[derive(Debug)]
pub struct ShowReport {
    pub manifest: Manifest,
    /// Of restic's snapshot: `restic restore <id>`.
    pub snapshot: String,
    /// Whether it was verified, who holds it.
    pub standing: Standing,
}

pub fn show(
    access: Access,
    target: &Target,
    source: Option<&SourceName>,
    session: &Session<'_>,
) -> Result<ShowReport> {
    let repository = access.open()?;
    let catalog = Catalog::load(&repository)?;
    catalog.tell_damaged(session.monitor);
    let reader = repository.reader(session.monitor)?;
    let backup = catalog.find(target, source)?;
    let standing = Notes::list(&repository, &backup.source)?.standing(&backup.id)?;
    Ok(ShowReport { manifest: backup.manifest(&reader)?, snapshot: backup.snapshot.id.to_string(), standing })
}
