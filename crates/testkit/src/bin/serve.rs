//! What `grap serve` is worth, shown with the shipped release binary on live servers. One summary line a part; the exit
//! status is 0 only when all is well.
//!
//! | part | what | variables (default) |
//! |---|---|---|
//! | `hour` | under load: a backup each minute, expire, gc and a copy each five, backups deleted by hand; random points of both repositories restored and judged; memory | `GRAP_SERVE_SECONDS` (3600), `GRAP_SERVE_TARGETS` (20), `GRAP_SERVE_OPERATIONS` (400 a second) |
//! | `cost` | the writers' throughput with and without, in turn | `GRAP_SERVE_ROUNDS` (5), `GRAP_SERVE_STRETCH` (60 seconds) |
//! | `kills` | kill -9 at random instants | `GRAP_SERVE_KILLS` (100), `GRAP_SERVE_TARGETS` (20) |
//! | `full` | the repository on a small file system that fills, and has room again; needs root, for the mount | `GRAP_SERVE_TARGETS` (20) |
//! | `idle` | processor and memory while nothing happens | `GRAP_SERVE_IDLE` (120 seconds) |
//!
//! Without a part: all of them. `GRAP_SOAK_SECONDS` ends `kills` early; `GRAP_BINARY` is the program under test (beside
//! this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;

use grap_testkit::Distribution;
use grap_testkit::campaign::{binary, deadline, number, seconds};
use grap_testkit::serve::cost::{cost, idle};
use grap_testkit::serve::full::full;
use grap_testkit::serve::hour::{HourOptions, hour};
use grap_testkit::serve::kills::{KillOptions, kills};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const ALL: [&str; 5] = ["idle", "cost", "full", "kills", "hour"];

fn main() -> Outcome {
    match std::env::args().nth(1) {
        Some(part) => run(&part),
        None => ALL.iter().try_for_each(|part| run(part)),
    }
}

fn run(part: &str) -> Outcome {
    let (binary, standard) = (binary()?, Distribution::standard()?);
    let tell = |text: &str| println!("{text}");
    let targets = number("GRAP_SERVE_TARGETS", 20);
    let summary = match part {
        "hour" => {
            let operations_per_second = number("GRAP_SERVE_OPERATIONS", 400) as f64;
            let long = seconds("GRAP_SERVE_SECONDS", 3600);
            hour(&binary, &standard, HourOptions { long, targets, operations_per_second }, &tell)?
        }
        "cost" => {
            let (rounds, each) = (number("GRAP_SERVE_ROUNDS", 5), seconds("GRAP_SERVE_STRETCH", 60));
            cost(&binary, &standard, rounds, each, &tell)?
        }
        "kills" => {
            let options = KillOptions { kills: number("GRAP_SERVE_KILLS", 100), targets, until: deadline() };
            kills(&binary, &standard, options, &tell)?
        }
        "full" => full(&binary, &standard, targets, &tell)?,
        "idle" => idle(&binary, &standard, seconds("GRAP_SERVE_IDLE", 120))?,
        other => return Err(format!("serve {other}: no such part").into()),
    };
    println!("{summary}");
    Ok(())
}
