//! The shipped program against real servers, real restic, and damage.

mod controls;
mod damage;
mod hot;
mod rebuild;
mod support;
