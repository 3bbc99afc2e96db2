//! The decoders against files that real Neo4j servers wrote (`testdata/`, read by an independent decoder
//! beforehand), and against damage.

#![expect(clippy::unwrap_used, reason = "tests")]

mod checkpoints;
mod constraints;
mod continuity;
mod damage;
mod fixtures;
mod large;
mod made_up;
mod made_up_constraints;
mod reading;
mod real_checkpoints;
mod real_logs;
mod records;
mod walking;
