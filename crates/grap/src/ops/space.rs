//! Room on the repository's file system: the reserve, with which room can be given back when there is none left,
//! and a word before it comes to that.

use std::path::Path;

use grap_core::is_scarce;
use grap_disk as disk;
use grap_repository::LocalStore;
use grap_task::Finding;

use super::Session;
use crate::error::{Result, in_one_line};

/// Run an operation that gives room back with the reserve released: it has to write before it can delete. The
/// reserve is made again behind it, however it ended. While it is away and less than its size is free, archivers
/// store nothing and no backup begins ([`LocalStore::reserve_missing`]): they would take the room.
pub(super) fn without_reserve<T>(
    directory: Option<&Path>,
    session: &Session<'_>,
    run: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if let Some(directory) = directory
        && let Err(error) = LocalStore::open(directory).release_reserve()
    {
        // It may do without.
        let text = format!("the reserve could not be released: {}", in_one_line(&error));
        session.monitor.finding(&Finding::warning(text));
    }
    let result = run();
    make_reserve(directory, session);
    result
}

/// Make the reserve where it is missing and there is room. That there is none is no failure of what was done.
pub(super) fn make_reserve(directory: Option<&Path>, session: &Session<'_>) {
    let Some(directory) = directory else { return };
    match LocalStore::open(directory).make_reserve() {
        Ok(true) => {}
        Ok(false) => session.monitor.finding(&Finding::warning(format!(
            "there is no room for the reserve at {}: when the file system is full, gc and expire will not work",
            directory.display()
        ))),
        Err(error) => {
            let text = format!("the reserve could not be made: {}", in_one_line(&error));
            session.monitor.finding(&Finding::warning(text));
        }
    }
}

/// What the operator should hear before the file system is full; `None` while there is room enough.
pub(super) fn scarce(directory: &Path) -> Result<Option<String>> {
    let space = disk::space(directory)?;
    Ok(is_scarce(space.available, space.total).then(|| {
        format!(
            "{} of {} bytes are free on the repository's file system, at {}: less than a fifth",
            space.available,
            space.total,
            directory.display()
        )
    }))
}
