//! The decoders against files that real Neo4j servers wrote (`testdata/`, read by an independent decoder beforehand),
//! and against damage.

mod fixtures;
mod real_checkpoints;
mod real_logs;
