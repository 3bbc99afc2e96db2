//! Which backups of a source stay and which go: a pure decision, from what is known of each.
//!
//! A backup goes only if **no** rule keeps it. The rules: it is young; it is the newest verified one of one of the
//! last days, weeks or months that have one; it is the newest verified one of all; somebody holds it; the kept window
//! of the archive begins from it. Every reason is in the plan, so that it can be printed and tested.
//!
//! Why it is safe beside clocks that step and schedules that stand still: age deletes nothing while the newest
//! verified backup is overdue, while `now` lies before it, or while there is none. And a bucket (day, week, month) that
//! fell out of the last ones never comes back into them, so what was deleted by an earlier plan is missed by no later
//! one, as long as verdicts stay.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::backup_id::BackupId;

/// How long backups stay, and how many of older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionRules {
    /// Younger than so many days of 24 hours: stays.
    pub days: u32,
    /// Of so many of the last days that have a verified one, the newest verified one stays.
    pub daily: u32,
    /// ISO weeks.
    pub weekly: u32,
    pub monthly: u32,
}

impl Default for RetentionRules {
    fn default() -> Self {
        Self { days: 30, daily: 7, weekly: 4, monthly: 1 }
    }
}

/// What the newest verification of a backup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Verified,
    Failed,
}

/// A backup, as far as retention asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: BackupId,
    pub began: Timestamp,
    pub verdict: Option<Verdict>,
    /// Who holds it and why, one text each.
    pub holds: Vec<String>,
    /// The kept window of the archive begins from it.
    pub needed: bool,
    /// Something about it cannot be read, so nobody may decide over it.
    pub doubt: Option<String>,
}

/// Every decision, in the order of the candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPlan {
    /// Why nothing goes by age at the moment.
    pub pause: Option<Pause>,
    pub decisions: Vec<Decision>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub id: BackupId,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Stays(Vec<Keep>),
    Goes(Vec<Go>),
}

/// A rule that keeps a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    Young {
        until: Timestamp,
    },
    NewestOfDay(Date),
    NewestOfWeek {
        year: i16,
        week: i8,
    },
    NewestOfMonth {
        year: i16,
        month: i8,
    },
    NewestVerified,
    Held(String),
    NeededByWindow,
    InDoubt(String),
    /// No rule keeps it, but nothing goes at the moment.
    Paused(Pause),
}

/// Why no rule keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    Old {
        since: Timestamp,
    },
    NeverVerified,
    FailedVerification,
    /// A newer verified one stands for its day, week and month, or these are no longer among the last.
    NotCounted,
}

/// Why age deletes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    NoneVerified,
    Overdue { newest: BackupId, since: Timestamp },
    ClockBehind { newest: BackupId, began: Timestamp },
}

impl RetentionRules {
    /// When the days rule lets a backup go.
    pub fn expires(&self, began: Timestamp) -> Timestamp {
        let days = SignedDuration::from_hours(i64::from(self.days) * 24);
        began.checked_add(days).unwrap_or(Timestamp::MAX)
    }

    /// Decide over every backup of one source. `newest_due_by`: from then on the newest verified backup
    /// ([`newest_verified`]) is overdue; `None` where nothing is scheduled.
    pub fn plan(
        &self,
        candidates: &[Candidate],
        now: Timestamp,
        zone: &TimeZone,
        newest_due_by: Option<Timestamp>,
    ) -> RetentionPlan {
        let newest = newest_verified(candidates);
        let pause = pause(newest, now, newest_due_by);
        let counted = self.counted(candidates, zone);
        let decide = |candidate: &Candidate| {
            let mut keeps = self.own_keeps(candidate, now);
            keeps.extend(counted.get(&candidate.id).into_iter().flatten().cloned());
            if newest.is_some_and(|newest| newest.id == candidate.id) {
                keeps.push(Keep::NewestVerified);
            }
            if keeps.is_empty() {
                keeps.extend(pause.clone().map(Keep::Paused));
            }
            let goes = || Outcome::Goes(self.why_gone(candidate));
            let outcome = if keeps.is_empty() { goes() } else { Outcome::Stays(keeps) };
            Decision { id: candidate.id.clone(), outcome }
        };
        RetentionPlan { decisions: candidates.iter().map(decide).collect(), pause }
    }

    /// What keeps a backup whatever the others are.
    fn own_keeps(&self, candidate: &Candidate, now: Timestamp) -> Vec<Keep> {
        let until = self.expires(candidate.began);
        let mut keeps = Vec::new();
        if now < until {
            keeps.push(Keep::Young { until });
        }
        keeps.extend(candidate.holds.iter().cloned().map(Keep::Held));
        if candidate.needed {
            keeps.push(Keep::NeededByWindow);
        }
        keeps.extend(candidate.doubt.clone().map(Keep::InDoubt));
        keeps
    }

