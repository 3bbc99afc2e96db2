//! Prometheus' text format, version 0.0.4, and the table of every figure there is: what is not in it cannot be served.

use std::fmt::Write as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// One figure, or a family of them, one for each value of the label.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) label: Option<&'static str>,
    pub(crate) unit: &'static str,
    pub(crate) help: &'static str,
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, label: None, unit, help }
}

const fn each(label: &'static str, metric: Metric) -> Metric {
    Metric { label: Some(label), ..metric }
}

const UNIX: &str = "seconds since 1970";
const TRUTH: &str = "0 or 1";

pub(crate) const METRICS: &[Metric] = &[
    gauge("neo4j_health_status", TRUTH, "1: the database was healthy when it was last looked at"),
    gauge("neo4j_health_timestamp_seconds", UNIX, "when it was last looked at"),
    each(
        "check",
        gauge("neo4j_health_check_status", TRUTH, "1: the check passed; 0: it failed, or was skipped"),
    ),
    each("check", gauge("neo4j_health_check_duration_seconds", "seconds", "how long the check took")),
    gauge(
        "grap_health_failed",
        TRUTH,
        "1: Grap itself could not look at the health, as a setting is missing",
    ),
    gauge("grap_canary_status", TRUTH, "1: the last run of the canary passed, and is not too old"),
    gauge("grap_canary_timestamp_seconds", UNIX, "when it ended"),
    gauge("grap_canary_archived_seconds", "seconds", "from its commit to its being seen in the archive"),
    each("version", gauge("grap_build_info", "1", "the version of the program")),
    gauge("grap_start_time_seconds", UNIX, "when the daemon started"),
    gauge(
        "grap_protected",
        TRUTH,
        "1: every database can be restored to its present state, as `grap status` says",
    ),
    gauge("grap_protection_timestamp_seconds", UNIX, "when that was looked at"),
    gauge("grap_backups", "backups", "backups of the source that can be read"),
    gauge("grap_last_backup_timestamp_seconds", UNIX, "when the newest of them ended"),
    each(
        "database",
        gauge(
            "grap_rpo_seconds",
            "seconds",
            "how old the oldest transaction is that is not archived: what would be lost now",
        ),
    ),
    each("database", gauge("grap_archive_lag_transactions", "transactions", "committed and not archived")),
    each(
        "database",
        gauge(
            "grap_archive_follows",
            TRUTH,
            "1: the log goes on from what is archived; 0: there is a gap or another history, and no figure of the lag",
        ),
    ),
    each("task", gauge("grap_last_success_timestamp_seconds", UNIX, "when the task last went well")),
    each("task", gauge("grap_task_failures", "runs", "failures in a row")),
    each("task", gauge("grap_task_running", TRUTH, "1: it runs")),
    each("task", gauge("grap_task_next_timestamp_seconds", UNIX, "when it is due next")),
    each(
        "task",
        gauge("grap_task_last_duration_seconds", "seconds", "how long its last run took, however it ended"),
    ),
    each(
        "job",
        gauge("grap_job_running", TRUTH, "1: it runs; 0: it waits to be started again, or for an operator"),
    ),
    each(
        "job",
        Metric {
            kind: Kind::Counter,
            ..gauge(
                "grap_job_restarts_total",
                "starts",
                "how often it was started again since the daemon started",
            )
        },
    ),
    each("level", gauge("grap_alerts", "alerts", "open alerts")),
    each("sink", gauge("grap_alert_sink_failing", TRUTH, "1: the sink takes no alerts")),
    gauge("grap_repository_available_bytes", "bytes", "free on the file system of a local repository"),
    gauge("grap_repository_size_bytes", "bytes", "the size of that file system"),
    gauge(
        "grap_settings_refused",
        TRUTH,
        "1: settings that were read anew make no sense, and the old ones count",
    ),
    gauge("grap_recovery_in_progress", TRUTH, "1: a recovery is being performed"),
    gauge("grap_recovery_progress_ratio", "0 to 1", "how far it is"),
];

/// Samples, to be written in the order of the table.
#[derive(Debug, Default)]
pub(super) struct Sheet(Vec<(&'static str, Option<String>, f64)>);

impl Sheet {
    pub(super) fn put(&mut self, name: &'static str, value: f64) {
        self.0.push((name, None, value));
    }

    pub(super) fn put_of(&mut self, name: &'static str, label: &str, value: f64) {
        self.0.push((name, Some(label.to_owned()), value));
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for metric in METRICS {
            let samples: Vec<_> = self.0.iter().filter(|(name, _, _)| *name == metric.name).collect();
            if samples.is_empty() {
                continue;
            }
            let (name, kind) = (metric.name, metric.kind.name());
            let help = escaped(&format!("{} ({})", metric.help, metric.unit), false);
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (_, value_of_label, value) in samples {
                let label = metric.label.zip(value_of_label.as_deref());
                let label = label.map(|(label, of)| format!("{{{label}=\"{}\"}}", escaped(of, true)));
                let _ = writeln!(text, "{name}{} {value}", label.unwrap_or_default());
            }
        }
        text
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> std::collections::BTreeSet<&'static str> {
        self.0.iter().map(|(name, _, _)| *name).collect()
    }
}

/// A line stays a line, and a quoted value quoted.
fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_labels_are_quoted_and_lines_stay_lines() {
        let mut sheet = Sheet::default();
        sheet.put_of("grap_rpo_seconds", "a\"b\\c\nd", 0.5);
        sheet.put("grap_protected", 1.0);
        let text = sheet.text();
        assert!(text.contains("\ngrap_rpo_seconds{database=\"a\\\"b\\\\c\\nd\"} 0.5\n"), "{text}");
        assert!(text.contains("# TYPE grap_protected gauge\ngrap_protected 1\n"), "{text}");
        assert!(text.lines().all(|line| line.starts_with('#') || line.split(' ').count() == 2), "{text}");
    }

    #[test]
    fn the_table_keeps_the_conventions() {
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, unit, .. } in METRICS {
            assert!(name.starts_with("grap_") || name.starts_with("neo4j_health_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), unit.contains("seconds"), "{name}");
            assert_eq!(name.ends_with("_bytes"), *unit == "bytes", "{name}");
        }
    }
}
