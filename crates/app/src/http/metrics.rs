//! The figures, from what the daemon knows. Nothing is asked of anybody for them.

use std::collections::BTreeMap;

use grap_core::{AlertLevel, CheckState};
use jiff::Timestamp;

use super::sheet::Sheet;
use crate::daemon::status::{DaemonStatus, JobState, TaskView};
use crate::daemon::{CanarySeen, Figures, HealthSeen};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn text(figures: &Figures) -> String {
    sheet(figures).text()
}

fn sheet(figures: &Figures) -> Sheet {
    let mut sheet = Sheet::default();
    if let Some(seen) = &figures.health {
        health(&mut sheet, seen);
    }
    if let Some(seen) = &figures.canary {
        canary(&mut sheet, seen);
    }
    daemon(&mut sheet, &figures.status);
    protection(&mut sheet, &figures.status);
    figures.status.tasks.iter().for_each(|view| task(&mut sheet, view));
    alerts(&mut sheet, &figures.status);
    if let Ok(recovery) = &figures.recovery {
        sheet.put("grap_recovery_in_progress", truth(recovery.is_some()));
    }
    let recovery = figures.recovery.as_ref().ok();
    if let Some(percent) = recovery.and_then(Option::as_ref).and_then(|report| report.percent) {
        sheet.put("grap_recovery_progress_ratio", f64::from(percent) / 100.0);
    }
    sheet
}

fn health(sheet: &mut Sheet, seen: &HealthSeen) {
    sheet.put("grap_health_failed", truth(seen.result.is_err()));
    let Ok(report) = &seen.result else { return };
    sheet.put("neo4j_health_status", truth(report.is_healthy()));
    sheet.put("neo4j_health_timestamp_seconds", unix(report.timestamp));
    // A series is there once. Checks of the user's may share a name: then all of them have to pass.
    let mut checks: BTreeMap<&str, (bool, f64)> = BTreeMap::new();
    for check in report.checks.iter() {
        let (passed, took) = checks.entry(&check.name).or_insert((true, 0.0));
        *passed &= check.state == CheckState::Pass;
        *took += check.duration.as_secs_f64();
    }
    for (name, (passed, took)) in checks {
        sheet.put_of("neo4j_health_check_status", name, truth(passed));
        sheet.put_of("neo4j_health_check_duration_seconds", name, took);
    }
}

fn canary(sheet: &mut Sheet, seen: &CanarySeen) {
    sheet.put("grap_canary_status", truth(seen.run.outcome.is_ok()));
    sheet.put("grap_canary_timestamp_seconds", unix(seen.at));
    if let Some(after) = seen.run.archived_after {
        sheet.put("grap_canary_archived_seconds", after.as_secs_f64());
    }
}

fn daemon(sheet: &mut Sheet, status: &DaemonStatus) {
    sheet.put_of("grap_build_info", env!("CARGO_PKG_VERSION"), 1.0);
    sheet.put("grap_start_time_seconds", unix(status.since));
    sheet.put("grap_settings_refused", truth(status.refused.is_some()));
    for job in status.jobs.iter().filter(|job| job.state != JobState::Off) {
        sheet.put_of("grap_job_running", &job.name, truth(job.state == JobState::Running));
        sheet.put_of("grap_job_restarts_total", &job.name, job.restarts as f64);
    }
    if let Some(space) = &status.space {
        sheet.put("grap_repository_available_bytes", space.available as f64);
        sheet.put("grap_repository_size_bytes", space.total as f64);
    }
}

fn protection(sheet: &mut Sheet, status: &DaemonStatus) {
    if let Some(seen) = &status.protection {
        sheet.put("grap_protected", truth(seen.protected));
        sheet.put("grap_protection_timestamp_seconds", unix(seen.at));
        sheet.put("grap_backups", seen.backups as f64);
        if let Some(last) = seen.last_backup {
            sheet.put("grap_last_backup_timestamp_seconds", unix(last));
        }
    }
    for lag in &status.lag {
        sheet.put_of("grap_archive_follows", &lag.database, truth(lag.follows));
        if lag.follows {
            sheet.put_of("grap_rpo_seconds", &lag.database, lag.milliseconds as f64 / 1000.0);
            sheet.put_of("grap_archive_lag_transactions", &lag.database, lag.transactions as f64);
        }
    }
}

fn task(sheet: &mut Sheet, view: &TaskView) {
    let name = view.task.name();
    sheet.put_of("grap_task_failures", name, f64::from(view.failures));
    sheet.put_of("grap_task_running", name, truth(view.running.is_some()));
    if let Some(at) = view.last_success {
        sheet.put_of("grap_last_success_timestamp_seconds", name, unix(at));
    }
    if let Some(at) = view.next {
        sheet.put_of("grap_task_next_timestamp_seconds", name, unix(at));
    }
    if let Some(last) = &view.last {
        let took = last.ended.duration_since(last.started).as_secs_f64();
        sheet.put_of("grap_task_last_duration_seconds", name, took);
    }
}

