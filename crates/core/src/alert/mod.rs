//! What somebody has to look at: raised by key, told once, repeated while it lasts, and told once more when it is
//! over. Pure: [`Alerts`] decides what has happened, [`Outbox`] what of it one sink still has to be told.
//!
//! An event is persisted, then applied, then told; folded again after a restart the events give the same state, so
//! that nothing is forgotten and nothing is told twice.

mod outbox;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use outbox::Outbox;

/// An open alert is told again after this.
const REPEAT_AFTER: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertLevel {
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertChange {
    Raised,
    /// A warning has become critical.
    Escalated,
    /// It still is.
    Repeated,
    /// The all-clear.
    Cleared,
}

/// What is told of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Counts all events, from 1.
    pub number: u64,
    pub change: AlertChange,
    /// The situation: while it lasts there is one alert of that key.
    pub key: String,
    pub level: AlertLevel,
    pub message: String,
    /// When the alert was raised.
    pub since: Timestamp,
    pub at: Timestamp,
}

/// One that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAlert {
    /// As it is now; it is not told again when it eases.
    pub level: AlertLevel,
    pub message: String,
    pub since: Timestamp,
    /// What was told last; it is told when it is worse than that.
    told_level: AlertLevel,
    told_at: Timestamp,
    told_number: u64,
}

/// Every open alert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    open: BTreeMap<String, OpenAlert>,
    last_number: u64,
}

impl Alerts {
    /// By key.
    pub fn open(&self) -> impl Iterator<Item = (&str, &OpenAlert)> {
        self.open.iter().map(|(key, alert)| (key.as_str(), alert))
    }

    /// What it means that the situation is seen (again). The same, seen again, is no event; its text is kept.
    #[must_use]
    pub fn raise(
        &mut self,
        key: &str,
        level: AlertLevel,
        message: &str,
        now: Timestamp,
    ) -> Option<AlertEvent> {
        let (change, since) = match self.open.get_mut(key) {
            None => (AlertChange::Raised, now),
            Some(alert) => {
                level.clone_into(&mut alert.level);
                message.clone_into(&mut alert.message);
                if level <= alert.told_level {
                    return None;
                }
                (AlertChange::Escalated, alert.since)
            }
        };
        Some(self.event(change, key, (level, message), (since, now)))
    }

    /// What it means that the situation is seen to be over. One that was not there is no event.
    #[must_use]
    pub fn clear(&self, key: &str, now: Timestamp) -> Option<AlertEvent> {
        let alert = self.open.get(key)?;
        Some(self.event(AlertChange::Cleared, key, (alert.level, &alert.message), (alert.since, now)))
    }

    /// An open alert of which nothing was told for a day. A clock that stepped back by as much counts, too.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<AlertEvent> {
        let is_due = |alert: &OpenAlert| now.duration_since(alert.told_at).abs() >= REPEAT_AFTER;
        let (key, alert) = self.open.iter().find(|(_, alert)| is_due(alert))?;
        Some(self.event(AlertChange::Repeated, key, (alert.level, &alert.message), (alert.since, now)))
    }

    /// The event has happened.
    pub fn apply(&mut self, event: &AlertEvent) {
        self.last_number = self.last_number.max(event.number);
        if event.change == AlertChange::Cleared {
            self.open.remove(&event.key);
            return;
        }
        let alert = OpenAlert {
            level: event.level,
            message: event.message.clone(),
            since: event.since,
            told_level: event.level,
            told_at: event.at,
            told_number: event.number,
        };
        self.open.insert(event.key.clone(), alert);
    }

    /// Every open alert, as whoever has heard nothing is told of it; applied to nothing they give the same alerts.
    pub fn reminders(&self) -> Vec<AlertEvent> {
        let remind = |(key, alert): (&String, &OpenAlert)| AlertEvent {
            number: alert.told_number,
            change: AlertChange::Raised,
            key: key.clone(),
            level: alert.told_level,
            message: alert.message.clone(),
            since: alert.since,
            at: alert.told_at,
        };
        self.open.iter().map(remind).collect()
    }

    /// The number of the newest event.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// So many events have happened, whatever is known of them.
    pub fn count_from(&mut self, number: u64) {
        self.last_number = self.last_number.max(number);
    }

    fn event(
        &self,
        change: AlertChange,
        key: &str,
        (level, message): (AlertLevel, &str),
        (since, at): (Timestamp, Timestamp),
    ) -> AlertEvent {
        let number = self.last_number + 1;
        AlertEvent { number, change, key: key.to_owned(), level, message: message.to_owned(), since, at }
    }
}

impl std::fmt::Display for AlertLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

impl std::fmt::Display for AlertChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Repeated => "repeated",
            Self::Cleared => "cleared",
        })
    }
}
