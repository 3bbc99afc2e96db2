//! The client against real servers, of every version in `GRAP_TEST_VERSIONS`, and against peers that behave badly.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed; it measures time and makes files, and tells what it skipped"
)]

mod badly;
mod corpus;
mod faults;
mod relay;
mod session;
mod support;
mod tls;
mod values;
mod versions;
