//! What `recover` and `drill` say.

use std::fmt::Write as _;

use grap::ops::{CandidateIs, DrillReport, RecoveryReport};
use grap_core::recovery::{Cause, Judgement, Order, Phase, Recovery, Step, Tier, TierVerdict, order};
use serde_json::{Value, json};

use super::shapes::SCHEMA_VERSION;
use super::text::{bytes, second};
use super::{Output, promote};
use crate::failure::Failure;

impl Output<'_> {
    pub(crate) fn recovery(self, report: &RecoveryReport) -> Result<(), Failure> {
        self.print(&shape(report), || text(report))
    }

    /// `promotes`: what passes is promoted right behind.
    pub(crate) fn recovery_status(self, report: &RecoveryReport, promotes: bool) -> Result<(), Failure> {
        let mut shape = shape(report);
        shape["promotes_what_passes"] = promotes.into();
        let is_forward = report.recovery().is_some_and(|recovery| recovery.phase.is_forward());
        self.print(&shape, || {
            let told = "  when it has passed it is promoted (promote.after_validation)\n";
            text(report) + if promotes && is_forward { told } else { "" }
        })
    }

    pub(crate) fn drill(self, report: &DrillReport) -> Result<(), Failure> {
        let shape = || {
            let mut shape = drill_shape(report);
            shape["schema_version"] = SCHEMA_VERSION.into();
            shape
        };
        self.print(&shape(), || drill_text(report))
    }

    /// Of many drills, oldest first.
    pub(crate) fn drills(self, drills: &[DrillReport]) -> Result<(), Failure> {
        let shape = json!({
            "schema_version": SCHEMA_VERSION,
            "drills": drills.iter().map(drill_shape).collect::<Vec<_>>(),
        });
        self.print(&shape, || history_text(drills))
    }
}

pub(super) fn shape(report: &RecoveryReport) -> Value {
    let owed = order(&report.state);
    let recovery = report.recovery().map(|recovery| {
        let mut shape = recovery_shape(recovery);
        shape["order"] = owed.map(order_name).into();
        shape["candidate"] = recovery.plan.candidate.clone().into();
        let why = recovery.cause.as_ref().map(|_| recovery.fate.why());
        shape["candidate_is"] = report.candidate.as_ref().map(candidate_is).or(why).into();
        shape["promotion"] = promote::switch_shape(recovery);
        shape["candidate_unchanged"] = report.candidate.as_ref().and_then(candidate_unchanged).into();
        shape
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": report.status().name(),
        "running": report.runs,
        "progress": report.percent,
        "remaining_s": report.remaining_s,
        "recovery": recovery,
        "retired": report.retired.iter().map(promote::retired_shape).collect::<Vec<_>>(),
    })
}

fn candidate_is(candidate: &CandidateIs) -> &str {
    match candidate {
        CandidateIs::AsItPassed => "it is what has passed",
        CandidateIs::Another(why) | CandidateIs::Unknown(why) => why,
    }
}

fn candidate_unchanged(candidate: &CandidateIs) -> Option<bool> {
    match candidate {
        CandidateIs::AsItPassed => Some(true),
        CandidateIs::Another(_) => Some(false),
        CandidateIs::Unknown(_) => None,
    }
}

fn recovery_shape(recovery: &Recovery) -> Value {
    let plan = &recovery.plan;
    let ends = plan
        .ends
        .iter()
        .map(|end| json!({ "database": end.database, "tx_id": end.tx_id, "short": end.short }));
    json!({
        "id": recovery.id,
        "begun": recovery.begun,
        "phase": recovery.phase.name(),
        "target": plan.target,
        "source": plan.source,
        "backup": plan.backup,
        "timeline": plan.timeline,
        "ends": ends.collect::<Vec<_>>(),
        "bytes": plan.bytes,
        "starts": recovery.starts,
        "steps": recovery.steps.iter().map(step_shape).collect::<Vec<_>>(),
        "judgements": recovery.judgements.iter().map(judgement_shape).collect::<Vec<_>>(),
        "cause": recovery.cause.as_ref().map(cause_shape),
        "unrecorded": recovery.unrecorded,
    })
}

/// One word for each order.
fn order_name(order: Order) -> String {
    match order {
        Order::Judge(tier) => format!("judge_{}", tier.name()),
        order => serde_json::to_value(order)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_else(|| order.to_string()),
    }
}

