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

use grap_testkit::{Distribution, Server};
use tempfile::TempDir;

/// One server of a version for everything that leaves it as it was: its start costs more than all of it.
#[test]
fn a_client_and_a_real_server() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let home = TempDir::new().unwrap();
        let server = Server::builder(&distribution).start(home.path()).unwrap();
        session::a_connection_goes_through_everything(&server);
        values::every_type_comes_back(&server);
        versions::each_version_is_spoken(&server);
        corpus::live_messages_keep_their_bytes(&server);
        faults::lost_answers_are_told_as_what_they_are(&server);
        tls::a_server_without_tls_is_an_error(&server);
    }
}
