//! How fast the writers were, for the benches.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Throughput and latency of a stretch of time.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Acknowledged transactions.
    pub transactions: usize,
    /// Operations in them.
    pub operations: usize,
    /// Transactions rolled back on purpose.
    pub rollbacks: usize,
    /// Attempts that the server asked to repeat (deadlocks).
    pub retries: usize,
    /// Length of the stretch.
    pub elapsed: Duration,
    /// Median of the time from the first BEGIN (retries included) to the acknowledged COMMIT.
    pub p50: Duration,
    /// 99 of 100 were faster.
    pub p99: Duration,
    /// The slowest one.
    pub slowest: Duration,
}

impl Stats {
    /// Acknowledged transactions a second.
    pub fn transactions_per_second(&self) -> f64 {
        self.transactions as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Operations a second.
    pub fn operations_per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

#[derive(Debug)]
pub(crate) struct Recorder {
    inner: Mutex<Inner>,
}

#[derive(Debug, Clone, Copy)]
enum Sample {
    Committed { operations: usize, took: Duration },
    RolledBack,
    Retried,
}

#[derive(Debug)]
struct Inner {
    begun: Instant,
    lap_begun: Instant,
    lap_from: usize,
    samples: Vec<Sample>,
}

impl Recorder {
    pub(crate) fn new(now: Instant) -> Self {
        Self { inner: Mutex::new(Inner { begun: now, lap_begun: now, lap_from: 0, samples: Vec::new() }) }
    }

    /// Forgets everything so far.
    pub(crate) fn restart(&self) {
        let now = Instant::now();
        *self.locked() = Inner { begun: now, lap_begun: now, lap_from: 0, samples: Vec::new() };
    }

    pub(crate) fn committed(&self, operations: usize, took: Duration) {
        self.locked().samples.push(Sample::Committed { operations, took });
    }

    pub(crate) fn rolled_back(&self) {
        self.locked().samples.push(Sample::RolledBack);
    }

    pub(crate) fn retried(&self) {
        self.locked().samples.push(Sample::Retried);
    }

    pub(crate) fn lap(&self) -> Stats {
        let mut inner = self.locked();
        let stats = summary(&inner.samples[inner.lap_from..], inner.lap_begun.elapsed());
        inner.lap_from = inner.samples.len();
        inner.lap_begun = Instant::now();
        stats
    }

    pub(crate) fn total(&self) -> Stats {
        let inner = self.locked();
        summary(&inner.samples, inner.begun.elapsed())
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summary(samples: &[Sample], elapsed: Duration) -> Stats {
    let mut stats = Stats { elapsed, ..Stats::default() };
    let mut times = Vec::new();
    for sample in samples {
        match sample {
            Sample::Committed { operations, took } => {
                stats.transactions += 1;
                stats.operations += operations;
                times.push(*took);
            }
            Sample::RolledBack => stats.rollbacks += 1,
            Sample::Retried => stats.retries += 1,
        }
    }
    times.sort_unstable();
    let at =
        |percent: usize| times.get(times.len() * percent / 100).or(times.last()).copied().unwrap_or_default();
    Stats { p50: at(50), p99: at(99), slowest: times.last().copied().unwrap_or_default(), ..stats }
}
