//! Two archivers for one source: one that was paused and wakes after a takeover, one beside a clone of the
//! database, with a state directory of its own or a copied one. The right one goes on, the others stop and say
//! who writes, nothing is mixed, and each path restores to its own data.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;

use super::kills::first_object;
use super::world::{DATABASE, writers};
use super::{Archiver, Tell, World, claim, require};
use crate::archive::{ArchiveReader, ArchivedPath};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::judge::check_natively;
use crate::oracle::Oracle;
use crate::program::Grap;
use crate::{Distribution, Judge, Server, Workload, WorkloadOptions, tree};

const REFUSED: &str = "SOURCE_MISMATCH";

pub fn owners(binary: &Path, distribution: &Distribution, tell: Tell<'_>) -> Result<String> {
    let begun = Instant::now();
    let mut world = World::start(binary, distribution)?;
    world.load(writers())?;
    let first = world.archiver()?;
    let mut reader = first_object(&world)?;
    let (base, base_end) = world.backup()?;

    let second = paused_and_woken(&world, first, &mut reader)?;
    tell("owners: the woken one stopped and said who writes");

    // A clone: the base, restored, with a server and writers of its own.
    let (data, _) = world.restore(&[&base], "clone/data")?;
    let server = Server::builder(distribution)
        .busy_logs()
        .data_directory(&data)
        .start(&world.folder.path().join("clone-home"))?;
    let clone_log = crate::LogKeeper::start(&server.transaction_logs(), &world.folder.path().join("kept-2"))?;
    let workload = Workload::start(&server, WorkloadOptions { generation: 2, ..writers() })?;
    let clone = Clone { server, workload, kept: clone_log };
    let third = refused_until_it_takes_over(&world, &clone, second)?;
    tell("owners: the clone was refused, took over, and the other one stopped");

    let oracle = world.rest()?;
    let original_log = world.log()?;
    let original = Original { oracle: &oracle, log: &original_log, base_end };
    clone_and_original_restore(&world, clone, third, &mut reader, &original, distribution)?;
    Ok(format!(
        "owners: an archiver woken after a takeover, a clone with its own and with a copied state directory, the original after the clone's takeover: each refused ({REFUSED}) or stopped, saying who writes; both paths hold their own log and restore to their own data; {:?}",
        begun.elapsed()
    ))
}

/// What is known of the database that was cloned.
struct Original<'a> {
    oracle: &'a Oracle,
    log: &'a BTreeMap<u64, Vec<u8>>,
    /// Where the clone's history leaves it.
    base_end: u64,
}

/// A clone of the database with its writers.
struct Clone {
    server: Server,
    workload: Workload,
    kept: crate::LogKeeper,
}

impl Clone {
    fn home(&self) -> String {
        self.server.home().display().to_string()
    }
}

/// Another state directory takes over while the first archiver is stopped; the first one wakes.
fn paused_and_woken(world: &World, mut first: Archiver, reader: &mut ArchiveReader) -> Result<Archiver> {
    first.signal(Signal::STOP);
    world.wait_for_rotations(2)?;
    let other = with_state(&world.grap, &world.folder.path().join("state-2"));
    let place = ["--neo4j-home", &world.home()];
    let refused = Archiver::start(&other, &place)?.refusal()?;
    require(refused == REFUSED, || format!("another state directory: {refused}"))?;
    let second = Archiver::start(&other, &[place[0], place[1], "--takeover"])?;
    let before = reader.newest()?;
    super::eventually("the takeover", std::time::Duration::from_secs(30), || {
        Ok((reader.newest()? > before).then_some(()))
    })?;
    // What the paused one has pinned it alone may give up: the log between may be lost, a base is wanted.
    other.json(&["backup", place[0], place[1]])?;
    world.wait_for(50)?;
    first.signal(Signal::CONT);
    let code = first.refusal()?;
    require(code == REFUSED, || format!("the woken one: {code}"))?;
    says_who(&first.said())?;
    // A second one beside the living one, with its state directory: not two at once.
    let busy = Archiver::start(&other, &place)?.refusal()?;
    require(busy == "JOB_RUNNING", || format!("two with one state directory: {busy}"))?;
    Ok(second)
}

