//! A store that lets a test do something after each of its calls, or in place of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use grap_repository::{ObjectCall, ObjectError, ObjectInfo, ObjectStore};

/// Gets the number of the call (from 1), what it is, and the name; what it returns replaces a success.
type Hook = Box<dyn FnMut(usize, ObjectCall, &str) -> Result<(), ObjectError> + Send>;

pub(crate) struct Hooked<S> {
    inner: S,
    calls: AtomicUsize,
    before: Mutex<Option<Hook>>,
    after: Mutex<Option<Hook>>,
}

impl<S: ObjectStore> Hooked<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, calls: AtomicUsize::new(0), before: Mutex::new(None), after: Mutex::new(None) }
    }

    /// Before each call: an error takes the call's place.
    pub(crate) fn before(
        &self,
        hook: impl FnMut(usize, ObjectCall, &str) -> Result<(), ObjectError> + Send + 'static,
    ) {
        self.calls.store(0, Ordering::SeqCst);
        *self.before.lock().unwrap() = Some(Box::new(hook));
    }

    /// After each call.
    pub(crate) fn after(&self, mut hook: impl FnMut(usize, ObjectCall, &str) + Send + 'static) {
        self.calls.store(0, Ordering::SeqCst);
        let hook = move |at, call, name: &str| {
            hook(at, call, name);
            Ok(())
        };
        *self.after.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn run<T>(
        &self,
        call: ObjectCall,
        name: &str,
        run: impl FnOnce(&S) -> Result<T, ObjectError>,
    ) -> Result<T, ObjectError> {
        let at = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(hook) = self.before.lock().unwrap().as_mut() {
            hook(at, call, name)?;
        }
        let result = run(&self.inner);
        if let Some(hook) = self.after.lock().unwrap().as_mut() {
            hook(at, call, name)?;
        }
        result
    }
}

impl<S: ObjectStore> ObjectStore for Hooked<S> {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        self.run(ObjectCall::Put, name, |inner| inner.put(name, parts))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.run(ObjectCall::Get, name, |inner| inner.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.run(ObjectCall::GetRange, name, |inner| inner.get_range(name, offset, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.run(ObjectCall::List, prefix, |inner| inner.list(prefix))
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.run(ObjectCall::Size, name, |inner| inner.size(name))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.run(ObjectCall::Delete, name, |inner| inner.delete(name))
    }
}
