//! What `open` says.

use grap::ops::OpenReport;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Output;
use super::shapes::{SCHEMA_VERSION, milliseconds};
use super::text::{instant, second};
use crate::failure::Failure;

impl Output<'_> {
    pub(crate) fn open(self, report: &OpenReport, until: Option<Timestamp>) -> Result<(), Failure> {
        self.print(&shape(report, until), || text(report, until))
    }
}

fn shape(report: &OpenReport, until: Option<Timestamp>) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "target": report.target,
        "id": report.id,
        "source": report.source,
        "timeline": report.timeline,
        "database": report.database,
        "tx_id": report.end.tx_id,
        "commit_ms": report.end.commit_ms,
        "short": report.short,
        "uri": report.uri,
        "user": report.user,
        "password": report.password.expose_secret(),
        "until": until,
        "neo4j_version": report.release.to_string(),
        "pid": report.pid,
        "directory": report.folder,
        "indexes_missing": report.indexes_missing,
        "restore_ms": milliseconds(report.restored_in),
        "start_ms": milliseconds(report.started_in),
    })
}

fn text(report: &OpenReport, until: Option<Timestamp>) -> String {
    let mut text = format!(
        "{} is open: database {} at transaction {} of {}, from backup {}\n",
        report.target,
        report.database,
        report.end.tx_id,
        instant(report.end.commit_ms),
        report.id,
    );
    if let Some(short) = &report.short {
        text += &format!("  {short}\n");
    }
    text +=
        &format!("  {}   user {}   password {}\n", report.uri, report.user, report.password.expose_secret());
    let until = until.map_or_else(String::new, |until| format!(", or at {}", second(until)));
    text += &format!(
        "  read-only, on this machine only; restored in {:.1} s, started in {:.1} s\n  it ends with Ctrl-C{until}, and nothing of it stays\n",
        report.restored_in.as_secs_f64(),
        report.started_in.as_secs_f64(),
    );
    text
}
