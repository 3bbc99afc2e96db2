//! `window`: every point that can be restored, of every source, on every timeline.

use grap_core::SourceName;
use grap_repository::Repository;

use super::{Access, Session};
use crate::archive::{DatabaseWindow, History, windows};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::sources;

#[derive(Debug)]
pub struct WindowReport {
    pub sources: Vec<SourceWindow>,
}

#[derive(Debug)]
pub struct SourceWindow {
    pub source: SourceName,
    pub databases: Vec<DatabaseWindow>,
}

/// Reads the whole archive: what is shown was gone over, transaction by transaction. Takes no lock.
pub fn window(access: Access, source: Option<&SourceName>, session: &Session<'_>) -> Result<WindowReport> {
    window_of(&access.open_told(session)?, source, session)
}

/// As [`window`], of a repository that is open.
pub(super) fn window_of(
    repository: &Repository,
    source: Option<&SourceName>,
    session: &Session<'_>,
) -> Result<WindowReport> {
    session.monitor.begin("reading the archive", grap_task::Unit::Items, None);
    let catalog = Catalog::load(repository)?;
    catalog.tell_damaged(session.monitor);
    let reader = repository.reader(session.monitor)?;
    let chosen = match source {
        Some(_) => vec![sources::choose(repository, source)?],
        None => sources::load(repository)?,
    };
    let mut shown = Vec::new();
    for found in chosen {
        session.stop.check()?;
        let surroundings = (session.monitor, session.stop);
        let history = History::load(repository, &reader, &catalog, &found.name, surroundings)?;
        shown.push(SourceWindow { source: found.name, databases: windows(&history)? });
    }
    Ok(WindowReport { sources: shown })
}
