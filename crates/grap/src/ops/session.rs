//! What every operation is given: who runs it, the clock, the stop, the listener; and the way to the
//! repository.

use std::path::{Path, PathBuf};

use grap_disk as disk;
use grap_repository::{LocalStore, Lock, LockHolder, ObjectStore, Repository, RepositoryError};
use grap_task::{Clock, Finding, Monitor, Stop};
use secrecy::SecretString;

use crate::error::{Error, Result};
use crate::notes::Author;

/// The surroundings of an operation.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    pub clock: &'a Clock,
    pub stop: &'a Stop,
    pub monitor: &'a dyn Monitor,
    pub holder: &'a LockHolder,
    /// Name and version of the program, as noted in backups.
    pub program: &'a str,
}

impl Session<'_> {
    /// Whose notes these are.
    pub(super) fn author(&self) -> Author {
        let (host, program) = (self.holder.hostname.clone(), self.program.to_owned());
        Author { at: self.clock.now(), host, program }
    }

    /// The work is done; a lock that cannot be released now is found stale later.
    pub(super) fn release(&self, lock: Lock) {
        if let Err(error) = lock.release() {
            self.monitor.finding(&Finding::warning(format!("our lock could not be released: {error}")));
        }
    }
}

/// Where a repository is, and what opens it.
pub struct Access {
    pub store: Box<dyn ObjectStore>,
    /// The directory, where the store is one: its file system's room is looked at.
    pub directory: Option<PathBuf>,
    pub password: SecretString,
}

fn holds_a_file(directory: &Path) -> Result<bool> {
    Ok(disk::walk(directory)?.iter().any(|entry| entry.stat.kind != disk::Kind::Directory))
}

/// What a directory may hold and still become a repository: what an `init` that was interrupted left.
const LAYOUT: [&str; 6] = ["keys", "locks", "index", "snapshots", "grap", "data"];

impl Access {
    /// A repository in a local directory.
    pub fn local(directory: PathBuf, password: SecretString) -> Self {
        Self { store: Box::new(LocalStore::open(&directory)), directory: Some(directory), password }
    }

    pub fn open(self) -> Result<Repository> {
        Ok(Repository::open(self.store, &self.password)?)
    }

    /// Make the directories of a new repository, in a place that holds nothing else.
    pub(super) fn lay_out(&self) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        for name in disk::list(directory)?.unwrap_or_default() {
            if name == "config" {
                return Err(RepositoryError::AlreadyRepository.into());
            }
            // An interrupted init leaves keys; objects without a config belong to a repository that lost its
            // config, which a new one would bury.
            let objects = name != "keys" && LAYOUT.contains(&name.as_str());
            let ours = name == "keys" || (objects && !holds_a_file(&directory.join(&name))?);
            if !ours {
                return Err(Error::PlaceNotEmpty { path: directory.clone(), found: name });
            }
        }
        LocalStore::create(directory).map_err(RepositoryError::from)?;
        Ok(())
    }
}
