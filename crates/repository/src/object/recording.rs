//! A store that remembers what was asked of it.

use std::sync::{Mutex, PoisonError};

use super::{ObjectCall, ObjectError, ObjectInfo, ObjectStore};

pub struct Recording<S> {
    inner: S,
    calls: Mutex<Vec<(ObjectCall, String)>>,
}

impl<S: ObjectStore> Recording<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The calls since the last time, in the order in which they began.
    pub fn take(&self) -> Vec<(ObjectCall, String)> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn record(&self, call: ObjectCall, name: &str) -> &S {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((call, name.to_owned()));
        &self.inner
    }
}

impl<S: ObjectStore> ObjectStore for Recording<S> {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        self.record(ObjectCall::Put, name).put(name, parts)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.record(ObjectCall::Get, name).get(name)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.record(ObjectCall::GetRange, name).get_range(name, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.record(ObjectCall::List, prefix).list(prefix)
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.record(ObjectCall::Size, name).size(name)
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.record(ObjectCall::Delete, name).delete(name)
    }
}
