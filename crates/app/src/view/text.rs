//! Reports for people.

use grap::archive::Standing;
use grap::copy::Manifest;
use grap::ops::{
    ArchiveReport, BackupReport, BackupRow, BackupStatus, CheckStatus, DoctorReport, InitReport, ListReport,
    PlanReport, Protection, RestoreReport, ShowReport, SourceReport, StatusReport, UnlockReport,
    VerifyReport,
};
use grap_core::RetentionRules;
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::points::protection_name;
use super::retention;
use super::shapes::{status_name, status_word};
use crate::config::Settings;

/// `1.5 GiB`
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

pub(super) fn instant(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map_or_else(|_| "?".to_owned(), second)
}

pub(super) fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

pub(super) fn init(report: &InitReport) -> String {
    format!(
        "repository {} made, with source `{}`\n\n\
         Recovery key (shown once, kept nowhere; it opens the repository when the password is lost):\n\n    {}\n\n",
        &report.repository_id[..10.min(report.repository_id.len())],
        report.source,
        report.recovery_key.secret().expose_secret()
    )
}

pub(super) fn backup(report: &BackupReport) -> String {
    let manifest = &report.manifest;
    let mut text = format!("backup {} of source `{}` is complete\n", manifest.id, manifest.source);
    text += &databases(manifest);
    text += &format!(
        "  {} read, {} added to the repository, in {:.1} s\n",
        bytes(manifest.bytes),
        bytes(manifest.bytes_added),
        report.duration.as_secs_f64()
    );
    text
}

pub(super) fn archive(report: &ArchiveReport) -> String {
    let shipped = &report.shipped;
    format!(
        "archived {} transactions of source `{}` in {} segments ({} of log) in {:.1} s\n  from commit to repository: half within {} ms, 99 % within {} ms, the slowest {} ms\n",
        shipped.transactions,
        report.source,
        shipped.segments,
        bytes(shipped.bytes),
        report.duration.as_secs_f64(),
        shipped.latencies.percentile(50.0).as_millis(),
        shipped.latencies.percentile(99.0).as_millis(),
        shipped.latencies.max.as_millis(),
    )
}

fn databases(manifest: &Manifest) -> String {
    let line = |database: &grap::copy::DatabaseManifest| {
        format!(
            "  {:<12} transaction {} of {} (checkpoint {} + {} transactions of log)\n",
            database.name,
            database.end.tx_id,
            instant(database.end.commit_ms),
            database.checkpoint.point.tx_id,
            database.transactions
        )
    };
    manifest.databases.iter().map(line).collect()
}

pub(super) fn list(report: &ListReport) -> String {
    let mut text = String::new();
    if report.rows.is_empty() {
        text += "no backups\n";
    } else {
        text += &format!(
            "{:<26} {:<12} {:<12} {:<9} {:>12} {:>12}  transactions\n",
            "ID", "SOURCE", "STATUS", "VERIFIED", "SIZE", "ADDED"
        );
    }
    for row in &report.rows {
        text += &list_row(row);
    }
    for damaged in &report.damaged {
        text += &format!("damaged: {damaged}\n");
    }
    text
}

fn list_row(row: &BackupRow) -> String {
    let source = row.source.as_ref().map_or("", |source| source.as_str());
    let status = status_name(&row.status);
    let detail = match (&row.manifest, &row.status) {
        (Some(manifest), _) => {
            let ends =
                manifest.databases.iter().map(|database| format!("{} {}", database.name, database.end.tx_id));
            let tags = manifest.tags.iter().fold(String::new(), |text, tag| text + " #" + tag);
            let ends = ends.collect::<Vec<_>>().join(", ");
            format!("{:>12} {:>12}  {ends}{tags}", bytes(manifest.bytes), bytes(manifest.bytes_added))
        }
        (None, BackupStatus::Failed { code, message }) => format!("{:>12} {:>12}  {code}: {message}", "", ""),
        (None, BackupStatus::Damaged(error)) => format!("{:>12} {:>12}  {error}", "", ""),
        (None, _) => String::new(),
    };
    let verified = retention::verified_word(&row.standing);
    let held = if row.standing.holds.is_empty() { "" } else { "  held" };
    format!("{:<26} {source:<12} {status:<12} {verified:<9} {detail}{held}\n", row.id)
}

pub(super) fn show(report: &ShowReport, rules: &RetentionRules) -> String {
    let manifest = &report.manifest;
    let mut text = format!(
        "backup    {}\nsource    {}\nstatus    {}\n",
        manifest.id,
        manifest.source,
        retention::complete_status(&report.standing)
    );
    text += &format!("started   {}\nfinished  {}\n", second(manifest.started), second(manifest.finished));
    text += &format!("size      {}, {} added\n", bytes(manifest.bytes), bytes(manifest.bytes_added));
    let release = manifest.server.version.as_deref().unwrap_or("of unknown release");
    let running = if manifest.server.running { "running" } else { "stopped" };
    text += &format!("server    Neo4j {release}, {running}, on {}\n", manifest.host);
    text += &format!("snapshot  {}\n", report.snapshot);
    if !manifest.tags.is_empty() {
        text += &format!("tags      {}\n", manifest.tags.join(", "));
    }
    if let Some(note) = &manifest.note {
        text += &format!("note      {note}\n");
    }
    text += &format!("expires   {}, by its age alone\n", second(rules.expires(manifest.started)));
    text += &retention::standing_text(&report.standing);
    text += &databases(manifest);
    for database in &manifest.databases {
        text += &format!(
            "  {:<12} store {}, format {}, Neo4j {} or newer, {} files\n",
            database.name,
            database.store_id,
            database.format,
            database.server_min,
            database.files.len()
        );
        for omitted in &database.omitted {
            text += &format!("  {:<12} left out {}: {}\n", "", omitted.path, omitted.reason);
        }
    }
    text
}

