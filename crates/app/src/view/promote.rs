//! What `recover promote` and `recover rollback` say.

use std::fmt::Write as _;

use grap::ops::{SwitchPlan, SwitchReport};
use grap::recovery::RetiredStore;
use grap_core::recovery::{Recovery, Switch};
use grap_neo4j::TransactionEnd;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Output;
use super::recover;
use super::shapes::SCHEMA_VERSION;
use super::text::{bytes, second};
use crate::failure::Failure;

/// What a restart costs besides the server's own start.
const DOWNTIME: &str =
    "the server's own stop (a second) and start, the wait for the archive, and a second for the swap";

impl Output<'_> {
    pub(crate) fn switch_plan(self, plan: &SwitchPlan) -> Result<(), Failure> {
        self.print(&plan_shape(plan), || plan_text(plan))
    }

    pub(crate) fn switched(self, report: &SwitchReport) -> Result<(), Failure> {
        let mut shape = recover::shape(&report.recovery);
        shape["downtime_ms"] = json!(report.downtime.map(|downtime| downtime.as_millis()));
        self.print(&shape, || switched_text(report))
    }
}

fn plan_shape(plan: &SwitchPlan) -> Value {
    let lost = plan.lost().map(|(first, last, ..)| json!({ "first": first, "last": last }));
    json!({
        "schema_version": SCHEMA_VERSION,
        "dry_run": true,
        "kind": if plan.undoes.is_some() { "rollback" } else { "promotion" },
        "target": plan.target,
        "undoes": plan.undoes,
        "database": plan.switch.user.database,
        "live": plan.switch.user.live,
        "new": plan.switch.user.found,
        "retired": plan.switch.user.retired,
        "retired_bytes": plan.retired_bytes,
        "new_end": end(plan.ends.new),
        "live_end": end(plan.ends.live),
        "system": plan.ends_of_system.map(|ends| json!({ "new_end": end(ends.new), "live_end": end(ends.live) })),
        "leaves": lost,
        "archived": plan.switch.archived,
        "live_is_lost": plan.switch.live_is_lost,
        "with_system": plan.switch.system.is_some(),
        "losses": plan.losses,
    })
}

fn end(end: Option<TransactionEnd>) -> Option<Value> {
    let end = end?;
    let at = Timestamp::from_millisecond(end.commit_time.0).ok();
    Some(json!({ "tx_id": end.id, "committed": at }))
}

fn plan_text(plan: &SwitchPlan) -> String {
    let what = if plan.undoes.is_some() { "rollback" } else { "promotion" };
    let switch = &plan.switch;
    let mut text = format!("{what} of `{}` to {} (nothing is done)\n", switch.user.database, plan.target);
    match plan.lost() {
        Some((first, last, from, to)) => {
            let at = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), second);
            let _ = writeln!(
                text,
                "  transactions {first} to {last}, committed behind {} until {}, will be in the retired database only",
                at(from),
                at(to)
            );
        }
        None => {
            let _ = writeln!(
                text,
                "  of `{}` nothing newer is live, as far as can be read now",
                switch.user.database
            );
        }
    }
    match switch.archived.as_slice() {
        [] => text += "  no log is archived\n",
        archived => {
            let _ = writeln!(
                text,
                "  the archive is to hold all of the log of {}, before anything is swapped",
                archived.join(", ")
            );
        }
    }
    for loss in &plan.losses {
        let _ = writeln!(text, "  {loss}");
    }
    if switch.live_is_lost {
        let back = match switch.system {
            None => "it is not put back by itself",
            Some(_) => {
                "it is put back only where it is there, and no server comes up with the other `system`"
            }
        };
        let _ = writeln!(
            text,
            "  the live database is given up: what of it cannot be read or archived is lost, and {back}"
        );
    }
    let _ = writeln!(
        text,
        "  what is live now ({}) goes to {} and {}{}",
        bytes(plan.retired_bytes),
        switch.user.retired.store,
        switch.user.retired.log,
        and_system(switch)
    );
    let _ = writeln!(text, "  nobody is served for: {DOWNTIME}");
    text
}

fn switched_text(report: &SwitchReport) -> String {
    let mut text = recover::text(&report.recovery);
    if let Some(downtime) = report.downtime {
        let _ = writeln!(text, "  nobody was served for {:.1} s", downtime.as_secs_f64());
    }
    if report.recovery.status() == grap_core::recovery::Status::Promoted {
        text += "  a new history begins: `grap status` says whether a backup reaches it; else take one now (grap serve does so by itself)\n";
        text += "  clients that hold bookmarks from before are to be restarted\n";
    }
    text
}

/// What is told of a switch within a recovery.
pub(super) fn about(recovery: &Recovery) -> String {
    let mut text = String::new();
    let Some(switch) = &recovery.switch else { return text };
    if let Some(cause) = &recovery.called_off {
        let stands = if recovery.ran {
            "the old database is live"
        } else {
            "the old database is what it was: no server was seen to run"
        };
        let _ = writeln!(text, "  the promotion was called off, and {stands}: {cause}");
    }
    if let Some(cause) = &recovery.unconfirmed {
        let _ = writeln!(
            text,
            "  NOT CONFIRMED: {cause}\n    look at it; `grap recover promote` asks it again, `grap recover rollback` puts the old one back"
        );
    }
    if let Some(missed) = &recovery.archive_missed {
        let _ = writeln!(text, "  the archive has not all of the old database: {}", missed.message);
    }
    if recovery.status() == grap_core::recovery::Status::Promoted {
        let _ = writeln!(
            text,
            "  what was live before: {} and {}{} (until it is released, `grap recover rollback` puts it back)",
            switch.user.retired.store,
            switch.user.retired.log,
            and_system(switch)
        );
    }
    text
}

fn and_system(switch: &Switch) -> &'static str {
    if switch.system.is_some() { ", and `system` beside them" } else { "" }
}

pub(super) fn switch_shape(recovery: &Recovery) -> Value {
    let Some(switch) = &recovery.switch else { return Value::Null };
    json!({
        "database": switch.user.database,
        "undoes": recovery.plan.undoes,
        "retired": switch.user.retired,
        "live_is_lost": switch.live_is_lost,
        "with_system": switch.system.is_some(),
        "stops": recovery.stops,
        "called_off": recovery.called_off.as_ref().map(ToString::to_string),
        "unconfirmed": recovery.unconfirmed.as_ref().map(ToString::to_string),
        "archive_missed": recovery.archive_missed,
    })
}

pub(super) fn retired_shape(retired: &RetiredStore) -> Value {
    json!({
        "recovery": retired.recovery,
        "at": retired.at,
        "database": retired.database,
        "bytes": retired.bytes,
        "path": retired.path.display().to_string(),
        "replaced_by": retired.plan.target,
        "missing": retired.missing,
        "with_system": retired.system.is_some(),
    })
}

pub(super) fn retired_text(retired: &RetiredStore) -> String {
    let missing = retired.missing.as_ref().map_or_else(String::new, |missing| format!(", without {missing}"));
    format!(
        "  retired by {} at {}: {} ({}{}{missing}), replaced by {}\n",
        retired.recovery,
        second(retired.at),
        retired.path.display(),
        bytes(retired.bytes),
        if retired.system.is_some() { ", with its `system`" } else { "" },
        retired.plan.target,
    )
}
