//! The directory of one candidate: whose it is, what lies where in it, and its removal.
//!
//! It is removed under another name: a removal that is struck in the middle would else leave a directory of which nobody
//! can say any more whose it was.
//!
//! It is readable by its owner alone: a database lies in it that is otherwise encrypted.

use std::path::{Path, PathBuf};

use grap_core::Room;
use grap_core::recovery::{Plan, Recovery, RecoveryId};
use grap_disk as disk;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::live::SYSTEM;

const MARK: &str = "recovery.json";
const OPENER: &str = "opener";
const MARK_SIZE_MAX: u64 = 4096;
const MARK_VERSION: u32 = 1;
const PRIVATE: u32 = 0o700;
/// What `disk` calls a file that is not published yet.
const UNPUBLISHED: &str = "tmp-";

/// Whose directory it is: an id is unique in one state directory only.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    version: u32,
    recovery: RecoveryId,
    begun: Timestamp,
}

#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    mark: Mark,
    database: String,
}

/// Whose a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// It was made, and not marked yet.
    Unmarked,
    Us,
    Another,
}

/// Whether a candidate of this size fits where it is to lie.
pub fn room_for(bytes: u64, root: &Path) -> Result<()> {
    let room = Room::for_restore(bytes, disk::space(root)?.available);
    room.check().map_err(|source| Error::NoSpace { path: root.to_owned(), source })
}

/// Behind a promotion: the database itself lies elsewhere now.
pub(in crate::recovery) fn remove_rest(recovery: &Recovery) -> Result<()> {
    Place::of(recovery).remove()
}

/// The database that is opened: the one beside `system`.
pub(super) fn user_database(plan: &Plan) -> &str {
    let user = plan.ends.iter().find(|end| end.database != SYSTEM);
    user.map_or(SYSTEM, |end| end.database.as_str())
}

