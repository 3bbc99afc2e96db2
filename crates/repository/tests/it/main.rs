//! Against stock restic, and against faults. `restic` must be installed: without an oracle these tests would
//! prove nothing, so they fail.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests play the rest of the world")]

mod bench;
mod copying;
mod damage;
mod deduplication;
mod faults;
mod hook;
mod keys;
mod locks;
mod oracle;
mod prune;
mod prune_faults;
mod stores;
mod support;
