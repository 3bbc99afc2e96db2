//! The line of time: what `grap window` shows. A picture on a terminal, plain rows elsewhere.
//! ```text
//! prod neo4j   2026-11-25 02:00:00Z ... 2026-11-25 09:13:21Z
//!   timeline 1             B=========B====x    B====x
//!   timeline 4 (current)                |B==============>
//!   backups                B         B    B    B
//! ```

use grap::archive::{DatabaseWindow, TimelineWindow};
use grap::ops::WindowReport;

use super::text::instant;

/// Columns of the line of time.
const WIDTH: usize = 64;

pub(super) fn window(report: &WindowReport, picture: bool) -> String {
    let mut text = String::new();
    for source in &report.sources {
        for database in &source.databases {
            if picture {
                text += &chart(source.source.as_str(), database);
            }
            text += &rows(source.source.as_str(), database);
        }
    }
    if text.is_empty() { "nothing can be restored: there is no backup\n".to_owned() } else { text }
}

fn rows(source: &str, database: &DatabaseWindow) -> String {
    let name = format!("{source} {}", database.database);
    let mut text = String::new();
    if let Some((run, why)) = &database.unreadable {
        text += &format!(
            "{name}  which timeline is the current one is not known: the start of run {run} cannot be read: {why}\n"
        );
    }
    for timeline in &database.timelines {
        let current = if timeline.current { " (current)" } else { "" };
        for span in &timeline.spans {
            text += &format!(
                "{name}  timeline {}{current}  transaction {} of {} to {} of {}, {} backups\n",
                timeline.run,
                span.first.id,
                instant(span.first.commit_time.0),
                span.last.id,
                instant(span.last.commit_time.0),
                span.bases.len()
            );
        }
        for gap in timeline.gaps() {
            text += &format!(
                "{name}  timeline {}{current}  not {} to {}: {}\n",
                timeline.run, gap.from, gap.to, gap.reason
            );
        }
        if let Some(why) = &timeline.broken {
            let begins = timeline.begins;
            text += &format!("{name}  timeline {}{current}  began with run {begins}: {why}\n", timeline.run);
        }
    }
    for (id, end) in &database.backups {
        let time = instant(end.commit_time.0);
        text += &format!("{name}  backup {id}  transaction {} of {time}\n", end.id);
    }
    text
}

/// Bases are `B`, what can be reached `=`, what cannot blank; `>` the end of the current path.
fn chart(source: &str, database: &DatabaseWindow) -> String {
    let Some(scale) = Scale::of(database) else { return String::new() };
    let mut text =
        format!("{source} {}   {} ... {}\n", database.database, instant(scale.from_ms), instant(scale.to_ms));
    for timeline in &database.timelines {
        let current = if timeline.current { " (current)" } else { "" };
        let label = format!("timeline {}{current}", timeline.run);
        text += &format!("  {label:<22} {}\n", line(&scale, timeline).trim_end());
    }
    let mut marks = vec![' '; WIDTH];
    for (_, end) in &database.backups {
        marks[scale.column(end.commit_time.0)] = 'B';
    }
    let marks: String = marks.into_iter().collect();
    text + &format!("  {:<22} {}\n", "backups", marks.trim_end())
}

fn line(scale: &Scale, timeline: &TimelineWindow) -> String {
    let mut columns = vec![' '; WIDTH];
    for span in &timeline.spans {
        let (first, last) = (scale.column(span.first.commit_time.0), scale.column(span.last.commit_time.0));
        columns[first..=last.max(first)].fill('=');
        for (_, end) in &span.bases {
            columns[scale.column(end.commit_time.0)] = 'B';
        }
        if !timeline.current {
            columns[last.max(first)] = 'x';
        }
    }
    if let (Some(last), true) = (timeline.spans.last(), timeline.current) {
        columns[scale.column(last.last.commit_time.0)] = '>';
    }
    if let (Some(first), Some(_)) = (timeline.spans.first(), &timeline.broken)
        && let Some(before) = scale.column(first.first.commit_time.0).checked_sub(1)
    {
        columns[before] = '|';
    }
    columns.into_iter().collect()
}

/// From the oldest point that is shown to the newest.
struct Scale {
    from_ms: i64,
    to_ms: i64,
}

impl Scale {
    fn of(database: &DatabaseWindow) -> Option<Self> {
        let spans = database.timelines.iter().flat_map(|timeline| &timeline.spans);
        let ends = spans.flat_map(|span| [&span.first, &span.last]);
        let points = database.backups.iter().map(|(_, end)| end).chain(ends);
        let times: Vec<i64> = points.map(|end| end.commit_time.0).collect();
        Some(Self { from_ms: *times.iter().min()?, to_ms: *times.iter().max()? })
    }

    fn column(&self, ms: i64) -> usize {
        let length = (i128::from(self.to_ms) - i128::from(self.from_ms)).max(1);
        let at = (i128::from(ms) - i128::from(self.from_ms)).clamp(0, length);
        usize::try_from(at * (WIDTH as i128 - 1) / length).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use grap::archive::{RunNumber, SpanWindow};
    use grap_neo4j::{Checksum, CommitTime, LogPosition, LogVersion, TransactionEnd, TxId};

    use super::*;

    fn at(id: u64) -> TransactionEnd {
        TransactionEnd {
            position: LogPosition { version: LogVersion(0), offset: 128 },
            id: TxId(id),
            checksum: Checksum(1),
            commit_time: CommitTime(i64::try_from(id).unwrap() * 1000),
        }
    }

    fn timeline(run: u64, current: bool, spans: &[(u64, u64)], broken: Option<&str>) -> TimelineWindow {
        let span = |(stretch, (first, last)): (usize, &(u64, u64))| SpanWindow {
            stretch,
            first: at(*first),
            last: at(*last),
            bases: vec![("neo4j-20261125-020000".parse().unwrap(), at(*first))],
        };
        TimelineWindow {
            run: RunNumber(run),
            begins: RunNumber(run),
            current,
            broken: broken.map(str::to_owned),
            stretches: Vec::new(),
            spans: spans.iter().enumerate().map(span).collect(),
        }
    }

    #[test]
    fn the_picture_shows_bases_spans_gaps_and_breaks() {
        let database = DatabaseWindow {
            database: "neo4j".to_owned(),
            unreadable: Some((RunNumber(5), "it is missing".to_owned())),
            timelines: vec![
                timeline(1, false, &[(0, 21), (28, 42)], None),
                timeline(4, true, &[(35, 63)], Some("an older state was put back")),
            ],
            backups: [0, 28, 35].map(|id| ("neo4j-20261125-020000".parse().unwrap(), at(id))).to_vec(),
        };
        assert_eq!(
            chart("prod", &database),
            "prod neo4j   1970-01-01 00:00:00Z ... 1970-01-01 00:01:03Z
  timeline 1             B====================x      B=============x
  timeline 4 (current)                                     |B===========================>
  backups                B                           B      B
"
        );
        assert!(rows("prod", &database).contains("timeline 4 (current)  transaction 35 of"));
        assert!(rows("prod", &database).contains("run 5 cannot be read: it is missing"));
    }
}
