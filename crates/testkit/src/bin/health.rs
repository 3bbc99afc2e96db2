//! What `grap health` is worth, shown with the shipped release binary on live servers of every version. One summary line a
//! part; the exit status is 0 only when all is well.
//!
//! | part | what | variables (default) |
//! |---|---|---|
//! | `churn` | no false alarm while writers write and the schema changes all the time | `GRAP_HEALTH_CHECKS` (1000, over all versions) |
//! | `faults` | planted faults, peers that are half open, servers that hang | |
//! | `full` | the server's file system is full; needs root, for a mount | |
//! | `speed` | a million nodes, on the standard version | `GRAP_HEALTH_ROUNDS` (20) |
//!
//! Without a part: all but `speed`, which belongs to `make bench`. `GRAP_TEST_VERSIONS` are the versions;
//! `GRAP_BINARY` is the program under test (beside this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use grap_testkit::campaign::{binary, number};
use grap_testkit::health::Asking;
use grap_testkit::health::churn::churn;
use grap_testkit::health::faults::faults;
use grap_testkit::health::full::full;
use grap_testkit::health::peers::half_open;
use grap_testkit::health::speed::speed;
use grap_testkit::{Distribution, Grap, Server};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Longer than every check.
const ALL: Duration = Duration::from_secs(30);

fn main() -> Outcome {
    let binary = binary()?;
    match std::env::args().nth(1) {
        Some(part) => run(&binary, &part),
        None => ["faults", "full", "churn"].iter().try_for_each(|part| run(&binary, part)),
    }
}

fn run(binary: &Path, part: &str) -> Outcome {
    let folder = tempfile::tempdir()?;
    let grap = Grap::new(binary, folder.path())?;
    let tell = |text: &str| println!("{text}");
    if part == "speed" {
        let rounds = number("GRAP_HEALTH_ROUNDS", 20);
        println!("{}", speed(&grap, &Distribution::standard()?, rounds, &tell)?);
        return Ok(());
    }
    let versions = Distribution::matrix();
    let checks = number("GRAP_HEALTH_CHECKS", 1000).div_ceil(versions.len().max(1));
    for version in versions {
        let distribution = Distribution::ensure(&version)?;
        match part {
            "churn" => with_server(&grap, &distribution, |asking, server| {
                println!("{}", churn(asking, server, checks, &tell)?);
                Ok(())
            })?,
            "faults" => with_server(&grap, &distribution, |asking, server| {
                println!("{}", half_open(asking, server, ALL)?);
                println!("{}", faults(asking, server)?);
                Ok(())
            })?,
            "full" => println!("{}", full(&grap, &distribution, &tell)?),
            other => return Err(format!("health {other}: no such part").into()),
        }
    }
    Ok(())
}

fn with_server(
    grap: &Grap,
    distribution: &Distribution,
    work: impl FnOnce(&Asking, &Server) -> Outcome,
) -> Outcome {
    let folder = tempfile::tempdir()?;
    let server =
        Server::builder(distribution).password("right-password").start(&folder.path().join("home"))?;
    server.query("UNWIND range(1, 50) AS i CREATE (:Some {i: i})-[:TO]->(:Other)")?;
    work(&Asking::of(grap, &server), &server)
}
