//! A repository: its keys, its config, its named objects.
//!
//! Every object but those in `keys/` and below `grap/` is named by the SHA-256 of its stored bytes, and every
//! reader checks that; all are sealed under the master key. Nothing stored is ever modified.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{RepositoryError, Result};
use crate::format::config::{Config, VERSION};
use crate::format::crypto::{Key, KeyBytes};
use crate::format::document;
use crate::format::id::{Id, SnapshotId};
use crate::format::index::IndexFile;
use crate::format::key::{KdfCost, KeyFailure, KeyFile, RecoveryKey};
use crate::format::snapshot::{Snapshot, SnapshotFile};
use crate::index::{Index, IndexBuilder};
use crate::keys::{self, RECOVERY};
use crate::object::{ObjectError, ObjectStore};

/// An opened repository. Cheap to clone.
#[derive(Clone)]
pub struct Repository {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Box<dyn ObjectStore>,
    pub(crate) key: Key,
    id: Id,
    /// The key file that gave the key.
    pub(crate) opened_by: Id,
}

/// What is noted in a key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitOptions {
    pub hostname: String,
    pub username: String,
    pub created: Timestamp,
    pub cost: KdfCost,
}

/// Snapshots that could be read, and one error for each that could not.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Oldest first.
    pub found: Vec<Snapshot>,
    pub damaged: Vec<RepositoryError>,
}

