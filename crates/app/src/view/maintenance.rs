//! Reports of the verbs that look after a repository.

use grap::ops::{GcPlan, GcReport, KeyReport};
use grap_repository::{Id, KeyInfo, RECOVERY};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Output;
use super::shapes::{SCHEMA_VERSION, left_shape, merge};
use super::text::bytes;
use crate::failure::Failure;

impl Output<'_> {
    pub(crate) fn gc_plan(self, plan: &GcPlan) -> Result<(), Failure> {
        self.print(&plan_shape(plan, true), || plan_text(plan))
    }

    pub(crate) fn keys(self, report: &KeyReport) -> Result<(), Failure> {
        self.print(&key_shape(report), || key_text(report))
    }

    pub(crate) fn gc(self, report: &GcReport) -> Result<(), Failure> {
        self.print(&gc_shape(report), || gc_text(report))
    }
}

fn key_shape(report: &KeyReport) -> Value {
    let keys: Vec<Value> = report
        .keys
        .iter()
        .map(|key| {
            json!({
                "id": key.id,
                "created": key.created,
                "user": key.username,
                "host": key.hostname,
                "current": key.current,
                "recovery": is_recovery(key),
                "damaged": key.damaged,
            })
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "keys": keys,
        "added": report.added,
        "removed": report.removed,
    })
}

fn is_recovery(key: &KeyInfo) -> bool {
    key.username == RECOVERY
}

fn key_text(report: &KeyReport) -> String {
    let mut text = String::new();
    let short = |id: &Id| id.to_string()[..10].to_owned();
    if let Some(id) = &report.added {
        text += &format!("key {} was added\n", short(id));
    }
    if let Some(id) = &report.removed {
        text += &format!("key {} was removed\n", short(id));
    }
    for key in &report.keys {
        let mark = if key.current && report.removed.is_none() { '*' } else { ' ' };
        let what = match (&key.damaged, key.created) {
            (Some(why), _) => format!("damaged: {why}"),
            (None, created) if is_recovery(key) => format!("recovery key   {}", day(created)),
            (None, created) => format!("{}@{}   {}", key.username, key.hostname, day(created)),
        };
        text += &format!("{mark} {}  {what}\n", short(&key.id));
    }
    text
}

fn day(created: Option<Timestamp>) -> String {
    created.map_or_else(String::new, |created| created.strftime("%Y-%m-%d").to_string())
}

fn plan_shape(plan: &GcPlan, dry_run: bool) -> Value {
    let prune = &plan.prune;
    json!({
        "schema_version": SCHEMA_VERSION,
        "dry_run": dry_run,
        "snapshots": prune.snapshots,
        "packs": prune.packs,
        "pack_bytes": prune.bytes,
        "unused_packs": prune.unused_packs,
        "unused_bytes": prune.unused_bytes,
        "unindexed_packs": prune.unindexed_packs,
        "unindexed_bytes": prune.unindexed_bytes,
        "repacked_packs": prune.repacked_packs,
        "repacked_bytes": prune.repacked_bytes,
        "copied_bytes": prune.copied_bytes,
        "left_unused_bytes": prune.left_unused_bytes,
        "parts": plan.parts,
        "part_bytes": plan.part_bytes,
        "freed_bytes": prune.freed_bytes() + plan.part_bytes,
    })
}

fn gc_shape(report: &GcReport) -> Value {
    let mut shape = plan_shape(&report.plan, false);
    let left =
        report.denied.iter().map(|object| left_shape(object, "the storage does not allow to delete it"));
    merge(
        &mut shape,
        json!({
            "packs_deleted": report.prune.packs_deleted,
            "bytes_deleted": report.prune.bytes_deleted + report.part_bytes_deleted,
            "packs_written": report.prune.packs_written,
            "bytes_written": report.prune.bytes_written,
            "parts_deleted": report.parts_deleted,
            "leftovers_deleted": report.leftovers,
            "left": left.collect::<Vec<_>>(),
            "problems": report.problems,
        }),
    );
    shape
}

fn plan_text(plan: &GcPlan) -> String {
    let prune = &plan.prune;
    let mut text = format!("{} backups, {} packs, {}\n", prune.snapshots, prune.packs, bytes(prune.bytes));
    let mut line = |count: usize, size: u64, what: &str| {
        if count > 0 {
            text += &format!("  {count:>8} {what}, {}\n", bytes(size));
        }
    };
    line(prune.unused_packs, prune.unused_bytes, "packs that no backup needs");
    line(prune.unindexed_packs, prune.unindexed_bytes, "packs that killed runs left");
    line(prune.repacked_packs, prune.repacked_bytes, "packs would be written anew");
    line(plan.parts, plan.part_bytes, "segments that merged objects hold, too");
    text += &format!(
        "  {} would be given back; {} of what is not needed would stay in packs that are\n",
        bytes(prune.freed_bytes() + plan.part_bytes),
        bytes(prune.left_unused_bytes)
    );
    text
}

fn gc_text(report: &GcReport) -> String {
    let prune = &report.prune;
    let freed = (prune.bytes_deleted + report.part_bytes_deleted).saturating_sub(prune.bytes_written);
    let mut text = format!(
        "{} given back: {} packs deleted, {} written anew, {} segments that merged objects hold, {} leftovers\n",
        bytes(freed),
        prune.packs_deleted,
        prune.packs_written,
        report.parts_deleted,
        report.leftovers
    );
    if !report.denied.is_empty() {
        text +=
            &format!("  {} objects stay: the storage does not allow to delete them\n", report.denied.len());
    }
    for problem in &report.problems {
        text += &format!("  {problem}\n");
    }
    text
}
