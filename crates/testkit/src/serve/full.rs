//! The repository's file system fills while `grap serve` runs: the database goes on, the daemon refuses early and says
//! so; when there is room again it goes on by itself, and nothing that was shown as safe is lost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::daemon::{open_alerts, tail};
use super::judging::Judging;
use super::{Daemon, Schedules};
use crate::Distribution;
use crate::archive::ArchiveReader;
use crate::error::{Error, Result};
use crate::pitr::world::writers;
use crate::pitr::{Tell, World, claim, eventually, require};
use crate::{WorkloadOptions, tree};

/// Of the file system.
const MIB: u64 = 400;
/// What is left of it when it fills.
const LEFT_MIB: u64 = 12;
const OPERATIONS_PER_SECOND: f64 = 300.0;

pub fn full(binary: &Path, distribution: &Distribution, targets: usize, tell: Tell<'_>) -> Result<String> {
    let ground = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    let Some(small) = Small::mount(ground.path())? else {
        return Ok("full: SKIPPED: a small file system can be mounted by root only, with loop devices".into());
    };
    let mut world = World::start(binary, distribution)?;
    let moved = small.at.join("repository");
    tree::copy(&world.grap.repository, &moved)?;
    world.grap.repository = moved;
    let alerts = world.folder.path().join("alerts");
    let schedules = Schedules { alerts: Some(alerts.clone()), ..Schedules::busy() };
    world.load(WorkloadOptions { operations_per_second: Some(OPERATIONS_PER_SECOND), ..writers() })?;
    let daemon = Daemon::start(&world, &schedules)?;
    world.await_protection("PROTECTED")?;
    sleep(Duration::from_secs(20));
    let before = rate(&world, Duration::from_secs(10))?;

    let ballast = small.fill()?;
    tell(&format!("full: {} MiB are left", small.available()? >> 20));
    let filled = Instant::now();
    let told = |key: &str| {
        std::fs::read_to_string(&alerts).unwrap_or_default().contains(&format!("\"key\":\"{key}\""))
    };
    eventually("the alert for room", Duration::from_mins(3), || Ok(told("space").then_some(())))?;
    tell(&format!("full: told after {:?}", filled.elapsed()));
    eventually("a backup that is refused", Duration::from_mins(4), || {
        Ok(daemon.said().contains("BACKUP_NO_SPACE").then_some(()))
    })?;
    let during = rate(&world, Duration::from_secs(20))?;
    let open = open_alerts(&world.status()?);
    require(during > before * 0.7, || format!("{before:.0} tx/s before, {during:.0} on a full disk"))?;
    // What is shown now is promised.
    let promised = world.grap.json(&["list"])?;
    sleep(Duration::from_secs(60));

    std::fs::remove_file(&ballast).map_err(Error::file("remove", &ballast))?;
    let emptied = Instant::now();
    eventually("no alert", Duration::from_mins(12), || {
        Ok(open_alerts(&world.status()?).is_empty().then_some(()))
    })
    .or_else(|error| claim(format!("{error}: {}\n{}", world.status()?, tail(&daemon.said()))))?;
    let recovered = emptied.elapsed();
    world.await_protection("PROTECTED")?;
    let oracle = world.rest()?;
    let mut reader = ArchiveReader::open(&world.grap)?;
    world.caught_up(&mut reader)?;
    daemon.stop()?;
    world.server.stop()?;
    let verified = world.grap.json(&["verify", "--read-data"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))?;
    let listed = world.grap.json(&["list"])?.to_string();
    for row in promised["backups"].as_array().into_iter().flatten() {
        let id = row["id"].as_str().unwrap_or_default();
        require(row["status"] == "FAILED" || row["status"] == "IN_PROGRESS" || listed.contains(id), || {
            format!("{id} was shown and is gone")
        })?;
    }
    let judging = Judging::of(&world, oracle)?;
    let shown = judging.random_targets(&world.grap, targets, tell)?;
    let backups = judging.backups(&world.grap, 5)?;
    drop(judging);
    drop(world);
    drop(small);
    Ok(format!(
        "full: {before:.0} tx/s before, {during:.0} while the repository had no room ({}); free again: no alert after {} s; {targets} random points of {shown} shown and {backups} backups restored, equal to the oracle and checked clean",
        open.join(", "),
        recovered.as_secs()
    ))
}

fn rate(world: &World, long: Duration) -> Result<f64> {
    let workload = world.workload()?;
    let (before, begun) = (workload.stats().transactions, Instant::now());
    sleep(long);
    Ok((workload.stats().transactions - before) as f64 / begun.elapsed().as_secs_f64())
}

/// A small ext4 in a file, until it is dropped.
struct Small {
    at: PathBuf,
}

impl Small {
    fn mount(ground: &Path) -> Result<Option<Self>> {
        let (image, at) = (ground.join("image"), ground.join("mount"));
        std::fs::create_dir_all(&at).map_err(Error::file("create", &at))?;
        let file = std::fs::File::create(&image).map_err(Error::file("create", &image))?;
        file.set_len(MIB << 20).map_err(Error::file("size", &image))?;
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).output();
        if !made.is_ok_and(|made| made.status.success()) {
            return Ok(None);
        }
        let mounted = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at).output();
        Ok(mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self { at }))
    }

    /// Bytes.
    fn available(&self) -> Result<u64> {
        let found = rustix::fs::statvfs(&self.at).map_err(|error| Error::File {
            doing: "look at",
            path: self.at.clone(),
            source: error.into(),
        })?;
        Ok(found.f_bavail * found.f_frsize)
    }

    /// Leave a little room; the file to remove.
    fn fill(&self) -> Result<PathBuf> {
        let ballast = self.at.join("ballast");
        let room = self.available()?.saturating_sub(LEFT_MIB << 20);
        let mut file = std::fs::File::create(&ballast).map_err(Error::file("create", &ballast))?;
        let mut zeros = std::io::Read::take(std::io::repeat(0), room);
        std::io::copy(&mut zeros, &mut file).map_err(Error::file("write", &ballast))?;
        file.sync_all().map_err(Error::file("sync", &ballast))?;
        Ok(ballast)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
