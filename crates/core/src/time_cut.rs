//! Where a log is cut for `time=T`: everything before the first transaction, **in log order**, that was
//! committed after T.
//!
//! Commit times are the server's clock, and clocks step. So a T is taken only where nothing speaks against it;
//! else it is refused with the transactions on both sides, of which the operator chooses one by `tx=`:
//! - nothing was archived that is later than T, or T has not come yet: the state at T is not known;
//! - commit times step back by more than five seconds across T: two cuts would fit;
//! - a transaction later than T stands in a segment that was read, by the archiver's clock, more than five
//!   seconds before that time, and before T: the server's clock was ahead;
//! - T lies between the point that a break left and the start that recorded it, or between the newest earlier
//!   record and a start that names another run of the server: nobody saw what the database was then. Whoever
//!   names the timeline has said which of the histories is meant.

use grap_neo4j::TxId;

/// How far clocks may disagree before it is said.
const STEP_MAX_MS: i64 = 5_000;

/// A transaction, in log order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub id: TxId,
    pub commit_ms: i64,
    /// When its segment was read, by the archiver's clock.
    pub clock_ms: i64,
    /// Stored by a run that followed the live log, not gathered afterwards from what an earlier one had held.
    pub followed: bool,
}

/// A start of an archiver, before the first transaction that it stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartMark {
    pub run: u64,
    pub at_ms: i64,
    /// A new timeline begins here.
    pub breaks: bool,
    /// Of the start before it, where that one names another run of the server.
    pub other_server_since_ms: Option<i64>,
}

/// Why a time names no single point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeDoubt {
    #[error("commit times step back by {by_ms} ms there")]
    StepsBack { by_ms: i64 },
    #[error("the server's clock was {by_ms} ms ahead of the archiver's there")]
    ClockAhead { by_ms: i64 },
    #[error("the history broke before run {run} of the archive began, and nobody saw when")]
    Break { run: u64 },
    #[error(
        "the server was started anew before run {run} of the archive began, and nobody watched meanwhile"
    )]
    Unwatched { run: u64 },
    #[error("the archive has a hole there")]
    Hole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeRefusal {
    #[error("that time has not come yet")]
    Future,
    #[error("nothing that is archived was committed later: the state at that time may not be archived yet")]
    BehindNewest { last: TxId },
    #[error("everything that is archived was committed later")]
    BeforeOldest { first: TxId },
    /// `before`: what is certainly within; `behind`: the first that is certainly later, or the last there is.
    #[error("that time names no single point: {doubt}")]
    Doubtful { doubt: TimeDoubt, before: Option<TxId>, behind: TxId },
}

/// Finds the cut. Feed it the starts and the transactions of a path from its beginning to its end.
#[derive(Debug, Clone)]
pub struct TimeCut {
    time_ms: i64,
    /// The operator named the timeline: breaks and restarts raise no doubt.
    timeline_named: bool,
    last: Option<Commit>,
    /// The first transaction later than the time, and the one before it.
    cut: Option<(Option<TxId>, TxId)>,
    commit_max_ms: i64,
    followed_to_ms: i64,
    after_hole: bool,
    doubt: Option<Doubt>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    why: TimeDoubt,
    before: Option<TxId>,
    behind: Option<TxId>,
    /// Until when nobody knows.
    until_ms: i64,
}

impl TimeCut {
    pub fn new(time_ms: i64, timeline_named: bool) -> Self {
        Self {
            time_ms,
            timeline_named,
            last: None,
            cut: None,
            commit_max_ms: i64::MIN,
            followed_to_ms: i64::MIN,
            after_hole: false,
            doubt: None,
        }
    }

    pub fn start(&mut self, mark: &StartMark) {
        if self.timeline_named {
            return;
        }
        let unknown_since = if mark.breaks {
            let left = self.last.map_or(i64::MIN, |last| last.commit_ms);
            Some((left, TimeDoubt::Break { run: mark.run }))
        } else {
            let since = |earlier: i64| earlier.max(self.followed_to_ms);
            mark.other_server_since_ms.map(|at| (since(at), TimeDoubt::Unwatched { run: mark.run }))
        };
        if let Some((since, why)) = unknown_since
            && (since..=mark.at_ms).contains(&self.time_ms)
        {
            self.raise(why, self.last.map(|last| last.id), mark.at_ms);
        }
    }

    /// What follows does not go on from what was fed.
    pub fn hole(&mut self) {
        self.after_hole = true;
    }

