//! Servers and connections for the tests.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grap_bolt::client::{Address, Auth, Connection, Limits, Options, Security};
use grap_bolt::packstream::encode;
use grap_bolt::{Error, Value};
use grap_testkit::Server;

/// How to get to this address, without authentication.
pub(crate) fn options(address: SocketAddr) -> Options {
    let address = Address { host: address.ip().to_string(), port: address.port(), security: Security::Plain };
    Options::new(address, Auth::None)
}

pub(crate) fn connect(server: &Server) -> Connection {
    Connection::open(&options(server.bolt_address())).unwrap()
}

/// Each limit is this one.
pub(crate) fn limits(limit: Duration) -> Limits {
    Limits { connect: limit, handshake: limit, exchange: limit }
}

/// The error that this gives, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T, Error>) -> (Error, Duration) {
    let begun = Instant::now();
    let error = work().err().expect("it cannot have gone well");
    (error, begun.elapsed())
}

pub(crate) fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).unwrap();
    bytes
}

pub(crate) fn is_calendar(server: &Server) -> bool {
    server.distribution().version().starts_with("20")
}
