//! `grap serve` is killed at random instants, over and over: what it shows at the end restores, nothing is held for
//! ever, and it goes on by itself.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;

use super::daemon::tail;
use super::judging::Judging;
use super::{Daemon, Schedules};
use crate::archive::ArchiveReader;
use crate::error::Result;
use crate::pitr::world::writers;
use crate::pitr::{Tell, World, claim, eventually, require};
use crate::{Distribution, WorkloadOptions};

#[derive(Debug, Clone, Copy)]
pub struct KillOptions {
    pub kills: usize,
    pub targets: usize,
    /// No more kills behind this instant.
    pub until: Option<Instant>,
}

/// At this pace a log file lives longer than a daemon stays away.
const OPERATIONS_PER_SECOND: f64 = 150.0;

pub fn kills(
    binary: &Path,
    distribution: &Distribution,
    options: KillOptions,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let mut world = World::start(binary, distribution)?;
    world.load(WorkloadOptions { operations_per_second: Some(OPERATIONS_PER_SECOND), ..writers() })?;
    let done = kill_over_and_over(&world, options, tell)?;
    let daemon = Daemon::start(&world, &Schedules::busy())?;
    let protected = world.await_protection("PROTECTED");
    protected.or_else(|error| claim(format!("{error}: {}", tail(&daemon.said()))))?;
    world.backup()?;
    world.grap.json(&["gc"])?;
    let oracle = world.rest()?;
    let mut reader = ArchiveReader::open(&world.grap)?;
    world.caught_up(&mut reader)?;
    world.pins_gone()?;
    daemon.stop()?;
    nothing_is_held(&world)?;
    world.server.stop()?;
    let verified = world.grap.json(&["verify", "--read-data"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))?;
    let judging = Judging::of(&world, oracle)?;
    let shown = judging.random_targets(&world.grap, options.targets, tell)?;
    let backups = judging.backups(&world.grap, 10)?;
    Ok(format!(
        "kills: {done} times kill -9 of serve at random instants: protected again by itself, no pin and no lock left, everything verified; {} random points of {shown} shown and {backups} backups restored, equal to the oracle and checked clean; {:?}",
        options.targets,
        begun.elapsed()
    ))
}

fn kill_over_and_over(world: &World, options: KillOptions, tell: Tell<'_>) -> Result<usize> {
    let mut random = rand::rng();
    let mut done = 0;
    let over = || options.until.is_some_and(|until| Instant::now() > until);
    while done < options.kills && (done == 0 || !over()) {
        let mut daemon = Daemon::start(world, &Schedules::busy())?;
        sleep(Duration::from_millis(random.random_range(0..9000)));
        if let Some(status) = daemon.ended()? {
            return claim(format!("the daemon ended with {status}: {}", tail(&daemon.said())));
        }
        daemon.kill()?;
        done += 1;
        if done % 10 == 0 {
            tell(&format!("kills: {done} of {}", options.kills));
        }
    }
    Ok(done)
}

/// Locks of the dead are found dead.
fn nothing_is_held(world: &World) -> Result<()> {
    eventually("no lock that stays", Duration::from_secs(10), || {
        let report = world.grap.json(&["unlock"])?;
        Ok((report["kept"].as_array().is_none_or(Vec::is_empty)).then_some(()))
    })
}
