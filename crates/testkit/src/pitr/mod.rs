//! The campaigns that show what continuous archiving is worth: the shipped program beside real servers under
//! load, killed, paused, cut off from its storage; every claim held against the log that
//! [`LogKeeper`](crate::LogKeeper) kept and against the oracle. The long runs (bin `pitr`) and the everyday
//! tests are the same functions with other numbers.
//!
//! - [`rounds`]: any transaction and any instant of a server's life, from one base.
//! - [`losses`]: what is missing when server and archiver die at once; the lag, measured at the clients.
//! - [`kills`], [`owners`], [`outage`]: archivers that die, meet another one, lose their storage.
//! - [`figures`]: throughput, memory, processor time.

pub mod archiver;
pub mod controls;
pub mod figures;
pub mod kills;
pub mod losses;
pub mod outage;
pub mod owners;
pub mod rounds;
pub mod world;

pub use archiver::Archiver;
pub use world::World;

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Hears how a campaign gets on.
pub type Tell<'a> = &'a dyn Fn(&str);

/// What was shown is not what is claimed.
pub(crate) fn claim<T>(what: impl Display) -> Result<T> {
    Err(Error::Claim(what.to_string()))
}

pub(crate) fn require(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { claim(what()) }
}

/// Ask until the answer is there.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if begun.elapsed() > limit {
            return Err(Error::Timeout { what: what.to_owned(), waited: limit });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Median, 99th of 100, and the largest of some durations, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |percent: usize| durations.get(durations.len() * percent / 100).or(durations.last());
        let ms = |duration: Option<&Duration>| duration.map_or(0.0, |found| found.as_secs_f64() * 1e3);
        Self { count: durations.len(), p50: ms(at(50)), p99: ms(at(99)), max: ms(durations.last()) }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, p50, p99, max } = self;
        write!(f, "p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms of {count}")
    }
}

/// The load of the machine over the last minute, for figures that depend on it.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
