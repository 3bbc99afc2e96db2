//! Restores to a point in time, from archives made by hand of the log files that real servers wrote.
//!
//! What is judged: the written log, byte for byte, against the server's own files cut at the target. The store
//! beside it is that of the fixture's end; nobody opens it here.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; it changes files behind the program's back"
)]

mod copy;
mod damage;
mod every;
mod expire;
mod far;
mod forks;
mod frozen;
mod gc;
mod joining;
mod latest;
mod released;
mod status;
mod upgrade;
mod verdicts;
mod world;
