//! `grap serve` under load: a backup each minute, expire, gc and a copy each five, backups deleted by hand in between;
//! then random points of what it shows, from both repositories.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;

use super::daemon::{open_alerts, tail, task};
use super::judging::Judging;
use super::{Daemon, Schedules};
use crate::archive::ArchiveReader;
use crate::error::{Error, Result};
use crate::pitr::world::writers;
use crate::pitr::{Tell, World, claim, load, require};
use crate::program::Grap;
use crate::{Distribution, WorkloadOptions};

#[derive(Debug, Clone, Copy)]
pub struct HourOptions {
    pub long: Duration,
    pub targets: usize,
    /// Of the writers, together.
    pub operations_per_second: f64,
}

pub fn hour(
    binary: &Path,
    distribution: &Distribution,
    options: HourOptions,
    tell: Tell<'_>,
) -> Result<String> {
    let mut world = World::start(binary, distribution)?;
    let second = second_repository(binary, &world)?;
    let alerts = world.folder.path().join("alerts");
    let schedules = Schedules {
        copy: Some((second.repository.clone(), second.password_file.clone(), "*/5 * * * *")),
        alerts: Some(alerts.clone()),
        ..Schedules::busy()
    };
    world
        .load(WorkloadOptions { operations_per_second: Some(options.operations_per_second), ..writers() })?;
    let mut daemon = Daemon::start(&world, &schedules)?;
    world.await_protection("PROTECTED")?;
    let life = live(&world, &mut daemon, options.long, tell)?;
    let oracle = world.rest()?;
    let mut reader = ArchiveReader::open(&world.grap)?;
    world.caught_up(&mut reader)?;
    let status = world.status()?;
    let runs = ["backup", "expire", "gc", "copy"].map(|name| {
        let failures = task(&status, name).map(|task| task["failures"].clone()).unwrap_or_default();
        format!("{name} {failures}")
    });
    require(open_alerts(&status).is_empty(), || format!("alerts at the end: {status}"))?;
    world.grap.json(&["copy", "--to", &second.repository.display().to_string()])?;
    let cpu = daemon.cpu_seconds();
    daemon.stop()?;
    world.server.stop()?;
    let verified = world.grap.json(&["verify", "--read-data"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))?;
    let judging = Judging::of(&world, oracle)?;
    let shown = judging.random_targets(&world.grap, options.targets, tell)?;
    let backups = judging.backups(&world.grap, 5)?;
    judging.random_targets(&second, (options.targets / 4).max(1), tell)?;
    let told = std::fs::read_to_string(&alerts).unwrap_or_default();
    Ok(format!(
        "hour: {} s under load: {life}; {:.1} % of a core; failures in a row at the end: {}; {} alerts on the way; {} random points of {shown} shown, {backups} backups, and {} points of the copy restored, equal to the oracle and checked clean; load {}",
        options.long.as_secs(),
        cpu * 100.0 / options.long.as_secs_f64(),
        runs.join(", "),
        told.lines().filter(|line| line.contains("\"raised\"")).count(),
        options.targets,
        (options.targets / 4).max(1),
        load()
    ))
}

fn second_repository(binary: &Path, world: &World) -> Result<Grap> {
    let folder = world.folder.path().join("second");
    std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    Grap::initialised(binary, &folder)
}

/// The time goes by: memory is looked at, and now and then a backup is deleted, so that there is something for gc.
fn live(world: &World, daemon: &mut Daemon, long: Duration, tell: Tell<'_>) -> Result<String> {
    let (begun, before) = (Instant::now(), world.workload()?.stats().transactions);
    let (mut samples, mut deleted, mut minute) = (Vec::new(), 0, 0);
    while begun.elapsed() < long {
        sleep(Duration::from_secs(2));
        if let Some(status) = daemon.ended()? {
            return claim(format!("the daemon ended with {status}: {}", tail(&daemon.said())));
        }
        samples.push(daemon.memory());
        let now = begun.elapsed().as_secs() / 60;
        if now > minute {
            minute = now;
            deleted += usize::from(minute % 3 == 0 && delete_one(world)?);
            let rate =
                (world.workload()?.stats().transactions - before) as f64 / begun.elapsed().as_secs_f64();
            tell(&format!(
                "hour: minute {minute}: {:.0} MiB, {rate:.0} transactions/s, {deleted} backups deleted",
                samples.last().copied().unwrap_or(0.0)
            ));
        }
    }
    let (first, second) = samples.split_at(samples.len() / 2);
    let largest = |samples: &[f64]| samples.iter().copied().fold(0.0, f64::max);
    let (first, second) = (largest(first), largest(second));
    let transactions = world.workload()?.stats().transactions - before;
    let summary = format!(
        "{transactions} transactions, {deleted} backups deleted by hand, {first:.0} MiB at most in the first half, {second:.0} in the second"
    );
    require(second < first * 1.15 + 8.0, || format!("it grows: {summary}"))?;
    Ok(summary)
}

/// One that the window does not need; false: there is none that may go now.
fn delete_one(world: &World) -> Result<bool> {
    let list = world.grap.json(&["list"])?;
    let rows = list["backups"].as_array().cloned().unwrap_or_default();
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    let inner = ids.get(1..ids.len().saturating_sub(2)).unwrap_or_default();
    let Some(id) = inner.choose(&mut rand::rng()) else { return Ok(false) };
    Ok(world.grap.json(&["delete", id]).is_ok())
}