    pub fn commit(&mut self, commit: &Commit) {
        let Commit { id, commit_ms, clock_ms, .. } = *commit;
        let before = self.last.map(|last| last.id);
        let later = commit_ms > self.time_ms;
        if later && self.cut.is_none() {
            self.cut = Some((before, id));
            if self.after_hole {
                self.raise(TimeDoubt::Hole, before, self.time_ms);
            }
        }
        if later && clock_ms <= self.time_ms && ahead(commit_ms, clock_ms) {
            let by_ms = commit_ms.saturating_sub(clock_ms);
            self.raise(TimeDoubt::ClockAhead { by_ms }, before, commit_ms);
        }
        if !later && self.commit_max_ms > self.time_ms && ahead(self.commit_max_ms, commit_ms) {
            let by_ms = self.commit_max_ms.saturating_sub(commit_ms);
            let before_cut = self.cut.and_then(|(before, _)| before);
            self.raise(TimeDoubt::StepsBack { by_ms }, before_cut, commit_ms);
        }
        if let Some(doubt) = &mut self.doubt {
            if commit_ms <= doubt.until_ms.max(self.time_ms) {
                doubt.behind = None;
            } else if doubt.behind.is_none() {
                doubt.behind = Some(id);
            }
        }
        self.commit_max_ms = self.commit_max_ms.max(commit_ms);
        if commit.followed {
            self.followed_to_ms = self.followed_to_ms.max(clock_ms);
        }
        self.after_hole = false;
        self.last = Some(*commit);
    }

    /// The last transaction that is within.
    pub fn finish(&self, now_ms: i64) -> Result<TxId, TimeRefusal> {
        if self.time_ms > now_ms {
            return Err(TimeRefusal::Future);
        }
        let last = self.last.map_or(TxId::BASE, |last| last.id);
        let Some((before, first)) = self.cut else { return Err(TimeRefusal::BehindNewest { last }) };
        if let Some(Doubt { why, before, behind, .. }) = self.doubt {
            return Err(TimeRefusal::Doubtful { doubt: why, before, behind: behind.unwrap_or(last) });
        }
        before.ok_or(TimeRefusal::BeforeOldest { first })
    }

    /// The first doubt is told; a later one only widens what is unknown.
    fn raise(&mut self, why: TimeDoubt, before: Option<TxId>, until_ms: i64) {
        let doubt = self.doubt.get_or_insert(Doubt { why, before, behind: None, until_ms });
        doubt.until_ms = doubt.until_ms.max(until_ms);
        doubt.behind = None;
    }
}

