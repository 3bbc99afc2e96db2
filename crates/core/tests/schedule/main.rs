//! The planner of periodic tasks against a simulated machine: clocks that step, machines that are off,
//! processes that die at any event, time zones with and without daylight saving. `PROPTEST_CASES=n` tries n lives of each kind (256).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod machine;
mod retention;
mod walks;
mod weeks;
