//! How a point in time is restored: which backup, and which part of the archived log behind it.
//!
//! Decided from what a survey of one path met: the spans of log without a hole, and which backups join them
//! where. A plan never crosses a hole, and never begins from a backup whose end was not met on the path.

use std::time::Duration;

use grap_neo4j::{TransactionEnd, TxId};

use crate::backup_id::BackupId;

/// A backup that a plan may begin from; of one database of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub id: BackupId,
    pub end: TransactionEnd,
    /// Of its files.
    pub bytes: u64,
}

/// A part of a path without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub first: TransactionEnd,
    pub last: TransactionEnd,
    /// Of log.
    pub bytes: u64,
    /// Why it does not go on from the span before it.
    pub hole: Option<String>,
}

/// A transaction that was met on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meeting {
    /// Number of the span.
    pub span: usize,
    pub end: TransactionEnd,
    /// Bytes of log of the span up to its end.
    pub bytes: u64,
}

/// The end of a backup was met on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// Number of the base.
    pub base: usize,
    pub at: Meeting,
}

/// What a survey met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathView {
    /// The run that the path is named by.
    pub run: u64,
    pub spans: Vec<Span>,
    /// In log order.
    pub joins: Vec<Join>,
}

/// What stands behind the target on its path, and will not be in the restored database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    pub transactions: u64,
    /// When the last of them was committed.
    pub until_ms: Option<i64>,
    /// From the target's commit until now.
    pub age_ms: i64,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePlan {
    /// Number of the base.
    pub base: usize,
    pub backup: BackupId,
    pub base_end: TransactionEnd,
    pub run: u64,
    pub target: TransactionEnd,
    /// Behind the base's end, up to the target.
    pub transactions: u64,
    pub log_bytes: u64,
    pub loss: Loss,
    pub estimate: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    #[error("transaction {target} does not lie on the path")]
    NotOnPath { target: TxId },
    #[error("no backup at or before transaction {target} joins the path")]
    NoBase { target: TxId },
    #[error(
        "between transaction {base}, where backup {backup} ends, and transaction {target} the archive has a hole: {why}"
    )]
    Hole { backup: BackupId, base: TxId, target: TxId, why: String },
}

/// What can be reached of a span: from the first backup that joins it to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    pub span: usize,
    pub first: TransactionEnd,
    pub last: TransactionEnd,
    /// Numbers of the bases that join, in log order.
    pub bases: Vec<usize>,
}

/// A rule of thumb, no measurement: a plain disk takes files at 100 MiB a second; archived log behind the backup
/// is read once to plan (its schema changes are watched in the same pass) and once to be written, and what was
/// written is parsed again: together at 40. Not in it: that `time=` reads the whole timeline first.
const FILES_RATE: u64 = 100 << 20;
const LOG_RATE: u64 = 40 << 20;
/// The repository's key, its index, the catalog.
const BEGIN: Duration = Duration::from_secs(1);

impl RestorePlan {
    /// `target`: where it was met. `end`: the last transaction of the path, where it is known.
    pub fn make(
        bases: &[Base],
        view: &PathView,
        target: TxId,
        met: Option<&Meeting>,
        end: Option<&TransactionEnd>,
        now_ms: i64,
    ) -> Result<Self, PlanRefusal> {
        let met = met.filter(|met| met.end.id == target).ok_or(PlanRefusal::NotOnPath { target })?;
        let below = |join: &&Join| join.at.span <= met.span && join.at.end.id <= target;
        let join = view.joins.iter().rev().find(below).ok_or(PlanRefusal::NoBase { target })?;
        let base = bases.get(join.base).ok_or(PlanRefusal::NoBase { target })?;
        if join.at.span != met.span {
            let hole = view.spans.get(join.at.span + 1).and_then(|span| span.hole.clone());
            return Err(PlanRefusal::Hole {
                backup: base.id.clone(),
                base: join.at.end.id,
                target,
                why: hole.unwrap_or_else(|| "it does not go on".to_owned()),
            });
        }
        let log_bytes = met.bytes.saturating_sub(join.at.bytes);
        Ok(Self {
            base: join.base,
            backup: base.id.clone(),
            base_end: base.end,
            run: view.run,
            target: met.end,
            transactions: target.0.saturating_sub(join.at.end.id.0),
            log_bytes,
            loss: loss(&met.end, end, now_ms),
            estimate: estimate(base.bytes, log_bytes),
        })
    }
}

impl PathView {
    /// What a plan would be granted for.
    pub fn reaches(&self) -> Vec<Reach> {
        let reach = |(number, span): (usize, &Span)| {
            let joins: Vec<&Join> = self.joins.iter().filter(|join| join.at.span == number).collect();
            let first = joins.first()?;
            let bases = joins.iter().map(|join| join.base).collect();
            Some(Reach { span: number, first: first.at.end, last: span.last, bases })
        };
        self.spans.iter().enumerate().filter_map(reach).collect()
    }
}

fn loss(target: &TransactionEnd, end: Option<&TransactionEnd>, now_ms: i64) -> Loss {
    let behind = end.filter(|end| end.id > target.id);
    Loss {
        transactions: behind.map_or(0, |end| end.id.0 - target.id.0),
        until_ms: behind.map(|end| end.commit_time.0),
        age_ms: now_ms.saturating_sub(target.commit_time.0).max(0),
    }
}