fn refused_until_it_takes_over(world: &World, clone: &Clone, mut second: Archiver) -> Result<Archiver> {
    let home = clone.home();
    let fresh = with_state(&world.grap, &world.folder.path().join("state-3"));
    let copied = with_state(&world.grap, &world.folder.path().join("state-4"));
    tree::copy(&world.folder.path().join("state-2"), &copied.state)?;
    for (grap, what) in [(&fresh, "its own state"), (&copied, "a copied state")] {
        let code = Archiver::start(grap, &["--neo4j-home", &home])?.refusal()?;
        require(code == REFUSED, || format!("a clone with {what}: {code}"))?;
        let backup = grap.failure(&["backup", "--neo4j-home", &home])?;
        require(backup == REFUSED, || format!("a backup of a clone with {what}: {backup}"))?;
    }
    require(second.ended()?.is_none(), || format!("the right one ended: {}", second.said()))?;
    let third = Archiver::start(&copied, &["--neo4j-home", &home, "--takeover"])?;
    let code = second.refusal()?;
    require(code == REFUSED, || format!("the one before the clone: {code}"))?;
    says_who(&second.said())?;
    let again = with_state(&world.grap, &world.folder.path().join("state-2"));
    let code = Archiver::start(&again, &["--neo4j-home", &world.home()])?.refusal()?;
    require(code == REFUSED, || format!("the original, once more: {code}"))?;
    world.wait_for(50)?;
    Ok(third)
}

fn says_who(said: &str) -> Result<()> {
    let told = said.contains("was begun") && said.contains("on host");
    require(told, || format!("nobody is named: {said}"))
}

/// Each path holds what its own log holds, and restores to it.
fn clone_and_original_restore(
    world: &World,
    clone: Clone,
    archiver: Archiver,
    reader: &mut ArchiveReader,
    known: &Original<'_>,
    distribution: &Distribution,
) -> Result<()> {
    let Original { oracle, log, base_end } = *known;
    let (clone_oracle, _) = clone.workload.stop()?;
    archiver.stop()?;
    let clone_log = crate::logs::transactions(&[&clone.server.transaction_logs(), clone.kept.folder()])?;
    let current = reader.path(DATABASE, None)?.ok_or_else(|| Error::Claim("no path".into()))?;
    for (id, bytes) in clone_log.range(base_end..) {
        require(current.transactions.get(id) == Some(bytes), || {
            format!("transaction {id} of the clone is not on the current path")
        })?;
    }
    // The newest path of the original: that of the last run before the clone's that has transactions.
    let original = last_path_within(reader, current.run, log)?;
    let judge = Judge::start(distribution)?;
    let markers = oracle.markers_in(log.iter().map(|(id, bytes)| (*id, bytes)));
    let end = original.last();
    let timeline = original.run.to_string();
    let target = format!("tx={end}");
    let (data, _) = world.restore(&[&target, "--timeline", &timeline], "restored-original")?;
    let verdict = judge.verdict(&data, &oracle.expected_at(end, &markers), end)?;
    require(verdict.is_clean(), || format!("the original's path: {verdict}"))?;
    check_natively(&world.grap, &data)?;

    // Below the fork the clone's history is the original's.
    let of_clone = clone_oracle.markers_in(clone_log.iter().map(|(id, bytes)| (*id, bytes)));
    let shared: Graph = oracle.expected_at(base_end, &markers);
    let end = current.last();
    let expected = clone_oracle.expected_on(shared, end, &of_clone);
    let (data, _) = world.restore(&[&format!("tx={end}")], "restored-clone")?;
    let verdict = judge.verdict(&data, &expected, end)?;
    require(verdict.is_clean(), || format!("the clone's path: {verdict}"))?;
    check_natively(&world.grap, &data)
}

/// The newest path before `run` that goes beyond the fork; all of it is the original's log.
fn last_path_within(
    reader: &mut ArchiveReader,
    run: u64,
    log: &BTreeMap<u64, Vec<u8>>,
) -> Result<ArchivedPath> {
    let starts = reader.database_starts(DATABASE)?;
    for start in starts.iter().rev().filter(|start| start.run < run && !start.side) {
        let Some(path) = reader.path(DATABASE, Some(start.run))? else { continue };
        if path
            .objects
            .get(&path.last())
            .is_some_and(|object| object.contains(&format!("/{:010}/", start.run)))
        {
            let foreign = path.transactions.iter().find(|(id, bytes)| log.get(id) != Some(bytes));
            return match foreign {
                None => Ok(path),
                Some((id, _)) => {
                    claim(format!("transaction {id} of run {} is not the original's", start.run))
                }
            };
        }
    }
    claim("the original has no path")
}

fn with_state(grap: &Grap, state: &Path) -> Grap {
    let mut other = grap.clone();
    state.clone_into(&mut other.state);
    other
}
