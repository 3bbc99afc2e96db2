//! The running server, asked over Bolt. Read only, but for `Asker::apply`.

mod ask;
mod endpoints;

pub use ask::{Asker, Count, Counts};
pub use endpoints::{Dangling, EndpointsSeen};
