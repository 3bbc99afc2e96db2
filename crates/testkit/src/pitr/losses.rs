//! What is lost when server and archiver die at once, and how long a commit waits for its object: both measured
//! at the clients, by the instant at which they had their acknowledgement.

use std::collections::HashSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::kills::first_object;
use super::world::{DATABASE, writers};
use super::{Spread, Tell, World, claim, eventually, load, require};
use crate::archive::ArchiveReader;
use crate::error::{Error, Result};
use crate::oracle::Oracle;
use crate::workload::{Indexes, Marker};
use crate::{Distribution, WorkloadOptions};

/// What a crash may take.
const LOSS_MAX: Duration = Duration::from_secs(1);

/// kill -9 of server and archiver together, under load: what was acknowledged and is not in the repository.
pub fn losses(
    binary: &Path,
    distribution: &Distribution,
    wanted: usize,
    until: Option<Instant>,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let mut world = World::start(binary, distribution)?;
    world.load(writers())?;
    let mut archiver = world.archiver()?;
    let mut reader = first_object(&world)?;
    let oracle = std::sync::Arc::clone(world.workload()?.oracle());
    let mut random = rand::rng();
    let (mut counts, mut ages, mut done) = (Vec::new(), Vec::new(), 0);
    while done < wanted && (done == 0 || until.is_none_or(|until| Instant::now() < until)) {
        nothing_is_missing(&oracle, &mut reader)?;
        sleep(Duration::from_millis(random.random_range(1000..4000)));
        let at = SystemTime::now();
        archiver.signal(Signal::KILL);
        kill_server(&world)?;
        archiver.kill()?;
        world.server.kill()?;
        let missing = missing(&oracle, &mut reader)?;
        let age =
            |(_, acknowledged): &(Marker, SystemTime)| at.duration_since(*acknowledged).unwrap_or_default();
        let oldest = missing.iter().map(age).max().unwrap_or_default();
        done += 1;
        tell(&format!(
            "losses: kill {done} of {wanted}: {} acknowledged and not stored, the oldest {} ms before the kill (load {})",
            missing.len(),
            oldest.as_millis(),
            load()
        ));
        counts.push(missing.len());
        ages.push(oldest);
        world.server.restart()?;
        archiver = world.archiver()?;
        world.wait_for(20)?;
    }
    nothing_is_missing(&oracle, &mut reader)?;
    world.rest()?;
    world.caught_up(&mut reader)?;
    archiver.stop()?;
    let worst = ages.iter().max().copied().unwrap_or_default();
    counts.sort_unstable();
    let summary = format!(
        "losses: {done} times kill -9 of server and archiver together under 4 writers: missing {} transactions in the median, {} at most; the oldest missing one was acknowledged {} ms before the kill at most (load {}); {:?}",
        counts[counts.len() / 2],
        counts.last().copied().unwrap_or(0),
        worst.as_millis(),
        load(),
        begun.elapsed()
    );
    if worst > LOSS_MAX { claim(summary) } else { Ok(summary) }
}

/// At the same moment as the archiver: waiting for its end comes later.
fn kill_server(world: &World) -> Result<()> {
    let pid = world.server.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    let pid = pid.ok_or_else(|| Error::Claim("the server does not run".into()))?;
    // It is ours, and not waited for: the id cannot be another's.
    let _ = kill_process(pid, Signal::KILL);
    Ok(())
}

/// Acknowledged, and in no object of any run.
fn missing(oracle: &Oracle, reader: &mut ArchiveReader) -> Result<Vec<(Marker, SystemTime)>> {
    let acknowledged = oracle.acknowledgements();
    let mut stored: HashSet<Marker> = HashSet::new();
    for start in reader.database_starts(DATABASE)? {
        let objects = reader.run(start.run, DATABASE)?;
        let transactions = objects.iter().flat_map(|(_, kept)| kept.iter());
        let markers = oracle.markers_in(transactions.map(|kept| (kept.id, &kept.bytes)));
        let found = acknowledged.iter().filter(|(marker, _)| markers.id(*marker).is_some());
        stored.extend(found.map(|(marker, _)| *marker));
    }
    Ok(acknowledged.into_iter().filter(|(marker, _)| !stored.contains(marker)).collect())
}

/// What was missing at a kill comes with the next run; nothing older than a moment is missing.
fn nothing_is_missing(oracle: &Oracle, reader: &mut ArchiveReader) -> Result<()> {
    let mut last = 0;
    let waited = eventually("every acknowledged transaction", Duration::from_secs(40), || {
        let settled = SystemTime::now() - Duration::from_secs(2);
        let missing = missing(oracle, reader)?;
        last = missing.iter().filter(|(_, at)| *at < settled).count();
        Ok((last == 0).then_some(()))
    });
    waited.or_else(|_| claim(format!("{last} acknowledged transactions never came")))
}

