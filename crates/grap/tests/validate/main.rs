//! The tiers of a validation on candidates of a real server: a whole one passes all of them, and each planted fault is found
//! by the tier that it belongs to, with the object named; those before it pass.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod planted;
mod world;
