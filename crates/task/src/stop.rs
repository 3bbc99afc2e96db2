//! The wish to stop: set once, by a signal or by a failed sibling thread; never taken back.
//!
//! Long loops call [`Stop::check`] between two units of work and sleep only in [`Stop::wait`], so that
//! a stop ends every wait at once.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The work was told to stop before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before it was done")]
pub struct Stopped;

/// A cloneable handle: every clone sees the same request.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    requested: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub fn new() -> Self {
        Self::default()
    }

    /// Ask for the stop, and wake everyone in [`Stop::wait`].
    pub fn request(&self) {
        *self.0.requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }

    pub fn requested(&self) -> bool {
        *self.0.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Err(Stopped)` once a stop was requested.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.requested() { Err(Stopped) } else { Ok(()) }
    }

    /// Sleep for `duration`, or until a stop is requested; says which (`true`: stop).
    pub fn wait(&self, duration: Duration) -> bool {
        let guard = self.0.requested.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = self
            .0
            .changed
            .wait_timeout_while(guard, duration, |requested| !*requested)
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_a_wait_of_another_thread() {
        let stop = Stop::new();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_mins(1)));
        stop.request();
        assert!(waiter.join().unwrap());
        assert_eq!(stop.check(), Err(Stopped));
    }

    #[test]
    fn a_wait_without_a_request_runs_out() {
        assert!(!Stop::new().wait(Duration::from_millis(1)));
    }
}
