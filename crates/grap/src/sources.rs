//! The sources of a repository: for each a sequence of sealed records `grap/sources/<name>/<n>`, the newest
//! of which holds its binding.
//!
//! Records are only ever put, never changed: who finds its number taken looks again. A source that is not
//! bound yet (an empty binding) is bound by its first backup.

use std::collections::{BTreeMap, BTreeSet};

use grap_core::{Binding, SourceName};
use grap_repository::{ObjectError, Repository, RepositoryError};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result, in_one_line};

const FOLDER: &str = "grap/sources";
/// Of a record. A newer one is refused.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Store id of each database.
    databases: Binding,
}

/// A source and what it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: SourceName,
    pub binding: Binding,
    /// Of its newest record.
    number: u32,
}

/// Every source, by name.
pub fn load(repository: &Repository) -> Result<Vec<Source>> {
    let mut newest = BTreeMap::new();
    for (name, number) in records(repository)? {
        newest.insert(name, number);
    }
    newest.into_iter().map(|(name, number)| read(repository, name, number)).collect()
}

/// The names of all sources.
pub fn names(repository: &Repository) -> Result<BTreeSet<SourceName>> {
    Ok(records(repository)?.into_iter().map(|(name, _)| name).collect())
}

/// Which records there are: by source, and of each by number.
fn records(repository: &Repository) -> Result<BTreeSet<(SourceName, u32)>> {
    let mut found = BTreeSet::new();
    for object in repository.list_sealed(FOLDER)? {
        let Some(name) = object.name.strip_prefix(FOLDER).and_then(|name| name.strip_prefix('/')) else {
            continue;
        };
        let Some((source, number)) = name.split_once('/') else { continue };
        if let (Ok(source), Ok(number)) = (source.parse(), number.parse()) {
            found.insert((source, number));
        }
    }
    Ok(found)
}

/// Put the records of these sources into another repository. One that cannot be read is noted, and the others go on.
pub fn carry(
    from: &Repository,
    to: &Repository,
    wanted: &BTreeSet<SourceName>,
    problems: &mut Vec<String>,
) -> Result<()> {
    for (name, number) in records(from)?.into_iter().filter(|(name, _)| wanted.contains(name)) {
        let record = object(&name, number);
        let source = match read(from, name.clone(), number) {
            Err(error) if matches!(error.code(), Code::BackupCorrupted) => {
                problems.push(in_one_line(&error));
                continue;
            }
            other => other?,
        };
        match put(to, &name, number, &source.binding) {
            Err(Error::Repository(RepositoryError::Object(ObjectError::AlreadyExists { .. }))) => {
                if read(to, name, number).map_err(Error::at_copy)? != source {
                    return Err(Error::CopyDiverged { object: record });
                }
            }
            other => other.map_err(Error::at_copy)?,
        }
    }
    Ok(())
}

fn read(repository: &Repository, name: SourceName, number: u32) -> Result<Source> {
    let bytes = repository.get_sealed(&object(&name, number))?;
    let record: Record = serde_json::from_slice(&bytes)
        .map_err(|source| Error::SourceRecord { name: name.clone(), source })?;
    if record.version != VERSION {
        return Err(Error::SourceNewer { name, found: record.version });
    }
    Ok(Source { name, binding: record.databases, number })
}

/// The source that is meant: the one that was named, or the only one.
pub fn choose(repository: &Repository, named: Option<&SourceName>) -> Result<Source> {
    let mut sources = load(repository)?;
    let names = |sources: &[Source]| sources.iter().map(|source| source.name.clone()).collect();
    match named {
        Some(name) => match sources.iter().position(|source| source.name == *name) {
            Some(index) => Ok(sources.swap_remove(index)),
            None => Err(Error::SourceUnknown { name: name.clone(), known: names(&sources) }),
        },
        None if sources.len() == 1 => Ok(sources.remove(0)),
        None if sources.is_empty() => Err(Error::NoSource),
        None => Err(Error::SourceUnnamed { known: names(&sources) }),
    }
}

/// A new source.
pub fn add(repository: &Repository, name: &SourceName, binding: &Binding) -> Result<()> {
    match put(repository, name, 1, binding) {
        Err(Error::Repository(RepositoryError::Object(ObjectError::AlreadyExists { .. }))) => {
            Err(Error::SourceExists { name: name.clone() })
        }
        other => other,
    }
}

/// Bind a source (anew) to what was found. Of two that bind at once one finds the number taken.
pub fn bind(repository: &Repository, source: &Source, binding: &Binding) -> Result<()> {
    put(repository, &source.name, source.number + 1, binding)
}

/// The databases found must be those that the source is bound to; one that is not bound yet is bound now.
pub fn admit(repository: &Repository, source: &Source, found: &Binding) -> Result<()> {
    if source.binding == Binding::default() {
        match bind(repository, source, found) {
            Err(Error::Repository(RepositoryError::Object(ObjectError::AlreadyExists { .. }))) => {
                let bound = choose(repository, Some(&source.name))?;
                return admit_bound(&bound, found);
            }
            other => return other,
        }
    }
    admit_bound(source, found)
}

fn admit_bound(source: &Source, found: &Binding) -> Result<()> {
    let mismatch = |error| Error::SourceMismatch { name: source.name.clone(), source: error };
    source.binding.admit(found).map_err(mismatch)
}

fn put(repository: &Repository, name: &SourceName, number: u32, binding: &Binding) -> Result<()> {
    let record = Record { version: VERSION, databases: binding.clone() };
    let bytes = serde_json::to_vec(&record).expect("a record is plain data");
    Ok(repository.put_sealed(&object(name, number), &bytes)?)
}

fn object(name: &SourceName, number: u32) -> String {
    format!("{FOLDER}/{name}/{number:010}")
}
