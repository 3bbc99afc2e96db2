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
//! That never touches the live database. When somebody asks for it, a validated candidate takes the live one's place
//! ([`Switch`]); a rollback is a recovery of its own that goes the same way with what was retired. Until the first exchange
//! a promotion can be called off, and then the live database is what it was; from the last one on it is the new one; in
//! between a server refuses it, and whoever goes on finishes or undoes.

#[cfg(any(test, feature = "testing"))]
pub mod atlas;
mod event;
mod id;
mod order;
mod phase;
mod state;
mod switch;
mod switched;
#[cfg(test)]
mod tests;
mod tier;

pub use event::{CandidatePrint, DatabasePrint, End, Event, Failure, Instance, Limits, Plan, What};
pub use id::{InvalidRecoveryId, RecoveryId, RecoveryKind};
pub use order::{BACK, FORWARD, Order, SWITCH, order, percent, share};
pub use phase::{Phase, Status};
pub use state::{Cause, Fate, INSTANCE_DIED, Illegal, Recovery, STARTS_MAX, State, Step, apply};
pub use switch::{Guard, Halves, Identity, Part, Switch, SwitchLimits};
pub use switched::STOPS_MAX;
pub use tier::{Judgement, Measured, Tier, TierVerdict};
