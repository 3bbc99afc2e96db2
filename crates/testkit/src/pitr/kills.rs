//! The archiver is killed at random instants, over and over: nothing is lost, doubled or left behind. When it
//! stays away so long that log is lost, the gap is told, and a backup protects again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;

use super::world::{DATABASE, require_no_contradiction, writers};
use super::{Archiver, Tell, World, claim, eventually, require};
use crate::archive::{ArchiveReader, ArchivedPath};
use crate::error::Result;
use crate::{Distribution, WorkloadOptions, logs};

/// Started again within this time, a killed archiver has lost nothing: as long as a log file lives longer. A
/// checkpoint prunes a file as little as 40 ms behind its rotation, so it is the time that a file takes to fill
/// that has to be longer; what came and went while no archiver ran nobody outside can hold.
const PAUSE_MAX_MS: u64 = 300;
/// At this pace a file of 256 KiB takes more than half a second to fill.
const OPERATIONS_PER_SECOND: f64 = 150.0;

#[derive(Debug, Clone, Copy)]
pub struct KillOptions {
    /// Kills with a short pause.
    pub kills: usize,
    /// Kills with a pause in which log is lost.
    pub pauses: usize,
    /// No more of either behind this instant.
    pub until: Option<Instant>,
}

impl KillOptions {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() > until)
    }
}

pub fn kills(
    binary: &Path,
    distribution: &Distribution,
    options: KillOptions,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let mut world = World::start(binary, distribution)?;
    world.load(WorkloadOptions { operations_per_second: Some(OPERATIONS_PER_SECOND), ..writers() })?;
    let archiver = world.archiver()?;
    let mut reader = first_object(&world)?;
    world.backup()?;
    world.await_protection("PROTECTED")?;
    let (archiver, done) = short_pauses(&world, archiver, options, tell)?;
    let archived = held_against_the_log(&mut world, &mut reader)?;
    world.pins_gone()?;
    let rotations = world.newest_log()?;
    archiver.stop()?;
    let verified = world.grap.json(&["verify"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))?;
    let mut summary = format!(
        "kills: {done} times kill -9 of the archiver, restarted within {PAUSE_MAX_MS} ms: {} transactions in {} runs, each of the log's {rotations} files kept byte for byte, once; no new timeline, no pins left; {:?}",
        archived.transactions.len(),
        archived.starts.len(),
        begun.elapsed()
    );
    if options.pauses > 0 {
        world.load(WorkloadOptions { generation: 1, ..writers() })?;
        let archiver = world.archiver()?;
        world.await_protection("PROTECTED")?;
        summary += "\n";
        summary += &long_pauses(&mut world, archiver, options, &mut reader, tell)?;
    }
    Ok(summary)
}

/// A reader of the archive, as soon as there is something in it.
pub(super) fn first_object(world: &World) -> Result<ArchiveReader> {
    let mut reader = ArchiveReader::open(&world.grap)?;
    eventually("a first segment", Duration::from_secs(30), || {
        Ok(reader.path(DATABASE, None)?.filter(|path| !path.transactions.is_empty()).map(drop))
    })?;
    Ok(reader)
}

fn short_pauses(
    world: &World,
    mut archiver: Archiver,
    options: KillOptions,
    tell: Tell<'_>,
) -> Result<(Archiver, usize)> {
    let mut random = rand::rng();
    let mut done = 0;
    while done < options.kills && (done == 0 || !options.is_over()) {
        sleep(Duration::from_millis(random.random_range(0..2500)));
        if archiver.ended()?.is_some() {
            return claim(format!("an archiver ended by itself: {}", archiver.said()));
        }
        archiver.kill()?;
        let said = archiver.said();
        require(!said.contains("UNPROTECTED") || done == 0, || said.clone())?;
        sleep(Duration::from_millis(random.random_range(0..PAUSE_MAX_MS)));
        archiver = world.archiver()?;
        done += 1;
        if done % 10 == 0 {
            tell(&format!("kills: {done} of {}", options.kills));
        }
    }
    Ok((archiver, done))
}