fn alerts(sheet: &mut Sheet, status: &DaemonStatus) {
    for level in [AlertLevel::Warning, AlertLevel::Critical] {
        let open = status.alerts.iter().filter(|alert| alert.level == level).count();
        sheet.put_of("grap_alerts", &level.to_string(), open as f64);
    }
    for sink in &status.sinks {
        sheet.put_of("grap_alert_sink_failing", &sink.sink, truth(sink.failing_since.is_some()));
    }
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn unix(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use grap::ops::{CanaryRun, HealthReport, RecoveryReport};
    use grap_core::recovery::State;
    use grap_core::schedule::{Outcome, Reason, Run, Running, Task};
    use grap_core::{CheckOutcome, Checks};

    use super::super::sheet::METRICS;
    use super::*;
    use crate::alert::{AlertView, SinkView};
    use crate::daemon::status::{JobView, LagView, ProtectionView, SpaceView};

    fn now() -> Timestamp {
        "2026-11-26T02:00:00.5Z".parse().unwrap()
    }

    fn report(found: &[&str]) -> HealthReport {
        let mut checks = Checks::default();
        let findings: Vec<String> = found.iter().map(|&found| found.to_owned()).collect();
        for name in ["connectivity", "same", "same"] {
            let outcome = CheckOutcome { message: String::new(), findings: Vec::new() };
            checks.next(name, || (Ok(outcome), Duration::from_millis(250)));
        }
        checks.next("same", || (Ok(CheckOutcome { message: String::new(), findings }), Duration::ZERO));
        HealthReport {
            timestamp: now(),
            server: String::new(),
            agent: String::new(),
            checks,
            custom: 3,
            counts: None,
            unreachable: None,
        }
    }

    fn status() -> DaemonStatus {
        let job = |name: &str, state| JobView {
            name: name.to_owned(),
            state,
            since: now(),
            restarts: 3,
            last_error: None,
        };
        let lag = |database: &str, follows| LagView {
            database: database.to_owned(),
            follows,
            transactions: 7,
            milliseconds: 1500,
        };
        DaemonStatus {
            program: String::new(),
            pid: 1,
            since: now(),
            refused: None,
            jobs: vec![job("archiver", JobState::Running), job("http", JobState::Off)],
            tasks: vec![TaskView {
                task: Task::Backup,
                schedule: None,
                running: Some(Running { since: now(), reason: Reason::Slot { slot: now() } }),
                last: Some(Run { started: now(), ended: now(), outcome: Outcome::Succeeded }),
                last_success: Some(now()),
                failures: 2,
                waits_for: None,
                next: Some(now()),
            }],
            lag: vec![lag("neo4j", true), lag("system", false)],
            protection: Some(ProtectionView {
                protected: false,
                reasons: Vec::new(),
                at: now(),
                backups: 4,
                last_backup: Some(now()),
            }),
            alerts: vec![AlertView {
                key: String::new(),
                level: AlertLevel::Critical,
                message: String::new(),
                since: now(),
            }],
            sinks: vec![SinkView {
                sink: "exec".to_owned(),
                failing_since: None,
                last_error: None,
                waiting: 0,
            }],
            space: Some(SpaceView { available: 1, total: 2 }),
        }
    }

    fn figures(found: &[&str]) -> Figures {
        let recovery = RecoveryReport {
            state: State::Idle,
            runs: true,
            percent: Some(50),
            remaining_s: None,
            candidate: None,
            retired: Vec::new(),
            at: now(),
        };
        let outcome = Ok(CheckOutcome::default());
        let run =
            CanaryRun { outcome, duration: Duration::ZERO, archived_after: Some(Duration::from_millis(20)) };
        Figures {
            status: status(),
            health: Some(HealthSeen::of(report(found)).into()),
            canary: Some(CanarySeen { run, at: now(), ended: Duration::ZERO }),
            recovery: Ok(Some(recovery)),
        }
    }

    #[test]
    fn every_figure_of_the_table_is_served() {
        let table: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(sheet(&figures(&[])).names(), table);
    }

    #[test]
    fn figures_say_what_is_known() {
        let said = text(&figures(&["one"]));
        for line in [
            "neo4j_health_status 0",
            "neo4j_health_timestamp_seconds 1795658400.5",
            "neo4j_health_check_status{check=\"connectivity\"} 1",
            "neo4j_health_check_status{check=\"same\"} 0",
            "neo4j_health_check_duration_seconds{check=\"same\"} 0.5",
            "grap_rpo_seconds{database=\"neo4j\"} 1.5",
            "grap_archive_follows{database=\"system\"} 0",
            "grap_job_restarts_total{job=\"archiver\"} 3",
            "grap_alerts{level=\"critical\"} 1",
            "grap_canary_archived_seconds 0.02",
            "grap_recovery_progress_ratio 0.5",
        ] {
            assert!(said.lines().any(|said| said == line), "{line} in {said}");
        }
        // What is not known, or off, is not there.
        for absent in ["grap_rpo_seconds{database=\"system\"}", "job=\"http\""] {
            assert!(!said.contains(absent), "{absent} in {said}");
        }
    }
}
