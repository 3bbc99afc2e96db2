//! What a daemon knows of itself, as `grap status` shows it.

use grap_core::schedule::{Outcome, Task};
use serde_json::{Value, json};

use super::shapes::merge;
use super::text::{bytes, second};
use crate::daemon::status::{AlertView, DaemonStatus, JobState, JobView, LagView, SinkView, TaskView};

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
        "tasks": daemon.tasks.iter().map(task).collect::<Vec<_>>(),
        "databases": lag,
        "seen": protection,
        "space": space,
        "alerts": alerts,
        "sinks": daemon.sinks.iter().map(sink).collect::<Vec<_>>(),
    })
}

fn task(task: &TaskView) -> Value {
    let running = task.running.as_ref();
    let last = task.last.as_ref().map(|last| {
        let (word, error) = outcome(&last.outcome);
        json!({ "started": last.started, "finished": last.ended, "outcome": word, "error": error })
    });
    json!({
        "name": task.task.name(),
        "schedule": task.schedule,
        "running_since": running.map(|running| running.since),
        "waits_for": task.waits_for.map(Task::name),
        "next": task.next,
        "failures": task.failures,
        "last": last,
        "last_success": task.last_success,
    })
}

fn outcome(outcome: &Outcome) -> (&'static str, Option<Value>) {
    match outcome {
        Outcome::Succeeded => ("succeeded", None),
        Outcome::Failed { code, message } => ("failed", Some(json!({ "code": code, "message": message }))),
        Outcome::Deferred { why } => ("deferred", Some(json!({ "message": why }))),
    }
}

fn alert(alert: &AlertView) -> Value {
    json!({
        "key": alert.key,
        "level": alert.level.to_string(),
        "message": alert.message,
        "since": alert.since,
    })
}

fn sink(sink: &SinkView) -> Value {
    json!({
        "name": sink.sink,
        "failing_since": sink.failing_since,
        "last_error": sink.last_error,
        "waiting": sink.waiting,
    })
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
        JobState::Off => "off",
        JobState::Ended => "ended",
    }
}

fn job_lines(job: &JobView) -> String {
    let mut text = format!("  {:<12} {} since {}", job.name, state_word(job.state), second(job.since));
    if job.restarts > 0 {
        text += &format!(", started again {} times", job.restarts);
    }
    text += "\n";
    if let Some(error) = &job.last_error {
        let at = second(error.at);
        text += &format!("  {:<12} last error, of {at}: error[{}]: {}\n", "", error.code, error.message);
    }
    text
}

fn task_line(task: &TaskView) -> String {
    let mut text = format!("  {:<12} {}", task.task.name(), task.schedule.as_deref().unwrap_or("off"));
    if let Some(running) = &task.running {
        text += &format!(", runs since {}", second(running.since));
    }
    if let Some(next) = task.next {
        text += &format!(", next {}", second(next));
    }
    if let Some(other) = task.waits_for {
        text += &format!(", waits for {other}");
    }
    match task.last.as_ref().map(|last| (&last.outcome, last.ended)) {
        Some((Outcome::Succeeded, ended)) => text += &format!(", last went well, {}", second(ended)),
        Some((Outcome::Failed { code, message }, ended)) => {
            let times = task.failures;
            text += &format!(", failed {times} times in a row, {}: error[{code}]: {message}", second(ended));
        }
        Some((Outcome::Deferred { why }, ended)) => {
            text += &format!(", put off {}: {why}", second(ended));
        }
        None => {}
    }
    text + "\n"
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
    text.extend(daemon.jobs.iter().map(job_lines));
    text.extend(daemon.tasks.iter().map(task_line));
    for lag in daemon.lag.iter().filter(|lag| lag.follows) {
        let LagView { database, transactions, milliseconds, .. } = lag;
        text += &format!("  {database:<12} {transactions} transactions behind, {milliseconds} ms\n");
    }
    if let Some(seen) = &daemon.protection {
        let word = if seen.protected { "PROTECTED" } else { "UNPROTECTED" };
        text += &format!("  looked at {}: {word}\n", second(seen.at));
    }
    for alert in &daemon.alerts {
        text += &format!("  {} since {}: {}\n", alert.level, second(alert.since), alert.message);
    }
    for sink in &daemon.sinks {
        if let Some(since) = sink.failing_since {
            let why = sink.last_error.as_deref().unwrap_or_default();
            text += &format!("  the alert sink {} has failed since {}: {why}\n", sink.sink, second(since));
        }
    }
    if let Some(space) = &daemon.space {
        text +=
            &format!("  {} of {} are free at the repository\n", bytes(space.available), bytes(space.total));
    }
    text
}