impl Repository {
    /// Make a new repository in an empty store. The config is put last: what has none is no repository.
    pub fn init(
        store: Box<dyn ObjectStore>,
        password: &SecretString,
        options: &InitOptions,
    ) -> Result<(Self, RecoveryKey)> {
        if exists(store.as_ref(), "config")? {
            return Err(RepositoryError::AlreadyRepository);
        }
        let config = Config::new(Id::of(&KeyBytes::random().encrypt));
        let (key, recovery) = (Key::new(KeyBytes::random()), RecoveryKey::random());
        let add = |password, username: &str| {
            let options = InitOptions { username: username.to_owned(), ..options.clone() };
            keys::put_key(store.as_ref(), &key, password, &options)
        };
        let keys = [add(password, &options.username)?, add(recovery.secret(), RECOVERY)?];
        let inner = Inner { store, key, id: config.id, opened_by: keys[0] };
        let sealed = config.seal(&inner.key).map_err(|why| RepositoryError::Encode { why })?;
        match inner.store.put("config", &[&sealed]) {
            Ok(()) => Ok((Self { inner: Arc::new(inner) }, recovery)),
            Err(ObjectError::AlreadyExists { .. }) => {
                // Somebody else made a repository here meanwhile; our keys would only confuse it.
                for key in &keys {
                    match inner.store.delete(&object_name("keys", *key)) {
                        Ok(()) | Err(ObjectError::Denied { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(RepositoryError::AlreadyRepository)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Open with the password or the recovery key. Neither the index nor anything else is loaded yet.
    pub fn open(store: Box<dyn ObjectStore>, password: &SecretString) -> Result<Self> {
        let config = match store.get("config") {
            Err(ObjectError::NotFound { .. }) => return Err(RepositoryError::NotARepository),
            other => other?,
        };
        let mut unusable = Vec::new();
        let mut wrong = 0;
        for info in store.list("keys")? {
            let bytes = store.get(&info.name)?;
            match KeyFile::parse(&bytes).and_then(|file| file.open(password)) {
                Ok(key) => match Config::open(&key, config.clone()) {
                    // A key file may have been renamed by hand; what it is called then is no id.
                    Some(opened) => {
                        let id = info.base_name().parse().unwrap_or_else(|_| Id::of(&bytes));
                        return Self::with_config(store, (key, id), opened);
                    }
                    None => unusable.push(format!("{} does not open the config", info.name)),
                },
                // It might have been the one for this password: the damage is what the operator must hear of.
                Err(KeyFailure::WrongPassword) if Id::of(&bytes).to_string() != info.base_name() => {
                    unusable.push(format!("{}: its SHA-256 is not its name", info.name));
                }
                Err(KeyFailure::WrongPassword) => wrong += 1,
                Err(KeyFailure::Unusable(why)) => unusable.push(format!("{}: {why}", info.name)),
            }
        }
        match unusable.as_slice() {
            [] if wrong > 0 => Err(RepositoryError::WrongPassword),
            [] => Err(RepositoryError::NoUsableKey { why: "there is no object in keys/".to_owned() }),
            _ => {
                let others = format!("{wrong} others do not open with this password");
                Err(RepositoryError::NoUsableKey { why: format!("{}; {others}", unusable.join("; ")) })
            }
        }
    }

    fn with_config(
        store: Box<dyn ObjectStore>,
        (key, opened_by): (Key, Id),
        config: Result<Config, String>,
    ) -> Result<Self> {
        let damaged = |why| RepositoryError::Damaged { object: "config".to_owned(), why };
        let config = config.map_err(damaged)?;
        if config.version != VERSION {
            return Err(RepositoryError::UnknownVersion { found: config.version });
        }
        Ok(Self { inner: Arc::new(Inner { store, key, id: config.id, opened_by }) })
    }

    /// The random id that the repository got when it was made.
    pub fn id(&self) -> Id {
        self.inner.id
    }

    pub fn store(&self) -> &dyn ObjectStore {
        self.inner.store.as_ref()
    }

    /// Every snapshot. A reader lists them before it loads the index: what a snapshot needs was stored first.
    pub fn snapshots(&self) -> Result<Snapshots> {
        let mut snapshots = Snapshots::default();
        for (id, name) in self.inner.named_objects("snapshots")? {
            match self.inner.load::<SnapshotFile>(&name, id) {
                Ok(file) => snapshots.found.push(file.with_id(SnapshotId(id))),
                Err(RepositoryError::Object(ObjectError::NotFound { .. })) => {}
                Err(error @ RepositoryError::Damaged { .. }) => snapshots.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        snapshots.found.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
        Ok(snapshots)
    }
}

impl Inner {
    /// Put an object under the SHA-256 of its bytes. One that is there already has the same bytes.
    pub(crate) fn put_named(&self, folder: &str, parts: &[&[u8]]) -> Result<Id> {
        let id = Id::of_parts(parts);
        match self.store.put(&object_name(folder, id), parts) {
            Ok(()) | Err(ObjectError::AlreadyExists { .. }) => Ok(id),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn put_document(&self, folder: &str, content: &impl Serialize) -> Result<Id> {
        let sealed = document::seal(&self.key, content).map_err(|why| RepositoryError::Encode { why })?;
        self.put_named(folder, &[&sealed])
    }

    /// Get a document and check its name.
    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str, id: Id) -> Result<T> {
        let damaged = |why: String| RepositoryError::Damaged { object: name.to_owned(), why };
        let bytes = self.store.get(name)?;
        if Id::of(&bytes) != id {
            return Err(damaged("its SHA-256 is not its name".to_owned()));
        }
        document::open(&self.key, bytes).map_err(damaged)
    }

    /// The objects of a folder that are named by an id; others are not ours.
    pub(crate) fn named_objects(&self, folder: &str) -> Result<Vec<(Id, String)>> {
        let objects = self.store.list(folder)?;
        Ok(objects.into_iter().filter_map(|info| Some((info.base_name().parse().ok()?, info.name))).collect())
    }

    /// The packs that are there, with their sizes.
    pub(crate) fn list_packs(&self) -> Result<HashMap<Id, u64>> {
        let objects = self.store.list("data")?;
        Ok(objects.iter().filter_map(|info| Some((info.base_name().parse().ok()?, info.size))).collect())
    }

    /// The whole index, and one error for each damaged index object: what only that one knew is missing.
    pub(crate) fn load_index(&self) -> Result<(Index, Vec<RepositoryError>)> {
        let mut builder = IndexBuilder::default();
        let mut damaged = Vec::new();
        for (id, name) in self.named_objects("index")? {
            match self.load::<IndexFile>(&name, id) {
                Ok(file) => builder.add(&file)?,
                Err(error @ RepositoryError::Damaged { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok((builder.build(), damaged))
    }
}

/// `data` has one more level, so that no directory grows too large.
pub(crate) fn object_name(folder: &str, id: Id) -> String {
    if folder == "data" { format!("data/{:02x}/{id}", id.as_bytes()[0]) } else { format!("{folder}/{id}") }
}

pub(crate) fn exists(store: &dyn ObjectStore, name: &str) -> Result<bool> {
    match store.size(name) {
        Ok(_) => Ok(true),
        Err(ObjectError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