fn step_shape(step: &Step) -> Value {
    json!({ "order": order_name(step.order), "took_ms": step.took_ms })
}

fn judgement_shape(judgement: &Judgement) -> Value {
    let (verdict, code, message) = match &judgement.verdict {
        TierVerdict::Passed { message } => ("passed", None, message),
        TierVerdict::Failed { code, message } => ("failed", Some(code), message),
        TierVerdict::Skipped { why } => ("skipped", None, why),
    };
    json!({
        "tier": judgement.tier.name(),
        "verdict": verdict,
        "code": code,
        "message": message,
        "findings": judgement.findings,
        "measured": judgement.measured,
    })
}

fn cause_shape(cause: &Cause) -> Value {
    match cause {
        Cause::Cancelled => json!({ "cancelled": true, "order": null, "code": null, "message": null }),
        Cause::Failed { order, failure } => json!({
            "cancelled": false,
            "order": order_name(*order),
            "code": failure.code,
            "message": failure.message,
        }),
    }
}

pub(super) fn text(report: &RecoveryReport) -> String {
    let retired: String = report.retired.iter().map(promote::retired_text).collect();
    stands(report) + &retired
}

fn stands(report: &RecoveryReport) -> String {
    let mut text = report.status().name().to_owned();
    if let Some(percent) = report.percent {
        let _ = write!(text, "  {percent} %");
    }
    if let Some(remaining) = report.remaining_s.filter(|seconds| *seconds > 0) {
        let _ = write!(text, ", about {remaining} s left");
    }
    text.push('\n');
    let Some(recovery) = report.recovery() else { return text };
    text += &about(recovery);
    if let Some(owed) = order(&report.state) {
        let who = if report.runs {
            "now".to_owned()
        } else if recovery.phase.is_forward() {
            "next, and nobody is at it: `grap recover start` goes on, `grap recover cancel` turns back"
                .to_owned()
        } else if owed.is_of_switch() {
            let back =
                if recovery.phase.can_be_cancelled() { ", `grap recover cancel` takes it back" } else { "" };
            format!("owed, and nobody is at it: `grap recover {}` goes on{back}", recovery.words())
        } else {
            "owed, and nobody is at it: `grap recover reset` does it".to_owned()
        };
        let _ = writeln!(text, "  {who}: {owed}");
    }
    text += &verdicts(recovery);
    text += &promote::about(recovery);
    match recovery.phase {
        Phase::Validated => text += &passed(report.candidate.as_ref(), &recovery.plan.candidate),
        Phase::Failed if recovery.is_rollback() => {}
        Phase::Failed => {
            let _ = writeln!(text, "  the candidate {}: {}", recovery.plan.candidate, recovery.fate.why());
        }
        _ => {}
    }
    text
}

fn passed(candidate: Option<&CandidateIs>, path: &str) -> String {
    match candidate {
        None | Some(CandidateIs::AsItPassed) => format!(
            "  the candidate has passed: {path} (`grap recover promote` makes it live, `grap recover reset` removes it)\n"
        ),
        Some(CandidateIs::Another(why)) => format!(
            "  WARNING: a candidate has passed, and what is there now is another: {why}\n  do not use it: `grap recover reset` removes it, `grap recover start` makes a new one and judges it\n"
        ),
        Some(CandidateIs::Unknown(why)) => format!("  a candidate has passed: {path}\n  WARNING: {why}\n"),
    }
}

fn about(recovery: &Recovery) -> String {
    let plan = &recovery.plan;
    let ends: Vec<String> =
        plan.ends.iter().map(|end| format!("{} at transaction {}", end.database, end.tx_id)).collect();
    let mut short = String::new();
    for end in &plan.ends {
        if let Some(why) = &end.short {
            let _ = write!(short, "\n  {}: {why}", end.database);
        }
    }
    format!(
        "{} of {}: to {}, from backup {} ({}): {}{short}\n",
        recovery.id,
        second(recovery.begun),
        plan.target,
        plan.backup,
        bytes(plan.bytes),
        ends.join(", "),
    )
}

