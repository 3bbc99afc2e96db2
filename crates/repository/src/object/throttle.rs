//! A store that moves no more than so many bytes a second, in each direction, over all threads.
//!
//! A call waits until what was moved before it is paid for, and then moves its own bytes at once: the average
//! holds, a single object goes as fast as the line. Asking and listing cost nothing. A stop ends every wait;
//! the call is made all the same.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use grap_task::{Clock, Stop};

use super::{ObjectError, ObjectInfo, ObjectStore};

/// Bytes a second; none: as fast as it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub upload: Option<u64>,
    pub download: Option<u64>,
}

pub struct Throttle<S> {
    inner: S,
    limits: Limits,
    clock: Clock,
    stop: Stop,
    /// By the boot clock: when everything that was moved is paid for.
    upload: Mutex<Duration>,
    download: Mutex<Duration>,
}

impl<S: ObjectStore> Throttle<S> {
    pub fn new(inner: S, limits: Limits, clock: Clock, stop: Stop) -> Self {
        Self { inner, limits, clock, stop, upload: Mutex::default(), download: Mutex::default() }
    }

    /// Wait until the debt is paid.
    fn wait(&self, limit: Option<u64>, paid_at: &Mutex<Duration>) {
        if limit.is_some() {
            let due = *paid_at.lock().unwrap_or_else(PoisonError::into_inner);
            self.clock.wait(due.saturating_sub(self.clock.since_boot()), &self.stop);
        }
    }

    fn charge(&self, limit: Option<u64>, paid_at: &Mutex<Duration>, bytes: usize) {
        if let Some(limit) = limit {
            let mut due = paid_at.lock().unwrap_or_else(PoisonError::into_inner);
            let cost = Duration::from_secs_f64(bytes as f64 / limit.max(1) as f64);
            *due = (*due).max(self.clock.since_boot()) + cost;
        }
    }

    fn downloaded(&self, bytes: Result<Vec<u8>, ObjectError>) -> Result<Vec<u8>, ObjectError> {
        bytes.inspect(|bytes| self.charge(self.limits.download, &self.download, bytes.len()))
    }
}

impl<S: ObjectStore> ObjectStore for Throttle<S> {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        self.wait(self.limits.upload, &self.upload);
        self.charge(self.limits.upload, &self.upload, parts.iter().map(|part| part.len()).sum());
        self.inner.put(name, parts)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.wait(self.limits.download, &self.download);
        self.downloaded(self.inner.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.wait(self.limits.download, &self.download);
        self.downloaded(self.inner.get_range(name, offset, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.inner.list(prefix)
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.inner.size(name)
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.inner.delete(name)
    }

    fn top_level(&self) -> Result<Vec<String>, ObjectError> {
        self.inner.top_level()
    }
}

#[cfg(test)]
mod tests {
    use grap_task::ManualClock;
    use jiff::Timestamp;

    use super::*;
    use crate::object::memory::MemoryStore;
    use crate::object::suite::conformance;

    fn throttled(limits: Limits) -> (Throttle<MemoryStore>, Clock, Stop) {
        let clock = Clock::Manual(ManualClock::at(Timestamp::UNIX_EPOCH));
        let stop = Stop::new();
        (Throttle::new(MemoryStore::default(), limits, clock.clone(), stop.clone()), clock, stop)
    }

    #[test]
    fn it_changes_nothing_else() {
        conformance(&throttled(Limits::default()).0);
        conformance(&throttled(Limits { upload: Some(1 << 30), download: Some(1 << 30) }).0);
    }

    #[test]
    fn on_average_no_more_than_the_limit_is_moved() {
        let limits = Limits { upload: Some(1000), download: Some(500) };
        let (store, clock, _) = throttled(limits);
        let took = |work: &dyn Fn()| {
            let began = clock.since_boot();
            work();
            clock.since_boot().saturating_sub(began).as_secs_f64().round()
        };
        // The last one is not waited for.
        assert!(
            (took(&|| {
                for number in 0..11 {
                    store.put(&format!("data/{number}"), &[&[0; 400], &[1; 600]]).unwrap();
                }
            }) - 10.0)
                .abs()
                < 0.1
        );
        assert!(
            (took(&|| {
                for number in 0..6 {
                    store.get(&format!("data/{number}")).unwrap();
                    store.get_range(&format!("data/{number}"), 0, 500).unwrap();
                }
            }) - 17.0)
                .abs()
                < 0.1
        );
    }

    #[test]
    fn a_stop_ends_the_wait_and_the_call_is_made() {
        let clock = Clock::System;
        let stop = Stop::new();
        let limits = Limits { upload: Some(1), download: None };
        let store = Throttle::new(MemoryStore::default(), limits, clock, stop.clone());
        store.put("data/a", &[&[0; 10_000]]).unwrap();
        stop.request();
        store.put("data/b", &[b"x"]).unwrap();
        assert_eq!(store.size("data/b").unwrap(), 1);
    }
}
