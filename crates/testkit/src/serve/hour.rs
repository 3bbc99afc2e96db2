//! `grap serve` under load: a backup each minute, expire, gc and verify each five, and days that pass in between. What
//! is shown restores exactly, the memory stays flat, and the writers hardly notice.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::targets::{Inspection, backups, when_free};
use super::{Daemon, SetClock};
use crate::error::Result;
use crate::pitr::world::writers;
use crate::pitr::{Tell, World, load, require};
use crate::workload::Stats;
use crate::{Distribution, Judge, WorkloadOptions, tree};

/// Days pass like that: so far at once, so often.
const JUMP: Duration = Duration::from_hours(10);
const JUMP_EACH: Duration = Duration::from_mins(1);
const SAMPLE_EACH: Duration = Duration::from_secs(10);

const CONFIG: &str = r#"
[backup]
schedule = "* * * * *"
[expire]
schedule = "*/5 * * * *"
[gc]
schedule = "*/5 * * * *"
[verify]
schedule = "*/5 * * * *"
[retention]
days = 1
daily = 2
weekly = 0
monthly = 0
window_days = 1
"#;

#[derive(Debug, Clone, Copy)]
pub struct HourOptions {
    /// The daemon without a pause.
    pub long: Duration,
    /// Before that: so many pairs of stretches with and without it, each so long.
    pub pairs: usize,
    pub stretch: Duration,
    /// Points that are restored, each of three times.
    pub targets: usize,
    /// Operations a second of all writers; `None`: as fast as they can.
    pub pace: Option<f64>,
}

pub fn hour(
    binary: &Path,
    distribution: &Distribution,
    options: HourOptions,
    tell: Tell<'_>,
) -> Result<String> {
    let (mut world, clock) = super::start(binary, distribution)?;
    world.load(WorkloadOptions { operations_per_second: options.pace, ..writers() })?;
    let judge = Judge::start(distribution)?;
    let throughput = stretches(&world, options, tell)?;
    let daemon = Daemon::start(&world, CONFIG, options.pairs)?;
    world.await_protection("PROTECTED")?;
    let mut hour = Hour {
        daemon,
        clock,
        inspection: Inspection::new(&judge),
        memory: Vec::new(),
        seen: BTreeSet::new(),
    };
    for third in 1..=3 {
        tell(&format!("hour: third {third}"));
        hour.third(&mut world, options.long / 3)?;
        let oracle = std::sync::Arc::clone(world.workload()?.oracle());
        hour.inspection.random(&world, &oracle, options.targets, tell)?;
        verified(&world)?;
    }
    let figures = hour.ended(world, options.long)?;
    Ok(format!("hour: {throughput}\n{figures}"))
}

/// The writers with and without the daemon, in turn.
fn stretches(world: &World, options: HourOptions, tell: Tell<'_>) -> Result<String> {
    let workload = world.workload()?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut waits = Vec::new();
    for pair in 0..options.pairs {
        workload.lap();
        sleep(options.stretch);
        without.push(workload.lap());
        let begun = Instant::now();
        let daemon = Daemon::start(world, CONFIG, pair)?;
        world.await_protection("PROTECTED")?;
        waits.push(begun.elapsed());
        workload.lap();
        sleep(options.stretch);
        with.push(workload.lap());
        daemon.stop()?;
        let rates = [&without, &with].map(|laps| laps.last().map_or(0.0, Stats::operations_per_second));
        tell(&format!("hour: {:.0} operations/s without, {:.0} with; load {}", rates[0], rates[1], load()));
    }
    if options.pairs == 0 {
        return Ok("throughput was not measured".into());
    }
    let rate = |laps: &[Stats]| {
        let (operations, seconds) = laps
            .iter()
            .fold((0.0, 0.0), |(n, s), lap| (n + lap.operations as f64, s + lap.elapsed.as_secs_f64()));
        operations / seconds
    };
    let median = |laps: &[Stats], of: fn(&Stats) -> Duration| {
        let mut all: Vec<Duration> = laps.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let (slow, fast) = (rate(&with), rate(&without));
    Ok(format!(
        "writers in {} pairs of stretches of {} s: {fast:.0} operations/s without serve (transactions p50 {:?}, p99 {:?}), {slow:.0} with it (p50 {:?}, p99 {:?}): {:.1} %; protected {:?} after a start on a broken archive; load {}",
        options.pairs,
        options.stretch.as_secs(),
        median(&without, |lap| lap.p50),
        median(&without, |lap| lap.p99),
        median(&with, |lap| lap.p50),
        median(&with, |lap| lap.p99),
        slow * 100.0 / fast,
        waits.iter().max().copied().unwrap_or_default(),
        load()
    ))
}

/// The daemon that is watched.
struct Hour<'a> {
    daemon: Daemon,
    clock: SetClock,
    inspection: Inspection<'a>,
    /// MiB.
    memory: Vec<f64>,
    /// Every backup that was ever listed.
    seen: BTreeSet<String>,
}

