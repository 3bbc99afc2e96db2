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
    look.further(candidate, expectation.system.as_deref(), &mut seen)?;
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

    /// What was found until then stands without each of these.
    fn further(&self, candidate: Checked<'_>, system: Option<&Path>, seen: &mut Seen) -> Result<(), Blind> {
        let asked = self.by_admin(candidate).map(|complaints| seen.wrong.extend(complaints));
        seen.stands_without(asked)?;
        let Some(data) = system else { return Ok(()) };
        let looked = self.at_system(data, seen);
        seen.stands_without(looked)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Caller;
    use crate::server::nothing_to_start;

    /// Its time is over, there is nothing to ask the server's own checker with, and no `system` that could be read.
    #[test]
    fn what_was_found_stands_where_the_rest_cannot_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let (home, caller) = (nothing_to_start(folder.path()), Caller::new("test 1"));
        let session = caller.session();
        let look = Look { home: &home, limit: Duration::ZERO, until: Duration::ZERO, session: &session };
        let candidate = Checked { data: home.data(), database: "neo4j" };
        let system = folder.path().join("restored-system");
        let mut seen = Seen { wrong: vec!["planted".to_owned()], ..Seen::default() };
        look.further(candidate, Some(&system), &mut seen).unwrap();
        assert_eq!((seen.wrong.len(), seen.remarks.len()), (1, 2), "{seen:?}");
        // What speaks for nothing says so.
        assert!(look.further(candidate, Some(&system), &mut Seen::default()).is_err());
        assert!(look.at_system(&system, &mut Seen::default()).is_err());
        let blind = || Err(Blind::TooLong { limit: Duration::ZERO });
        seen.stands_without(blind()).unwrap();
        assert!(Seen::default().stands_without(blind()).is_err());
    }
}
