//! What `recover release` says.

use std::fmt::Write as _;

use grap::ops::{Held, StoreReleasePlan, StoreReleaseReport};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::shapes::SCHEMA_VERSION;
use super::text::bytes;
use super::{Output, promote};
use crate::failure::Failure;

impl Output<'_> {
    pub(crate) fn store_release_plan(self, plan: &StoreReleasePlan) -> Result<(), Failure> {
        self.print(&shape(&[], Some(plan), true), || plan_text(plan, "would be removed (nothing is done)"))
    }

    pub(crate) fn store_released(self, report: &StoreReleaseReport) -> Result<(), Failure> {
        let ids: Vec<String> = report.finished.iter().map(ToString::to_string).collect();
        self.print(&shape(&ids, report.released.as_ref(), false), || report_text(report))
    }
}

fn shape(finished: &[String], plan: Option<&StoreReleasePlan>, dry_run: bool) -> Value {
    let released = plan.map(|plan| {
        let end = plan.end.map(|end| {
            let at = Timestamp::from_millisecond(end.commit_time.0).ok();
            json!({ "tx_id": end.id, "committed": at })
        });
        let held = plan
            .held
            .as_ref()
            .map(|Held { backup, timeline }| json!({ "backup": backup, "timeline": timeline }));
        let mut shape = promote::retired_shape(&plan.store);
        shape["end"] = end.into();
        shape["held"] = held.into();
        shape
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "dry_run": dry_run,
        "finished": finished,
        "released": released,
    })
}

fn plan_text(plan: &StoreReleasePlan, what: &str) -> String {
    let StoreReleasePlan { store, end, held } = plan;
    let mut text = format!(
        "what {} has retired of `{}` {what}: {} ({})\n",
        store.recovery,
        store.database,
        store.path.display(),
        bytes(store.bytes)
    );
    let end = end.map_or_else(
        || "its last transaction cannot be read".to_owned(),
        |end| format!("it ends with {end}"),
    );
    let _ = match held {
        Some(Held { backup, timeline: None }) => writeln!(text, "  {end}, and so does backup {backup}"),
        Some(Held { backup, timeline: Some(timeline) }) => {
            writeln!(text, "  {end}, which is reached from backup {backup} on timeline {timeline}")
        }
        None => writeln!(text, "  {end}; it is given up, whether that is held anywhere or not"),
    };
    text
}

fn report_text(report: &StoreReleaseReport) -> String {
    let mut text = String::new();
    for id in &report.finished {
        let _ = writeln!(text, "what was left of an earlier release is removed: {id}");
    }
    if let Some(plan) = &report.released {
        text += &plan_text(plan, "is removed");
    }
    text
}