/// What took how long, what was found, and why it failed.
fn verdicts(recovery: &Recovery) -> String {
    let mut text = String::new();
    for Step { order, took_ms } in &recovery.steps {
        let seconds = took_ms.map_or_else(String::new, seconds);
        let _ = writeln!(text, "  {seconds:>9}  {order}{}", said(recovery, *order));
    }
    for judgement in &recovery.judgements {
        for finding in &judgement.findings {
            let _ = writeln!(text, "  {}: {finding}", judgement.tier);
        }
    }
    if let Some(cause) = &recovery.cause {
        let _ = writeln!(text, "  it failed: {cause}");
    }
    if let Some(failure) = &recovery.unrecorded {
        let _ = writeln!(
            text,
            "  what was found does not stand beside the backup: {}: {}",
            failure.code, failure.message
        );
    }
    text
}

fn said(recovery: &Recovery, order: Order) -> String {
    let Order::Judge(tier) = order else { return String::new() };
    let found = recovery.judgements.iter().find(|judgement| judgement.tier == tier);
    found.map_or_else(String::new, |judgement| match &judgement.verdict {
        TierVerdict::Passed { message } => format!(": {message}"),
        TierVerdict::Failed { message, .. } => format!(": FAILED, {message}"),
        TierVerdict::Skipped { why } => format!(": not asked, {why}"),
    })
}

#[expect(clippy::cast_precision_loss, reason = "it is for people")]
fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}

/// All steps of a drill together.
fn total_ms(recovery: &Recovery) -> u64 {
    recovery.steps.iter().filter_map(|step| step.took_ms).sum()
}

fn outcome(report: &DrillReport) -> &'static str {
    match (report.0.succeeded(), report.0.ended) {
        (true, _) => "SUCCESS",
        (false, Some(_)) => "FAILED",
        (false, None) => "UNFINISHED",
    }
}

fn drill_shape(report: &DrillReport) -> Value {
    let mut shape = recovery_shape(&report.0.recovery);
    shape["outcome"] = outcome(report).into();
    shape["ended"] = json!(report.0.ended);
    shape["total_ms"] = total_ms(&report.0.recovery).into();
    shape
}

fn drill_text(report: &DrillReport) -> String {
    let recovery = &report.0.recovery;
    format!(
        "{}  {} {}\n{}{}  nothing of it stays but this\n",
        outcome(report),
        if report.0.succeeded() { "a recovery would take" } else { "after" },
        seconds(total_ms(recovery)),
        about(recovery),
        verdicts(recovery)
    )
}

/// The columns of the history: what takes time.
const COLUMNS: [&str; 5] = ["restore", "start", "ask", "stop", "check"];

/// In which of them an order stands.
fn column(order: Order) -> Option<&'static str> {
    Some(match order {
        Order::Reserve | Order::Restore | Order::Reread => "restore",
        Order::StartInstance => "start",
        Order::Judge(Tier::Store) => "check",
        Order::Judge(_) => "ask",
        Order::StopInstance => "stop",
        Order::WriteRecord
        | Order::RemoveScratch
        | Order::EndInstance
        | Order::RemoveCandidate
        | Order::LookAgain
        | Order::Stage
        | Order::Drain
        | Order::StopLive
        | Order::AwaitArchive
        | Order::Guard
        | Order::TakeLog
        | Order::SwapStores
        | Order::PutLog
        | Order::StartLive
        | Order::Confirm
        | Order::Retire
        | Order::RecordPromotion
        | Order::Undo
        | Order::StartOld => return None,
    })
}

fn history_text(drills: &[DrillReport]) -> String {
    if drills.is_empty() {
        return "no drill yet\n".to_owned();
    }
    let mut text = format!("{:<21}{:<12}", "begun", "outcome");
    for name in COLUMNS {
        let _ = write!(text, "{name:>10}");
    }
    let _ = writeln!(text, "{:>10}  target", "total");
    for report in drills {
        let recovery = &report.0.recovery;
        let _ = write!(text, "{:<21}{:<12}", second(recovery.begun), outcome(report));
        for name in COLUMNS {
            let steps = recovery.steps.iter().filter(|step| column(step.order) == Some(name));
            let took: u64 = steps.filter_map(|step| step.took_ms).sum();
            let _ = write!(text, "{:>10}", seconds(took));
        }
        let _ = write!(text, "{:>10}  {}", seconds(total_ms(recovery)), recovery.plan.target);
        match report.failure() {
            Some((code, message)) => {
                let _ = writeln!(text, "  {}: {message}", code.name());
            }
            None => text.push('\n'),
        }
    }
    text
}
