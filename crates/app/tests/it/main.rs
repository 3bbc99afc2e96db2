//! The shipped program against real servers, real restic, and damage.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damage;
mod hot;
mod support;
