//! Throughput of an archiver on a backlog, restore time for log, memory, processor time.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::kills::first_object;
use super::world::{DATABASE, writers};
use super::{Tell, World, eventually, load, require};
use crate::archive::ArchiveReader;
use crate::error::{Error, Result};
use crate::{Distribution, logs, tree};

const MIB: f64 = 1024.0 * 1024.0;

/// An archiver that finds a backlog; the restore of it; and what it costs when there is nothing to do.
pub fn bench(binary: &Path, distribution: &Distribution, log_mib: usize, idle: Duration) -> Result<String> {
    let settings = [("db.tx_log.rotation.retention_policy", "keep_all"), ("db.tx_log.rotation.size", "16M")];
    let folder = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    let mut world = World::in_folder(folder, binary, distribution, &settings)?;
    world.load(writers())?;
    let archiver = world.archiver()?;
    let mut reader = first_object(&world)?;
    let (base, base_end) = world.backup()?;
    world.rest()?;
    world.caught_up(&mut reader)?;
    archiver.stop()?;

    let (bytes, transactions, seconds) = backlog(&world, log_mib)?;
    let end = last_id(&world)?;
    let begun = Instant::now();
    let archiver = world.archiver()?;
    await_object(&world, end)?;
    let caught_up = begun.elapsed().as_secs_f64();
    let memory = archiver.memory();
    let cpu = archiver.cpu_seconds();
    sleep(Duration::from_secs(5));
    let (before, from) = (archiver.cpu_seconds(), Instant::now());
    sleep(idle);
    let idle_share = (archiver.cpu_seconds() - before) / from.elapsed().as_secs_f64();
    archiver.stop()?;

    let begun = Instant::now();
    world.restore(&[&base], "restored-base")?;
    let plain = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let (data, _) = world.restore(&["latest"], "restored-latest")?;
    let replayed = begun.elapsed().as_secs_f64();
    require(tree::size(&data)? as f64 / MIB > bytes, || "the log was not restored".to_owned())?;
    let rate = |amount: f64, seconds: f64| amount / seconds.max(1e-9);
    Ok(format!(
        "| what | figure |\n|---|---|\n\
         | backlog | {bytes:.0} MiB of log, {transactions} transactions (from {base_end} on), written by the server at {:.0} MiB/s, {:.0} transactions/s |\n\
         | archiver on the backlog, from its start (key derivation included) | {caught_up:.1} s: {:.0} MiB/s, {:.0} transactions/s, {cpu:.1} CPU s, {memory:.0} MiB resident |\n\
         | restore of the base alone, of the base and the log | {plain:.1} s, {replayed:.1} s: {:.0} s a GiB of log |\n\
         | idle archiver, over {} s | {:.2} % of a core |\n\
         | load of the machine | {} |",
        rate(bytes, seconds),
        rate(transactions as f64, seconds),
        rate(bytes, caught_up),
        rate(transactions as f64, caught_up),
        rate((replayed - plain) * 1024.0, bytes),
        idle.as_secs(),
        idle_share * 100.0,
        load()
    ))
}

/// Writes so much log, quickly: MiB, transactions, seconds.
fn backlog(world: &World, log_mib: usize) -> Result<(f64, u64, f64)> {
    let size = || tree::size(&world.server.transaction_logs()).map(|bytes| bytes as f64 / MIB);
    let (before, first, begun) = (size()?, last_id(world)?, Instant::now());
    world.server.query("CREATE CONSTRAINT bulk IF NOT EXISTS FOR (n:Bulk) REQUIRE n.id IS UNIQUE")?;
    while size()? - before < log_mib as f64 {
        world.server.query(
            "UNWIND range(1, 4000) AS i CALL { WITH i CREATE (:Bulk {text: randomUUID() + reduce(t = '', x IN range(1, 40) | t + toString(rand()))}) } IN TRANSACTIONS OF 50 ROWS",
        )?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok((size()? - before, last_id(world)? - first, seconds))
}

fn last_id(world: &World) -> Result<u64> {
    let files = logs::log_files(&world.server.transaction_logs())?;
    let mut last = 0;
    for file in files.iter().rev().take(2) {
        logs::for_each_transaction(file, |id, _| last = last.max(id))?;
    }
    Ok(last)
}

/// Until an object holds this transaction. Only the newest object is read.
fn await_object(world: &World, id: u64) -> Result<()> {
    let mut reader = ArchiveReader::open(&world.grap)?;
    eventually("the end of the backlog", Duration::from_mins(5), || {
        let newest = reader.newest()?;
        let names = reader.names(newest, DATABASE)?;
        let Some(last) = names.iter().rev().find(|name| !name.contains('-')) else { return Ok(None) };
        let object = format!("grap/log/neo4j/{newest:010}/{DATABASE}/{last}");
        let bytes = reader.unsealed(&object)?;
        let first: u64 = last.parse().unwrap_or(0);
        Ok((first + crate::archive::count(&bytes)? as u64 > id).then_some(()))
    })
}

/// Memory of an archiver under load: the largest of the second half against that of the first.
pub fn memory(binary: &Path, distribution: &Distribution, long: Duration, tell: Tell<'_>) -> Result<String> {
    let mut world = World::start(binary, distribution)?;
    let archiver = world.archiver()?;
    world.load(writers())?;
    first_object(&world)?;
    let (begun, mut samples) = (Instant::now(), Vec::new());
    let mut told = 0;
    while begun.elapsed() < long {
        sleep(Duration::from_secs(2));
        samples.push(archiver.memory());
        let tenth = begun.elapsed().as_secs() * 10 / long.as_secs().max(1);
        if tenth > told {
            told = tenth;
            tell(&format!("memory: {:.1} MiB after {} s", archiver.memory(), begun.elapsed().as_secs()));
        }
    }
    world.rest()?;
    let cpu = archiver.cpu_seconds() / begun.elapsed().as_secs_f64();
    let report = archiver.stop()?;
    let (first, second) = samples.split_at(samples.len() / 2);
    let largest = |samples: &[f64]| samples.iter().copied().fold(0.0, f64::max);
    let (first, second) = (largest(first), largest(second));
    let summary = format!(
        "memory: {first:.1} MiB at most in the first half of {} s under load, {second:.1} MiB in the second; {} transactions in {} segments, {:.1} % of a core",
        long.as_secs(),
        report["transactions"],
        report["segments"],
        cpu * 100.0
    );
    require(second < first * 1.15 + 4.0, || format!("it grows: {summary}"))?;
    Ok(summary)
}