fn ahead(ms: i64, of_ms: i64) -> bool {
    ms.saturating_sub(of_ms) > STEP_MAX_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 10_000_000;

    fn at(id: u64, commit_ms: i64) -> Commit {
        Commit { id: TxId(id), commit_ms, clock_ms: commit_ms, followed: true }
    }

    /// The cut for `time` over transactions 2, 3, 4 ... of these commit times.
    fn cut(time: i64, commits: &[i64]) -> Result<u64, TimeRefusal> {
        let mut cut = TimeCut::new(time, false);
        for (id, commit_ms) in (2..).zip(commits) {
            cut.commit(&at(id, *commit_ms));
        }
        cut.finish(NOW).map(|id| id.0)
    }

    fn doubtful(doubt: TimeDoubt, before: u64, behind: u64) -> TimeRefusal {
        TimeRefusal::Doubtful { doubt, before: Some(TxId(before)), behind: TxId(behind) }
    }

    #[test]
    fn the_log_is_cut_before_the_first_later_one() {
        assert_eq!(cut(20, &[10, 20, 30]), Ok(3));
        assert_eq!(cut(29, &[10, 20, 30]), Ok(3));
        assert_eq!(cut(25, &[10, 30, 20, 40]), Ok(2), "small steps back: log order decides");
        assert_eq!(cut(30, &[10, 20, 30]), Err(TimeRefusal::BehindNewest { last: TxId(4) }));
        assert_eq!(cut(9, &[10, 20]), Err(TimeRefusal::BeforeOldest { first: TxId(2) }));
        assert_eq!(cut(NOW + 1, &[10, NOW + 2]), Err(TimeRefusal::Future));
    }

    #[test]
    fn a_step_back_across_the_time_is_refused() {
        let commits = [10_000, 30_000, 20_000, 24_000, 40_000];
        let refusal = doubtful(TimeDoubt::StepsBack { by_ms: 10_000 }, 2, 5);
        assert_eq!(cut(22_000, &commits), Err(refusal));
        assert_eq!(cut(15_000, &commits), Ok(2), "the step does not reach that far");
        assert_eq!(cut(35_000, &commits), Ok(5));
        assert_eq!(cut(12_000, &[10_000, 13_000, 11_900, 20_000]), Ok(2), "within five seconds");
    }

    #[test]
    fn a_clock_that_was_ahead_is_refused() {
        let mut cut = TimeCut::new(20_000, false);
        cut.commit(&at(2, 10_000));
        cut.commit(&Commit { clock_ms: 15_000, ..at(3, 60_000) });
        cut.commit(&at(4, 70_000));
        let refusal = doubtful(TimeDoubt::ClockAhead { by_ms: 45_000 }, 2, 4);
        assert_eq!(cut.finish(NOW), Err(refusal));
        let mut cut = TimeCut::new(20_000, false);
        cut.commit(&at(2, 10_000));
        cut.commit(&Commit { clock_ms: 56_000, ..at(3, 60_000) });
        assert_eq!(cut.finish(NOW), Ok(TxId(2)));
    }

    /// Two timelines: 2 at 10 s, 3 at 20 s; at 50 s a start records that the history goes on behind 2.
    fn broken(time: i64, named: bool) -> Result<u64, TimeRefusal> {
        let mut cut = TimeCut::new(time, named);
        cut.start(&StartMark { run: 1, at_ms: 5_000, breaks: false, other_server_since_ms: None });
        cut.commit(&at(2, 10_000));
        cut.start(&StartMark { run: 2, at_ms: 50_000, breaks: true, other_server_since_ms: Some(5_000) });
        cut.commit(&at(3, 40_000));
        cut.commit(&at(4, 60_000));
        cut.commit(&at(5, 70_000));
        cut.finish(NOW).map(|id| id.0)
    }

    #[test]
    fn between_a_break_and_its_record_the_timeline_must_be_named() {
        for time in [10_000, 30_000, 45_000, 50_000] {
            assert_eq!(broken(time, false), Err(doubtful(TimeDoubt::Break { run: 2 }, 2, 4)), "{time}");
        }
        assert_eq!(broken(45_000, true), Ok(3));
        assert_eq!(broken(65_000, false), Ok(4));
    }

    #[test]
    fn while_nobody_watched_the_timeline_must_be_named() {
        let run = |time: i64, other_server_since_ms| {
            let mut cut = TimeCut::new(time, false);
            cut.commit(&at(2, 10_000));
            cut.start(&StartMark { run: 2, at_ms: 50_000, breaks: false, other_server_since_ms });
            cut.commit(&at(3, 60_000));
            cut.finish(NOW).map(|id| id.0)
        };
        assert_eq!(run(30_000, Some(5_000)), Err(doubtful(TimeDoubt::Unwatched { run: 2 }, 2, 3)));
        assert_eq!(run(30_000, Some(40_000)), Ok(2), "something was recorded in between");
        assert_eq!(run(30_000, None), Ok(2), "the same run of the server");
        assert_eq!(run(55_000, Some(5_000)), Ok(2));
    }

    #[test]
    fn a_hole_at_the_time_is_refused() {
        let mut cut = TimeCut::new(20_000, false);
        cut.commit(&at(2, 10_000));
        cut.hole();
        cut.commit(&at(7, 30_000));
        assert_eq!(cut.finish(NOW), Err(doubtful(TimeDoubt::Hole, 2, 7)));
    }

    proptest! {
        /// Where a cut is granted, whatever is within was committed at most five seconds later than the time,
        /// and whatever is behind at most five seconds before it.
        #[test]
        fn a_granted_cut_is_good_to_five_seconds(
            time in 0_i64..100_000,
            commits in proptest::collection::vec(0_i64..100_000, 1..40),
        ) {
            if let Ok(last) = cut(time, &commits) {
                for (id, commit_ms) in (2..).zip(&commits) {
                    let good = if id <= last { *commit_ms <= time } else { *commit_ms > time - 5_000 };
                    prop_assert!(good, "{id} of {commit_ms} with {last} as the last one");
                }
                prop_assert!(commits.get(usize::try_from(last - 1).unwrap()).is_some_and(|next| *next > time));
            }
        }
    }
}
