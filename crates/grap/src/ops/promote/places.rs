//! Where each half of a database lies before and behind the swap.

use std::path::Path;

use grap_core::recovery::{Halves, Part, RecoveryId};
use grap_disk as disk;

use crate::error::{Error, Result};
use crate::live::Installation;
use crate::recovery::root_of_retired;

/// Each half of the retired database lies on the file system of the live one, and so does what replaces it.
pub(super) fn places(
    installation: &Installation,
    id: &RecoveryId,
    found: Halves,
    database: &str,
) -> Result<Part> {
    let live =
        Halves { store: text(&installation.store(database))?, log: text(&installation.log(database))? };
    let data = &installation.data;
    let lies_in = |half: &str, root: &Path| {
        let half = Path::new(half);
        disk::is_one_mount(half.parent().unwrap_or(half), root)
    };
    let log_root = if lies_in(&live.log, data)? { data } else { &installation.transactions };
    let retired = halves(
        &root_of_retired(data).join(id.as_str()),
        &root_of_retired(log_root).join(id.as_str()),
        database,
    )?;
    let staged = |root: &Path| root.join(".grap/candidate").join(format!("{id}.staged"));
    let staged = halves(&staged(data), &staged(log_root), database)?;
    let side = Halves {
        store: if lies_in(&found.store, data)? { found.store.clone() } else { staged.store },
        log: if lies_in(&found.log, log_root)? { found.log.clone() } else { staged.log },
    };
    Ok(Part { database: database.to_owned(), live, found, side, retired })
}

pub(super) fn halves(data: &Path, logs: &Path, database: &str) -> Result<Halves> {
    Ok(Halves {
        store: text(&data.join("databases").join(database))?,
        log: text(&logs.join("transactions").join(database))?,
    })
}

fn text(path: &Path) -> Result<String> {
    let unusable = || Error::CandidatePath { path: path.to_owned() };
    path.to_str().map(str::to_owned).ok_or_else(unusable)
}
