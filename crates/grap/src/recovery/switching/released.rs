//! The end of a retired store: it is removed.
//!
//! - *Gone at once, or there as a whole*: one rename, synced, gives it a name that counts as gone; what is left of it then
//!   is removed, now or by the next release ([`finish_released`]). Its mark goes last: it says where its log lies.
//! - *Nothing else is removed*: a log that lies beside the logs is removed only where its path is that of this store.

use std::path::Path;

use grap_core::recovery::RecoveryId;
use grap_disk as disk;

use super::retired::{MARK, RetiredStore, place, read, root_of_retired};
use crate::error::{Error, Result};
use crate::recovery::halves::parent;

/// In front of the id of the recovery that had retired it.
const GONE: &str = "released-";

pub(super) fn counts_as_gone(name: &str) -> bool {
    name.starts_with(GONE)
}

/// When this returns nothing of it is left.
pub(crate) fn release_store(store: &RetiredStore) -> Result<()> {
    let root = parent(&store.path);
    let gone = root.join(format!("{GONE}{}", store.recovery));
    disk::rename_new(&store.path, &gone)?;
    disk::sync_dir(root)?;
    remove(&gone, &store.recovery)
}

/// What was struck in the middle; whose stores they were.
pub(crate) fn finish_released(data: &Path) -> Result<Vec<RecoveryId>> {
    let root = root_of_retired(data);
    let mut finished = Vec::new();
    for name in disk::list(&root)?.unwrap_or_default() {
        let Some(id) = name.strip_prefix(GONE).and_then(|id| id.parse::<RecoveryId>().ok()) else { continue };
        remove(&root.join(name), &id)?;
        finished.push(id);
    }
    Ok(finished)
}

fn remove(gone: &Path, id: &RecoveryId) -> Result<()> {
    if let Some(mark) = read(gone)? {
        remove_beside(Path::new(&mark.halves.log), place(&mark.halves), id)?;
        for name in disk::list(gone)?.unwrap_or_default().iter().filter(|name| *name != MARK) {
            disk::remove_tree(&gone.join(name))?;
        }
        disk::sync_dir(gone)?;
    }
    disk::remove_tree(gone)?;
    Ok(disk::sync_dir(parent(gone))?)
}

/// Where logs have a file system of their own.
fn remove_beside(log: &Path, place: &Path, id: &RecoveryId) -> Result<()> {
    let beside = parent(parent(log));
    if beside == place {
        return Ok(());
    }
    if !beside.ends_with(Path::new(".grap/retired").join(id.as_str())) {
        let why = format!("its log is said to lie at {}, which is no place of a retired one", log.display());
        return Err(Error::CandidateWrong { path: place.to_owned(), why });
    }
    if disk::stat_link(beside)?.is_some() {
        disk::remove_tree(beside)?;
        disk::sync_dir(parent(beside))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use grap_core::recovery::{State, apply, atlas};

    use super::super::made_of;
    use super::super::retired::{mark, retired_stores};
    use super::*;

    /// A store and its log, each under a root of its own, with a file in them.
    fn retired(data: &Path, logs: &Path) -> RetiredStore {
        let state = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
        let recovery = state.recovery().unwrap();
        let mut switch = atlas::switch(false);
        let text = |path: PathBuf| path.display().to_string();
        let own = |root: &Path| root_of_retired(root).join(recovery.id.as_str());
        switch.user.retired.store = text(own(data).join("databases/neo4j"));
        switch.user.retired.log = text(own(logs).join("transactions/neo4j"));
        for half in [&switch.user.retired.store, &switch.user.retired.log] {
            disk::create_dir_all(Path::new(half)).unwrap();
            disk::replace(&Path::new(half).join("file"), &[b"x"]).unwrap();
        }
        mark(&recovery.id, &recovery.plan, &switch, recovery.begun).unwrap();
        retired_stores(data).unwrap().stores.remove(0)
    }

    /// A rollback notes beside the same backup as the promotion did.
    #[test]
    fn what_came_in_its_place_is_of_the_backup_that_was_used() {
        let folder = tempfile::tempdir().unwrap();
        let State::Active(mut recovery) = atlas::validated() else { panic!() };
        let (older, mut switch) = ("neo4j-20261120-020000".parse().unwrap(), atlas::switch(false));
        switch.user.retired.store =
            folder.path().join(".grap/retired/x/databases/neo4j").display().to_string();
        switch.made_of = Some(older);
        recovery.switch = Some(Box::new(switch.clone()));
        assert_eq!(made_of(&recovery.plan, &switch).as_str(), "neo4j-20261120-020000");
        mark(&recovery.id, &recovery.plan, &switch, recovery.begun).unwrap();
        let found = retired_stores(folder.path()).unwrap().stores.remove(0);
        assert_eq!(found.plan.backup.as_str(), "neo4j-20261120-020000");
    }

    #[test]
    fn nothing_is_left_of_it_wherever_its_log_lies_and_whenever_it_was_struck() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        for logs in [data.clone(), folder.path().join("logs")] {
            let store = retired(&data, &logs);
            release_store(&store).unwrap();
            assert_eq!(disk::list(&root_of_retired(&data)).unwrap(), Some(Vec::new()));
            assert_eq!(disk::list(&root_of_retired(&logs)).unwrap(), Some(Vec::new()));

            let store = retired(&data, &logs);
            let gone = store.path.with_file_name(format!("{GONE}{}", store.recovery));
            disk::rename(&store.path, &gone).unwrap();
            // It counts as gone, with all that is still there.
            assert_eq!(retired_stores(&data).unwrap(), super::super::RetiredStores::default());
            assert_eq!(finish_released(&data).unwrap(), [store.recovery]);
            assert_eq!(disk::list(&root_of_retired(&data)).unwrap(), Some(Vec::new()));
            assert_eq!(disk::list(&root_of_retired(&logs)).unwrap(), Some(Vec::new()));
            assert!(finish_released(&data).unwrap().is_empty());
        }
    }

    /// A mark that somebody has changed leads nowhere else.
    #[test]
    fn a_log_that_is_no_place_of_a_retired_one_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = retired(folder.path(), folder.path());
        let other = folder.path().join("transactions/neo4j");
        disk::create_dir_all(&other).unwrap();
        let text = disk::read(&store.path.join(MARK), 1 << 20).unwrap();
        let text = String::from_utf8(text).unwrap().replace(&store.halves.log, &other.display().to_string());
        disk::replace(&store.path.join(MARK), &[text.as_bytes()]).unwrap();
        store.halves.log = other.display().to_string();
        let refused = release_store(&store).unwrap_err();
        assert!(matches!(refused, Error::CandidateWrong { .. }), "{refused}");
        assert!(disk::stat(&other).unwrap().is_some());
    }
}
