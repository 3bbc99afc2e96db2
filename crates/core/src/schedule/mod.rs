//! When something that is done again and again is due.
//!
//! - [`Schedule`]: a cron expression in a time zone; its slots are instants.
//! - [`State`]: what is remembered, folded from [`Event`]s; it survives restarts.
//! - [`next`]: what is owed now, and [`observed`]: what has to be noted first.

mod cron;
mod plan;
mod state;

pub use cron::{InvalidSchedule, Schedule, time_zone};
pub use plan::{Jitter, Next, next, observed};
pub use state::{
    BELIEVED_AHEAD_MAX, DEFERRED_WAIT_S, Event, FAILURES_MAX, INTERRUPTED, Illegal, Outcome, Pending,
    RETRY_WAITS_S, Reason, Run, Running, State, Task, TaskState,
};
