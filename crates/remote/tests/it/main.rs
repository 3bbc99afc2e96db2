//! Against servers that speak as the storages do, and through a proxy that breaks what they say.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::unchecked_time_subtraction,
    reason = "tests play the rest of the world"
)]

mod conformance;
mod enumerated;
mod rights;
mod support;
mod through_faults;
