//! The shipped program against real servers, real restic, and damage.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed; it damages files behind the program's back, and tells what it saw"
)]

mod attacked;
mod check;
mod cli;
mod controls;
mod copied;
mod copy;
mod damage;
mod gc;
mod guide;
mod health;
mod hot;
mod http;
mod interrupted;
mod journey;
mod keys;
mod machine;
mod open;
mod pitr;
mod promoted;
mod rebuild;
mod recover;
mod refused;
mod released;
mod restic;
mod retention;
mod s3;
mod salvage;
mod serve;
mod served;
mod settings;
mod supervised;
mod supervised_server;
mod support;
