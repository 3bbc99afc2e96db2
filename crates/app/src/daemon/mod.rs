//! `grap serve`: supervised jobs that nobody has to remember.

mod gate;
mod scheduler;
