//! The JSON about points in time: plans, windows, the protection. As `shapes`.

use grap::archive::{Standing, TimelineWindow};
use grap::ops::{PlanReport, Protection, SourceWindow, StatusReport, WindowReport};
use grap_core::BackupId;
use grap_neo4j::TransactionEnd;
use serde_json::{Value, json};

use super::shapes::{SCHEMA_VERSION, merge, milliseconds};

pub(super) fn plan(report: &PlanReport) -> Value {
    let databases: Vec<Value> = report
        .databases
        .iter()
        .map(|database| {
            json!({
                "name": database.name,
                "base_tx_id": database.base.tx_id,
                "tx_id": database.end.tx_id,
                "commit_ms": database.end.commit_ms,
                "log_transactions": database.log_transactions,
                "log_bytes": database.log_bytes,
                "short": database.short,
                "neo4j_min": database.server_min,
            })
        })
        .collect();
    let plan = report.plan.as_ref();
    json!({
        "schema_version": SCHEMA_VERSION,
        "dry_run": true,
        "target": report.target,
        "id": report.id,
        "source": report.source,
        "timeline": plan.map(|plan| plan.run),
        "databases": databases,
        "backup_bytes": report.backup_bytes,
        "lost_transactions": plan.map(|plan| plan.loss.transactions),
        "lost_until_ms": plan.and_then(|plan| plan.loss.until_ms),
        "age_ms": plan.map(|plan| plan.loss.age_ms),
        "estimate_ms": plan.map(|plan| milliseconds(plan.estimate)),
    })
}

pub(super) fn window(report: &WindowReport) -> Value {
    let sources: Vec<Value> = report.sources.iter().map(source_window).collect();
    json!({ "schema_version": SCHEMA_VERSION, "sources": sources })
}

fn source_window(source: &SourceWindow) -> Value {
    let databases: Vec<Value> = source
        .databases
        .iter()
        .map(|database| {
            let backups: Vec<Value> =
                database.backups.iter().map(|(id, end)| point(end, json!({ "id": id }))).collect();
            json!({
                "name": database.database,
                "timelines": database.timelines.iter().map(timeline).collect::<Vec<_>>(),
                "backups": backups,
                "unreadable_run": database.unreadable.as_ref().map(|(run, _)| run),
            })
        })
        .collect();
    json!({ "name": source.source, "databases": databases })
}

fn timeline(timeline: &TimelineWindow) -> Value {
    let spans: Vec<Value> = timeline
        .spans
        .iter()
        .map(|span| {
            let backups: Vec<&BackupId> = span.bases.iter().map(|(id, _)| id).collect();
            json!({
                "first": point(&span.first, json!({})),
                "last": point(&span.last, json!({})),
                "backups": backups,
            })
        })
        .collect();
    let gaps: Vec<Value> = timeline
        .gaps()
        .into_iter()
        .map(|gap| json!({ "from_tx_id": gap.from, "to_tx_id": gap.to, "reason": gap.reason }))
        .collect();
    json!({
        "timeline": timeline.run,
        "begins_with_run": timeline.begins,
        "current": timeline.current,
        "break": timeline.broken,
        "spans": spans,
        "gaps": gaps,
    })
}

fn point(end: &TransactionEnd, mut more: Value) -> Value {
    merge(&mut more, json!({ "tx_id": end.id, "commit_ms": end.commit_time }));
    more
}

pub(super) fn status(report: &StatusReport) -> Value {
    let databases: Vec<Value> = report
        .databases
        .iter()
        .map(|database| {
            // Where the log does not go on from the archive there is nothing to be counted.
            let lag = database.lag.as_ref().filter(|lag| lag.standing == Standing::Follows);
            json!({
                "name": database.database,
                "timeline": database.run,
                "begins_with_run": database.timeline,
                "archived": database.archived.as_ref().map(|end| point(end, json!({}))),
                "restorable": database.restorable.as_ref().map(|end| point(end, json!({}))),
                "live_tx_id": database.lag.as_ref().map(|lag| lag.live),
                "lag_transactions": lag.map(|lag| lag.transactions),
                "lag_ms": lag.map(|lag| lag.milliseconds),
            })
        })
        .collect();
    let backup = report.last_backup.as_ref();
    json!({
        "schema_version": SCHEMA_VERSION,
        "source": report.source,
        "protection": protection_name(report.protection),
        "reasons": report.reasons,
        "last_backup": backup.map(|backup| json!({ "id": backup.id, "age_s": backup.age.as_secs() })),
        "databases": databases,
    })
}

pub(super) fn protection_name(protection: Protection) -> &'static str {
    match protection {
        Protection::Protected => "PROTECTED",
        Protection::Unprotected => "UNPROTECTED",
        Protection::Unknown => "UNKNOWN",
    }
}
