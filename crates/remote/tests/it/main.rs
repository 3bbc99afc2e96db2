//! Against servers that speak as the storages do, and through a proxy that breaks what they say.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests play the rest of the world")]

mod conformance;
mod enumerated;
mod rights;
mod support;
mod through_faults;
