//! Grap as a library.
pub mod live;
