//! Whose copy the other repository is: the sealed record `grap/copy-of` there, put once, by the first copy. Of two
//! repositories that are first copied to a third at the same time one finds it taken.

use grap_core::Binding;
use grap_repository::{ObjectError, Repository, RepositoryError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pair;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::ops::Session;
use crate::sources;

const OBJECT: &str = "grap/copy-of";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Its id.
    repository: String,
    at: Timestamp,
    host: String,
    program: String,
}

/// Refuse to mix two histories.
pub(super) fn claim(pair: &Pair, session: &Session<'_>) -> Result<()> {
    let ours = pair.from.id().to_string();
    let whose = if let Some(whose) = read(&pair.to).map_err(Error::at_copy)? {
        whose
    } else {
        require_empty(&pair.to)?;
        put(&pair.to, &ours, session).map_err(Error::at_copy)?
    };
    if whose == ours { Ok(()) } else { Err(Error::CopyOfOther { this: ours, other: whose }) }
}

fn read(to: &Repository) -> grap_repository::Result<Option<String>> {
    let bytes = match to.get_sealed(OBJECT) {
        Err(RepositoryError::Object(ObjectError::NotFound { .. })) => return Ok(None),
        other => other?,
    };
    let damaged = |why: String| RepositoryError::Damaged { object: OBJECT.to_owned(), why };
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if record.version == VERSION {
        Ok(Some(record.repository))
    } else {
        Err(damaged(format!("its version {} is unknown", record.version)))
    }
}

/// Says whose it is then: ours, or whoever was quicker.
fn put(to: &Repository, ours: &str, session: &Session<'_>) -> grap_repository::Result<String> {
    let record = Record {
        version: VERSION,
        repository: ours.to_owned(),
        at: session.clock.now(),
        host: session.holder.hostname.clone(),
        program: session.program.to_owned(),
    };
    let bytes = serde_json::to_vec(&record).expect("a record is plain data");
    match to.put_sealed(OBJECT, &bytes) {
        Ok(()) => Ok(ours.to_owned()),
        Err(RepositoryError::Object(ObjectError::AlreadyExists { name })) => {
            read(to)?.ok_or_else(|| ObjectError::NotFound { name }.into())
        }
        Err(error) => Err(error),
    }
}

/// As `init` leaves it.
fn require_empty(to: &Repository) -> Result<()> {
    let holds = |what: String| Err(Error::CopyNotEmpty { what });
    let catalog = Catalog::load(to).map_err(Error::at_copy)?;
    if !catalog.backups.is_empty() || !catalog.damaged.is_empty() {
        return holds(format!("{} backups", catalog.backups.len() + catalog.damaged.len()));
    }
    if !to.list_sealed("grap/log").map_err(Error::at_copy)?.is_empty() {
        return holds("an archive".to_owned());
    }
    match sources::load(to)
        .map_err(Error::at_copy)?
        .iter()
        .find(|source| source.binding != Binding::default())
    {
        Some(source) => holds(format!("source `{}`, which is bound,", source.name)),
        None => Ok(()),
    }
}
