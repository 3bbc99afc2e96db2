//! `source list | add | rebind`: the installations that back up into a repository.

use grap_core::{Binding, SourceName};

use super::{Access, Session};
use crate::copy::read_metadata;
use crate::error::Result;
use crate::live::{Installation, InstallationOptions};
use crate::sources::{self, Source};
use crate::state::StateDirectory;

#[derive(Debug)]
pub struct SourceReport {
    pub sources: Vec<Source>,
}

pub fn list_sources(access: Access) -> Result<SourceReport> {
    Ok(SourceReport { sources: sources::load(&access.open()?)? })
}

pub fn add_source(
    access: Access,
    name: &SourceName,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SourceReport> {
    state.journaled("source-add", session.clock, || add(access, name, session))
}

fn add(access: Access, name: &SourceName, session: &Session<'_>) -> Result<SourceReport> {
    let repository = access.open()?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    sources::add(&repository, name, &Binding::default())?;
    session.release(lock);
    Ok(SourceReport { sources: sources::load(&repository)? })
}

/// Bind a source to the databases that the installation holds now.
pub fn rebind_source(
    access: Access,
    name: Option<&SourceName>,
    installation: &InstallationOptions,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<SourceReport> {
    state.journaled("source-rebind", session.clock, || rebind(access, name, installation, session))
}

fn rebind(
    access: Access,
    name: Option<&SourceName>,
    installation: &InstallationOptions,
    session: &Session<'_>,
) -> Result<SourceReport> {
    let found = binding_of(&Installation::find(installation)?)?;
    let repository = access.open()?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    let source = sources::choose(&repository, name)?;
    if source.binding != found {
        sources::bind(&repository, &source, &found)?;
    }
    session.release(lock);
    Ok(SourceReport { sources: sources::load(&repository)? })
}

/// Store id of each database of an installation.
pub(super) fn binding_of(installation: &Installation) -> Result<Binding> {
    let mut binding = Binding::default();
    for database in &installation.databases {
        let metadata = read_metadata(installation, database)?;
        binding.0.insert(database.clone(), metadata.store_id.to_string());
    }
    Ok(binding)
}
