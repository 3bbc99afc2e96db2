//! The shipped program against real servers, real restic, and damage.

mod damage;
mod hot;
mod support;
