//! What the stack costs when nobody asks anything of it.

use std::thread::sleep;
use std::time::Duration;

use super::docker::docker;
use super::place::Place;
use crate::error::Result;
use crate::pitr::Tell;

/// Time for the first backup and its verification.
const SETTLE: Duration = Duration::from_mins(1);

/// Processor time and memory of both containers, and of process 1 of each.
pub fn idle(long: Duration, tell: Tell<'_>) -> Result<String> {
    let place = Place::make()?;
    place.told_why(tell, measured(&place, long, tell))?;
    let sizes = docker(&["image", "inspect", "-f", "{{.Size}}", &place.image])?;
    place.remove()?;
    Ok(format!("idle: {} image {:.0} MB", place.engine(), sizes.parse::<f64>().unwrap_or_default() / 1e6))
}

fn measured(place: &Place, long: Duration, tell: Tell<'_>) -> Result<()> {
    place.up_from_nothing()?;
    place.protected()?;
    sleep(SETTLE);
    let before = place.containers().map(|container| usage(&container));
    sleep(long);
    for (container, before) in place.containers().iter().zip(before) {
        let (before, after) = (before?, usage(container)?);
        let process = docker(&["exec", container, "cat", "/proc/1/status"])?;
        let resident =
            process.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("RssAnon"));
        tell(&format!(
            "idle: {container}: {:.2} s of processor time in {} s; {}; process 1: {}",
            after - before,
            long.as_secs(),
            docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", container])?,
            resident.collect::<Vec<_>>().join(", ").replace('\t', " ")
        ));
    }
    Ok(())
}

/// Processor seconds of all its processes so far.
fn usage(container: &str) -> Result<f64> {
    let script = "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | \
                  { all=0; while read -r _ _ _ _ _ _ _ _ _ _ _ user system _; do all=$((all + user + system)); done; echo $all; }";
    let ticks = docker(&["exec", container, "bash", "-c", script])?;
    Ok(ticks.parse::<f64>().unwrap_or_default() / rustix::param::clock_ticks_per_second() as f64)
}
