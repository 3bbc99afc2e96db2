//! Continuous archiving and point-in-time recovery: the campaigns of the bin `pitr` (`make soak`, `make matrix`)
//! with small numbers.

use std::path::Path;
use std::time::Duration;

use grap_testkit::Distribution;
use grap_testkit::pitr::kills::{KillOptions, kills};
use grap_testkit::pitr::losses::losses;
use grap_testkit::pitr::owners::owners;
use grap_testkit::pitr::rounds::{RoundOptions, rounds};

use crate::support::PROGRAM;

fn tell(text: &str) {
    println!("{text}");
}

#[test]
fn from_one_base_every_point_restores_and_a_damaged_archive_is_refused() {
    let options = RoundOptions { targets: 2, instants: 1, whole_servers: 1, long: Duration::from_secs(12) };
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        tell(&rounds(Path::new(PROGRAM), &distribution, options, &tell).unwrap());
    }
}

#[test]
fn a_killed_archiver_loses_nothing_and_one_that_stays_away_says_so() {
    let options = KillOptions { kills: 8, pauses: 1, until: None };
    tell(&kills(Path::new(PROGRAM), &Distribution::standard().unwrap(), options, &tell).unwrap());
}

#[test]
fn when_server_and_archiver_die_at_once_the_last_second_is_lost_at_most() {
    tell(&losses(Path::new(PROGRAM), &Distribution::standard().unwrap(), 2, None, &tell).unwrap());
}

#[test]
fn of_two_archivers_the_right_one_goes_on() {
    tell(&owners(Path::new(PROGRAM), &Distribution::standard().unwrap(), &tell).unwrap());
}
