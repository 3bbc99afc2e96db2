//! A stop of its own for a part of the work, which is asked for when there is a reason: its time is over, the stop of the
//! whole was asked for, a file says so.

use std::io;
use std::time::Duration;

use grap_task::Stop;

/// Between two looks for a reason.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Act under a stop that is requested once `wanted` says so. It is asked before, and then again and again.
pub(crate) fn stopped_when<T>(
    name: &str,
    wanted: impl Fn() -> bool + Sync,
    act: impl FnOnce(&Stop) -> T,
) -> io::Result<T> {
    let (stop, acted) = (Stop::new(), Stop::new());
    let look = || {
        if wanted() {
            stop.request();
        }
    };
    look();
    let watch = || {
        while !acted.wait(LOOK_EVERY) {
            look();
        }
    };
    std::thread::scope(|scope| {
        let _acted = RequestOnDrop(&acted);
        let watcher = std::thread::Builder::new().name(name.to_owned());
        watcher.spawn_scoped(scope, watch)?;
        Ok(act(&stop))
    })
}

/// Ends the thread beside an act, also when the act panics: the scope waits for that thread.
pub(crate) struct RequestOnDrop<'a>(pub(crate) &'a Stop);

impl Drop for RequestOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_is_too_late_from_the_beginning_is_stopped_at_once() {
        assert!(stopped_when("test", || true, Stop::requested).unwrap());
        assert!(!stopped_when("test", || false, Stop::requested).unwrap());
    }

    #[test]
    fn a_reason_that_comes_later_ends_a_wait() {
        let over = AtomicBool::new(false);
        let wait = |stop: &Stop| {
            over.store(true, Ordering::SeqCst);
            stop.wait(Duration::from_mins(1))
        };
        assert!(stopped_when("test", || over.load(Ordering::SeqCst), wait).unwrap());
    }
}
