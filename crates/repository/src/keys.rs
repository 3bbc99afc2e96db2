//! Keys: each is the master key, sealed under one password. Nothing stored is encrypted anew when they change.
//!
//! Why nobody locks himself out: the key by which the repository was opened is never removed, except by
//! [`Repository::change_key`] after the new one was read back from the storage and opened with the new password.
//! Keys are removed under the exclusive lock, and there the key that opened is looked for again: of two who would
//! remove each other's key, the second finds his own gone, and stops.
//!
//! What it does not do: who knew a password and kept a copy of its key file (or the master key) can still read
//! what was stored. A new password keeps out only who comes later.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::{RepositoryError, Result};
use crate::format::crypto::Key;
use crate::format::id::Id;
use crate::format::key::{KeyFailure, KeyFile};
use crate::lock::Lock;
use crate::object::{ObjectError, ObjectStore};
use crate::repository::{InitOptions, Repository, object_name};

/// The user that the recovery key's file names.
pub const RECOVERY: &str = "recovery";

/// What a key file says of itself; anybody who can write to the storage can have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    pub id: Id,
    pub created: Option<Timestamp>,
    /// [`RECOVERY`]: the recovery key.
    pub username: String,
    pub hostname: String,
    /// The repository was opened with it.
    pub current: bool,
    /// Why it opens nothing, whatever the password.
    pub damaged: Option<String>,
}

impl Repository {
    /// Every key, oldest first.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        let mut keys = Vec::new();
        for (id, name) in self.inner.named_objects("keys")? {
            match self.inner.store.get(&name) {
                Ok(bytes) => keys.push(self.key_info(id, &bytes)),
                Err(ObjectError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        keys.sort_by_key(|key| (key.created, key.id));
        Ok(keys)
    }

    fn key_info(&self, id: Id, bytes: &[u8]) -> KeyInfo {
        let file = if Id::of(bytes) == id {
            KeyFile::parse(bytes).map_err(why)
        } else {
            Err("its SHA-256 is not its name".to_owned())
        };
        let current = id == self.inner.opened_by;
        match file {
            Ok(KeyFile { created, username, hostname, .. }) => {
                KeyInfo { id, created: Some(created), username, hostname, current, damaged: None }
            }
            Err(why) => KeyInfo {
                id,
                created: None,
                username: String::new(),
                hostname: String::new(),
                current,
                damaged: Some(why),
            },
        }
    }

    /// One more password. Returns after the key was read back and opened with it.
    pub fn add_key(&self, password: &SecretString, options: &InitOptions) -> Result<Id> {
        let id = put_key(self.inner.store.as_ref(), &self.inner.key, password, options)?;
        let unproved = |why| RepositoryError::KeyUnproved { id, why };
        let bytes = self.inner.store.get(&object_name("keys", id))?;
        let key = KeyFile::parse(&bytes).and_then(|file| file.open(password));
        let opened = key.map_err(|failure| unproved(why(failure)))?;
        if opened.secret() == self.inner.key.secret() {
            Ok(id)
        } else {
            Err(unproved("it holds another master key".to_owned()))
        }
    }

    /// A new password in place of the one that opened the repository: first the new key, proved; then the old
    /// one goes. Returns the new one's id, and the old one's.
    pub fn change_key(
        &self,
        password: &SecretString,
        options: &InitOptions,
        lock: &Lock,
    ) -> Result<(Id, Id)> {
        let old = self.inner.opened_by;
        let new = self.add_key(password, options)?;
        self.delete(&object_name("keys", old), lock)?;
        Ok((new, old))
    }

    /// Remove the key whose id begins so. Never the one that opened the repository: of no other it is known
    /// whether anybody has its password.
    pub fn remove_key(&self, prefix: &str, lock: &Lock) -> Result<KeyInfo> {
        let keys = self.keys()?;
        let matching: Vec<&KeyInfo> =
            keys.iter().filter(|key| !prefix.is_empty() && key.id.to_string().starts_with(prefix)).collect();
        let ids = |keys: &[&KeyInfo]| keys.iter().map(|key| key.id).collect::<Vec<_>>();
        let key = match matching.as_slice() {
            [key] => *key,
            [] => {
                let known = keys.iter().map(|key| key.id).collect();
                return Err(RepositoryError::KeyNotFound { wanted: prefix.to_owned(), known });
            }
            several => {
                let matching = ids(several);
                return Err(RepositoryError::KeyAmbiguous { wanted: prefix.to_owned(), matching });
            }
        };
        if key.current {
            return Err(RepositoryError::KeyLast { id: key.id });
        }
        if !keys.iter().any(|key| key.current && key.damaged.is_none()) {
            return Err(RepositoryError::KeyGone { id: self.inner.opened_by });
        }
        self.delete(&object_name("keys", key.id), lock)?;
        Ok(key.clone())
    }
}

/// Seal the master key under a password, and put it.
pub(crate) fn put_key(
    store: &dyn ObjectStore,
    master: &Key,
    password: &SecretString,
    options: &InitOptions,
) -> Result<Id> {
    let InitOptions { hostname, username, created, cost } = options;
    let unusable = |failure| RepositoryError::NoUsableKey { why: why(failure) };
    let file = KeyFile::create(master, password, *cost, hostname, username, *created).map_err(unusable)?;
    let bytes = file.to_bytes().map_err(unusable)?;
    let id = Id::of(&bytes);
    // The salt is random: an object of that name is ours, put by an earlier try whose answer was lost.
    match store.put(&object_name("keys", id), &[&bytes]) {
        Ok(()) | Err(ObjectError::AlreadyExists { .. }) => Ok(id),
        Err(error) => Err(error.into()),
    }
}

fn why(failure: KeyFailure) -> String {
    match failure {
        KeyFailure::WrongPassword => "it does not open with the password that it was made with".to_owned(),
        KeyFailure::Unusable(why) => why,
    }
}
