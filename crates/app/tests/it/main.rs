//! The shipped program against real servers, real restic, and damage.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
mod controls;
mod damage;
mod hot;
mod interrupted;
mod rebuild;
mod refused;
mod restic;
mod salvage;
mod settings;
mod support;