    /// The newest verified backup of each of the last days, weeks and months that have one.
    fn counted(&self, candidates: &[Candidate], zone: &TimeZone) -> BTreeMap<BackupId, Vec<Keep>> {
        let mut verified: Vec<&Candidate> = candidates.iter().filter(|one| is_verified(one)).collect();
        verified.sort_by_key(|candidate| (candidate.began, &candidate.id));
        let mut counted: BTreeMap<BackupId, Vec<Keep>> = BTreeMap::new();
        for (count, bucket) in [
            (self.daily, day as fn(Date) -> Keep),
            (self.weekly, week as fn(Date) -> Keep),
            (self.monthly, month as fn(Date) -> Keep),
        ] {
            let mut last: Option<Keep> = None;
            let mut left = count;
            for candidate in verified.iter().rev() {
                let found = bucket(candidate.began.to_zoned(zone.clone()).date());
                if last.as_ref() == Some(&found) {
                    continue;
                }
                if left == 0 {
                    break;
                }
                left -= 1;
                counted.entry(candidate.id.clone()).or_default().push(found.clone());
                last = Some(found);
            }
        }
        counted
    }

    fn why_gone(&self, candidate: &Candidate) -> Vec<Go> {
        let verdict = match candidate.verdict {
            None => Go::NeverVerified,
            Some(Verdict::Failed) => Go::FailedVerification,
            Some(Verdict::Verified) => Go::NotCounted,
        };
        vec![Go::Old { since: self.expires(candidate.began) }, verdict]
    }
}

/// The newest backup that is good: the floor, and what tells whether age may delete at all.
pub fn newest_verified(candidates: &[Candidate]) -> Option<&Candidate> {
    candidates.iter().filter(|one| is_verified(one)).max_by_key(|one| (one.began, &one.id))
}

fn is_verified(candidate: &Candidate) -> bool {
    candidate.verdict == Some(Verdict::Verified)
}

fn pause(newest: Option<&Candidate>, now: Timestamp, due_by: Option<Timestamp>) -> Option<Pause> {
    let Some(newest) = newest else { return Some(Pause::NoneVerified) };
    if now < newest.began {
        return Some(Pause::ClockBehind { newest: newest.id.clone(), began: newest.began });
    }
    let since = due_by.filter(|due_by| *due_by <= now)?;
    Some(Pause::Overdue { newest: newest.id.clone(), since })
}

fn day(date: Date) -> Keep {
    Keep::NewestOfDay(date)
}

fn week(date: Date) -> Keep {
    let week = date.iso_week_date();
    Keep::NewestOfWeek { year: week.year(), week: week.week() }
}

fn month(date: Date) -> Keep {
    Keep::NewestOfMonth { year: date.year(), month: date.month() }
}

impl Decision {
    pub fn goes(&self) -> bool {
        matches!(self.outcome, Outcome::Goes(_))
    }
}

impl Keep {
    /// A word for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Young { .. } => "young",
            Self::NewestOfDay(_) => "daily",
            Self::NewestOfWeek { .. } => "weekly",
            Self::NewestOfMonth { .. } => "monthly",
            Self::NewestVerified => "newest_verified",
            Self::Held(_) => "held",
            Self::NeededByWindow => "needed_by_window",
            Self::InDoubt(_) => "in_doubt",
            Self::Paused(_) => "paused",
        }
    }
}

impl Go {
    /// A word for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Old { .. } => "old",
            Self::NeverVerified => "never_verified",
            Self::FailedVerification => "failed_verification",
            Self::NotCounted => "not_counted",
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Young { until } => write!(f, "young until {}", second(*until)),
            Self::NewestOfDay(date) => write!(f, "the newest verified one of {date}"),
            Self::NewestOfWeek { year, week } => {
                write!(f, "the newest verified one of week {year}-W{week:02}")
            }
            Self::NewestOfMonth { year, month } => write!(f, "the newest verified one of {year}-{month:02}"),
            Self::NewestVerified => f.write_str("the newest verified one of all"),
            Self::Held(by) => write!(f, "held by {by}"),
            Self::NeededByWindow => f.write_str("the kept window begins from it"),
            Self::InDoubt(why) => f.write_str(why),
            Self::Paused(pause) => write!(f, "nothing goes: {pause}"),
        }
    }
}

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Old { since } => write!(f, "too old since {}", second(*since)),
            Self::NeverVerified => f.write_str("never verified"),
            Self::FailedVerification => f.write_str("its last verification or validation failed"),
            Self::NotCounted => f.write_str("newer ones stand for the last days, weeks and months"),
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneVerified => f.write_str("no backup is verified, and free of a failed validation"),
            Self::Overdue { newest, since } => {
                write!(f, "the newest verified backup, {newest}, is overdue since {}", second(*since))
            }
            Self::ClockBehind { newest, began } => {
                write!(
                    f,
                    "the newest verified backup, {newest}, began at {}, which is still to come",
                    second(*began)
                )
            }
        }
    }
}

fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
