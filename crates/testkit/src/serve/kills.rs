//! kill -9 of the daemon at random instants, mostly while a backup, expire, gc, a hold or a deletion is under way, with
//! days that pass in between so that expire and gc have work. Nothing that is shown is lost, and nothing is held
//! for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;

use super::Daemon;
use super::targets::{Inspection, backups, when_free};
use crate::error::{Error, Result};
use crate::pitr::world::{pins, writers};
use crate::pitr::{Tell, World, claim, eventually, require};
use crate::{Distribution, Judge, WorkloadOptions};

/// An operation takes about so long on a busy machine.
const KILL_WITHIN_MS: u64 = 5000;
const PACE: f64 = 100.0;
const JUMP: Duration = Duration::from_hours(4);

const CONFIG: &str = r#"
[backup]
schedule = "* * * * *"
[expire]
schedule = "* * * * *"
[gc]
schedule = "*/2 * * * *"
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
pub struct KillOptions {
    pub kills: usize,
    /// Points that are restored at the end.
    pub targets: usize,
    pub until: Option<Instant>,
}

pub fn kills(
    binary: &Path,
    distribution: &Distribution,
    options: KillOptions,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let (mut world, mut clock) = super::start(binary, distribution)?;
    world.load(WorkloadOptions { operations_per_second: Some(PACE), ..writers() })?;
    let mut daemon = Daemon::start(&world, CONFIG, 0)?;
    world.await_protection("PROTECTED")?;
    let mut hit = BTreeMap::new();
    let (mut done, mut kept) = (0, BTreeSet::new());
    while done < options.kills && (done == 0 || options.until.is_none_or(|until| Instant::now() < until)) {
        let what = killed(&world, &mut daemon)?;
        *hit.entry(what).or_insert(0) += 1;
        done += 1;
        if done % 3 == 0 {
            clock.jump(JUMP)?;
        }
        daemon = Daemon::start(&world, CONFIG, done)?;
        kept.extend(held(&world)?);
        if done % 10 == 0 {
            tell(&format!("kills: {done} of {}; {hit:?}", options.kills));
        }
    }
    nothing_is_locked(&world, daemon, done + 1)?;
    let there = backups(&world)?;
    require(kept.iter().all(|id| there.contains(id)), || format!("held were {kept:?}, there are {there:?}"))?;
    let deleted = deleted(&world)?;
    let judged = intact(world, distribution, options.targets, tell)?;
    Ok(format!(
        "kills: {done} times kill -9 of serve, started again at once, the clock set ahead by {} h meanwhile; under way were {hit:?}; afterwards backup, expire and gc work at once, with and without a daemon, no pins left; {deleted} left no trace that verify finds; {} held backups are there; {judged}; {:?}",
        clock.ahead().as_secs() / 3600,
        kept.len(),
        begun.elapsed()
    ))
}

/// What is to be under way at the kill; nothing: whatever the schedule does.
fn work(world: &World) -> Result<Vec<String>> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    Ok(match rand::rng().random_range(0..8) {
        0 => Vec::new(),
        1 => words("backup"),
        2 => words("backup --read-limit 2MiB"),
        3 | 4 => words("expire"),
        5 => words("gc"),
        6 => words("hold latest --reason kept"),
        _ => words(&format!("delete {}", backups(world)?.first().map_or("none", String::as_str))),
    })
}

/// Lets it begin something, most times, and kills it. What was under way.
fn killed(world: &World, daemon: &mut Daemon) -> Result<String> {
    let work = work(world)?;
    let arguments: Vec<&str> = work.iter().map(String::as_str).collect();
    let child = if work.is_empty() { None } else { Some(world.grap.spawn(&arguments)?) };
    if child.is_some() {
        let asked = eventually("word of what was asked for", Duration::from_secs(20), || {
            Ok(daemon.said().contains("asked for by a client").then_some(()))
        });
        asked.or_else(|error| claim(format!("{error}: {}", daemon.said())))?;
    }
    sleep(Duration::from_millis(rand::rng().random_range(0..KILL_WITHIN_MS)));
    if daemon.ended()?.is_some() {
        return claim(format!("serve ended by itself: {}", daemon.said()));
    }
    let said = daemon.said();
    require(!said.contains("panicked"), || said.clone())?;
    daemon.kill()?;
    let finished = child.map(ended).transpose()?.unwrap_or(true);
    let name = work.first().map_or("nothing asked for", String::as_str);
    Ok(if finished { format!("{name} (over)") } else { name.to_owned() })
}

