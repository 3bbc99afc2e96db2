//! `health`: three checks of the live database, and those of the user's; the first failure ends it.
//!
//! 1. *Connectivity*: log on, and ask the database for a 1.
//! 2. *Schema consistency*: against a declared schema, or, without one, that nothing there is FAILED.
//! 3. *Orphan detection*: relationships end at nodes that are there ([`crate::ask`]).
//! 4. The canary, where it was asked for: it writes ([`mod@super::canary`]).
//!
//! A database in use changes between two questions. Whatever was found wrong is asked for once more, and counts only when
//! it is found again. An index that is being populated is waited for within the limit of its check; without a
//! declaration it is no fault even then.

use std::time::Duration;

use grap_bolt::client::Options;
use grap_core::schema::{Drift, LiveObject, SchemaFile, compare, faults};
use grap_core::{CheckOutcome, Checks};
use jiff::Timestamp;

use super::{CanaryRun, Session};
use crate::ask::{Asker, Counts};
use crate::error::in_one_line;

pub const CONNECTIVITY: &str = "connectivity";
pub const SCHEMA_CONSISTENCY: &str = "schema_consistency";
pub const ORPHAN_DETECTION: &str = "orphan_detection";
pub const CANARY: &str = "canary";

const PAUSE: Duration = Duration::from_millis(200);
/// What of the limit of a check is left for the last answer.
const RESERVE: Duration = Duration::from_secs(2);
/// Rows of a custom check that are shown.
const ROWS_SHOWN: usize = 20;

#[derive(Debug, Clone)]
pub struct HealthOptions {
    pub connection: Options,
    /// The user's home database by default.
    pub database: Option<String>,
    pub schema: Option<SchemaFile>,
    pub custom: Vec<CustomCheck>,
    /// Count, and count per label and type.
    pub detailed: bool,
    pub limits: HealthLimits,
}

/// A statement that returns a row for each thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomCheck {
    pub name: String,
    pub statement: String,
}

/// Each check ends within its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthLimits {
    pub connectivity: Duration,
    pub schema: Duration,
    pub orphans: Duration,
    /// Of each custom check.
    pub custom: Duration,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            connectivity: Duration::from_secs(5),
            schema: Duration::from_secs(10),
            orphans: Duration::from_secs(30),
            custom: Duration::from_secs(10),
        }
    }
}

#[derive(Debug)]
pub struct HealthReport {
    pub timestamp: Timestamp,
    /// Host and port.
    pub server: String,
    /// What the server calls itself; empty where it did not answer.
    pub agent: String,
    pub checks: Checks,
    /// How many of the checks, the last ones, are the user's.
    pub custom: usize,
    /// Where they were asked for, and everything passed; or why there are none.
    pub counts: Option<Result<Counts, String>>,
    /// Why the server could not be asked.
    pub unreachable: Option<crate::Error>,
}

impl HealthReport {
    pub fn is_healthy(&self) -> bool {
        self.checks.is_healthy()
    }
}

pub fn health(options: &HealthOptions, session: &Session<'_>) -> HealthReport {
    health_with_canary(options, None, session)
}

/// With what a run of the canary came to as the fourth check. It is made, or looked up, when nothing failed before it.
pub fn health_with_canary(
    options: &HealthOptions,
    canary: Option<Box<dyn FnOnce() -> CanaryRun + '_>>,
    session: &Session<'_>,
) -> HealthReport {
    let mut look = Look { options, session, asker: None, unreachable: None };
    let mut checks = Checks::default();
    checks.next(CONNECTIVITY, || timed(session, || look.connectivity()));
    checks.next(SCHEMA_CONSISTENCY, || timed(session, || look.schema()));
    checks.next(ORPHAN_DETECTION, || timed(session, || look.orphans()));
    if let Some(canary) = canary {
        checks.next(CANARY, || {
            let run = canary();
            (run.outcome, run.duration)
        });
    }
    for check in &options.custom {
        checks.next(&check.name, || timed(session, || look.custom(check)));
    }
    let counts = (options.detailed && checks.is_healthy()).then(|| look.counts());
    HealthReport {
        timestamp: session.clock.now(),
        server: options.connection.address.to_string(),
        agent: look.asker.as_ref().map(|asker| asker.agent().to_owned()).unwrap_or_default(),
        checks,
        custom: options.custom.len(),
        counts,
        unreachable: look.unreachable,
    }
}

type Outcome = Result<CheckOutcome, String>;

fn timed(session: &Session<'_>, check: impl FnOnce() -> Outcome) -> (Outcome, Duration) {
    let begun = session.clock.since_boot();
    let outcome = check();
    (outcome, session.clock.since_boot().saturating_sub(begun))
}

struct Look<'a> {
    options: &'a HealthOptions,
    session: &'a Session<'a>,
    /// Once connected.
    asker: Option<Asker>,
    unreachable: Option<crate::Error>,
}

