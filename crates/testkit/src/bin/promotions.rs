//! kill -9 in every order of a promotion and of rollbacks, with the shipped release binary and a real server. The exit
//! status is 0 only when one whole database served each time, with every acknowledged write.
//!
//! `GRAP_SOAK_SECONDS` ends it early; `GRAP_BINARY` is the program under test (beside this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;

use grap_testkit::Distribution;
use grap_testkit::campaign::{binary, deadline};
use grap_testkit::promotions::promotions;

fn main() -> Result<(), Box<dyn Error>> {
    let tell = |text: &str| println!("{text}");
    println!("{}", promotions(&binary()?, &Distribution::standard()?, deadline(), &tell)?);
    Ok(())
}
