//! For who links the library: a few objects that own what every operation is given, with the operations as methods.
//!
//! They are thin. Each method calls one operation of [`crate::ops`], or two one after the other, with the options that
//! the object was made with; what it may do, and how it fails, is said there. Nothing is to be had here that the
//! operations refuse.

mod caller;
mod durability;
mod health;
mod recovery;

pub use caller::{Caller, OpenRepository};
pub use durability::{DurabilityOptions, DurabilityOrchestrator, VerifiedBackup};
pub use health::HealthChecker;
pub use recovery::RecoveryStateMachine;
