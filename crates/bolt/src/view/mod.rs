//! What the known structures mean: views of a [`crate::Value`], and the way back for what may be a parameter.
//!
//! A view borrows and is `None` where the value is no such structure, or has other fields. Nothing is lost by looking:
//! what has no view here (the datetimes of 4.x that count local seconds, what a later version brings) stays a
//! [`crate::Structure`].

mod graph;
mod spatial;
mod temporal;
mod vector;

pub use graph::{Node, Path, Relationship, Step};
pub use spatial::Point;
pub use temporal::{Date, DateTime, Duration, LocalDateTime, LocalTime, Time, Zone};
pub use vector::{Element, Unsupported, Vector};

use crate::packstream::{Structure, Value};

fn structure<const N: usize>(tag: u8, fields: [Value; N]) -> Value {
    Value::Structure(Structure { tag, fields: fields.into() })
}
