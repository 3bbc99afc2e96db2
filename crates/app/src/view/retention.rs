//! What stays and what goes: plans and reports of expire, delete, hold, release; how a backup stands.

use grap::archive::{Begins, Going, Keeping, KeptPath};
use grap::notes::{Hold, Promoted, Standing};
use grap::ops::{DeletePlan, ExpirePlan, ExpireReport, HoldReport, SourcePlan};
use grap_core::{Decision, Outcome, Verdict};
use serde_json::{Value, json};

use super::validation;

use super::Output;
use super::shapes::{SCHEMA_VERSION, left_shape, merge, milliseconds};
use super::text::{bytes, second};
use crate::failure::Failure;

impl Output<'_> {
    pub(crate) fn expire_plan(self, plan: &ExpirePlan) -> Result<(), Failure> {
        let shape = || {
            let mut shape = json!({ "schema_version": SCHEMA_VERSION, "dry_run": true });
            merge(&mut shape, plan_shape(plan));
            shape
        };
        self.print(&shape(), || plan_text(plan) + "nothing was deleted\n")
    }

    pub(crate) fn expire(self, report: &ExpireReport) -> Result<(), Failure> {
        self.print(&expire_shape(report), || expire_text(report))
    }

    pub(crate) fn delete(self, plan: &DeletePlan, dry_run: bool) -> Result<(), Failure> {
        let shape = json!({
            "schema_version": SCHEMA_VERSION,
            "dry_run": dry_run,
            "id": plan.id,
            "source": plan.source,
            "snapshot": plan.snapshot,
        });
        let text = || {
            let what = if dry_run {
                "may be deleted; nothing was"
            } else {
                "is deleted; its room comes back with gc"
            };
            format!("backup {} of source `{}` {what}\n", plan.id, plan.source)
        };
        self.print(&shape, text)
    }

    pub(crate) fn hold(self, report: &HoldReport) -> Result<(), Failure> {
        let shape = json!({
            "schema_version": SCHEMA_VERSION,
            "id": report.id,
            "source": report.source,
            "holds": holds(&report.holds),
            "released": holds(&report.released),
        });
        self.print(&shape, || hold_text(report))
    }
}

/// `true`, `false`, or null: nobody verified it.
pub(super) fn verified(standing: &Standing) -> Option<bool> {
    standing.verdict().map(|verdict| verdict == Verdict::Verified)
}

pub(super) fn verified_word(standing: &Standing) -> &'static str {
    match standing.worth() {
        Some(Verdict::Verified) => "yes",
        Some(Verdict::Failed) => "FAILED",
        None => "-",
    }
}

/// Of a backup that is there.
pub(super) fn complete_status(standing: &Standing) -> &'static str {
    if standing.is_validated() { "VALIDATED" } else { "COMPLETE" }
}

/// What `show` says beyond the summary.
pub(super) fn standing(standing: &Standing) -> Value {
    json!({
        "verified_at": standing.judged.map(|judged| judged.at),
        "verified_read_percent": standing.judged.map(|judged| judged.read_data_percent),
        "validation": standing.validated.as_ref().map(validation::shape),
        "promotion": standing.promoted.as_ref().map(promotion),
        "holds": holds(&standing.holds),
        "unreadable_notes": standing.unreadable,
    })
}

fn promotion(promoted: &Promoted) -> Value {
    let mut shape = json!(promoted.promotion);
    merge(&mut shape, json!({ "at": promoted.at, "host": promoted.host }));
    shape
}

fn holds(holds: &[Hold]) -> Vec<Value> {
    let hold = |hold: &Hold| json!({ "holder": hold.holder, "reason": hold.reason, "since": hold.since });
    holds.iter().map(hold).collect()
}

pub(super) fn standing_text(standing: &Standing) -> String {
    let mut text = match standing.judged {
        None => "verified  never\n".to_owned(),
        Some(judged) => format!(
            "verified  {} ({}, {} % of its data read)\n",
            verified_word(standing),
            second(judged.at),
            judged.read_data_percent
        ),
    };
    text += &standing.validated.as_ref().map(validation::text).unwrap_or_default();
    text += &standing.promoted.as_ref().map(promotion_text).unwrap_or_default();
    for hold in &standing.holds {
        text += &format!("held      by {hold}\n");
    }
    for unreadable in &standing.unreadable {
        text += &format!("note      {unreadable}\n");
    }
    text
}

fn promotion_text(promoted: &Promoted) -> String {
    let promotion = &promoted.promotion;
    let what = match &promotion.undoes {
        None => format!("to {} by {}", promotion.target, promotion.recovery),
        Some(undone) => format!("no more: {undone} was rolled back by {}", promotion.recovery),
    };
    let mut text = format!("promoted  {what} ({} on {})\n", second(promoted.at), promoted.host);
    for (why, said) in
        [("not confirmed", &promotion.unconfirmed), ("not all archived", &promotion.unarchived)]
    {
        if let Some(said) = said {
            text += &format!("          {why}: {said}\n");
        }
    }
    text
}

fn hold_text(report: &HoldReport) -> String {
    let mut text = String::new();
    for hold in &report.released {
        text += &format!("released: {hold}\n");
    }
    for hold in &report.holds {
        text += &format!("held by {hold}\n");
    }
    if report.holds.is_empty() {
        text += &format!("nobody holds backup {}\n", report.id);
    }
    text
}

fn plan_shape(plan: &ExpirePlan) -> Value {
    json!({
        "at": plan.at,
        "window_begins": plan.window_begins,
        "sources": plan.sources.iter().map(source_shape).collect::<Vec<_>>(),
    })
}

