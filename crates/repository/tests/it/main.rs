//! Against stock restic, and against faults. `restic` must be installed: without an oracle these tests would
//! prove nothing, so they fail.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests play the rest of the world")]

mod oracle;
mod support;
