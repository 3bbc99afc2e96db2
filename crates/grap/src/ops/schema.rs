//! `schema`: what is declared against what is there, and making what is missing. Nothing is ever dropped or changed.
//!
//! Each statement carries IF NOT EXISTS, so that a second run, also after a crash or a commit in doubt, makes nothing
//! twice. What is there under a wanted name and is something else is reported, and left.

use std::time::Duration;

use grap_bolt::client::Options;
use grap_core::schema::{Declaration, Drift, SchemaFile, compare, missing};
use grap_task::Finding;

use super::Session;
use crate::ask::Asker;
use crate::error::Result;

const PAUSE: Duration = Duration::from_millis(200);

pub struct SchemaOptions {
    pub connection: Options,
    /// The user's home database by default.
    pub database: Option<String>,
    pub schema: SchemaFile,
    /// From the first statement until everything is ONLINE.
    pub wait: Duration,
}

/// How the server's schema differs. What is missing is what `apply_schema` would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaPlan {
    pub declared: usize,
    pub live: usize,
    pub drifts: Vec<Drift>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaReport {
    pub declared: usize,
    /// What was missing, and was made.
    pub created: Vec<String>,
    /// What is not as declared, now.
    pub drifts: Vec<Drift>,
}

impl SchemaPlan {
    pub fn faults(&self) -> usize {
        faults(&self.drifts)
    }
}

impl SchemaReport {
    pub fn faults(&self) -> usize {
        faults(&self.drifts)
    }
}

fn faults(drifts: &[Drift]) -> usize {
    drifts.iter().filter(|drift| drift.kind.is_fault()).count()
}

/// Looks, and changes nothing.
pub fn diff_schema(options: &SchemaOptions) -> Result<SchemaPlan> {
    let mut asker = Asker::open(&options.connection, options.database.as_deref())?;
    let live = asker.schema()?;
    let declared = &options.schema.declarations;
    Ok(SchemaPlan { declared: declared.len(), live: live.len(), drifts: compare(declared, &live) })
}

/// Makes what is missing, waits until all of it is ONLINE, and says what differs then.
pub fn apply_schema(options: &SchemaOptions, session: &Session<'_>) -> Result<SchemaReport> {
    let until = session.clock.since_boot() + options.wait;
    let mut asker = Asker::open(&options.connection, options.database.as_deref())?;
    let declared = &options.schema.declarations;
    let live = asker.schema()?;
    let mut created = Vec::new();
    for wanted in missing(declared, &live) {
        session.stop.check()?;
        let left = until.saturating_sub(session.clock.since_boot()).max(Duration::from_secs(1));
        asker.apply(wanted, left)?;
        created.push(wanted.title());
    }
    let drifts = settled(&mut asker, declared, until, session)?;
    let report = SchemaReport { declared: declared.len(), created, drifts };
    session.monitor.finding(&told(&report));
    Ok(report)
}

/// Waits for what is being populated.
fn settled(
    asker: &mut Asker,
    declared: &[Declaration],
    until: Duration,
    session: &Session<'_>,
) -> Result<Vec<Drift>> {
    loop {
        let drifts = compare(declared, &asker.schema()?);
        if !drifts.iter().any(|drift| drift.kind.is_populating()) || session.clock.since_boot() >= until {
            return Ok(drifts);
        }
        session.clock.wait(PAUSE, session.stop);
        session.stop.check()?;
    }
}

fn told(report: &SchemaReport) -> Finding {
    let (declared, created, faults) = (report.declared, report.created.len(), report.faults());
    let there = declared.saturating_sub(created);
    let text =
        format!("Schema initialization: {declared} declared, {created} created, {there} already there");
    match faults {
        0 => Finding::info(text + "; all are ONLINE"),
        _ => Finding::warning(format!("{text}; {faults} not as declared")),
    }
}
