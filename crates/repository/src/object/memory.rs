//! Objects in memory, with a storage clock of their own: for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use grap_task::Clock;
use jiff::Timestamp;

use super::{ObjectError, ObjectInfo, ObjectStore, check_name};

#[derive(Default)]
pub struct MemoryStore {
    clock: Clock,
    objects: Mutex<BTreeMap<String, (Vec<u8>, Timestamp)>>,
}

impl MemoryStore {
    /// The clock is the storage's: it says when an object was put.
    pub fn new(clock: Clock) -> Self {
        Self { clock, objects: Mutex::default() }
    }

    /// What is stored now, in a store of its own.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { clock: self.clock.clone(), objects: Mutex::new(self.lock().clone()) }
    }

    /// Change an object behind everybody's back.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some((bytes, _)) = self.lock().get_mut(name) {
            change(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Vec<u8>, Timestamp)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: &str, read: impl FnOnce(&[u8]) -> T) -> Result<T, ObjectError> {
        check_name(name)?;
        let objects = self.lock();
        let found = objects.get(name).ok_or_else(|| ObjectError::NotFound { name: name.to_owned() });
        found.map(|(bytes, _)| read(bytes))
    }
}

impl ObjectStore for MemoryStore {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        check_name(name)?;
        let mut objects = self.lock();
        if objects.contains_key(name) {
            return Err(ObjectError::AlreadyExists { name: name.to_owned() });
        }
        objects.insert(name.to_owned(), (parts.concat(), self.clock.now()));
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.with(name, <[u8]>::to_vec)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.with(name, |bytes| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            bytes[start..start.saturating_add(length).min(bytes.len())].to_vec()
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        check_name(prefix)?;
        let folder = format!("{prefix}/");
        let info = |(name, (bytes, modified)): (&String, &(Vec<u8>, Timestamp))| ObjectInfo {
            name: name.clone(),
            size: bytes.len() as u64,
            modified: Some(*modified),
        };
        Ok(self.lock().iter().filter(|(name, _)| name.starts_with(&folder)).map(info).collect())
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.with(name, |bytes| bytes.len() as u64)
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        check_name(name)?;
        self.lock().remove(name);
        Ok(())
    }
}
