//! The storage goes away for a while, under load: the database never waits, the log stays pinned, and afterwards
//! everything is stored. Where the pins have not the room, the gap is recorded and told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::kills::first_object;
use super::world::{DATABASE, pins, require_no_contradiction, writers};
use super::{World, claim, eventually, require};
use crate::Distribution;
use crate::archive::ArchiveReader;
use crate::error::{Error, Result};

/// The directory is gone, as with a mount that went away, for so long that the server prunes what is pinned.
pub fn outage(binary: &Path, distribution: &Distribution) -> Result<String> {
    let mut world = World::start(binary, distribution)?;
    world.load(writers())?;
    let mut archiver = world.archiver()?;
    let mut reader = first_object(&world)?;
    world.backup()?;
    let before = rate(&world, Duration::from_secs(10))?;
    let away = Away::take(&world.grap.repository)?;
    let newest = world.newest_log()?;
    let during = rate(&world, Duration::from_secs(20))?;
    eventually("pruned log files", Duration::from_mins(1), || {
        let oldest = crate::logs::versions(&world.server.transaction_logs())?.first().copied().unwrap_or(0);
        Ok((oldest > newest + 1).then_some(()))
    })?;
    require(archiver.ended()?.is_none(), || format!("it gave up: {}", archiver.said()))?;
    require(archiver.said().contains("nothing can be stored"), || format!("silence: {}", archiver.said()))?;
    let held: usize = pins(&world.server.data())?.iter().map(|(_, names)| names.len()).sum();
    require(!world.grap.repository.exists(), || {
        "something was stored beside the repository that is away".to_owned()
    })?;
    away.bring_back()?;
    let oracle = world.rest()?;
    let path = world.caught_up(&mut reader)?;
    let log = world.log()?;
    let differences = path.differences(&log);
    require(differences.is_empty(), || format!("{} differences: {}", differences.len(), differences[0]))?;
    require(path.starts.iter().skip(1).all(|start| start.broken.is_none()), || {
        format!("a new timeline: {:?}", path.starts)
    })?;
    require_no_contradiction(&oracle, &oracle.markers_in(log))?;
    require(during > before / 3.0, || format!("{before:.0} tx/s before, {during:.0} while it was away"))?;
    world.pins_gone()?;
    world.await_protection("PROTECTED")?;
    archiver.stop()?;
    Ok(format!(
        "outage: the repository away under load: {before:.0} tx/s before, {during:.0} meanwhile, {held} log files pinned; afterwards everything stored, no gap, no new timeline, pins gone"
    ))
}

/// The pins' budget is a share of the file system; a small one has a small budget. (It cannot be set from
/// outside.) Needs root, for the mount.
pub fn cramped(binary: &Path, distribution: &Distribution) -> Result<String> {
    let ground = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    let Some(small) = Small::mount(ground.path(), 200)? else {
        return Ok("cramped: SKIPPED: a small file system can be mounted by root only".into());
    };
    let folder = tempfile::tempdir_in(ground.path()).map_err(Error::file("create", "a temporary folder"))?;
    let place = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    let settings = [("db.tx_log.rotation.retention_policy", "keep_none")];
    let mut world = World::in_folder(folder, binary, distribution, &settings)?;
    // The repository lies elsewhere, and so do the files that the kit keeps: they would take the room.
    let moved = place.path().join("repository");
    crate::tree::copy(&world.grap.repository, &moved)?;
    world.grap.repository = moved;
    world.keep_nothing()?;
    world.load(writers())?;
    let archiver = world.archiver()?;
    let mut reader = first_object(&world)?;
    world.backup()?;
    let away = Away::take(&world.grap.repository)?;
    let told = eventually("word of the gap", Duration::from_mins(4), || {
        world.wait_for(1)?;
        let said = archiver.said();
        Ok(said.contains("no new log file is pinned").then_some(said))
    })?;
    let newest = world.newest_log()?;
    eventually("a lost log file", Duration::from_mins(2), || {
        world.wait_for(1)?;
        let oldest = crate::logs::versions(&world.server.transaction_logs())?.first().copied().unwrap_or(0);
        Ok((oldest > newest + 1).then_some(()))
    })?;
    let gap = told.lines().find(|line| line.contains("no new log file")).unwrap_or_default().to_owned();
    away.bring_back()?;
    let begun = eventually("the new timeline", Duration::from_mins(3), || {
        let starts = reader.database_starts(DATABASE)?;
        Ok(starts.iter().skip(1).any(|start| start.parent.is_none()).then_some(()))
    });
    begun.or_else(|error| claim(format!("{error}: {}", archiver.said())))?;
    world.await_protection("UNPROTECTED")?;
    world.backup()?;
    world.await_protection("PROTECTED")?;
    world.rest()?;
    let path = world.caught_up(&mut reader)?;
    require(path.hole().is_none(), || "the current path has a hole".to_owned())?;
    held_back_is_stored(&mut reader)?;
    archiver.stop()?;
    drop(world);
    drop(small);
    Ok(format!("cramped: without room for pins the gap is told and recorded: {gap}"))
}

/// What was pinned before the budget ended is stored: the old path goes on beyond what it held, without a hole.
fn held_back_is_stored(reader: &mut ArchiveReader) -> Result<()> {
    for start in reader.database_starts(DATABASE)? {
        if let Some(path) = reader.path(DATABASE, Some(start.run))?
            && let Some(hole) = path.hole()
        {
            return claim(format!("the path of run {} has a hole at transaction {hole}", start.run));
        }
    }
    Ok(())
}

/// Acknowledged transactions a second, over so long.
pub(crate) fn rate(world: &World, long: Duration) -> Result<f64> {
    let workload = world.workload()?;
    let (before, begun) = (workload.stats().transactions, Instant::now());
    sleep(long);
    Ok((workload.stats().transactions - before) as f64 / begun.elapsed().as_secs_f64())
}

/// A directory under another name, until it is brought back.
struct Away {
    directory: PathBuf,
    aside: PathBuf,
}

impl Away {
    fn take(directory: &Path) -> Result<Self> {
        let aside = directory.with_extension("away");
        std::fs::rename(directory, &aside).map_err(Error::file("rename", directory))?;
        Ok(Self { directory: directory.to_owned(), aside })
    }

    fn bring_back(self) -> Result<()> {
        std::fs::rename(&self.aside, &self.directory).map_err(Error::file("rename", &self.aside))
    }
}

/// A file system of so many MiB, until it is dropped.
pub(crate) struct Small(PathBuf);

impl Small {
    pub(crate) fn mount(at: &Path, mib: u32) -> Result<Option<Self>> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"]).arg(at);
        let output = mount.output().map_err(Error::file("run", "mount"))?;
        Ok(output.status.success().then(|| Self(at.to_owned())))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
