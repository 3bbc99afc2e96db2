//! The model test of the archive: the code's own writer and reader over a storage in memory and simulated
//! servers, against everything that can befall them. No threads, no sleeps, no wall clock.
//!
//! - [`history`]: every transaction that ever was, and which one it follows.
//! - [`server`]: log files as a server writes them; crashes, imports, older states put back.
//! - [`shelf`]: the storage, with faults; [`archiver`]: one process; [`world`]: all of it.
//! - [`ledger`] judges each object as it is put, [`judge`] what the reader makes of all of them.
//! - [`keeper`] merges, collects and expires; [`expiry`] asks the code what it would expire.
//! - [`traces`]: the traces that broke earlier drafts of the rules, each by name.
//! - [`random`]: random sequences. A failure prints its seed, the steps that are needed, and what happened.
//!
//! `GRAP_MODEL_SEED=n` runs one seed. The long campaign, for hours if wanted:
//! ```text
//! GRAP_MODEL_SECONDS=600 GRAP_MODEL_FROM=1000 cargo test --release -p grap --test model -- --ignored campaign --nocapture
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; it changes files past the calls that are counted"
)]

mod archiver;
mod expiry;
mod history;
mod judge;
mod keeper;
mod ledger;
mod random;
mod server;
mod shelf;
mod traces;
mod world;
