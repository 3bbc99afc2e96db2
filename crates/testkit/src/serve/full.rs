//! The file system of the repository fills while the daemon runs. The database goes on, the daemon says so early and
//! refuses backups, and when there is room again it recovers by itself; nothing that was shown is lost. Needs root, for
//! the loop device.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Daemon;
use super::targets::{Inspection, Target, choose, shown, when_free};
use crate::error::{Error, Result};
use crate::pitr::outage::rate;
use crate::pitr::world::writers;
use crate::pitr::{Tell, World, claim, eventually, require};
use crate::program::last_json;
use crate::{Distribution, Judge, WorkloadOptions, tree};

const PACE: f64 = 300.0;

pub fn full(binary: &Path, distribution: &Distribution, mib: u64, tell: Tell<'_>) -> Result<String> {
    let mut world = World::start(binary, distribution)?;
    let ground = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    let image = world.folder.path().join("image");
    let Some(small) = Small::mount(&image, ground.path(), mib)? else {
        return Ok("full: SKIPPED: a small file system can be mounted by root only".into());
    };
    let moved = ground.path().join("repository");
    tree::copy(&world.grap.repository, &moved)?;
    world.grap.repository = moved;
    world.load(WorkloadOptions { operations_per_second: Some(PACE), ..writers() })?;
    let events = world.folder.path().join("alerts");
    let daemon = Daemon::start(&world, &config(&events), 0)?;
    world.await_protection("PROTECTED")?;
    world.wait_for(100)?;
    let before = rate(&world, Duration::from_secs(20))?;
    let kept = three(&world)?;

    let ballast = Ballast::fill(ground.path(), 15)?;
    let warned = raised(&events, "space", Duration::from_secs(100))?;
    tell(&format!("full: {warned}"));
    ballast.rest()?;
    let during = told_while_full(&world, &daemon, (&events, &ballast), tell)?;
    require(during.rate > before / 2.0, || {
        format!("{before:.0} tx/s before, {:.0} on a full disk", during.rate)
    })?;

    let begun = Instant::now();
    ballast.remove()?;
    recovered(&world, &daemon, &events)?;
    let took = begun.elapsed();
    let oracle = world.rest()?;
    world.await_protection("PROTECTED")?;
    let judge = Judge::start(distribution)?;
    let mut inspection = Inspection::new(&judge);
    let log = world.log()?;
    for target in &kept {
        require(inspection.judged(&world, &oracle, &log, target)?, || format!("{target:?} was shown"))?;
    }
    inspection.random(&world, &oracle, 3, tell)?;
    daemon.stop()?;
    let verified = when_free(&world.grap, &["verify", "--read-data"])?;
    require(verified["ok"] == true, || format!("verify: {verified}"))?;
    let gaps = shown(&world.grap)?.len();
    drop(small);
    Ok(format!(
        "full: the repository's file system of {mib} MiB full under load: told early ({warned}); {before:.0} tx/s before, {:.0} while full; backup refused ({}), status {}, gc: {}, alerts {}; {:.0} s after there was room again everything was archived, a backup had passed and every alert was over, in {gaps} windows; 3 points shown before and 3 others restored and judged equal, `verify --read-data` clean",
        during.rate,
        during.refused,
        during.status,
        during.gc,
        during.alerts.join(", "),
        took.as_secs_f64(),
    ))
}

fn config(events: &Path) -> String {
    format!(
        "[backup]\nschedule = \"* * * * *\"\n[expire]\nschedule = \"*/5 * * * *\"\n[gc]\nschedule = \"*/5 * * * *\"\n[archive]\nlag_max_s = 5\n[alert]\nexec = \"cat >> {0}; echo >> {0}\"\n",
        events.display()
    )
}

/// Points that are shown now.
fn three(world: &World) -> Result<Vec<Target>> {
    let (spans, log) = (shown(&world.grap)?, world.log()?);
    (0..3).map(|_| choose(&spans, &log)).collect()
}

struct WhileFull {
    rate: f64,
    refused: String,
    status: i32,
    gc: String,
    alerts: Vec<String>,
}

