//! The planner of periodic tasks against a simulated machine: clocks that step, machines that are off,
//! processes that die at any event, time zones with and without daylight saving.

mod machine;
mod walks;
mod weeks;
