//! The library against real servers.

mod durability;
mod follow;