fn source_shape(plan: &SourcePlan) -> Value {
    json!({
        "name": plan.source,
        "paused": plan.backups.pause.as_ref().map(ToString::to_string),
        "backups": plan.backups.decisions.iter().map(decision_shape).collect::<Vec<_>>(),
        "archive": archive_shape(&plan.archive),
    })
}

fn decision_shape(decision: &Decision) -> Value {
    let reason = |name: &str, text: String| json!({ "rule": name, "message": text });
    let reasons: Vec<Value> = match &decision.outcome {
        Outcome::Stays(keeps) => keeps.iter().map(|keep| reason(keep.name(), keep.to_string())).collect(),
        Outcome::Goes(goes) => goes.iter().map(|go| reason(go.name(), go.to_string())).collect(),
    };
    json!({ "id": decision.id, "stays": !decision.goes(), "reasons": reasons })
}

fn archive_shape(keeping: &Keeping) -> Value {
    let path = |path: &KeptPath| {
        let (base, from) = match &path.begins {
            Begins::Backup { id, end } => (Some(id), Some(*end)),
            Begins::Everything { .. } | Begins::Nothing => (None, None),
        };
        json!({
            "database": path.database,
            "timeline": path.run,
            "current": path.current,
            "kept": !matches!(path.begins, Begins::Nothing),
            "base": base,
            "from_tx_id": from,
            "message": begins_text(&path.begins),
        })
    };
    let going = |going: &Going| {
        let range = |range: &grap::archive::ExpiredRange| json!({ "from_tx_id": range.first, "to_tx_id": range.last });
        json!({
            "run": going.run,
            "database": going.database,
            "segments": going.names.len(),
            "bytes": going.bytes(),
            "ranges": going.ranges.iter().map(range).collect::<Vec<_>>(),
        })
    };
    json!({
        "kept_whole": keeping.doubt,
        "segments_kept": keeping.kept,
        "paths": keeping.paths.iter().map(path).collect::<Vec<_>>(),
        "going": keeping.going.iter().map(going).collect::<Vec<_>>(),
    })
}

fn begins_text(begins: &Begins) -> String {
    match begins {
        Begins::Backup { id, end } => format!("kept from transaction {end} on, where backup {id} ends"),
        Begins::Everything { why, .. } => format!("kept whole: {why}"),
        Begins::Nothing => "not kept: nothing on it was committed within the window".to_owned(),
    }
}

fn expire_shape(report: &ExpireReport) -> Value {
    let mut shape = json!({ "schema_version": SCHEMA_VERSION, "dry_run": false });
    merge(&mut shape, plan_shape(&report.plan));
    let deleted = report.deleted.iter().map(|(source, id)| json!({ "source": source, "id": id }));
    let left = report.left.iter().map(|left| left_shape(&left.object, &left.why));
    merge(
        &mut shape,
        json!({
            "deleted": deleted.collect::<Vec<_>>(),
            "segments_deleted": report.segments,
            "bytes_deleted": report.bytes,
            "left": left.collect::<Vec<_>>(),
            "duration_ms": milliseconds(report.duration),
        }),
    );
    shape
}

fn plan_text(plan: &ExpirePlan) -> String {
    let mut text = format!("the window begins at {}\n", second(plan.window_begins));
    for source in &plan.sources {
        text += &format!("source `{}`\n", source.source);
        if let Some(pause) = &source.backups.pause {
            text += &format!("  nothing goes: {pause}\n");
        }
        for decision in &source.backups.decisions {
            let (word, why): (_, Vec<String>) = match &decision.outcome {
                Outcome::Stays(keeps) => ("stays", keeps.iter().map(ToString::to_string).collect()),
                Outcome::Goes(goes) => ("goes", goes.iter().map(ToString::to_string).collect()),
            };
            text += &format!("  {:<26} {word:<6} {}\n", decision.id, why.join("; "));
        }
        text += &archive_text(&source.archive);
    }
    text
}

fn archive_text(keeping: &Keeping) -> String {
    let mut text = String::new();
    for path in &keeping.paths {
        let current = if path.current { ", the current one," } else { "" };
        text += &format!(
            "  {:<12} timeline {}{current} is {}\n",
            path.database,
            path.run,
            begins_text(&path.begins)
        );
    }
    if let Some(doubt) = &keeping.doubt {
        text += &format!("  all archived log stays: {doubt}\n");
    }
    for going in &keeping.going {
        let ranges = going.ranges.iter().map(|range| format!("{} to {}", range.first, range.last));
        text += &format!(
            "  {:<12} run {}: {} segments go ({}), transactions {}\n",
            going.database,
            going.run,
            going.names.len(),
            bytes(going.bytes()),
            ranges.collect::<Vec<_>>().join(", ")
        );
    }
    if keeping.kept > 0 {
        text += &format!("  {} segments stay\n", keeping.kept);
    }
    text
}

fn expire_text(report: &ExpireReport) -> String {
    let mut text = plan_text(&report.plan);
    for (source, id) in &report.deleted {
        text += &format!("deleted: backup {id} of source `{source}`\n");
    }
    for left in &report.left {
        text += &format!("left: {}\n", left.why);
    }
    text += &format!(
        "{} backups and {} segments ({}) deleted in {:.1} s",
        report.deleted.len(),
        report.segments,
        bytes(report.bytes),
        report.duration.as_secs_f64()
    );
    text += if report.deleted.is_empty() { "\n" } else { "; the room of backups comes back with gc\n" };
    text
}
