//! Does a storage keep the one promise that everything rests on: does it refuse to replace an object?

use rand::RngCore;

use super::{ObjectCall, ObjectError, ObjectStore};

/// Where objects lie that only try what a storage does. One that cannot be deleted stays, and means nothing.
pub const PROBES: &str = "grap/probe/";

/// A name that nobody else uses.
pub(crate) fn probe_name() -> String {
    format!("{PROBES}{:016x}", rand::rng().next_u64())
}

/// Put one name twice. An error where the second put succeeds: such a storage can hold no repository, because
/// two writers would overwrite each other unnoticed.
pub fn require_put_if_absent(store: &dyn ObjectStore) -> Result<(), ObjectError> {
    let name = probe_name();
    store.put(&name, &[b"first"])?;
    let again = store.put(&name, &[b"second"]);
    // Where nobody may delete, it stays: a few bytes that nobody looks at.
    let _ = store.delete(&name);
    match again {
        Err(ObjectError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            let why = "it replaced an object that was there, although it was told not to (If-None-Match); a storage without conditional writes cannot hold a repository";
            Err(ObjectError::Refused { call: ObjectCall::Put, name, source: why.into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::memory::MemoryStore;
    use crate::object::{ObjectInfo, ObjectStore};

    /// As an S3 server that does not know conditions.
    struct Replaces(MemoryStore);

    impl ObjectStore for Replaces {
        fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
            self.0.delete(name)?;
            self.0.put(name, parts)
        }

        fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
            self.0.get(name)
        }

        fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
            self.0.get_range(name, offset, length)
        }

        fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
            self.0.list(prefix)
        }

        fn size(&self, name: &str) -> Result<u64, ObjectError> {
            self.0.size(name)
        }

        fn delete(&self, name: &str) -> Result<(), ObjectError> {
            self.0.delete(name)
        }
    }

    #[test]
    fn a_storage_that_replaces_is_found_out() {
        let store = MemoryStore::default();
        require_put_if_absent(&store).unwrap();
        assert_eq!(store.top_level().unwrap(), Vec::<String>::new());
        let replaces = Replaces(store);
        assert!(matches!(require_put_if_absent(&replaces), Err(ObjectError::Refused { .. })));
    }
}
