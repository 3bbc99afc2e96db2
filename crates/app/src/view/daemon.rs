//! What a daemon knows of itself, as `grap status` shows it.

use serde_json::{Value, json};

use super::shapes::merge;
use super::text::{bytes, second};
use crate::daemon::status::{AlertView, DaemonStatus, JobState, JobView};

pub(super) fn shape(daemon: &DaemonStatus) -> Value {
    let jobs: Vec<Value> = daemon.jobs.iter().map(job).collect();
    let lag: Vec<Value> = daemon
        .lag
        .iter()
        .map(|lag| {
            json!({
                "name": lag.database,
                "lag_transactions": lag.follows.then_some(lag.transactions),
                "lag_ms": lag.follows.then_some(lag.milliseconds),
            })
        })
        .collect();
    let protection = daemon.protection.as_ref().map(|seen| {
        let word = if seen.protected { "PROTECTED" } else { "UNPROTECTED" };
        json!({ "protection": word, "reasons": seen.reasons, "at": seen.at })
    });
    let space = daemon
        .space
        .as_ref()
        .map(|space| json!({ "available_bytes": space.available, "total_bytes": space.total }));
    let alerts: Vec<Value> = daemon.alerts.iter().map(alert).collect();
    json!({
        "program": daemon.program,
        "pid": daemon.pid,
        "since": daemon.since,
        "settings_refused": daemon.refused,
        "jobs": jobs,
        "databases": lag,
        "seen": protection,
        "space": space,
        "alerts": alerts,
    })
}

fn alert(alert: &AlertView) -> Value {
    let level = if alert.critical { "critical" } else { "warning" };
    json!({ "key": alert.key, "level": level, "message": alert.message })
}

fn job(job: &JobView) -> Value {
    let error = job
        .last_error
        .as_ref()
        .map(|error| json!({ "code": error.code, "message": error.message, "at": error.at }));
    json!({
        "name": job.name,
        "state": state_word(job.state),
        "since": job.since,
        "restarts": job.restarts,
        "last_error": error,
    })
}

fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Waiting => "waiting",
        JobState::Stopped => "stopped",
        JobState::Ended => "ended",
    }
}

/// The report of `status`, and the daemon beside it.
pub(super) fn beside(mut report: Value, daemon: Option<&DaemonStatus>) -> Value {
    merge(&mut report, json!({ "daemon": daemon.map(shape) }));
    report
}

pub(super) fn text(daemon: Option<&DaemonStatus>) -> String {
    let Some(daemon) = daemon else { return "no daemon runs on this state directory\n".to_owned() };
    let mut text = format!("daemon {} (pid {}) since {}\n", daemon.program, daemon.pid, second(daemon.since));
    if let Some(why) = &daemon.refused {
        text += &format!("  the settings that were read last are refused, the older ones count: {why}\n");
    }
    for job in &daemon.jobs {
        text += &format!("  {:<12} {} since {}", job.name, state_word(job.state), second(job.since));
        if job.restarts > 0 {
            text += &format!(", started again {} times", job.restarts);
        }
        text += "\n";
        if let Some(error) = &job.last_error {
            let at = second(error.at);
            text += &format!("  {:<12} last error, of {at}: error[{}]: {}\n", "", error.code, error.message);
        }
    }
    if let Some(seen) = &daemon.protection {
        let word = if seen.protected { "PROTECTED" } else { "UNPROTECTED" };
        text += &format!("  looked at {}: {word}\n", second(seen.at));
    }
    for alert in &daemon.alerts {
        let level = if alert.critical { "CRITICAL" } else { "warning" };
        text += &format!("  {level}: {}\n", alert.message);
    }
    if let Some(space) = &daemon.space {
        text += &format!(
            "  {} of {} are free at the repository\n",
            bytes(space.available),
            bytes(space.total)
        );
    }
    text
}
