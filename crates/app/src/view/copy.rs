//! What `copy` says.

use std::fmt::Write as _;

use grap::ops::{CopiedBackup, CopyReport};
use serde_json::{Value, json};

use super::Output;
use super::shapes::{SCHEMA_VERSION, milliseconds};
use super::text::bytes;
use crate::failure::Failure;

impl Output<'_> {
    pub(crate) fn copy(self, report: &CopyReport) -> Result<(), Failure> {
        self.print(&shape(report), || text(report))
    }
}

fn shape(report: &CopyReport) -> Value {
    let backups = |backups: &[CopiedBackup]| -> Vec<Value> {
        let shape = |backup: &CopiedBackup| json!({ "id": backup.id, "source": backup.source, "verified": backup.verified });
        backups.iter().map(shape).collect()
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "from": report.from,
        "to": report.to,
        "copied": backups(&report.copied),
        "mended": backups(&report.mended),
        "present": report.present,
        "expired": report.expired,
        "archive": {
            "starts": report.starts,
            "segments": report.segments,
            "bytes": report.segment_bytes,
        },
        "bytes_read": report.bytes_read,
        "bytes_stored": report.bytes_stored,
        "bytes_verified": report.bytes_verified,
        "ok": report.problems.is_empty(),
        "problems": report.problems,
        "duration_ms": milliseconds(report.duration),
    })
}

fn text(report: &CopyReport) -> String {
    let mut text = String::new();
    for (backups, what) in [(&report.copied, "copied"), (&report.mended, "mended")] {
        for backup in backups {
            let verdict = if backup.verified { " and verified" } else { ", NOT WHOLE" };
            let _ = writeln!(text, "{}  {what}{verdict}", backup.id);
        }
    }
    for problem in &report.problems {
        let _ = writeln!(text, "problem: {problem}");
    }
    let _ = writeln!(
        text,
        "{} backups copied, {} were there; {} objects of the archive; {} read, {} stored, {} read back",
        report.copied.len(),
        report.present,
        report.starts + report.segments,
        bytes(report.bytes_read + report.segment_bytes),
        bytes(report.bytes_stored + report.segment_bytes),
        bytes(report.bytes_verified + report.segment_bytes),
    );
    if report.expired > 0 {
        let _ = writeln!(text, "{} backups were expired there, and stay so", report.expired);
    }
    text
}
