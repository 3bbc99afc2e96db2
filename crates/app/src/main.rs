//! The program `grap`: parse, resolve, call one operation, render.
//!
//! stdout is data, stderr is for people; the exit status says how it ended (docs/errors.md).

mod alert;
mod cli;
mod config;
mod daemon;
#[cfg(test)]
mod documented;
mod failure;
mod host;
mod view;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
