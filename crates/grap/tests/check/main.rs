//! The native checker on stores that real servers wrote: clean ones are clean, and have the digest that Cypher gives; every
//! planted fault is found and named; what may not be checked is refused.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod flips;
mod planted;
mod real;
mod refused;
mod rich;

use std::path::Path;

use grap::check::{CheckError, Finding, Problem, StoreReport, check_store};
use grap_neo4j::record::RecordStore;
use grap_task::{Silent, Stop};

/// Check a store directory, with two threads.
fn check(store: &Path) -> Result<StoreReport, CheckError> {
    check_store(store, 2, &Stop::new(), &Silent)
}

fn has(report: &StoreReport, problem: Problem, store: RecordStore, id: u64) -> bool {
    let is = |finding: &Finding| (finding.problem, finding.store, finding.id) == (problem, store, id);
    report.findings.kept().iter().any(is)
}
