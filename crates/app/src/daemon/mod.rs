//! `grap serve`: supervised jobs that nobody has to remember.

#![allow(dead_code, reason = "what starts it comes with `grap serve`")]

mod gate;
mod scheduler;
mod timetable;

pub(crate) use scheduler::Timetable;
