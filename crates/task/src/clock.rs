//! Two readings of time. The wall clock names instants and may step; the boot clock measures
//! durations, never steps back, and goes on while the machine sleeps (`CLOCK_BOOTTIME`), so that a
//! machine that slept knows that it did not refresh its locks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::Stop;

/// The system's clock, or one that a test moves.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The wall clock, UTC.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Manual(manual) => manual.read().0,
        }
    }

    /// Time since boot, sleep included.
    pub fn since_boot(&self) -> Duration {
        match self {
            Self::System => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
                Duration::new(seconds, nanos)
            }
            Self::Manual(manual) => manual.read().1,
        }
    }
}

impl Clock {
    /// Let `duration` go by, or a stop come; says which (`true`: stop). A manual clock goes on by it at once.
    pub fn wait(&self, duration: Duration, stop: &Stop) -> bool {
        match self {
            Self::System => stop.wait(duration),
            Self::Manual(manual) => {
                manual.advance(duration);
                stop.requested()
            }
        }
    }
}

/// A clock that stands still until it is told to move, or waited on.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<(Timestamp, Duration)>>);

impl ManualClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new((now, Duration::from_secs(1000)))))
    }

    /// Both clocks go on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let mut time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        time.0 += duration;
        time.1 += duration;
    }

    /// The wall clock alone steps, as when it is set.
    pub fn step_wall(&self, to: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = to;
    }

    fn read(&self) -> (Timestamp, Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
