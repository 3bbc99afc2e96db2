//! Promotions and rollbacks of the shipped release binary on real servers: struck in every order, and where the live
//! database, the archive or the stop is not as it should be. The exit status is 0 only when one whole database served each
//! time, with every acknowledged write.
//!
//! `promotions [strikes|supervised|cases|versions]`; all of them by default. `GRAP_STRIKES` are enough of the first two each, from one that is drawn, or from `GRAP_STRIKES_FROM`;
//! `GRAP_SOAK_SECONDS` ends each part early, after the strike or the case under way: its last line says what share of the whole
//! was made. `promotions cases NAME...` are some cases. `GRAP_TEST_VERSIONS` are the versions; `GRAP_BINARY` is the program under
//! test (beside this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;
use std::path::Path;

use grap_testkit::Distribution;
use grap_testkit::campaign::{binary, deadline, number};
use grap_testkit::promotions::{Setting, cases, strikes, supervised, version};

const PARTS: [&str; 4] = ["strikes", "supervised", "cases", "versions"];

fn main() -> Result<(), Box<dyn Error>> {
    let (part, only) = (std::env::args().nth(1), std::env::args().skip(2).collect::<Vec<_>>());
    let (binary, standard) = (binary()?, Distribution::standard()?);
    match part.as_deref() {
        None => PARTS.iter().try_for_each(|part| run(part, &[], &binary, &standard)),
        Some(part) if PARTS.contains(&part) => run(part, &only, &binary, &standard),
        Some(other) => Err(format!("promotions {other}: one of {PARTS:?} or nothing is wanted").into()),
    }
}

fn run(part: &str, only: &[String], binary: &Path, standard: &Distribution) -> Result<(), Box<dyn Error>> {
    let tell = |text: &str| println!("{text}");
    let wanted = number("GRAP_STRIKES", 0);
    let strikes_wanted = (wanted > 0).then_some(wanted);
    let first = std::env::var("GRAP_STRIKES_FROM").ok().and_then(|text| text.parse().ok());
    let setting =
        Setting { binary, distribution: standard, strikes: strikes_wanted, first, until: deadline() };
    match part {
        "strikes" => println!("{}", strikes(&setting, &tell)?),
        "supervised" => println!("{}", supervised(&setting, &tell)?),
        "cases" => println!("{}", cases(&setting, only, &tell)?),
        _ => {
            for name in Distribution::matrix() {
                let distribution = Distribution::ensure(&name)?;
                println!("{}", version(&Setting { distribution: &distribution, ..setting }, &tell)?);
            }
        }
    }
    Ok(())
}
