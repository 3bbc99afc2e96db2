//! The answers in JSON. What `grap health` shows is shown in the same shape.

use std::time::Duration;

use grap::ops::{HealthReport, RecoveryReport};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::view::{SCHEMA_VERSION, failure_shape, health_shape};

/// Counts were perhaps asked for by somebody else.
pub(super) fn health(report: &HealthReport, detailed: bool) -> Value {
    let mut shape = health_shape(report);
    if !detailed {
        shape["counts"] = Value::Null;
        shape["counts_error"] = Value::Null;
    }
    shape
}

pub(super) fn recovering(report: &RecoveryReport, retry: Duration) -> Value {
    let seconds = retry.as_secs();
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": "unhealthy",
        "reason": "database_recovery_in_progress",
        "message": format!("Database is recovering; please retry in {seconds} seconds"),
        "timestamp": report.at,
        "retry_after_s": seconds,
        "recovery": {
            "id": report.recovery().map(|recovery| &recovery.id),
            "status": report.status().name(),
            "progress_percent": report.percent,
            "remaining_s": report.remaining_s,
        },
    })
}

pub(super) fn busy(retry: Duration) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": "unknown",
        "reason": "too_many_ask",
        "message": "many wait for the database already",
        "retry_after_s": retry.as_secs(),
    })
}

/// Grap itself could not look.
pub(super) fn failed(failure: &Failure) -> Value {
    let mut shape = failure_shape(failure);
    shape["status"] = json!("error");
    shape
}

/// A fault of the program; the log has it.
pub(super) fn fault() -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": "error",
        "error": { "code": "PANIC", "message": "a fault of the program; standard error has it" },
    })
}

pub(super) fn not_for_us() -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": "error",
        "reason": "other_host",
        "message": "the request names a host that is not this one: on loopback localhost, 127.0.0.1 and [::1] are answered, and what http.hosts names",
    })
}

pub(super) fn alive() -> Value {
    json!({ "schema_version": SCHEMA_VERSION, "status": "alive" })
}

pub(super) fn ready(hindrances: &[String]) -> Value {
    let word = if hindrances.is_empty() { "ready" } else { "not_ready" };
    json!({ "schema_version": SCHEMA_VERSION, "status": word, "reasons": hindrances })
}
