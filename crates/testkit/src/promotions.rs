//! kill -9 of `grap recover promote` and `grap recover rollback` at the beginning, in the middle and at the end of every
//! order, on a real server that commands start and stop. Each second time somebody starts the server by hand before Grap
//! goes on; each third time it is taken back in place of that. One whole database serves each time: the one that the state
//! says, with every write that was acknowledged on it.
//!
//! Two databases take turns: a ruined one, and the one that was promoted in its place. The orders are those that were seen.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Distribution;
use crate::commanded::Commanded;
use crate::error::{Error, Result};
use crate::pitr::archiver::Archiver;
use crate::pitr::{Tell, eventually, require};
use crate::program::tx_id;

const LIMIT: Duration = Duration::from_mins(3);
/// Where in an order it is struck.
const PARTS: [f64; 3] = [0.0, 0.5, 0.95];
const ROLLBACK: [&str; 2] = ["recover", "rollback"];

/// An order, how the event before it is called, and how long it took.
#[derive(Debug)]
struct Seen {
    order: String,
    behind: &'static str,
    took: Duration,
}

/// The events that the orders of a rollback follow on.
const BEHIND: [&str; 13] = [
    "rollback_begun",
    "looked_again",
    "staged",
    "drained",
    "live_stopped",
    "archive_reached",
    "guarded",
    "log_taken",
    "stores_swapped",
    "log_put",
    "live_started",
    "confirmed",
    "retired",
];

struct Place {
    commanded: Commanded,
    /// Writes that were acknowledged, on each side.
    written: [i64; 2],
    /// Which of them is live.
    side: usize,
    kills: usize,
}

pub fn promotions(
    binary: &Path,
    distribution: &Distribution,
    until: Option<Instant>,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let mut place =
        Place { commanded: Commanded::start(binary, distribution)?, written: [0; 2], side: 0, kills: 0 };
    let archiver = Archiver::start(&place.commanded.grap, &[])?;
    let promoted = place.promote()?;
    tell(&format!("promotions: promoted, nobody was served for {} ms", promoted["downtime_ms"]));
    let orders = seen(&promoted);
    let (mut finished, mut taken_back, mut unbegun) = (0, 0, 0);
    'all: for seen in &orders {
        for part in PARTS {
            if until.is_some_and(|until| Instant::now() >= until) {
                break 'all;
            }
            let end = place.strike(seen, part)?;
            match end.as_str() {
                "PROMOTED" => finished += 1,
                "FAILED" => taken_back += 1,
                _ => unbegun += 1,
            }
            tell(&format!("promotions: {} at {:.0} %: {end}", seen.order, part * 100.0));
        }
    }
    archiver.stop()?;
    Ok(format!(
        "promotions: {} kills in {} orders: {finished} finished, {taken_back} taken back, {unbegun} had not begun or had ended; \
         one whole database each time, no acknowledged write lost, {} s",
        place.kills,
        orders.len(),
        begun.elapsed().as_secs()
    ))
}

fn seen(said: &Value) -> Vec<Seen> {
    let steps = said["recovery"]["steps"].as_array().cloned().unwrap_or_default();
    let first = steps.iter().position(|step| step["order"] == "look_again").unwrap_or(steps.len());
    let of_switch = steps[first..].iter().zip(BEHIND);
    let seen = of_switch.map(|(step, behind)| Seen {
        order: step["order"].as_str().unwrap_or_default().to_owned(),
        behind,
        took: Duration::from_millis(step["took_ms"].as_u64().unwrap_or_default()),
    });
    seen.collect()
}

impl Place {
    /// The first side is ruined; the second one takes its place.
    fn promote(&mut self) -> Result<Value> {
        let (server, grap) = (&self.commanded.server, &self.commanded.grap);
        server.query("CREATE INDEX FOR (n:Step) ON (n.n)")?;
        server.query("UNWIND range(1, 2000) AS n CREATE (:Step {n: n})-[:NEXT]->(:Step {n: -n})")?;
        server.query("CREATE (:Write {n: 0})")?;
        server.query("MATCH (n:Write) DELETE n")?;
        let backup = grap.json(&["backup"])?;
        let good = tx_id(&backup, "neo4j").unwrap_or_default();
        server.query("MATCH (n:Step) DETACH DELETE n")?;
        server.query("CREATE (:Ruined)")?;
        grap.json(&["recover", "start", &format!("tx=neo4j:{good}")])?;
        let said = grap.json(&["recover", "promote"])?;
        require(said["status"] == "PROMOTED", || format!("{said}"))?;
        self.side = 1;
        self.serves_whole()?;
        Ok(said)
    }

    /// Killed there, it goes on, or is taken back. Says how that ended.
    fn strike(&mut self, seen: &Seen, part: f64) -> Result<String> {
        self.is_protected()?;
        self.write()?;
        let before = self.commanded.last_event();
        let mut child = self.commanded.grap.spawn(&ROLLBACK)?;
        if self.commanded.run_into(&mut child, seen.behind)? {
            sleep(seen.took.mul_f64(part));
        }
        child.kill().map_err(Error::file("kill", "grap"))?;
        child.wait().map_err(Error::file("wait for", "grap"))?;
        self.kills += 1;
        if self.kills.is_multiple_of(2) {
            self.commanded.start_by_hand()?;
            sleep(Duration::from_secs(3));
        }
        let begun = self.commanded.last_event() != before;
        let status = self.commanded.grap.json(&["recover", "status"])?;
        if !begun {
            return Ok("not begun".to_owned());
        }
        let said = match status["recovery"]["order"].as_str() {
            None => status,
            Some(order) if self.kills.is_multiple_of(3) && !is_in_place(order) => {
                self.commanded.grap.json(&["recover", "cancel"])?
            }
            Some(_) => self.commanded.grap.json(&ROLLBACK)?,
        };
        let end = said["status"].as_str().unwrap_or_default().to_owned();
        match end.as_str() {
            "PROMOTED" => self.side = 1 - self.side,
            "FAILED" => {}
            _ => require(false, || format!("{said}"))?,
        }
        self.serves_whole()?;
        self.commanded.grap.json(&["recover", "reset"])?;
        Ok(end)
    }

    fn write(&mut self) -> Result<()> {
        self.commanded.server.query("CREATE (:Write {n: 1})")?;
        self.written[self.side] += 1;
        Ok(())
    }

    /// The archiver has met the database, and a base is behind it.
    fn is_protected(&self) -> Result<()> {
        self.commanded.grap.json(&["backup"])?;
        eventually("it is protected", LIMIT, || Ok(self.commanded.grap.json(&["status"]).ok().map(drop)))
    }

    fn serves_whole(&self) -> Result<()> {
        let server = &self.commanded.server;
        eventually("the server answers", LIMIT, || Ok(server.database_status("neo4j").ok()))?;
        server.await_online()?;
        let count = |label: &str| -> Result<i64> {
            let rows = server.query(&format!("MATCH (n:{label}) RETURN count(n)"))?;
            Ok(rows.first().and_then(|row| row.int(0)).unwrap_or(-1))
        };
        let found = [count("Ruined")?, count("Step")?, count("Write")?];
        let wanted = if self.side == 0 { [1, 0, self.written[0]] } else { [0, 4000, self.written[1]] };
        require(found == wanted, || format!("side {}: {found:?}, and {wanted:?} was acknowledged", self.side))
    }
}

/// From here on it is finished, and not taken back.
fn is_in_place(order: &str) -> bool {
    ["start_live", "confirm", "retire", "record_promotion", "undo", "start_old"].contains(&order)
}