impl Look<'_> {
    fn connectivity(&mut self) -> Outcome {
        let limit = self.options.limits.connectivity;
        let connection = Options { budget: Some(limit), ..self.options.connection.clone() };
        let database = self.options.database.as_deref();
        let opened = Asker::open(&connection, database).and_then(|mut asker| asker.ping().map(|()| asker));
        match opened {
            Ok(asker) => {
                let message = format!("{} at {} answers", asker.agent(), connection.address);
                self.asker = Some(asker);
                Ok(CheckOutcome { message, findings: Vec::new() })
            }
            Err(error) => {
                let why = in_one_line(&error);
                self.unreachable = Some(error.into());
                Err(why)
            }
        }
    }

    fn schema(&mut self) -> Outcome {
        let (limit, session, declared) =
            (self.options.limits.schema, self.session, self.options.schema.as_ref());
        let until = session.clock.since_boot() + limit.saturating_sub(RESERVE);
        let asker = self.asked(limit)?;
        let mut before: Vec<Drift> = Vec::new();
        loop {
            let live = asker.schema().map_err(|error| in_one_line(&error))?;
            let found = wrong(declared, &live);
            let again: Vec<&Drift> = found.iter().filter(|drift| has(&before, drift)).collect();
            let over = session.clock.since_boot() >= until;
            let waits = again.iter().any(|drift| drift.kind.is_populating());
            if found.is_empty() || (!again.is_empty() && again.len() == found.len() && !waits) || over {
                return Ok(schema_outcome(declared, live.len(), &again));
            }
            before = found;
            session.clock.wait(PAUSE, session.stop);
            session.stop.check().map_err(|stopped| in_one_line(&stopped))?;
        }
    }

    fn orphans(&mut self) -> Outcome {
        let (limit, session) = (self.options.limits.orphans, self.session);
        let asker = self.asked(limit)?;
        let seen = asker
            .endpoints(limit.saturating_sub(RESERVE), session.clock, session.stop)
            .map_err(|error| in_one_line(&error))?;
        // What was not looked at to the end, because somebody said so, has not passed.
        session.stop.check().map_err(|stopped| in_one_line(&stopped))?;
        if seen.seen == 0 && seen.relationships > 0 {
            return Err(format!(
                "none of {} relationships was met: nothing can be said of them",
                seen.relationships
            ));
        }
        let how = if seen.whole { "every id was looked at" } else { "a random sample" };
        let message = format!(
            "the ends of {} relationships were looked at ({how}; {} are counted); {} lack a node",
            seen.seen,
            seen.relationships,
            seen.dangling.len()
        );
        let findings = seen.dangling.iter().take(ROWS_SHOWN).map(ToString::to_string).collect();
        Ok(CheckOutcome { message, findings })
    }

    fn custom(&mut self, check: &CustomCheck) -> Outcome {
        let asker = self.asked(self.options.limits.custom)?;
        let findings = asker.rows(&check.statement, ROWS_SHOWN).map_err(|error| in_one_line(&error))?;
        let message = match findings.len() {
            0 => "no row".to_owned(),
            ROWS_SHOWN => format!("{ROWS_SHOWN} rows or more"),
            rows => format!("{rows} rows"),
        };
        Ok(CheckOutcome { message, findings })
    }

    fn counts(&mut self) -> Result<Counts, String> {
        let limit = self.options.limits.custom;
        self.asked(limit)?.counts().map_err(|error| in_one_line(&error))
    }

    /// Whoever is asked from now on answers within `limit`.
    fn asked(&mut self, limit: Duration) -> Result<&mut Asker, String> {
        let asker = self.asker.as_mut().ok_or("there is no connection")?;
        asker.set_budget(limit);
        Ok(asker)
    }
}

/// What is FAILED is wrong whether it was declared or not; what is being populated only where it was.
fn wrong(declared: Option<&SchemaFile>, live: &[LiveObject]) -> Vec<Drift> {
    let declared = declared.map(|file| file.declarations.as_slice()).unwrap_or_default();
    let is_declared = |object: &&LiveObject| declared.iter().any(|wanted| wanted.shape == object.shape);
    let others: Vec<LiveObject> = live.iter().filter(|object| !is_declared(object)).cloned().collect();
    let mut wrong = compare(declared, live);
    wrong.retain(|drift| drift.kind.is_fault());
    wrong.extend(faults(&others).into_iter().filter(|drift| !drift.kind.is_populating()));
    wrong
}

/// Whether this was wrong before, in the same way; how far an index is populated does not count.
fn has(before: &[Drift], drift: &Drift) -> bool {
    before.iter().any(|other| other.what == drift.what && other.kind.name() == drift.kind.name())
}

fn schema_outcome(declared: Option<&SchemaFile>, live: usize, found: &[&Drift]) -> CheckOutcome {
    let message = match declared {
        Some(file) => {
            format!("{} declared, {live} there, {} not as declared", file.declarations.len(), found.len())
        }
        None => {
            format!("{live} indexes and constraints, {} of them not ONLINE; none is declared", found.len())
        }
    };
    CheckOutcome { message, findings: found.iter().map(ToString::to_string).collect() }
}
