//! The library against real servers.

mod follow;
