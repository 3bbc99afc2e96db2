//! The shipped program against real servers, real restic, and damage.

mod hot;
