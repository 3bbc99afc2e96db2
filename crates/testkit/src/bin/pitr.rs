//! What continuous archiving and point-in-time recovery are worth, shown with the shipped release binary on
//! live servers. One summary line a part; the exit status is 0 only when all is well.
//!
//! | part | what | variables (default) |
//! |---|---|---|
//! | `rounds` | from one base: random transactions and instants of a server's life, restored and judged; negative controls; targets inside a constraint's creation | `GRAP_PITR_TARGETS` (20), `GRAP_PITR_INSTANTS` (12) |
//! | `matrix` | the same on each version that runs here | the same; `GRAP_TEST_VERSIONS` |
//! | `losses` | kill -9 of server and archiver together | `GRAP_SOAK_LOSSES` (20) |
//! | `lag` | from acknowledgement to object, under load and alone | `GRAP_PITR_LAG_SECONDS` (120) |
//! | `objects` | objects at 20 commits a second, before and after merging | `GRAP_PITR_OBJECT_SECONDS` (240) |
//! | `kills` | kill -9 of the archiver, with short pauses and with long ones | `GRAP_SOAK_KILLS` (100), `GRAP_SOAK_PAUSES` (20) |
//! | `owners` | two archivers: paused and woken, of a clone, of a copied state directory | |
//! | `outage` | storage that goes away for a while | |
//! | `cramped` | the same without room for the log; needs root, for a small file system | |
//! | `bench` | throughput on a backlog, restore time, processor time of an idle archiver | `GRAP_BENCH_LOG_MIB` (400) |
//! | `memory` | memory of an archiver under load | `GRAP_SOAK_MEMORY_SECONDS` (3600) |
//!
//! Without a part: everything but `matrix` and `bench`. `GRAP_SOAK_SECONDS` ends `losses` and `kills` early,
//! after the round under way; `GRAP_BINARY` is the program under test (beside this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use grap_testkit::Distribution;
use grap_testkit::campaign::{binary, deadline, number, seconds};
use grap_testkit::pitr::figures::{bench, memory};
use grap_testkit::pitr::kills::{KillOptions, kills};
use grap_testkit::pitr::losses::{lag, losses, objects};
use grap_testkit::pitr::outage::{cramped, outage};
use grap_testkit::pitr::owners::owners;
use grap_testkit::pitr::rounds::{RoundOptions, rounds};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Of a run without a part's name.
const ALL: [&str; 9] =
    ["rounds", "losses", "lag", "objects", "kills", "owners", "outage", "cramped", "memory"];
/// The whole machine is wanted for a figure of an idle archiver.
const IDLE: Duration = Duration::from_mins(1);

fn main() -> Outcome {
    let part = std::env::args().nth(1).unwrap_or_default();
    let campaign = Campaign { binary: binary()?, standard: Distribution::standard()?, until: deadline() };
    if part.is_empty() {
        return ALL.iter().try_for_each(|part| campaign.run(part));
    }
    campaign.run(&part)
}

struct Campaign {
    binary: PathBuf,
    standard: Distribution,
    until: Option<Instant>,
}

impl Campaign {
    fn run(&self, part: &str) -> Outcome {
        let (binary, standard, until) = (&self.binary, &self.standard, self.until);
        let tell = |text: &str| println!("{text}");
        let summary = match part {
            "kills" => {
                let (kills_wanted, pauses) = (number("GRAP_SOAK_KILLS", 100), number("GRAP_SOAK_PAUSES", 20));
                kills(binary, standard, KillOptions { kills: kills_wanted, pauses, until }, &tell)?
            }
            "losses" => losses(binary, standard, number("GRAP_SOAK_LOSSES", 20), until, &tell)?,
            "lag" => {
                let long = seconds("GRAP_PITR_LAG_SECONDS", 120);
                lag(binary, standard, long, long)?
            }
            "rounds" => rounds(binary, standard, round_options(), &tell)?,
            "matrix" => {
                for version in Distribution::matrix() {
                    println!("{}", rounds(binary, &Distribution::ensure(&version)?, round_options(), &tell)?);
                }
                return Ok(());
            }
            "owners" => owners(binary, standard, &tell)?,
            "outage" => outage(binary, standard)?,
            "cramped" => cramped(binary, standard)?,
            "bench" => bench(binary, standard, number("GRAP_BENCH_LOG_MIB", 400), IDLE)?,
            "memory" => memory(binary, standard, seconds("GRAP_SOAK_MEMORY_SECONDS", 3600), &tell)?,
            "objects" => objects(binary, standard, 20.0, seconds("GRAP_PITR_OBJECT_SECONDS", 240))?,
            other => return Err(format!("pitr {other}: no such part").into()),
        };
        println!("{summary}");
        Ok(())
    }
}

fn round_options() -> RoundOptions {
    RoundOptions {
        targets: number("GRAP_PITR_TARGETS", 20),
        instants: number("GRAP_PITR_INSTANTS", 12),
        whole_servers: 3,
        long: Duration::from_secs(45),
    }
}