/// A client whose daemon dies ends, too; whether its work was done.
fn ended(mut child: Child) -> Result<bool> {
    let status = eventually("the end of a client", Duration::from_secs(20), || {
        child.try_wait().map_err(Error::file("wait for", "grap"))
    });
    if status.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    status.map(|status| status.success())
}

/// Commands work at once: through a daemon after all those kills, and by hand when that one is killed, too.
fn nothing_is_locked(world: &World, mut daemon: Daemon, number: usize) -> Result<()> {
    let home = world.home();
    world.await_protection("PROTECTED")?;
    for arguments in [vec!["backup"], vec!["expire"], vec!["gc"]] {
        at_once(world, &arguments)?;
    }
    daemon.kill()?;
    for arguments in [vec!["backup", "--neo4j-home", &home], vec!["expire"], vec!["gc"]] {
        world.grap.json(&arguments)?;
    }
    let daemon = Daemon::start(world, CONFIG, number)?;
    world.await_protection("PROTECTED")?;
    daemon.stop()?;
    let left = backup_pins(world);
    require(left == 0, || format!("{left} folders of pins of backups are left"))?;
    let left = pins(&world.server.data())?;
    require(left.iter().filter(|(_, names)| !names.is_empty()).count() <= 2, || {
        format!("pins are left: {left:?}")
    })
}

/// The daemon's own tasks may be at work: these are waited for, and nothing else is.
fn at_once(world: &World, arguments: &[&str]) -> Result<()> {
    for _ in 0..60 {
        match world.grap.json(arguments) {
            Err(Error::Program { said, .. })
                if said.contains("is running")
                    || said.contains("JOB_RUNNING")
                    || said.contains("REPOSITORY_LOCKED") =>
            {
                sleep(Duration::from_secs(1));
            }
            answer => return answer.map(drop),
        }
    }
    claim(format!("{arguments:?} is refused for a minute"))
}

/// Backups with an open hold.
fn held(world: &World) -> Result<Vec<String>> {
    let list = when_free(&world.grap, &["list"])?;
    let rows = list["backups"].as_array().cloned().unwrap_or_default();
    let held = rows.iter().filter(|row| row["held"] == true);
    Ok(held.filter_map(|row| row["id"].as_str().map(str::to_owned)).collect())
}

/// What the daemons' logs say that expire and gc deleted.
fn deleted(world: &World) -> Result<String> {
    let folder = world.folder.path();
    let entries = std::fs::read_dir(folder).map_err(Error::file("list", folder))?.flatten();
    let logs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("serve-"));
    let said: String = logs.filter_map(|log| std::fs::read_to_string(log.path()).ok()).collect();
    let before = |line: &str, word: &str| {
        line.split(word).next().and_then(|head| head.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let sum = |mark: &str, word: &str| -> u64 {
        said.lines().filter(|line| line.contains(mark)).map(|line| before(line, word)).sum()
    };
    Ok(format!(
        "{} backups, {} segments and {} packs deleted",
        sum(" deleted in ", " backups and "),
        sum(" deleted in ", " segments ("),
        sum(" packs deleted, ", " packs deleted, ")
    ))
}

fn backup_pins(world: &World) -> usize {
    let place = world.server.data().join(".grap/pins");
    let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("backup-")).count()
}

fn intact(mut world: World, distribution: &Distribution, targets: usize, tell: Tell<'_>) -> Result<String> {
    let oracle = world.rest()?;
    let contradictions = oracle.contradictions(&oracle.markers_in(world.log()?));
    require(contradictions.is_empty(), || format!("{contradictions:?}"))?;
    let judge = Judge::start(distribution)?;
    let mut inspection = Inspection::new(&judge);
    inspection.random(&world, &oracle, targets, tell)?;
    let verified = when_free(&world.grap, &["verify", "--read-data"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))?;
    Ok(format!(
        "{} targets on {} timelines restored and judged equal, {} checked clean; `verify --read-data` clean",
        inspection.restored(),
        inspection.timelines.len(),
        inspection.checked
    ))
}