pub(super) fn verify(report: &VerifyReport) -> String {
    let mut text = format!(
        "{} backups, {} packs, {} packs read ({})\n",
        report.backups,
        report.packs,
        report.packs_read,
        bytes(report.bytes_read)
    );
    if report.archive_objects > 0 {
        text +=
            &format!("{} objects of the archive, {} timelines\n", report.archive_objects, report.timelines);
    }
    for problem in &report.problems {
        text += &format!("damaged: {problem}\n");
    }
    if report.problems.is_empty() {
        text += "no damage was found\n";
    }
    text
}

pub(super) fn restore(report: &RestoreReport) -> String {
    let mut text = String::new();
    if report.damages.is_empty() {
        text += &match report.timeline {
            None => format!("backup {} is restored to {}\n", report.id, report.to.display()),
            Some(timeline) => format!(
                "{} is restored to {}, from backup {} and the archive (timeline {timeline})\n",
                report.target,
                report.to.display(),
                report.id
            ),
        };
        for database in &report.databases {
            text += &format!(
                "  {:<12} transaction {} of {}; opens with Neo4j {} or newer\n",
                database.name,
                database.end.tx_id,
                instant(database.end.commit_ms),
                database.server_min
            );
            text += &short(database.short.as_deref());
        }
    } else {
        text += &format!("backup {} is damaged; what is whole is in {}\n", report.id, report.to.display());
        for damage in &report.damages {
            text += &format!("  {} at byte {}: {}\n", damage.file, damage.offset, damage.reason);
        }
    }
    text += &format!(
        "  {} files, {}, in {:.1} s\n",
        report.files,
        bytes(report.bytes),
        report.duration.as_secs_f64()
    );
    text
}

/// Why a database does not go further, in a line of its own.
fn short(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!("  {:<12} {why}\n", ""))
}

pub(super) fn plan(report: &PlanReport) -> String {
    let mut text = format!(
        "{} of source `{}` would begin from backup {} ({})\n",
        report.target,
        report.source,
        report.id,
        bytes(report.backup_bytes)
    );
    for database in &report.databases {
        text += &format!(
            "  {:<12} transaction {}, then {} of archived log ({} transactions), to transaction {} of {}; opens with Neo4j {} or newer\n",
            database.name,
            database.base.tx_id,
            bytes(database.log_bytes),
            database.log_transactions,
            database.end.tx_id,
            instant(database.end.commit_ms),
            database.server_min
        );
        text += &short(database.short.as_deref());
    }
    let Some(plan) = &report.plan else { return text };
    let until =
        plan.loss.until_ms.map_or_else(String::new, |until| format!(", the last of {}", instant(until)));
    text += &format!(
        "  behind it on timeline {} are {} transactions that will not be in it{until}\n",
        plan.run, plan.loss.transactions
    );
    text += &format!(
        "  about {:.0} s, by a rule of thumb; nothing was written\n",
        plan.estimate.as_secs_f64().ceil()
    );
    text
}

pub(super) fn status(report: &StatusReport) -> String {
    let mut text = format!("{}  source `{}`\n", protection_name(report.protection), report.source);
    for reason in &report.reasons {
        text += &format!("  because {reason}\n");
    }
    if report.protection == Protection::Unknown {
        text += "  because the database was not looked at (--neo4j-home or --data)\n";
    }
    if let Some(backup) = &report.last_backup {
        text += &format!("  last backup {}, {} s ago\n", backup.id, backup.age.as_secs());
    }
    for database in &report.databases {
        let run = database.run.map_or_else(|| "none".to_owned(), |run| run.to_string());
        let restorable = database.restorable.as_ref().map_or_else(
            || "nothing can be restored on it".to_owned(),
            |end| format!("restorable up to transaction {} of {}", end.id, instant(end.commit_time.0)),
        );
        let lag = database.lag.as_ref().filter(|lag| lag.standing == Standing::Follows);
        let lag = lag.map_or_else(String::new, |lag| {
            format!("; {} transactions behind, {} ms", lag.transactions, lag.milliseconds)
        });
        text += &format!("  {:<12} timeline {run}, {restorable}{lag}\n", database.database);
    }
    text
}

pub(super) fn doctor(report: &DoctorReport) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let mark = match check.status {
            CheckStatus::Pass => "ok     ",
            status => &format!("{:<7}", status_word(status)),
        };
        text += &format!("{mark} {:<16} {}\n", check.name, check.message);
        if let Some(advice) = check.advice.as_ref().filter(|_| check.status != CheckStatus::Pass) {
            text += &format!("        {:<16} -> {advice}\n", "");
        }
    }
    text
}

pub(super) fn unlock(report: &UnlockReport) -> String {
    let mut text = String::new();
    for lock in &report.removed {
        text += &format!("removed: {lock}\n");
    }
    for lock in &report.kept {
        text += &format!("kept: {lock}\n");
    }
    if text.is_empty() {
        text += "no locks\n";
    }
    text
}

pub(super) fn sources(report: &SourceReport) -> String {
    let mut text = String::new();
    for source in &report.sources {
        text += &format!("{}\n", source.name);
        if source.binding.0.is_empty() {
            text += "  not bound yet: its first backup binds it\n";
        }
        for (database, store) in &source.binding.0 {
            text += &format!("  {database:<12} {store}\n");
        }
    }
    text
}

pub(super) fn config(settings: &Settings) -> String {
    let mut text = String::new();
    for (key, value) in settings.shown() {
        let shown = value.map_or_else(|| "-".to_owned(), |(value, origin)| format!("{value}  ({origin})"));
        text += &format!("{:<20} {shown}\n", key.name);
    }
    text
}
