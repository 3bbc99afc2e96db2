//! What `check` says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use grap::check::{Finding, NOT_JUDGED, StoreReport};
use grap::ops::{CheckReport, CheckedDatabase};
use serde_json::{Value, json};

use super::Output;
use super::shapes::{SCHEMA_VERSION, milliseconds};
use super::text::bytes;
use crate::failure::Failure;

/// Findings that people are shown; JSON has all that are kept.
const SHOWN: usize = 20;

impl Output<'_> {
    pub(crate) fn check(self, report: &CheckReport) -> Result<(), Failure> {
        self.print(&shape(report), || text(report))
    }
}

fn shape(report: &CheckReport) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "ok": report.findings() == 0,
        "databases": report.databases.iter().map(database).collect::<Vec<_>>(),
        "not_judged": NOT_JUDGED,
        "duration_ms": milliseconds(report.duration),
    })
}

fn database(checked: &CheckedDatabase) -> Value {
    let report = &checked.report;
    let problems: BTreeMap<&str, u64> =
        report.findings.counts().map(|(problem, count)| (problem.name(), count)).collect();
    json!({
        "name": checked.name,
        "directory": checked.directory,
        "ok": report.findings.total() == 0,
        "nodes": report.nodes,
        "relationships": report.relationships,
        "properties": report.properties,
        "labels": report.labels,
        "types": report.types,
        "digest": digest(report),
        "findings": report.findings.total(),
        "problems": problems,
        "kept": report.findings.kept().iter().map(finding).collect::<Vec<_>>(),
        "bytes": report.bytes,
        "duration_ms": milliseconds(checked.duration),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "problem": finding.problem.name(),
        "store": finding.store.file_name(),
        "record": finding.store.record_name(),
        "record_id": finding.id,
        "message": finding.message,
    })
}

fn digest(report: &StoreReport) -> String {
    format!("{:032x}", report.digest)
}

fn text(report: &CheckReport) -> String {
    let mut text = String::new();
    for checked in &report.databases {
        let StoreReport { nodes, relationships, properties, findings, .. } = &checked.report;
        let verdict = match findings.total() {
            0 => "clean".to_owned(),
            count => format!("DAMAGED, {count} findings"),
        };
        let _ = writeln!(text, "{}  {verdict}", checked.name);
        let _ = writeln!(
            text,
            "  {nodes} nodes, {relationships} relationships, {properties} properties; {} read in {:.1} s",
            bytes(checked.report.bytes),
            checked.duration.as_secs_f64()
        );
        let _ = writeln!(text, "  digest {}", digest(&checked.report));
        for finding in findings.kept().iter().take(SHOWN) {
            let _ = writeln!(text, "  {finding}");
        }
        let shown = findings.kept().len().min(SHOWN) as u64;
        if findings.total() > shown {
            let _ = writeln!(
                text,
                "  and {} more (--json has up to 100 of each kind):",
                findings.total() - shown
            );
            for (problem, count) in findings.counts() {
                let _ = writeln!(text, "    {count} {}", problem.name());
            }
        }
    }
    let _ = writeln!(text, "not judged: {}", NOT_JUDGED.join("; "));
    text
}
