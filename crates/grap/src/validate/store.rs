//! The stopped store, read by the native checker.

use std::thread;
use std::time::Duration;

use grap_core::recovery::Measured;

use super::seen::{Blind, Seen};
use super::{Expectation, Session};
use crate::check::{StoreReport, check_store, require_clean};
use crate::server::InstanceHome;

pub(super) fn store(
    home: &InstanceHome,
    expectation: &Expectation,
    _limit: Duration,
    session: &Session<'_>,
) -> Result<Seen, Blind> {
    let store = home.store();
    require_clean(&store, &home.log_directory(), &expectation.database)?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let report = check_store(&store, threads, session.stop, session.monitor)?;
    let measured = measured(&report);
    let message = format!("{} nodes, {} relationships", report.nodes, report.relationships);
    let wrong = report.findings.kept().iter().map(ToString::to_string).collect();
    Ok(Seen { message, wrong, measured: Some(measured), ..Seen::default() })
}

fn measured(report: &StoreReport) -> Measured {
    Measured {
        nodes: report.nodes,
        relationships: report.relationships,
        digest: format!("{:032x}", report.digest),
    }
}
