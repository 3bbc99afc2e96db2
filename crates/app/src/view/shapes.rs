//! The JSON that scripts read: documented in `docs/json.md`, version 1. Within a version fields are only
//! added.

use grap::copy::{DatabaseManifest, Manifest};
use grap::notes::{Standing, Validated};
use grap::ops::{
    ArchiveReport, BackupReport, BackupRow, BackupStatus, BackupVerdict, CheckStatus, DoctorReport,
    InitReport, ListReport, RestoreReport, ShowReport, SourceReport, UnlockReport, VerifyReport,
};
use grap_core::RetentionRules;
use grap_repository::{LockInfo, LockState};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::retention;
use crate::config::Settings;

pub(super) const SCHEMA_VERSION: u32 = 1;

pub(super) fn init(report: &InitReport) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "repository_id": report.repository_id,
        "source": report.source,
        "recovery_key": report.recovery_key.secret().expose_secret(),
    })
}

pub(super) fn backup(report: &BackupReport, rules: &RetentionRules) -> Value {
    let mut shape = summary(&report.manifest, &Standing::default(), rules);
    merge(&mut shape, json!({ "snapshot": report.snapshot, "duration_ms": milliseconds(report.duration) }));
    shape
}

pub(super) fn archive(report: &ArchiveReport) -> Value {
    let shipped = &report.shipped;
    json!({
        "schema_version": SCHEMA_VERSION,
        "source": report.source,
        "runs": shipped.runs,
        "segments": shipped.segments,
        "transactions": shipped.transactions,
        "bytes": shipped.bytes,
        "latency_ms": {
            "p50": milliseconds(shipped.latencies.percentile(50.0)),
            "p99": milliseconds(shipped.latencies.percentile(99.0)),
            "max": milliseconds(shipped.latencies.max),
        },
        "duration_ms": milliseconds(report.duration),
    })
}

/// What list, backup and show say of every backup. What only a validation tells is null until then.
fn summary(manifest: &Manifest, standing: &Standing, rules: &RetentionRules) -> Value {
    let counted = |database: &DatabaseManifest| {
        let validated = standing.validated.as_ref()?;
        validated.counted(&database.name, database.end.tx_id)
    };
    let databases: Vec<Value> = manifest
        .databases
        .iter()
        .map(|database| {
            json!({
                "name": database.name,
                "tx_id": database.end.tx_id,
                "commit_ms": database.end.commit_ms,
                "checkpoint_tx_id": database.checkpoint.point.tx_id,
                "transactions": database.transactions,
                "store_id": database.store_id.to_string(),
                "database_id": database.database_id,
                "format": database.format,
                "neo4j_min": database.server_min,
                "bytes": database.files.iter().map(|file| file.size).sum::<u64>(),
                "nodes": counted(database).map_or(database.nodes, |counted| Some(counted.nodes)),
                "relationships": counted(database).map_or(database.relationships, |counted| Some(counted.relationships)),
            })
        })
        .collect();
    let ratio =
        if manifest.bytes > 0 { Some(manifest.bytes_added as f64 / manifest.bytes as f64) } else { None };
    json!({
        "schema_version": SCHEMA_VERSION,
        "id": manifest.id,
        "source": manifest.source,
        "status": retention::complete_status(standing),
        "started": manifest.started,
        "finished": manifest.finished,
        "expires": rules.expires(manifest.started),
        "verified": retention::verified(standing),
        "held": !standing.holds.is_empty(),
        "neo4j_version": manifest.server.version,
        "server_running": manifest.server.running,
        "bytes": manifest.bytes,
        "bytes_added": manifest.bytes_added,
        "added_ratio": ratio,
        "health_check_passed": standing.validated.as_ref().map(Validated::passed),
        "tags": manifest.tags,
        "note": manifest.note,
        "databases": databases,
    })
}

/// An object that the storage did not let us delete.
pub(super) fn left_shape(object: &str, reason: &str) -> Value {
    json!({ "object": object, "reason": reason })
}

pub(super) fn merge(shape: &mut Value, more: Value) {
    if let (Value::Object(shape), Value::Object(more)) = (shape, more) {
        shape.extend(more);
    }
}