impl Hour<'_> {
    fn third(&mut self, world: &mut World, long: Duration) -> Result<()> {
        let (begun, mut jumped) = (Instant::now(), Instant::now());
        while begun.elapsed() < long {
            sleep(SAMPLE_EACH);
            require(self.daemon.ended()?.is_none(), || format!("serve ended: {}", self.daemon.said()))?;
            self.memory.push(self.daemon.memory());
            self.seen.extend(backups(world)?);
            if jumped.elapsed() >= JUMP_EACH {
                self.clock.jump(JUMP)?;
                jumped = Instant::now();
            }
        }
        Ok(())
    }

    /// Everything is looked at once more when nobody writes, and after the daemon has ended.
    fn ended(mut self, mut world: World, long: Duration) -> Result<String> {
        let transactions = world.workload()?.stats().transactions;
        self.seen.extend(backups(&world)?);
        let left = backups(&world)?;
        let cpu = self.daemon.cpu_seconds();
        let oracle = world.rest()?;
        let contradictions = oracle.contradictions(&oracle.markers_in(world.log()?));
        require(contradictions.is_empty(), || format!("{contradictions:?}"))?;
        self.inspection.random(&world, &oracle, 3, &|_| {})?;
        let said = self.daemon.stop()?;
        world.grap.json(&["verify", "--read-data"])?;
        let size = tree::size(&world.grap.repository)? >> 20;
        let count = |what: &str| said.matches(what).count();
        let summary = format!(
            "serve for {} s (and the inspections) under load, {transactions} transactions: {} runs of backup went well, {} of expire, {} of gc, {} of verify, {} tasks failed, {} were put off; the clock set ahead by {} h in all: {} backups were made and {} are left, {size} MiB of repository\n\
             {} targets restored and judged equal ({} transactions, {} instants, on {} timelines), {} of them checked clean, {} went before they were restored; `verify --read-data` clean\n\
             memory: {}; {cpu:.1} CPU s of the daemon",
            long.as_secs(),
            count("backup: done"),
            count("expire: done"),
            count("gc: done"),
            count("verify: done"),
            count("error["),
            count("put off"),
            self.clock.ahead().as_secs() / 3600,
            self.seen.len(),
            left.len(),
            self.inspection.restored(),
            self.inspection.by_id,
            self.inspection.by_time,
            self.inspection.timelines.len(),
            self.inspection.checked,
            self.inspection.went,
            flat(&self.memory)?
        );
        Ok(summary)
    }
}

fn verified(world: &World) -> Result<()> {
    let verified = when_free(&world.grap, &["verify"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))
}

/// The last third's median against that of the middle one.
fn flat(samples: &[f64]) -> Result<String> {
    let third = samples.len() / 3;
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or(0.0)
    };
    let [first, middle, last] =
        [&samples[..third], &samples[third..2 * third], &samples[2 * third..]].map(median);
    let most = samples.iter().copied().fold(0.0, f64::max);
    let text = format!(
        "medians of the thirds {first:.1}, {middle:.1}, {last:.1} MiB, {most:.1} at most, {} samples",
        samples.len()
    );
    require(third == 0 || last <= middle * 1.15 + 2.0, || format!("it grows: {text}"))?;
    Ok(text)
}
