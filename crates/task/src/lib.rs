//! What long work is given: a [`Monitor`] to report to, a [`Stop`] to obey, a [`Clock`] to read.
//!
//! Nothing else lives here. Libraries take these as arguments, so that they print nothing, catch no
//! signals and know no time of their own; the edge (`app`) and the tests supply the real ones.

mod clock;
mod monitor;
mod stop;

pub use clock::{Clock, ManualClock};
pub use monitor::{Collected, Finding, Level, Monitor, Silent, Unit};
pub use stop::{Stop, Stopped};
