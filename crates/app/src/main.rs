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
mod http;
mod log;
mod notify;
mod peer;
mod supervise;
mod view;

use std::process::ExitCode;

/// The system's allocator keeps what each thread once needed: a daemon whose tasks are threads grows with each of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