/// A rule of thumb, for whoever decides whether to wait.
fn estimate(files: u64, log: u64) -> Duration {
    let milliseconds = (files / 1024 * 1000) / (FILES_RATE / 1024) + (log / 1024 * 1000) / (LOG_RATE / 1024);
    BEGIN + Duration::from_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use grap_neo4j::{Checksum, CommitTime, LogPosition, LogVersion};
    use proptest::prelude::*;

    use super::*;

    fn end(id: u64) -> TransactionEnd {
        TransactionEnd {
            position: LogPosition { version: LogVersion(0), offset: id * 100 },
            id: TxId(id),
            checksum: Checksum(7),
            commit_time: CommitTime(i64::try_from(id).unwrap() * 1000),
        }
    }

    fn base(end_id: u64) -> Base {
        Base { id: "neo4j-20261125-020000".parse().unwrap(), end: end(end_id), bytes: 1 << 20 }
    }

    fn meeting(spans: &[(u64, u64)], id: u64) -> Option<Meeting> {
        let span = spans.iter().position(|(first, last)| (*first..=*last).contains(&id))?;
        Some(Meeting { span, end: end(id), bytes: (id + 1 - spans[span].0) * 100 })
    }

    /// Spans of (first, last), bases that end at these; a base joins where its end lies on a span.
    fn view(spans: &[(u64, u64)], bases: &[u64]) -> PathView {
        let mut joins: Vec<Join> =
            (0..).zip(bases).filter_map(|(base, id)| Some(Join { base, at: meeting(spans, *id)? })).collect();
        joins.sort_by_key(|join| join.at.end.id);
        let span = |(number, (first, last)): (usize, &(u64, u64))| Span {
            first: end(*first),
            last: end(*last),
            bytes: (last + 1 - first) * 100,
            hole: (number > 0).then(|| "a segment is missing".to_owned()),
        };
        PathView { run: 3, spans: spans.iter().enumerate().map(span).collect(), joins }
    }

    fn plan(spans: &[(u64, u64)], ends: &[u64], target: u64) -> Result<RestorePlan, PlanRefusal> {
        let bases: Vec<Base> = ends.iter().copied().map(base).collect();
        let last = spans.last().map(|(_, last)| end(*last));
        let met = meeting(spans, target);
        RestorePlan::make(&bases, &view(spans, ends), TxId(target), met.as_ref(), last.as_ref(), 1_000_000)
    }

    #[test]
    fn the_newest_backup_at_or_before_the_target_is_taken() {
        let plan = plan(&[(2, 100)], &[50, 10, 90], 60).unwrap();
        assert_eq!((plan.base, plan.base_end.id, plan.target.id), (0, TxId(50), TxId(60)));
        assert_eq!((plan.transactions, plan.log_bytes, plan.run), (10, 1000, 3));
        assert_eq!(plan.loss, Loss { transactions: 40, until_ms: Some(100_000), age_ms: 940_000 });
        assert!(plan.estimate >= BEGIN);
    }

    #[test]
    fn what_cannot_be_reached_is_refused_with_the_reason() {
        let spans = [(2, 50), (60, 100)];
        assert_eq!(plan(&spans, &[10], 55), Err(PlanRefusal::NotOnPath { target: TxId(55) }));
        assert_eq!(plan(&spans, &[30], 20), Err(PlanRefusal::NoBase { target: TxId(20) }));
        let refusal = plan(&spans, &[10], 70).unwrap_err();
        assert!(matches!(refusal, PlanRefusal::Hole { .. }), "{refusal}");
        assert!(plan(&spans, &[10, 60], 60).is_ok());
    }

    fn spans() -> impl Strategy<Value = Vec<(u64, u64)>> {
        proptest::collection::vec((1_u64..4, 0_u64..12), 1..5).prop_map(|steps| {
            let mut next = 2;
            let span = |(gap, length): (u64, u64)| {
                let first = next + gap - 1;
                next = first + length + 1;
                (first, first + length)
            };
            steps.into_iter().map(span).collect()
        })
    }

    proptest! {
        /// A plan is made exactly where the target lies within what is shown as reachable; and then from the
        /// nearest base, within one span.
        #[test]
        fn a_plan_is_granted_exactly_within_the_window(
            spans in spans(),
            ends in proptest::collection::vec(1_u64..60, 0..6),
            target in 1_u64..60,
        ) {
            let reaches = view(&spans, &ends).reaches();
            let shown = reaches.iter().any(|reach| (reach.first.id..=reach.last.id).contains(&TxId(target)));
            match plan(&spans, &ends, target) {
                Ok(plan) => {
                    prop_assert!(shown);
                    let span = meeting(&spans, target).unwrap().span;
                    let (first, _) = spans[span];
                    let nearest = ends.iter().filter(|end| (first..=target).contains(end)).max().unwrap();
                    prop_assert_eq!(plan.base_end.id, TxId(*nearest));
                    prop_assert_eq!(plan.transactions, target - nearest);
                    prop_assert_eq!(plan.log_bytes, (target - nearest) * 100);
                }
                Err(_) => prop_assert!(!shown),
            }
        }
    }
}
