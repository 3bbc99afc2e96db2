//! The journey at 3 a.m.: a graph is ruined by Cypher, recovered to just before it, promoted; and back again, also with both
//! containers killed in the middle. A client writes all the while.
//!
//! Two databases take turns at being live. Each acknowledged write belongs to one of them, or to both if it was there
//! already at the point that was recovered to; which one follows from when it was sent and acknowledged. In the moments of a
//! promotion itself either may have it.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::docker::{about, successful};
use super::kills::restarted;
use super::ledger::{self, Ledger, Written};
use super::place::{LIMIT, Place};
use crate::bolt::Bolt;
use crate::error::{Error, Result};
use crate::pitr::{eventually, require};

const MEMORIES: i64 = 1000;
/// What the first ledger began with is far below.
const FIRST: i64 = 1_000_000;
const MORE: usize = 20;
/// Event behind which both containers are killed, and how that may end.
pub(super) struct Moment {
    event: &'static str,
    ends: &'static [&'static str],
}

/// Before the first exchange `grap serve` calls it off; from there on it goes forwards.
const OFF: &[&str] = &["FAILED", "PROMOTED"];
const ON: &[&str] = &["PROMOTED"];
pub(super) const MOMENTS: [Moment; 10] = [
    Moment { event: "looked_again", ends: OFF },
    Moment { event: "drained", ends: OFF },
    Moment { event: "live_stopped", ends: OFF },
    Moment { event: "archive_reached", ends: OFF },
    Moment { event: "guarded", ends: OFF },
    Moment { event: "log_taken", ends: ON },
    Moment { event: "stores_swapped", ends: ON },
    Moment { event: "log_put", ends: ON },
    Moment { event: "live_started", ends: ON },
    Moment { event: "confirmed", ends: ON },
];
/// Between two exchanges.
pub(super) const IN_THE_MIDDLE: usize = 5;

pub(super) struct Journey {
    /// Of the ruined database, and of the one that was promoted in its place.
    numbers: [BTreeSet<i64>; 2],
    live: usize,
    next: i64,
    strikes: usize,
    /// What was shown last.
    pub(super) said: String,
}

pub(super) fn recovered_and_promoted(place: &Place) -> Result<Journey> {
    let bolt = place.served()?;
    bolt.run(&format!(
        "UNWIND range(1, {MEMORIES}) AS n CREATE (:Memory {{id: n}})-[:NEXT]->(:Memory {{id: -n}})"
    ))?;
    let client = Ledger::open(place, FIRST)?;
    client.wait_for(MORE)?;
    let good = Timestamp::now();
    client.wait_for(MORE)?;
    bolt.run("MATCH (n:Memory) DETACH DELETE n")?;
    bolt.run("CREATE (:Ruined)")?;
    client.wait_for(MORE)?;

    let recovered = place.grap(&["recover", "start", &format!("time={good:.3}")])?;
    require(recovered["status"] == "SUCCESS", || format!("{recovered}"))?;
    let begun = SystemTime::now();
    let promoted = place.grap(&["recover", "promote"])?;
    require(promoted["status"] == "PROMOTED", || format!("{promoted}"))?;
    let ended = SystemTime::now();
    client.go_on_at(place)?;
    client.wait_for(MORE)?;
    let written = client.close()?;
    let new = ledger::found(&place.served()?)?;

    let good = SystemTime::from(good);
    let of = |holds: &dyn Fn(SystemTime, SystemTime) -> bool| ledger::acknowledged(&written, holds);
    ledger::require_all(&of(&|_, acknowledged| acknowledged < good), &new, "from before the point")?;
    ledger::require_none(&of(&|sent, acknowledged| sent > good && acknowledged < begun), &new, "stale")?;
    ledger::require_all(&of(&|sent, _| sent > ended), &new, "from behind the promotion")?;
    let old = old_side(&written, &new, good, begun);
    let downtime = &promoted["downtime_ms"];
    let said = format!(
        "ruined, recovered to just before, promoted: nobody was served for {downtime} ms, nothing stale"
    );
    let mut journey = Journey { numbers: [old, new], live: 1, next: FIRST * 2, strikes: 0, said };
    journey.is_whole(place)?;
    journey.write(place)?;
    Ok(journey)
}

/// Everything that was acknowledged and is not in the new database only; what was there before this client began is in both.
fn old_side(written: &[Written], new: &BTreeSet<i64>, good: SystemTime, begun: SystemTime) -> BTreeSet<i64> {
    let acknowledged = written.iter().filter_map(|one| Some((one.number, one.acknowledged?)));
    let old = acknowledged.filter(|(number, at)| *at < good || *at < begun || !new.contains(number));
    old.map(|(number, _)| number).chain(new.range(..FIRST).copied()).collect()
}

