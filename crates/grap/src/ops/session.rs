//! What every operation is given: who runs it, the clock, the stop, the listener; and the way to the
//! repository.

use std::path::{Path, PathBuf};

use grap_disk as disk;
use grap_repository::object::{PROBES, require_put_if_absent};
use grap_repository::{LocalStore, Lock, LockHolder, ObjectError, ObjectStore, Repository, RepositoryError};
use grap_task::{Clock, Finding, Monitor, Stop, Unit};
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
    pub(crate) fn author(&self) -> Author {
        let (host, program) = (self.holder.hostname.clone(), self.program.to_owned());
        Author { at: self.clock.now(), host, program }
    }

    /// The work is done; a lock that cannot be released now is found stale later.
    pub(super) fn release(&self, lock: Lock) {
        match lock.release() {
            Ok(()) => {}
            Err(RepositoryError::Object(ObjectError::Denied { .. })) => {
                let why = "our lock stays, because the storage lets us delete nothing: it counts no more";
                self.monitor.finding(&Finding::info(why));
            }
            Err(error) => {
                self.monitor.finding(&Finding::warning(format!("our lock could not be released: {error}")));
            }
        }
    }
}

/// Where a repository is, and what opens it.
pub struct Access {
    pub store: Box<dyn ObjectStore>,
    /// For people: a path or a URL.
    pub location: String,
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
        let location = directory.display().to_string();
        let store = Box::new(LocalStore::open(&directory));
        Self { store, location, directory: Some(directory), password }
    }

    /// A repository in an object storage, at this URL.
    pub fn remote(url: String, store: Box<dyn ObjectStore>, password: SecretString) -> Self {
        Self { store, location: url, directory: None, password }
    }

    pub fn open(self) -> Result<Repository> {
        match Repository::open(self.store, &self.password) {
            Err(RepositoryError::NotARepository) => Err(Error::NoRepository { location: self.location }),
            other => Ok(other?),
        }
    }

    /// As [`Access::open`], as a step that is told.
    pub(crate) fn open_told(self, session: &Session<'_>) -> Result<Repository> {
        session.monitor.begin("opening the repository", Unit::Items, None);
        self.open()
    }

    /// Make ready for a new repository, in a place that holds nothing else.
    pub(super) fn lay_out(&self) -> Result<()> {
        match &self.directory {
            Some(directory) => Self::lay_out_directory(directory),
            None => self.prepare_storage(),
        }
    }

    /// As for a directory, but that nothing has to be made. The storage has to promise what a repository rests
    /// on.
    fn prepare_storage(&self) -> Result<()> {
        let used = self.store.top_level().map_err(RepositoryError::from)?;
        if used.iter().any(|name| name == "config") {
            return Err(RepositoryError::AlreadyRepository.into());
        }
        for found in used {
            if found != "keys" && !(found == "grap" && self.holds_only_probes()?) {
                return Err(Error::PlaceNotEmpty { path: PathBuf::from(&self.location), found });
            }
        }
        Ok(require_put_if_absent(self.store.as_ref()).map_err(RepositoryError::from)?)
    }

    /// Of a probe that could not be deleted.
    fn holds_only_probes(&self) -> Result<bool> {
        let below = self.store.list("grap").map_err(RepositoryError::from)?;
        Ok(below.iter().all(|info| info.name.starts_with(PROBES)))
    }

    fn lay_out_directory(directory: &Path) -> Result<()> {
        for name in disk::list(directory)?.unwrap_or_default() {
            if name == "config" {
                return Err(RepositoryError::AlreadyRepository.into());
            }
            // An interrupted init leaves keys; objects without a config belong to a repository that lost its
            // config, which a new one would bury.
            let objects = name != "keys" && LAYOUT.contains(&name.as_str());
            let ours = name == "keys" || (objects && !holds_a_file(&directory.join(&name))?);
            if !ours {
                return Err(Error::PlaceNotEmpty { path: directory.to_owned(), found: name });
            }
        }
        LocalStore::create(directory).map_err(RepositoryError::from)?;
        Ok(())
    }
}
