//! A small blocking client: one connection, one thing at a time.
//!
//! ```no_run
//! # fn main() -> grap_bolt::Result<()> {
//! use grap_bolt::client::{Auth, Connection, Options, Scope};
//!
//! let options = Options::new("bolt://localhost:7687".parse()?, Auth::parse("neo4j/secret-secret")?);
//! let mut connection = Connection::open(&options)?;
//! let answer = connection.run(&Scope::read("neo4j"), "MATCH (n) RETURN count(n)")?.answer()?;
//! # Ok(())
//! # }
//! ```
//!
//! - **Everything ends in time.** Each operation has a limit from its first byte to its last; what trickles in, NOOPs
//!   included, does not extend it. A budget ([`Connection::set_budget`]) lies over the limits of several.
//! - **A dropped exchange poisons.** After a timeout, a broken connection or an answer that makes no sense it is not
//!   known what the next bytes are an answer to: the socket is closed and nothing is sent any more.
//! - **A failure does not.** The server's own "no" is [`Error::Server`](crate::Error::Server); the next operation sends
//!   RESET first. The same goes for rows that were not read to their end: what they belonged to is rolled back.
//! - **A commit is known or in doubt.** From the first byte of a COMMIT (or of a statement in a transaction of its own
//!   that may write) to its answer, every other end is [`Error::CommitInDoubt`](crate::Error::CommitInDoubt); so is a
//!   failure of the database itself.

mod address;
mod auth;
mod connect;
mod connection;
mod options;
mod rows;
mod statement;
mod tls;
mod transaction;
mod wire;

pub use address::{Address, Security};
pub use auth::Auth;
pub use connect::greet;
pub use connection::Connection;
pub use options::{Limits, Options};
pub use rows::{Answer, Rows, Summary};
pub use statement::{Access, Scope, Statement};
pub use transaction::Transaction;