impl Journey {
    /// What was written since stays where it is: in the database that goes aside.
    pub(super) fn roll_back(&mut self, place: &Place) -> Result<()> {
        place.protected()?;
        let plan = place.grap(&["recover", "rollback", "--dry-run"])?;
        require(plan["kind"] == "rollback", || format!("{plan}"))?;
        let done = place.grap(&["recover", "rollback"])?;
        require(done["status"] == "PROMOTED", || format!("{done}"))?;
        self.live = 1 - self.live;
        self.is_whole(place)?;
        self.write(place)?;
        self.said = format!(
            "rolled back: nobody was served for {} ms, what was written is there",
            done["downtime_ms"]
        );
        Ok(())
    }

    /// Both containers are killed behind an event of a rollback. They come again, and one whole database is served.
    pub(super) fn struck(&mut self, place: &Place, moment: &Moment) -> Result<()> {
        if self.strikes > 0 {
            // Of what was called off an alert is open until then.
            place.grap(&["recover", "reset"])?;
        }
        place.protected()?;
        self.write(place)?;
        let struck_at = self.strike(place, moment)?;
        let end = Self::settled(place)?;
        let is_there = moment.ends.contains(&end.as_str());
        require(is_there, || format!("struck behind {}: {end}", moment.event))?;
        if end == "PROMOTED" {
            self.live = 1 - self.live;
        }
        self.is_whole(place)?;
        self.write(place)?;
        self.said =
            format!("both containers killed at `{struck_at}` of a rollback: {end}, one whole database");
        Ok(())
    }

    /// The event that was the last one when they were killed.
    fn strike(&mut self, place: &Place, moment: &Moment) -> Result<String> {
        let containers = place.containers();
        let pids: Result<Vec<_>> =
            containers.iter().map(|container| about(container, "{{.State.Pid}}")).collect();
        let watch = format!(
            "look() {{ mapfile -t lines </state/recovery.journal; last=${{lines[-1]}}; }}; SECONDS=0; \
             until look; [[ $last == *'\"{}\"'* || $SECONDS -gt 300 ]]; do :; done; \
             kill -9 {}; look; printf '%s' \"${{last#* }}\"",
            moment.event,
            pids?.join(" ")
        );
        let mut watch = place.on_the_host(&watch);
        let watching = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let watching = watching.map_err(Error::file("run", "docker"))?;
        // The watch looks before there is anything to see.
        sleep(Duration::from_secs(3));
        let mut asked = place.spawn_grap(&["recover", "rollback"])?;
        let last = watching.wait_with_output().map_err(Error::file("wait for", "docker"))?;
        let last = successful("docker run", &["the watch"], &last)?;
        asked.wait().map_err(Error::file("wait for", "docker"))?;
        self.strikes += 1;
        for container in &containers {
            restarted(container, self.strikes)?;
        }
        let event: serde_json::Value = serde_json::from_str(&last).unwrap_or_default();
        Ok(event["event"].as_str().unwrap_or(&last).to_owned())
    }

    /// `grap serve` finishes it, or calls it off; nobody asks it to.
    fn settled(place: &Place) -> Result<String> {
        place.served()?;
        eventually("nothing is owed", LIMIT, || {
            let Ok(said) = place.grap(&["recover", "status"]) else { return Ok(None) };
            let settled = said["recovery"]["order"].is_null() && said["running"] == false;
            Ok(settled.then(|| said["status"].as_str().unwrap_or_default().to_owned()))
        })
    }

    pub(super) fn is_whole(&self, place: &Place) -> Result<()> {
        let bolt = place.served()?;
        let found = [count(&bolt, "Ruined")?, count(&bolt, "Memory")?];
        let wanted = [[1, 0], [0, 2 * MEMORIES]][self.live];
        require(found == wanted, || format!("side {}: {found:?}, not {wanted:?}", self.live))?;
        ledger::require_all(&self.numbers[self.live], &ledger::found(&bolt)?, "of the live database")?;
        let other: BTreeSet<i64> =
            self.numbers[1 - self.live].difference(&self.numbers[self.live]).copied().collect();
        ledger::require_none(&other, &ledger::found(&bolt)?, "of the other database")
    }

    fn write(&mut self, place: &Place) -> Result<()> {
        ledger::write(&place.served()?, self.next)?;
        self.numbers[self.live].insert(self.next);
        self.next += 1;
        Ok(())
    }
}

fn count(bolt: &Bolt, label: &str) -> Result<i64> {
    let rows = bolt.run(&format!("MATCH (n:{label}) RETURN count(n)"))?;
    Ok(rows.first().and_then(|row| row.int(0)).unwrap_or(-1))
}