fn told_while_full(
    world: &World,
    daemon: &Daemon,
    (events, ballast): (&Path, &Ballast),
    tell: Tell<'_>,
) -> Result<WhileFull> {
    let critical = eventually("a critical alert", Duration::from_mins(3), || {
        let open = open_alerts(events);
        let critical = open.iter().any(|event| event["level"] == "critical" && event["key"] != "task.backup");
        Ok((critical && open.iter().any(|event| event["key"] == "task.backup")).then_some(open))
    });
    let critical =
        critical.or_else(|error| claim(format!("{error}: {:?}; {}", open_alerts(events), daemon.said())))?;
    tell(&format!("full: {} alerts are open", critical.len()));
    let rate = rate(world, Duration::from_secs(20))?;
    let refused = refused(world, ballast)?;
    let output = world.grap.run(&["status", "--neo4j-home", &world.home()])?;
    let status = output.status.code().unwrap_or(-1);
    require(status != 0, || "status says that all is well on a full disk".into())?;
    let gc = match world.grap.json(&["gc"]) {
        Ok(report) => format!("passed, {} bytes freed", report["bytes_deleted"]),
        Err(Error::Program { said, .. }) => said.lines().last().unwrap_or_default().to_owned(),
        Err(error) => return Err(error),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = |event: &Value| format!("{} ({})", text(&event["key"]), text(&event["level"]));
    let alerts = open_alerts(events).iter().map(named).collect();
    Ok(WhileFull { rate, refused, status, gc, alerts })
}

/// The code with which a backup by hand is refused. One of the schedule may run just now; and a scheduled expire or gc
/// releases the reserve, which is room for one backup: that is taken, too.
fn refused(world: &World, ballast: &Ballast) -> Result<String> {
    eventually("a backup that is refused", Duration::from_mins(1), || {
        let output = world.grap.run(&["--json", "backup"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code =
            last_json(&output.stderr).and_then(|last| last["error"]["code"].as_str().map(str::to_owned));
        match code.as_deref() {
            None if output.status.success() => ballast.rest()?,
            Some("BACKUP_NO_SPACE") => return Ok(code),
            Some("JOB_RUNNING" | "REPOSITORY_LOCKED") => {}
            _ => return claim(format!("a backup on a full disk: {said}")),
        }
        Ok(None)
    })
}

/// By itself: everything archived, a backup made, every alert over.
fn recovered(world: &World, daemon: &Daemon, events: &Path) -> Result<()> {
    world.await_protection("PROTECTED")?;
    let over = eventually("the all-clear", Duration::from_mins(5), || {
        Ok(open_alerts(events).is_empty().then_some(()))
    });
    over.or_else(|error| claim(format!("{error}: {:?}; {}", open_alerts(events), daemon.said())))
}

/// What was raised and is not over, by the hook's file.
fn open_alerts(events: &Path) -> Vec<Value> {
    let text = fs::read_to_string(events).unwrap_or_default();
    let mut open: Vec<Value> = Vec::new();
    for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        open.retain(|known| known["key"] != event["key"]);
        if event["event"] != "cleared" {
            open.push(event);
        }
    }
    open
}

fn raised(events: &Path, key: &str, limit: Duration) -> Result<String> {
    eventually(&format!("an alert {key}"), limit, || {
        let open = open_alerts(events);
        let found = open.iter().find(|event| event["key"] == key);
        Ok(found.map(|event| event["message"].as_str().unwrap_or_default().to_owned()))
    })
}

/// What takes the room.
pub(crate) struct Ballast(PathBuf);

impl Ballast {
    /// Leaves so many in a hundred free.
    pub(crate) fn fill(ground: &Path, percent: u64) -> Result<Self> {
        let ballast = Self(ground.join("ballast"));
        let (free, all) = room(ground)?;
        let leave = all * percent / 100;
        let length = usize::try_from(free.saturating_sub(leave)).unwrap_or(0);
        fs::write(&ballast.0, vec![7; length]).map_err(Error::file("write", &ballast.0))?;
        Ok(ballast)
    }

    /// Until nothing is left.
    pub(crate) fn rest(&self) -> Result<()> {
        let mut file = File::options().append(true).open(&self.0).map_err(Error::file("open", &self.0))?;
        for length in [1 << 20, 1 << 16, 4096] {
            while file.write_all(&vec![7; length]).is_ok() {}
        }
        let left = room(&self.0)?.0;
        require(left < 1 << 16, || format!("{left} bytes are left"))
    }

    pub(crate) fn remove(&self) -> Result<()> {
        fs::remove_file(&self.0).map_err(Error::file("remove", &self.0))
    }
}

/// Bytes that are free for a user, and all.
fn room(place: &Path) -> Result<(u64, u64)> {
    let found = rustix::fs::statvfs(place).map_err(|error| Error::file("measure", place)(error.into()))?;
    Ok((found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize))
}

/// A file system of its own, until it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(image: &Path, at: &Path, mib: u64) -> Result<Option<Self>> {
        let file = File::create(image).map_err(Error::file("create", image))?;
        file.set_len(mib << 20).map_err(Error::file("grow", image))?;
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let output =
                Command::new(program).args(arguments).output().map_err(Error::file("run", program))?;
            Ok::<bool, Error>(output.status.success())
        };
        // Nothing is kept back for root, who would not notice that it is full.
        let made = run("mkfs.ext4", &["-q".as_ref(), "-m".as_ref(), "0".as_ref(), image.as_os_str()])?;
        let mounted =
            made && run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_os_str(), at.as_os_str()])?;
        Ok(mounted.then(|| Self(at.to_owned())))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
