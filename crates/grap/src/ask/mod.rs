//! The running server, asked over Bolt. Read only, but for `Asker::apply` and what the canary
//! writes and removes.

mod asker;
mod canary;
mod endpoints;
mod transactions;
mod whole;

pub use asker::{Asker, Count, Counts, DatabaseStatus};
pub use canary::{CANARY_LABEL, CANARY_TYPE};
pub use endpoints::{Dangling, EndpointsSeen};
pub use transactions::OpenTransaction;