/// The writers rest; every transaction of the log stands on the current path, which never broke.
fn held_against_the_log(world: &mut World, reader: &mut ArchiveReader) -> Result<ArchivedPath> {
    let oracle = world.rest()?;
    let path = world.caught_up(reader)?;
    let log = world.log()?;
    let differences = path.differences(&log);
    require(differences.is_empty(), || format!("{} differences: {:?}", differences.len(), &differences[0]))?;
    require(path.hole().is_none(), || format!("a hole at {:?}", path.hole()))?;
    let breaks = path.starts.iter().skip(1).filter(|start| start.broken.is_some());
    let breaks: Vec<_> = breaks.collect();
    require(breaks.is_empty(), || format!("new timelines: {breaks:?}"))?;
    let side = reader.database_starts(DATABASE)?.into_iter().find(|start| start.side);
    require(side.is_none(), || format!("a side run: {side:?}"))?;
    require_no_contradiction(&oracle, &oracle.markers_in(log))?;
    Ok(path)
}

/// Kills with a pause so long that a log file that nobody pinned is pruned.
fn long_pauses(
    world: &mut World,
    mut archiver: Archiver,
    options: KillOptions,
    reader: &mut ArchiveReader,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let mut done = 0;
    while done < options.pauses && (done == 0 || !options.is_over()) {
        archiver.kill()?;
        let newest = world.newest_log()?;
        // The file behind the newest one that could be pinned came and went.
        eventually("a lost log file", Duration::from_mins(2), || {
            let oldest = logs::versions(&world.server.transaction_logs())?.first().copied().unwrap_or(0);
            Ok((oldest > newest + 1).then_some(()))
        })?;
        archiver = world.archiver()?;
        let told = eventually("word of the gap", Duration::from_secs(30), || {
            if let Some(status) = archiver.ended()? {
                return claim(format!("{status}: {}", archiver.said()));
            }
            let said = archiver.said();
            Ok(said.contains("UNPROTECTED").then_some(said))
        })?;
        require(told.contains("new timeline"), || told.clone())?;
        world.await_protection("UNPROTECTED")?;
        world.backup()?;
        world.await_protection("PROTECTED")?;
        done += 1;
        tell(&format!("pauses: {done} of {}", options.pauses));
    }
    let oracle = world.rest()?;
    let path = world.caught_up(reader)?;
    let lost = lost_between_paths(world, reader)?;
    require_no_contradiction(&oracle, &oracle.markers_in(world.log()?))?;
    require(path.hole().is_none(), || format!("a hole at {:?} of the current path", path.hole()))?;
    let timelines = reader.database_starts(DATABASE)?.iter().filter(|start| start.parent.is_none()).count();
    require(timelines == done + 1, || format!("{done} gaps, and {timelines} timelines"))?;
    world.pins_gone()?;
    archiver.stop()?;
    let verified = world.grap.json(&["verify"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))?;
    Ok(format!(
        "pauses: {done} times killed until log was lost ({lost} transactions): each time a new timeline, UNPROTECTED on stderr and in `grap status`, PROTECTED after a backup; everything outside the gaps kept byte for byte; {:?}",
        begun.elapsed()
    ))
}

/// What no run stored lies between the end of what was stored and the begin of a timeline, and nowhere else.
fn lost_between_paths(world: &World, reader: &mut ArchiveReader) -> Result<usize> {
    let log = world.log()?;
    let mut stored = BTreeMap::new();
    let starts = reader.database_starts(DATABASE)?;
    for start in &starts {
        for (_, kept) in reader.run(start.run, DATABASE)? {
            stored.extend(kept.iter().map(|kept| (kept.id, kept.bytes.clone())));
        }
    }
    let first = stored.keys().next().copied().unwrap_or(0);
    let missing: BTreeSet<u64> =
        log.range(first..).filter(|(id, bytes)| stored.get(id) != Some(bytes)).map(|(id, _)| *id).collect();
    let roots: BTreeSet<u64> =
        starts.iter().filter(|start| start.parent.is_none()).map(|start| start.first_id).collect();
    for id in &missing {
        // Behind each stretch of lost ones a timeline begins.
        if !missing.contains(&(id + 1)) && !roots.contains(&(id + 1)) {
            return claim(format!("transaction {id} is lost, and no timeline begins behind it"));
        }
    }
    Ok(missing.len())
}
