//! Crash enumeration: every local call of a backup, of a restore, of a follower, of expire and of the journals of
//! schedules and recoveries fails, is torn, or is the last thing the process did.
//!
//! The calls of one run are counted once (K); then the run is repeated K times for each fault. The store is a
//! stopped fixture, there is one worker and one uploader, the pinner looks only when it is asked, and the
//! clock goes on only when it is waited on: so K is the same each time.
//!
//! Survivable is everything here. After each fault: no backup that is not whole, no pin left after the next
//! run, the next run succeeds, and what it made restores to the fixture's bytes.
//!
//! `GRAP_CRASH_STRIDE=n` tries each n-th call only, a different one for each fault.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; it changes files past the calls that are counted"
)]

/// A test for each fault that a local call can meet.
macro_rules! struck_by_every_fault {
    ($enumerate:ident) => {
        #[test]
        fn every_call_fails() {
            $enumerate(Mode::Fail(crate::world::EIO));
        }

        #[test]
        fn every_call_finds_the_disk_full() {
            $enumerate(Mode::Fail(crate::world::ENOSPC));
        }

        #[test]
        fn every_call_is_torn() {
            $enumerate(Mode::Tear);
        }

        #[test]
        fn every_call_is_the_last() {
            $enumerate(Mode::Kill);
        }
    };
}

mod backup;
mod directories;
mod expire;
mod follow;
mod point;
mod recovery;
mod restore;
mod schedule;
mod switch;
mod world;

/// How many calls are passed over between two that are tried.
fn stride(everyday: usize) -> usize {
    std::env::var("GRAP_CRASH_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(everyday)
}
