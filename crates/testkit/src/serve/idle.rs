//! What the daemon costs when there is nothing to do.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Daemon;
use crate::Distribution;
use crate::error::Result;
use crate::pitr::{World, load};

/// The default schedules, and none of them due.
const CONFIG: &str = "[schedule]\ntimezone = \"UTC\"\n";
const SETTLED: Duration = Duration::from_secs(15);

pub fn idle(binary: &Path, distribution: &Distribution, long: Duration) -> Result<String> {
    let world = World::start(binary, distribution)?;
    world.backup()?;
    let daemon = Daemon::start(&world, CONFIG, 0)?;
    world.await_protection("PROTECTED")?;
    sleep(SETTLED);
    let (before, begun) = (daemon.cpu_seconds(), Instant::now());
    sleep(long);
    let share = (daemon.cpu_seconds() - before) / begun.elapsed().as_secs_f64();
    let memory = daemon.memory();
    daemon.stop()?;
    Ok(format!(
        "idle: {:.2} % of a core and {memory:.1} MiB over {} s, beside an idle server; load {}",
        share * 100.0,
        long.as_secs(),
        load()
    ))
}