pub(super) fn list(report: &ListReport, rules: &RetentionRules) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "backups": report.rows.iter().map(|one| row(one, rules)).collect::<Vec<_>>(),
        "damaged_snapshots": report.damaged.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn row(row: &BackupRow, rules: &RetentionRules) -> Value {
    let mut shape = match &row.manifest {
        Some(manifest) => summary(manifest, &row.standing, rules),
        None => json!({ "id": row.id, "source": row.source, "started": row.started }),
    };
    merge(&mut shape, json!({ "status": status_name(&row.status) }));
    match &row.status {
        BackupStatus::Failed { code, message } => {
            merge(&mut shape, json!({ "error": { "code": code, "message": message } }));
        }
        BackupStatus::Damaged(error) => {
            merge(
                &mut shape,
                json!({ "error": { "code": error.code().name(), "message": error.to_string() } }),
            );
        }
        BackupStatus::InProgress | BackupStatus::Complete | BackupStatus::Validated => {}
    }
    shape
}

pub(super) fn status_name(status: &BackupStatus) -> &'static str {
    match status {
        BackupStatus::InProgress => "IN_PROGRESS",
        BackupStatus::Complete => "COMPLETE",
        BackupStatus::Validated => "VALIDATED",
        BackupStatus::Failed { .. } => "FAILED",
        BackupStatus::Damaged(_) => "DAMAGED",
    }
}

pub(super) fn show(report: &ShowReport, rules: &RetentionRules) -> Value {
    let mut shape = summary(&report.manifest, &report.standing, rules);
    merge(&mut shape, json!({ "snapshot": report.snapshot, "manifest": report.manifest }));
    merge(&mut shape, retention::standing(&report.standing));
    shape
}

pub(super) fn verify(report: &VerifyReport) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "backups": report.backups,
        "packs": report.packs,
        "packs_read": report.packs_read,
        "bytes_read": report.bytes_read,
        "archive_objects": report.archive_objects,
        "timelines": report.timelines,
        "ok": report.problems.is_empty(),
        "problems": report.problems,
        "verdicts": report.verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}

fn verdict(found: &BackupVerdict) -> Value {
    json!({ "id": found.id, "source": found.source, "verified": found.problems.is_empty() })
}

pub(super) fn restore(report: &RestoreReport) -> Value {
    let databases: Vec<Value> = report
        .databases
        .iter()
        .map(|database| {
            json!({
                "name": database.name,
                "tx_id": database.end.tx_id,
                "commit_ms": database.end.commit_ms,
                "log_transactions": database.log_transactions,
                "short": database.short,
                "neo4j_min": database.server_min,
            })
        })
        .collect();
    let damages: Vec<Value> = report
        .damages
        .iter()
        .map(|damage| json!({ "file": damage.file, "offset": damage.offset, "reason": damage.reason }))
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "target": report.target,
        "id": report.id,
        "source": report.source,
        "timeline": report.timeline,
        "to": report.to,
        "complete": report.damages.is_empty(),
        "databases": databases,
        "files": report.files,
        "bytes": report.bytes,
        "damages": damages,
        "duration_ms": milliseconds(report.duration),
    })
}

pub(super) fn doctor(report: &DoctorReport) -> Value {
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "status": status_word(check.status),
                "message": check.message,
                "advice": check.advice,
            })
        })
        .collect();
    json!({ "schema_version": SCHEMA_VERSION, "status": status_word(report.worst()), "checks": checks })
}

pub(super) fn status_word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Pass => "pass",
        CheckStatus::Warning => "warning",
        CheckStatus::Fail => "fail",
    }
}

pub(super) fn unlock(report: &UnlockReport) -> Value {
    let locks = |locks: &[LockInfo]| locks.iter().map(lock).collect::<Vec<_>>();
    json!({ "schema_version": SCHEMA_VERSION, "removed": locks(&report.removed), "kept": locks(&report.kept) })
}

fn lock(lock: &LockInfo) -> Value {
    json!({
        "name": lock.name,
        "exclusive": lock.exclusive,
        "host": lock.hostname,
        "user": lock.username,
        "pid": lock.pid,
        "time": lock.time,
        "age_by_holder_s": lock.age_by_holder,
        "age_by_storage_s": lock.age_by_storage,
        "stale": matches!(lock.state, LockState::Stale(_)),
    })
}

pub(super) fn sources(report: &SourceReport) -> Value {
    let sources: Vec<Value> = report
        .sources
        .iter()
        .map(|source| json!({ "name": source.name, "databases": source.binding }))
        .collect();
    json!({ "schema_version": SCHEMA_VERSION, "sources": sources })
}

pub(super) fn config(settings: &Settings) -> Value {
    let shown: Vec<Value> = settings
        .shown()
        .into_iter()
        .map(|(key, value)| {
            let (value, origin) =
                value.map_or((None, None), |(value, origin)| (Some(value), Some(origin.to_string())));
            json!({ "key": key.name, "value": value, "origin": origin, "help": key.help })
        })
        .collect();
    json!({ "schema_version": SCHEMA_VERSION, "settings": shown })
}

pub(super) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
