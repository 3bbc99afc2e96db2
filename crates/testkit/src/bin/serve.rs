//! What `grap serve` is worth, shown with the shipped release binary on live servers. One summary line a part; the exit
//! status is 0 only when all is well.
//!
//! | part | what | variables (default) |
//! |---|---|---|
//! | `hour` | a backup each minute, expire, gc and verify each five, days that pass; random points of what is shown restored and judged; memory; the writers with and without it | `GRAP_SERVE_SECONDS` (3600), `GRAP_SERVE_TARGETS` (20, three times), `GRAP_SERVE_PAIRS` (4), `GRAP_SERVE_STRETCH` (75), `GRAP_SERVE_PACE` (operations a second; 0: as fast as they can) |
//! | `kills` | kill -9 at random instants of everything it does | `GRAP_SERVE_KILLS` (100), `GRAP_SERVE_KILL_TARGETS` (5) |
//! | `full` | the repository's file system fills and empties; needs root, for a loop device | `GRAP_SERVE_MIB` (96) |
//! | `idle` | processor time and memory of an idle daemon | `GRAP_SERVE_IDLE_SECONDS` (120) |
//!
//! Without a part: all of them. `GRAP_SOAK_SECONDS` ends `kills` early, after the round under way; `GRAP_BINARY` is the
//! program under test (beside this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;

use grap_testkit::Distribution;
use grap_testkit::campaign::{binary, deadline, number, seconds};
use grap_testkit::serve::full::full;
use grap_testkit::serve::hour::{HourOptions, hour};
use grap_testkit::serve::idle::idle;
use grap_testkit::serve::kills::{KillOptions, kills};

type Outcome = Result<(), Box<dyn Error>>;

const ALL: [&str; 4] = ["idle", "full", "kills", "hour"];

fn main() -> Outcome {
    match std::env::args().nth(1) {
        Some(part) => run(&part),
        None => ALL.iter().try_for_each(|part| run(part)),
    }
}

fn run(part: &str) -> Outcome {
    let (binary, standard) = (binary()?, Distribution::standard()?);
    let tell = |text: &str| println!("{text}");
    let summary = match part {
        "hour" => hour(&binary, &standard, hour_options(), &tell)?,
        "kills" => {
            let (wanted, targets) = (number("GRAP_SERVE_KILLS", 100), number("GRAP_SERVE_KILL_TARGETS", 5));
            kills(&binary, &standard, KillOptions { kills: wanted, targets, until: deadline() }, &tell)?
        }
        "full" => full(&binary, &standard, number("GRAP_SERVE_MIB", 96) as u64, &tell)?,
        "idle" => idle(&binary, &standard, seconds("GRAP_SERVE_IDLE_SECONDS", 120))?,
        other => return Err(format!("serve {other}: no such part").into()),
    };
    println!("{summary}");
    Ok(())
}

fn hour_options() -> HourOptions {
    let pace = number("GRAP_SERVE_PACE", 0);
    HourOptions {
        long: seconds("GRAP_SERVE_SECONDS", 3600),
        pairs: number("GRAP_SERVE_PAIRS", 4),
        stretch: seconds("GRAP_SERVE_STRETCH", 75),
        targets: number("GRAP_SERVE_TARGETS", 20),
        pace: (pace > 0).then_some(pace as f64),
    }
}
