//! The running server, asked over Bolt. Read only, but for `Asker::apply`.

mod asker;
mod endpoints;

pub use asker::{Asker, Count, Counts};
pub use endpoints::{Dangling, EndpointsSeen};
