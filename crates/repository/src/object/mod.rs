//! Where objects are kept: one trait, and what it promises.

#[cfg(feature = "testing")]
pub mod faulty;
mod local;
#[cfg(feature = "testing")]
pub mod memory;
mod probe;
#[cfg(feature = "testing")]
pub mod recording;
mod retry;
#[cfg(feature = "testing")]
pub mod suite;
mod throttle;

use std::error::Error;

use jiff::Timestamp;

pub use local::LocalStore;
pub(crate) use probe::probe_name;
pub use probe::{PROBES, require_put_if_absent};
pub use retry::{GaveUp, Retry};
pub use throttle::{Limits, Throttle};

/// A flat space of named, immutable objects. Blocking; shared between threads.
///
/// **Names** are relative paths of lower-case letters, digits, `-`, `_` and `.`, with `/` between the parts:
/// `config`, `keys/<id>`, `data/<2 digits>/<id>`, `index/<id>`, `snapshots/<id>`, `locks/<id>`, `grap/...`.
///
/// **What a store promises:**
/// - `put` is all or nothing, and durable when it returns. It never replaces an object: one that exists is
///   left as it is, and the error says [`ObjectError::AlreadyExists`]. When it fails for another reason, the
///   object may exist or not, and if it does, it is whole.
/// - What `put` stored, `get` returns, until it is deleted: no bytes are changed on purpose. (That none are
///   changed by accident nobody promises; every reader checks.)
/// - A missing object is told apart from every other failure: [`ObjectError::NotFound`].
/// - A place that is away (a mount, a renamed directory) is not an empty one. There nothing is missing, listed,
///   stored or deleted: every call says [`ObjectError::Failed`], until the place is back. Only of `config` it may be
///   said that there is none: `get("config")` asks whether there is a repository. An object storage whose
///   bucket is gone may say [`ObjectError::Refused`] instead.
///
/// **What it may not be assumed to do:**
/// - `list` may lag: an object put or deleted a moment ago may be missing or still there. `get` and `size` of
///   an object just put by the same process do not lag.
/// - Two `put`s of one name by two machines at once may both succeed on storages without conditional writes;
///   names are hashes of the content or random, so that this never decides anything.
/// - There is no rename, no append, no lock, no order among calls of different threads.
/// - `modified` is by the storage's clock, which may be hours off ours. It serves to tell ages among the
///   objects of one store, never to choose the latest.
pub trait ObjectStore: Send + Sync {
    /// Store a new object, made of `parts` one after the other.
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError>;
    /// The whole object.
    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError>;
    /// `length` bytes from `offset`; fewer only where the object ends before.
    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError>;
    /// Every object below the folder `prefix` (`data`, `grap/notes`), in any order; none if there is no
    /// such folder in a place that is there.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError>;
    /// Bytes of the object.
    fn size(&self, name: &str) -> Result<u64, ObjectError>;
    /// Remove an object, durably. One that is gone already is no error.
    fn delete(&self, name: &str) -> Result<(), ObjectError>;
    /// The first part of every name that is in use, as far as the store can tell: what is not a repository's
    /// is there, too, where the place is shared with others.
    fn top_level(&self) -> Result<Vec<String>, ObjectError> {
        let mut used = Vec::new();
        for folder in FOLDERS {
            if !self.list(folder)?.is_empty() {
                used.push(folder.to_owned());
            }
        }
        match self.size(CONFIG) {
            Ok(_) => used.push(CONFIG.to_owned()),
            Err(ObjectError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(used)
    }
}

/// The folders of a repository, and its only object without one.
const FOLDERS: [&str; 6] = ["data", "grap", "index", "keys", "locks", "snapshots"];
const CONFIG: &str = "config";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was put, by the clock of the storage, where that is known.
    pub modified: Option<Timestamp>,
}

impl ObjectInfo {
    /// What follows the last `/`.
    pub fn base_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// A failed call of an [`ObjectStore`].
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("there is no object {name}")]
    NotFound { name: String },
    #[error("there is an object {name} already")]
    AlreadyExists { name: String },
    #[error("{name:?} is not the name of an object")]
    InvalidName { name: String },
    /// The storage knows us and does not let us, or does not know us. Whoever deletes leaves the object, and
    /// says so.
    #[error("the storage denies the right to {call} {name}")]
    Denied { call: ObjectCall, name: String, source: Box<dyn Error + Send + Sync> },
    #[error("the storage has no room to {call} {name}")]
    Full { call: ObjectCall, name: String, source: Box<dyn Error + Send + Sync> },
    /// The request itself is wrong for this storage: no repetition helps.
    #[error("the storage refuses to {call} {name}")]
    Refused { call: ObjectCall, name: String, source: Box<dyn Error + Send + Sync> },
    /// For a reason that may pass: no answer, a broken connection, an overloaded storage.
    #[error("cannot {call} {name}")]
    Failed { call: ObjectCall, name: String, source: Box<dyn Error + Send + Sync> },
}

impl ObjectError {
    pub fn failed(call: ObjectCall, name: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed { call, name: name.to_owned(), source: source.into() }
    }
}

/// The six calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectCall {
    Put,
    Get,
    GetRange,
    List,
    Size,
    Delete,
}

impl std::fmt::Display for ObjectCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Put => "put the object",
            Self::Get | Self::GetRange => "get the object",
            Self::List => "list the objects of",
            Self::Size => "look at the object",
            Self::Delete => "delete the object",
        })
    }
}

/// Refuse what is not the name of an object, so that none can lead out of its store.
pub fn check_name(name: &str) -> Result<(), ObjectError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(allowed);
    if name.split('/').all(part) { Ok(()) } else { Err(ObjectError::InvalidName { name: name.to_owned() }) }
}

/// A store may be shared with whoever looks after it.
impl<S: ObjectStore + ?Sized> ObjectStore for std::sync::Arc<S> {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        (**self).put(name, parts)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        (**self).get(name)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        (**self).get_range(name, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        (**self).list(prefix)
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        (**self).size(name)
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        (**self).delete(name)
    }

    fn top_level(&self) -> Result<Vec<String>, ObjectError> {
        (**self).top_level()
    }
}