/// From a client's acknowledgement to the appearance of the object that holds its transaction. `load_for`: four
/// writers, as fast as they can; `lone_for`: one commit every half second.
pub fn lag(
    binary: &Path,
    distribution: &Distribution,
    load_for: Duration,
    lone_for: Duration,
) -> Result<String> {
    let busy = lag_of(binary, distribution, writers(), load_for)?;
    let lone = WorkloadOptions {
        writers: 1,
        hubs: 0,
        operations: Some(1),
        operations_per_second: Some(2.0),
        rollback_one_in: 0,
        indexes: Indexes::None,
        ..writers()
    };
    let alone = lag_of(binary, distribution, lone, lone_for)?;
    Ok(format!(
        "lag, from the client's acknowledgement to the object: under 4 writers {busy} (goal: p99 < 1000); a lone commit {alone} (goal: p50 < 50); load {}",
        load()
    ))
}

fn lag_of(
    binary: &Path,
    distribution: &Distribution,
    options: WorkloadOptions,
    long: Duration,
) -> Result<Spread> {
    let mut world = World::start(binary, distribution)?;
    let archiver = world.archiver()?;
    world.load(options)?;
    let mut reader = first_object(&world)?;
    let begun = SystemTime::now();
    sleep(long);
    let oracle = world.rest()?;
    let path = world.caught_up(&mut reader)?;
    archiver.stop()?;
    let markers = oracle.markers_in(path.transactions.iter().map(|(id, bytes)| (*id, bytes)));
    let mut lags = Vec::new();
    for (marker, acknowledged) in oracle.acknowledgements() {
        if acknowledged < begun {
            continue;
        }
        let id = markers.id(marker).ok_or_else(|| Error::Claim(format!("{marker:?} is not archived")))?;
        let appeared = reader.appeared(&path.objects[&id])?;
        // It can be there before the client has its answer.
        lags.push(appeared.duration_since(acknowledged).unwrap_or_default());
    }
    require(!lags.is_empty(), || "nothing was measured".to_owned())?;
    Ok(Spread::of(lags))
}

/// Objects at a steady rate of commits: as they come, and when merged ones have replaced their parts.
pub fn objects(
    binary: &Path,
    distribution: &Distribution,
    commits_per_second: f64,
    long: Duration,
) -> Result<String> {
    let mut world = World::start(binary, distribution)?;
    let archiver = world.archiver()?;
    let steady = WorkloadOptions {
        operations: Some(1),
        operations_per_second: Some(commits_per_second),
        rollback_one_in: 0,
        ..writers()
    };
    world.load(steady)?;
    let mut reader = first_object(&world)?;
    let before = Count::of(&mut reader)?;
    let begun = Instant::now();
    sleep(long);
    let behind = Count::of(&mut reader)?;
    let seconds = begun.elapsed().as_secs_f64();
    world.rest()?;
    archiver.stop()?;
    let day = |count: usize| count as f64 * 86_400.0 / seconds;
    let (single, merged) = (behind.single - before.single, behind.merged - before.merged);
    // A merged object replaces its parts; what is left waits for the next one.
    let parts = behind.parts - before.parts;
    let left = (single - parts.min(single)) as f64 / seconds * 86_400.0;
    let per_object = if merged > 0 { parts as f64 / merged as f64 } else { 0.0 };
    require(merged > 0, || format!("nothing was merged in {seconds:.0} s ({single} objects)"))?;
    Ok(format!(
        "objects at {commits_per_second:.0} commits a second, over {seconds:.0} s, extrapolated: {:.0} a day; merged {per_object:.0} to 1: {:.0} a day ({left:.0} of this run's singles a day were still waiting when it ended)",
        day(single),
        day(single) / per_object.max(1.0),
    ))
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    single: usize,
    merged: usize,
    /// That merged ones hold.
    parts: usize,
}

impl Count {
    fn of(reader: &mut ArchiveReader) -> Result<Self> {
        let mut count = Self::default();
        for run in 1..=reader.newest()? {
            for database in [DATABASE, "system"] {
                let names = reader.names(run, database)?;
                let singles: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
                count.single += singles.len();
                for (first, last) in names.iter().filter_map(|name| name.split_once('-')) {
                    count.merged += 1;
                    let (first, last): (u64, u64) = (first.parse().unwrap_or(0), last.parse().unwrap_or(0));
                    count.parts += singles.iter().filter(|single| (first..=last).contains(single)).count();
                }
            }
        }
        Ok(count)
    }
}
