//! kill -9 of the shipped release binary in every order of a recovery, to a candidate and back from it, on a real server:
//! at its beginning, in its middle and at its end; of `recover cancel` and `recover reset`, too. The exit status is 0 only
//! when all is well.
//!
//! `GRAP_SOAK_SECONDS` ends it early, which its last line says; then what it came to must have been struck, else everything,
//! and no strike have come too late. `GRAP_BINARY` is the program under test (beside this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;

use grap_testkit::Distribution;
use grap_testkit::campaign::{binary, deadline};
use grap_testkit::recoveries::recoveries;

fn main() -> Result<(), Box<dyn Error>> {
    let tell = |text: &str| println!("{text}");
    println!("{}", recoveries(&binary()?, &Distribution::standard()?, deadline(), &tell)?);
    Ok(())
}
