//! The running server, asked over Bolt. Read only, but for `Asker::apply`.

mod asker;
mod endpoints;
mod whole;

pub use asker::{Asker, Count, Counts, DatabaseStatus};
pub use endpoints::{Dangling, EndpointsSeen};
