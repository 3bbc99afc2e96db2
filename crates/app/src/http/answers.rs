//! The answers in JSON. What `grap health` shows is shown in the same shape.

use std::time::Duration;

use grap::ops::HealthReport;
use grap_core::recovery::percent;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::daemon::RecoverySeen;
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

pub(super) fn recovering(seen: &RecoverySeen, now: Timestamp, retry: Duration) -> Value {
    let seconds = retry.as_secs();
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": "unhealthy",
        "reason": "database_recovery_in_progress",
        "message": format!("Database is recovering; please retry in {seconds} seconds"),
        "timestamp": now,
        "retry_after_s": seconds,
        "recovery": {
            "id": seen.recovery.id,
            "status": seen.recovery.phase.status().name(),
            "progress_percent": percent_of(seen),
            "remaining_s": remaining(seen, now).map(|remaining| remaining.as_secs()),
        },
    })
}

/// How far it is, by the orders that are done.
pub(super) fn percent_of(seen: &RecoverySeen) -> u8 {
    percent(&grap_core::recovery::State::Active(seen.recovery.clone())).unwrap_or(0)
}

/// A guess from what was done since it began.
fn remaining(seen: &RecoverySeen, now: Timestamp) -> Option<Duration> {
    let done = f64::from(percent_of(seen)).max(0.0);
    let elapsed = Duration::try_from(now.duration_since(seen.recovery.begun)).ok()?;
    (done >= 2.0).then(|| elapsed.mul_f64((100.0 - done) / done))
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

pub(super) fn alive() -> Value {
    json!({ "schema_version": SCHEMA_VERSION, "status": "alive" })
}

pub(super) fn ready(hindrances: &[String]) -> Value {
    let word = if hindrances.is_empty() { "ready" } else { "not_ready" };
    json!({ "schema_version": SCHEMA_VERSION, "status": word, "reasons": hindrances })
}
