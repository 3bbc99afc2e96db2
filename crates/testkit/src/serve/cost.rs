//! What the writers feel of a daemon beside them, and what it takes while nothing happens.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Daemon, Schedules};
use crate::Distribution;
use crate::error::Result;
use crate::pitr::world::writers;
use crate::pitr::{Tell, World, load, require};

/// Until the daemon has taken its first backup, and the writers have their pace.
const SETTLE: Duration = Duration::from_secs(15);

/// Writers at full speed, with and without a daemon, in turn.
pub fn cost(
    binary: &Path,
    distribution: &Distribution,
    rounds: usize,
    each: Duration,
    tell: Tell<'_>,
) -> Result<String> {
    let mut world = World::start(binary, distribution)?;
    world.load(writers())?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        sleep(SETTLE);
        without.push(rate(&world, each)?);
        let daemon = Daemon::start(&world, &Schedules::busy())?;
        world.await_protection("PROTECTED")?;
        sleep(SETTLE);
        with.push(rate(&world, each)?);
        daemon.stop()?;
        tell(&format!("cost: round {}: {:.0} without, {:.0} with", round + 1, without[round], with[round]));
    }
    world.rest()?;
    let (with, without) = (median(with), median(without));
    Ok(format!(
        "cost: {without:.0} transactions/s without a daemon, {with:.0} with (a backup each minute, expire and gc each five): {:+.1} %; medians of {rounds} stretches of {} s in turn; load {}",
        (with / without - 1.0) * 100.0,
        each.as_secs(),
        load()
    ))
}

/// A daemon that has nothing to do.
pub fn idle(binary: &Path, distribution: &Distribution, long: Duration) -> Result<String> {
    let world = World::start(binary, distribution)?;
    let daemon = Daemon::start(&world, &Schedules::nightly())?;
    world.backup()?;
    world.await_protection("PROTECTED")?;
    sleep(SETTLE);
    let (cpu, begun) = (daemon.cpu_seconds(), Instant::now());
    sleep(long);
    let share = (daemon.cpu_seconds() - cpu) * 100.0 / begun.elapsed().as_secs_f64();
    let memory = daemon.memory();
    daemon.stop()?;
    require(share < 5.0, || format!("{share:.2} % of a core while nothing happens"))?;
    Ok(format!("idle: {share:.2} % of a core, {memory:.0} MiB, over {} s; load {}", long.as_secs(), load()))
}

fn rate(world: &World, long: Duration) -> Result<f64> {
    let workload = world.workload()?;
    let (before, begun) = (workload.stats().transactions, Instant::now());
    sleep(long);
    Ok((workload.stats().transactions - before) as f64 / begun.elapsed().as_secs_f64())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}
