//! The stopped store: read by the native checker, then by the server's own.
//!
//! The one sees what the other does not. Only the server's own looks into indexes, the counts store and the degrees of dense
//! nodes; only ours sees what that one takes on trust (docs/check.md). Both are asked, whatever the first one found.
//!
//! The restored `system` no server has opened: its log may hold what is not in its stores yet. Then neither checker can read
//! it, and that is said.

use std::path::Path;
use std::thread;
use std::time::Duration;

use grap_core::recovery::Measured;
use grap_disk as disk;
use grap_task::Unit;

use super::seen::{Blind, Seen};
use super::{Expectation, Session};
use crate::check::{CheckError, StoreReport, check_store, require_clean};
use crate::live::SYSTEM;
use crate::server::{Checked, InstanceHome, check_by_admin};
use crate::substop::stopped_when;

/// Free ids: one of the files that a server makes anew.
const ID_FILE: &str = "neostore.nodestore.db.id";

pub(super) fn store(
    home: &InstanceHome,
    expectation: &Expectation,
    limit: Duration,
    session: &Session<'_>,
) -> Result<Seen, Blind> {
    let look = Look { home, limit, until: session.clock.since_boot() + limit, session };
    let candidate = Checked { data: home.data(), database: &expectation.database };
    let report = look.natively(candidate)?;
    let message = format!("{} nodes, {} relationships", report.nodes, report.relationships);
    let mut seen = Seen { message, measured: Some(measured(&report)), ..Seen::default() };
    seen.wrong.extend(report.findings.kept().iter().map(ToString::to_string));
    match look.by_admin(candidate) {
        Ok(complaints) => seen.wrong.extend(complaints),
        // What ours has found stands without the other.
        Err(error) if !seen.wrong.is_empty() => seen.remarks.push(error.to_string()),
        Err(error) => return Err(error),
    }
    if let Some(data) = &expectation.system {
        look.at_system(data, &mut seen)?;
    }
    Ok(seen)
}

struct Look<'a> {
    home: &'a InstanceHome,
    limit: Duration,
    /// For everything together, by the clock since boot.
    until: Duration,
    session: &'a Session<'a>,
}

impl Look<'_> {
    fn natively(&self, checked: Checked<'_>) -> Result<StoreReport, Blind> {
        let Checked { data, database } = checked;
        let store = data.join("databases").join(database);
        require_clean(&store, &data.join("transactions").join(database), database)?;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let Session { clock, stop, monitor, .. } = *self.session;
        let until = self.until;
        let wanted = || stop.requested() || clock.since_boot() >= until;
        let checked = stopped_when("check limit", wanted, |stop| check_store(&store, threads, stop, monitor));
        match checked.map_err(CheckError::Thread)? {
            Err(CheckError::Stopped(_)) if !stop.requested() => Err(Blind::TooLong { limit: self.limit }),
            checked => Ok(checked?),
        }
    }

    fn by_admin(&self, checked: Checked<'_>) -> Result<Vec<String>, Blind> {
        let Session { clock, stop, .. } = *self.session;
        let left = self.until.saturating_sub(clock.since_boot());
        let said = check_by_admin(self.home, checked, left, clock, stop)?;
        Ok(said.into_iter().map(|line| format!("neo4j-admin database check: {line}")).collect())
    }

    fn at_system(&self, data: &Path, seen: &mut Seen) -> Result<(), Blind> {
        let system = Checked { data, database: SYSTEM };
        // Its steps are called as those of the user database.
        self.session.monitor.begin("reading the restored `system`", Unit::Items, None);
        match self.natively(system) {
            Ok(report) => {
                let of_system = |text: String| format!("database `{SYSTEM}`: {text}");
                seen.wrong.extend(report.findings.kept().iter().map(|found| of_system(found.to_string())));
                // A hot backup leaves out what the server makes anew: without it its checker asks for a recovery first.
                let ids = data.join("databases").join(SYSTEM).join(ID_FILE);
                if disk::stat(&ids).map_err(CheckError::from)?.is_some() {
                    seen.wrong.extend(self.by_admin(system)?.into_iter().map(of_system));
                } else {
                    let why = "neo4j-admin database check: not asked, no server has opened it yet";
                    seen.remarks.push(of_system(why.to_owned()));
                }
            }
            Err(Blind::Check(error @ CheckError::NotClean { .. })) => {
                seen.remarks.push(format!("not judged: {error}; a server that opens it recovers it first"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn measured(report: &StoreReport) -> Measured {
    Measured {
        nodes: report.nodes,
        relationships: report.relationships,
        digest: format!("{:032x}", report.digest),
    }
}
