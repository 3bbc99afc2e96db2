//! From `grap recover start` to PROMOTED, by step, and for how long nobody is served: seen by a client that asks all the
//! time, beside a restart of the same server by the same commands, in the same run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use grap_testkit::commanded::Commanded;
use grap_testkit::data::big_store;
use grap_testkit::pitr::archiver::Archiver;
use grap_testkit::pitr::{eventually, load};
use grap_testkit::program::tx_id;
use grap_testkit::tree;
use serde_json::Value;

use super::{MIB, Result, Subject};

/// Behind the backup, before the graph is ruined: what the archive alone has.
const WRITES: u64 = 50;
const LIMIT: Duration = Duration::from_mins(2);

/// One promotion.
struct Round {
    restart: Duration,
    outage: Duration,
    whole: Duration,
    said: Value,
}

pub(crate) fn promotions(subject: Subject<'_>) -> Result<()> {
    let store = big_store(subject.distribution, subject.options)?;
    let place = Commanded::start_on(subject.binary, subject.distribution, Some(&store))?;
    let archiver = Archiver::start(&place.grap, &[])?;
    let mut rounds = (0..subject.rounds.max(1)).map(|_| Round::of(&place)).collect::<Result<Vec<_>>>()?;
    archiver.stop()?;
    rounds.sort_by_key(|round| round.whole);
    let size = tree::size(&place.server.data().join("databases/neo4j"))? as f64 / MIB;
    println!("\n## a promotion of {}: {size:.0} MiB of stores; load {}\n", subject.name, load());
    rounds[rounds.len() / 2].print();
    Ok(())
}

impl Round {
    fn of(place: &Commanded) -> Result<Self> {
        let (server, grap) = (&place.server, &place.grap);
        // To the mark that an import leaves no log can be joined: a write comes first.
        server.query("CREATE (:Imported)")?;
        let backup = grap.json(&["backup"])?;
        for _ in 0..WRITES {
            server.query("CREATE (:Imported)")?;
        }
        let target = format!("tx=neo4j:{}", tx_id(&backup, "neo4j").unwrap_or_default() + WRITES);
        server.query("MATCH (n:Imported) WITH n LIMIT 1000 DETACH DELETE n")?;
        eventually("the archive reaches the target", LIMIT, || {
            Ok(grap.json(&["restore", &target, "--to", "/nowhere", "--dry-run"]).ok())
        })?;
        let ((), restart) = outage(place, || Ok(place.restart_by_hand()?))?;
        let begun = Instant::now();
        grap.json(&["recover", "start", &target])?;
        let validated = begun.elapsed();
        let begun = Instant::now();
        let ((said, promoted), outage) = outage(place, || {
            let said = grap.json(&["recover", "promote"])?;
            Ok((said, begun.elapsed()))
        })?;
        if said["status"] != "PROMOTED" {
            return Err(format!("it was not promoted: {said}").into());
        }
        grap.json(&["recover", "reset"])?;
        Ok(Self { restart, outage, whole: validated + promoted, said })
    }

    fn print(&self) {
        println!("| step | s |\n|---|---|");
        for step in self.said["recovery"]["steps"].as_array().into_iter().flatten() {
            let took = step["took_ms"].as_f64().unwrap_or_default() / 1e3;
            println!("| {} | {took:.2} |", step["order"].as_str().unwrap_or_default());
        }
        println!("| recover start to PROMOTED, both commands | {:.2} |", self.whole.as_secs_f64());
        let (outage, restart) = (self.outage.as_secs_f64(), self.restart.as_secs_f64());
        let own = self.said["downtime_ms"].as_f64().unwrap_or_default() / 1e3;
        println!(
            "\nnobody was served for {outage:.2} s, as a client saw it ({own:.2} s by Grap's own count); a restart by the same \
             commands: {restart:.2} s; more than that: {:.2} s (asked: 2.0)",
            outage - restart
        );
    }
}

/// The longest time within which no query was answered, while this is done.
fn outage<T>(place: &Commanded, act: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let (asks, ended) = (place.server.bolt(), AtomicBool::new(false));
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            loop {
                let is_last = ended.load(Ordering::Relaxed);
                if asks.run("MATCH (n) RETURN n LIMIT 1").is_ok() {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    // Only an answer ends it: what is not served yet is part of the outage.
                    if is_last {
                        return longest;
                    }
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let done = act();
        ended.store(true, Ordering::Relaxed);
        let longest = client.join().map_err(|_| "the client has panicked")?;
        Ok((done?, longest))
    })
}
