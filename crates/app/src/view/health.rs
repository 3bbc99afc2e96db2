//! Reports of the verbs that ask the running server: health, schema.

use std::fmt::Write as _;

use grap::ask::{Count, Counts};
use grap::ops::{HealthReport, SchemaPlan, SchemaReport};
use grap_core::HealthCheck;
use grap_core::schema::Drift;
use serde_json::{Map, Value, json};

use super::Output;
use super::shapes::{SCHEMA_VERSION, milliseconds};
use crate::failure::Failure;

impl Output<'_> {
    pub(crate) fn health(self, report: &HealthReport) -> Result<(), Failure> {
        self.print(&health_shape(report), || health_text(report))
    }

    pub(crate) fn schema_plan(self, plan: &SchemaPlan) -> Result<(), Failure> {
        let shape = json!({
            "schema_version": SCHEMA_VERSION,
            "declared": plan.declared,
            "faults": plan.faults(),
            "drifts": drift_shapes(&plan.drifts),
        });
        self.print(&shape, || schema_text(plan.declared, &[], &plan.drifts))
    }

    pub(crate) fn schema_report(self, report: &SchemaReport) -> Result<(), Failure> {
        let shape = json!({
            "schema_version": SCHEMA_VERSION,
            "declared": report.declared,
            "created": report.created,
            "faults": report.faults(),
            "drifts": drift_shapes(&report.drifts),
        });
        self.print(&shape, || schema_text(report.declared, &report.created, &report.drifts))
    }
}

pub(crate) fn health_shape(report: &HealthReport) -> Value {
    let all: Vec<&HealthCheck> = report.checks.iter().collect();
    let (own, custom) = all.split_at(all.len().saturating_sub(report.custom));
    let checks: Map<String, Value> =
        own.iter().map(|check| (check.name.clone(), check_shape(check))).collect();
    let custom: Vec<Value> = custom.iter().map(|check| custom_shape(check)).collect();
    let (counts, counts_error) = match &report.counts {
        Some(Ok(counts)) => (counts_shape(counts), Value::Null),
        Some(Err(why)) => (Value::Null, json!(why)),
        None => (Value::Null, Value::Null),
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": status(report),
        "timestamp": report.timestamp,
        "server": report.server,
        "agent": report.agent,
        "checks": checks,
        "custom_checks": custom,
        "counts": counts,
        "counts_error": counts_error,
    })
}

fn status(report: &HealthReport) -> &'static str {
    if report.is_healthy() { "healthy" } else { "unhealthy" }
}

fn check_shape(check: &HealthCheck) -> Value {
    json!({
        "status": check.state.name(),
        "message": check.message,
        "duration_ms": milliseconds(check.duration),
        "findings": check.findings,
    })
}

fn custom_shape(check: &HealthCheck) -> Value {
    let mut shape = check_shape(check);
    shape["name"] = json!(check.name);
    shape
}

fn counts_shape(counts: &Counts) -> Value {
    let by_name = |counts: &[Count]| -> Map<String, Value> {
        counts.iter().map(|count| (count.name.clone(), json!(count.count))).collect()
    };
    json!({
        "nodes": counts.nodes,
        "relationships": counts.relationships,
        "labels": by_name(&counts.labels),
        "types": by_name(&counts.types),
    })
}

fn drift_shapes(drifts: &[Drift]) -> Vec<Value> {
    let shape = |drift: &Drift| json!({ "kind": drift.kind.name(), "fault": drift.kind.is_fault(), "message": drift.to_string() });
    drifts.iter().map(shape).collect()
}

fn health_text(report: &HealthReport) -> String {
    let mut text = format!("{} at {}: {}\n", report.server, report.timestamp, status(report));
    for check in report.checks.iter() {
        let (state, milliseconds) = (check.state.name(), check.duration.as_millis());
        let _ = writeln!(text, "  {state:<7} {} ({milliseconds} ms): {}", check.name, check.message);
        for finding in &check.findings {
            let _ = writeln!(text, "          {finding}");
        }
    }
    match &report.counts {
        Some(Ok(counts)) => text += &counts_text(counts),
        Some(Err(why)) => {
            let _ = writeln!(text, "not counted: {why}");
        }
        None => {}
    }
    text
}

fn counts_text(counts: &Counts) -> String {
    let mut text = format!("{} nodes, {} relationships\n", counts.nodes, counts.relationships);
    for Count { name, count } in &counts.labels {
        let _ = writeln!(text, "  (:{name}) {count}");
    }
    for Count { name, count } in &counts.types {
        let _ = writeln!(text, "  ()-[:{name}]->() {count}");
    }
    text
}

fn schema_text(declared: usize, created: &[String], drifts: &[Drift]) -> String {
    let mut text = format!("{declared} declared\n");
    for title in created {
        let _ = writeln!(text, "  created: {title}");
    }
    for drift in drifts {
        let _ = writeln!(text, "  {drift}");
    }
    if drifts.is_empty() {
        text += "  nothing differs: what is declared is there and ONLINE, and nothing else\n";
    } else if !drifts.iter().any(|drift| drift.kind.is_fault()) {
        text += "  what is declared is there and ONLINE\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use grap_core::schema::DriftKind;

    use super::*;

    #[test]
    fn a_schema_without_a_difference_is_said_to_be_so() {
        let drift = |kind| Drift { kind, what: "`i`".to_owned() };
        assert!(schema_text(2, &[], &[]).contains("nothing differs"));
        let undeclared = schema_text(2, &[], &[drift(DriftKind::Undeclared)]);
        assert!(undeclared.contains("not declared: `i`") && undeclared.ends_with("there and ONLINE\n"));
        let missing = schema_text(2, &[], &[drift(DriftKind::Missing)]);
        assert!(missing.contains("missing") && !missing.contains("ONLINE"), "{missing}");
    }
}
