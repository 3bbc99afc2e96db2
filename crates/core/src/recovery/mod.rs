//! A recovery as a state machine: what happened is a list of [`Event`]s, and two pure functions say the rest.
//!
//! - [`apply`] holds the whole table of transitions. What is not in it is [`Illegal`].
//! - [`order`] says what is owed in a state: one [`Order`] or nothing.
//!
//! The shell performs the order that is owed, notes durably what came of it, and applies it. After a crash it folds
//! the events through the same [`apply`], and performs the same order again: so each order looks first, and acts only
//! where that is not done yet. What an order may leave behind when it is struck in the middle (a directory, a process)
//! is cleared away by an order that is owed on every way out of that state, whether the first was seen to end or not.
//!
//! A recovery makes a *candidate*, opens it in a test instance, judges it tier by tier, and ends validated or failed.
//! It never touches the live database.

#[cfg(any(test, feature = "testing"))]
pub mod atlas;
mod event;
mod id;
mod order;
mod state;
#[cfg(test)]
mod tests;
mod tier;

pub use event::{CandidatePrint, DatabasePrint, End, Event, Failure, Instance, Limits, Plan, What};
pub use id::{InvalidRecoveryId, RecoveryId, RecoveryKind};
pub use order::{FORWARD, Order, order, percent, share};
pub use state::{
    Cause, Fate, INSTANCE_DIED, Illegal, Phase, Recovery, STARTS_MAX, State, Status, Step, apply,
};
pub use tier::{Judgement, Measured, Tier, TierVerdict};
