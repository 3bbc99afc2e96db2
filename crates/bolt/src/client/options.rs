//! How to connect.

use std::time::Duration;

use grap_task::Clock;

use super::{Address, Auth};

#[derive(Debug, Clone)]
pub struct Options {
    pub address: Address,
    pub auth: Auth,
    /// Certificates in PEM that are trusted instead of the system's: authorities, or the server's own.
    pub authorities: Option<Vec<u8>>,
    /// How we name ourselves, `name/version`.
    pub user_agent: String,
    pub limits: Limits,
    /// For the opening and everything after it, taken together, until [`super::Connection::set_budget`] says otherwise.
    pub budget: Option<Duration>,
    /// Largest answer (a row is one answer) that is taken, in bytes; a value takes up to 40 times its bytes in memory.
    pub message_max: usize,
    pub clock: Clock,
}

/// Each from the first byte to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the name to a connection of TCP.
    pub connect: Duration,
    /// TLS, the version, and logging on.
    pub handshake: Duration,
    /// A statement with all of its rows, or a BEGIN, COMMIT ...
    pub exchange: Duration,
}

impl Options {
    pub fn new(address: Address, auth: Auth) -> Self {
        Self {
            address,
            auth,
            authorities: None,
            user_agent: concat!("grap/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
            budget: None,
            message_max: 64 << 20,
            clock: Clock::System,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            exchange: Duration::from_secs(30),
        }
    }
}