impl Place {
    pub(super) fn of(recovery: &Recovery) -> Self {
        Self {
            root: PathBuf::from(&recovery.plan.candidate),
            mark: Mark { version: MARK_VERSION, recovery: recovery.id.clone(), begun: recovery.begun },
            database: user_database(&recovery.plan).to_owned(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The restored `system`, as a data directory of its own.
    pub(super) fn system(&self) -> PathBuf {
        self.root.join(SYSTEM)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// The data directory in which a database of the plan lies.
    pub(super) fn data_of(&self, database: &str) -> PathBuf {
        if database == SYSTEM && self.database != SYSTEM { self.system() } else { self.data() }
    }

    pub(super) fn store(&self) -> PathBuf {
        self.data().join("databases").join(&self.database)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.data().join("transactions").join(&self.database)
    }

    /// What tells the processes of its instances from all others.
    pub(super) fn instance_id(&self) -> String {
        let text = format!("{}\n{}\n{}", self.root.display(), self.mark.recovery, self.mark.begun);
        hex::encode(&Sha256::digest(text)[..16])
    }

    pub(super) fn require_room(&self, bytes: u64) -> Result<()> {
        // What is there already is written anew in its place.
        if self.owner()? == Owner::Us { Ok(()) } else { room_for(bytes, &self.root) }
    }

    /// There, and ours, when this returns.
    pub(super) fn make(&self) -> Result<()> {
        match self.owner()? {
            Owner::Us => return Ok(()),
            Owner::Another => return Err(Error::CandidateTaken { path: self.root.clone() }),
            Owner::Nobody | Owner::Unmarked => {}
        }
        if let Some(parent) = self.root.parent() {
            disk::make_dirs(parent, None)?;
        }
        disk::make_dirs(&self.root, Some(PRIVATE))?;
        // It may be there from an earlier try that was struck before it had its mode.
        disk::set_mode(&self.root, PRIVATE)?;
        let text = serde_json::to_vec_pretty(&self.mark).unwrap_or_default();
        Ok(disk::replace(&self.root.join(MARK), &[&text])?)
    }

    /// Before anything in it is changed.
    pub(super) fn require_ours(&self) -> Result<()> {
        match self.owner()? {
            Owner::Us => Ok(()),
            Owner::Nobody | Owner::Unmarked | Owner::Another => {
                Err(Error::CandidateTaken { path: self.root.clone() })
            }
        }
    }

    /// Before a server of this release is started on it: the journal learns of it only when the server is ready.
    pub(super) fn note_opener(&self, release: &str) -> Result<()> {
        Ok(disk::replace(&self.root.join(OPENER), &[release.as_bytes()])?)
    }

    /// `None`: none was started on it.
    pub(super) fn opener(&self) -> Result<Option<String>> {
        match disk::read(&self.root.join(OPENER), MARK_SIZE_MAX) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim().to_owned())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether something lies there that does not say that it is ours, and is therefore left.
    pub(super) fn is_anothers(&self) -> Result<bool> {
        Ok(self.owner()? == Owner::Another)
    }

    /// Nothing is left when this returns. Another one's is not touched.
    pub(super) fn remove(&self) -> Result<()> {
        let doomed = self.root.with_file_name(format!(".removing-{}", self.mark.recovery));
        disk::remove_tree(&doomed)?;
        if matches!(self.owner()?, Owner::Us | Owner::Unmarked) {
            disk::rename(&self.root, &doomed)?;
            disk::remove_tree(&doomed)?;
        }
        Ok(())
    }

    fn owner(&self) -> Result<Owner> {
        let Some(names) = disk::list(&self.root)? else { return Ok(Owner::Nobody) };
        match disk::read(&self.root.join(MARK), MARK_SIZE_MAX) {
            Ok(text) => match serde_json::from_slice::<Mark>(&text) {
                Ok(mark) if mark == self.mark => Ok(Owner::Us),
                _ => Ok(Owner::Another),
            },
            Err(error) if error.is_not_found() => {
                let bare = names.iter().all(|name| name.starts_with(UNPUBLISHED));
                Ok(if bare { Owner::Unmarked } else { Owner::Another })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is not of the restored database. The database itself stays as it is.
    pub(super) fn remove_what_an_instance_left(&self) -> Result<()> {
        disk::remove_tree(&self.home())?;
        let data = self.data();
        keep_only(&data, &["databases", "transactions", ".grap"])?;
        for side in ["databases", "transactions"] {
            keep_only(&data.join(side), &[&self.database])?;
        }
        Ok(())
    }

    /// The restored `system` is put aside: the instance makes one of its own there.
    pub(super) fn set_system_aside(&self) -> Result<()> {
        for side in ["transactions", "databases"] {
            let from = self.data().join(side).join(SYSTEM);
            if self.database != SYSTEM && disk::stat(&from)?.is_some() {
                let to = self.system().join(side);
                disk::create_dir_all(&to)?;
                disk::rename(&from, &to.join(SYSTEM))?;
                disk::sync_dir(&to)?;
            }
        }
        Ok(())
    }
}

fn keep_only(directory: &Path, kept: &[&str]) -> Result<()> {
    for name in disk::list(directory)?.unwrap_or_default() {
        if !kept.contains(&name.as_str()) {
            let path = directory.join(name);
            match disk::stat_link(&path)?.map(|stat| stat.kind) {
                Some(disk::Kind::Directory) => disk::remove_tree(&path)?,
                Some(_) => disk::remove_file(&path)?,
                None => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use grap_core::recovery::{Event, State, What, apply, atlas};

    use super::*;

    pub(in super::super) fn recovery(candidate: &Path, begun: &str) -> Recovery {
        let id: RecoveryId = "recovery-20261126-020000".parse().unwrap();
        let plan = atlas::plan(&candidate.display().to_string());
        let event = Event { at: begun.parse().unwrap(), took_ms: None, what: What::Begun { id, plan } };
        let State::Active(recovery) = apply(State::Idle, &event).unwrap() else { panic!() };
        *recovery
    }

    #[test]
    fn only_what_carries_the_recovery_is_used_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c/recovery-20261126-020000");
        let place = Place::of(&recovery(&path, "2026-11-26T02:00:00Z"));
        let other = Place::of(&recovery(&path, "2026-11-26T02:00:00.5Z"));
        assert_ne!(place.instance_id(), other.instance_id());
        place.remove().unwrap();
        place.make().unwrap();
        place.make().unwrap();
        assert!(matches!(other.make(), Err(Error::CandidateTaken { .. })));
        other.remove().unwrap();
        assert_eq!(place.owner().unwrap(), Owner::Us);
        // Made, and struck before it was marked; and struck within the mark.
        disk::remove_file(&path.join(MARK)).unwrap();
        assert_eq!(place.owner().unwrap(), Owner::Unmarked);
        disk::publish(&path.join("tmp-0123456789abcdef"), &[b"{"]).unwrap();
        place.make().unwrap();
        // Struck in the middle of the removal.
        disk::rename(&path, &path.with_file_name(".removing-recovery-20261126-020000")).unwrap();
        place.remove().unwrap();
        assert_eq!(disk::list(path.parent().unwrap()).unwrap().unwrap(), Vec::<String>::new());
        // Somebody's own.
        disk::create_dir_all(&path.join("mine")).unwrap();
        assert!(matches!(place.make(), Err(Error::CandidateTaken { .. })));
        place.remove().unwrap();
        assert!(disk::stat(&path.join("mine")).unwrap().is_some());
    }

    #[test]
    fn who_was_started_on_it_is_known_before_the_journal_knows() {
        let folder = tempfile::tempdir().unwrap();
        let recovery = recovery(&folder.path().join("c"), "2026-11-26T02:00:00Z");
        let place = Place::of(&recovery);
        assert_eq!(place.opener().unwrap(), None);
        place.make().unwrap();
        assert_eq!(place.opener().unwrap(), None);
        place.note_opener("5.26.29").unwrap();
        place.note_opener("5.26.30").unwrap();
        disk::create_dir_all(&place.data().join("databases")).unwrap();
        disk::create_dir_all(&place.data().join("transactions")).unwrap();
        place.remove_what_an_instance_left().unwrap();
        assert_eq!(place.opener().unwrap().as_deref(), Some("5.26.30"));
        place.remove().unwrap();
        assert_eq!(place.opener().unwrap(), None);
    }

    #[test]
    fn behind_an_instance_the_database_is_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(&recovery(&folder.path().join("c"), "2026-11-26T02:00:00Z"));
        let database = place.database().to_owned();
        for path in [
            format!("data/databases/{database}"),
            format!("data/transactions/{database}"),
            "data/databases/system".to_owned(),
            "data/transactions/system".to_owned(),
            "data/dbms".to_owned(),
            "data/.grap".to_owned(),
            "home/logs".to_owned(),
        ] {
            disk::create_dir_all(&place.root().join(path)).unwrap();
        }
        place.set_system_aside().unwrap();
        place.set_system_aside().unwrap();
        disk::create_dir_all(&place.data().join("databases/system")).unwrap();
        disk::publish(&place.data().join("databases/store_lock"), &[b""]).unwrap();
        place.remove_what_an_instance_left().unwrap();
        place.remove_what_an_instance_left().unwrap();
        let mut left: Vec<String> = disk::walk(place.root())
            .unwrap()
            .iter()
            .map(|entry| entry.path.strip_prefix(place.root()).unwrap().display().to_string())
            .collect();
        left.sort();
        let wanted = [
            "data".to_owned(),
            "data/.grap".to_owned(),
            "data/databases".to_owned(),
            format!("data/databases/{database}"),
            "data/transactions".to_owned(),
            format!("data/transactions/{database}"),
            "system".to_owned(),
            "system/databases".to_owned(),
            "system/databases/system".to_owned(),
            "system/transactions".to_owned(),
            "system/transactions/system".to_owned(),
        ];
        let left: Vec<String> = left.into_iter().filter(|path| !path.is_empty()).collect();
        assert_eq!(left, wanted);
    }
}
