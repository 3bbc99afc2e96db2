//! When something that is done again and again is due.
//!
//! - [`Schedule`]: a cron expression in a time zone; its slots are instants.

mod cron;

pub use cron::{InvalidSchedule, Schedule, time_zone};
