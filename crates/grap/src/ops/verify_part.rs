//! `verify`, as the daemon does it: the structure of everything, and the next part of a round through the stored data,
//! so that all of it has been read again after so many days.
//!
//! Where the next part begins is kept in the state directory, and moves only when a part was read. How much is read
//! follows from how much time has passed since, so that it does not matter how often it is run; a daemon that was away
//! for long makes up for ten days at most at once. What is kept is no evidence: where it is lost, or cannot be read, the
//! round begins anew.

use grap_core::SourceName;
use grap_disk as disk;
use grap_repository::{PackRange, ReadData};
use grap_task::Finding;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::verify::verify_reading;
use super::{Access, Session, VerifyOptions, VerifyReport};
use crate::error::Result;
use crate::state::StateDirectory;

#[derive(Debug, Clone)]
pub struct VerifyPartOptions {
    pub source: Option<SourceName>,
    /// So many in a hundred of the packs are read in a day, 1 to 100.
    pub percent_per_day: u8,
}

const FILE: &str = "verify-round.json";
const FILE_SIZE_MAX: u64 = 4096;
const DAY_S: i64 = 24 * 60 * 60;
const DAYS_MAX: i64 = 10;
/// What is read is at least what an hour owes.
const HOUR_S: i64 = 60 * 60;

/// Where the round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    /// Where the next part begins.
    from: u32,
    /// When the last one was read.
    at: Timestamp,
}

pub fn verify_part(
    options: &VerifyPartOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<VerifyReport> {
    let now = session.clock.now();
    let path = state.root().join(FILE);
    let round = disk::read(&path, FILE_SIZE_MAX).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let range = owed(round, options.percent_per_day, now);
    let whole = VerifyOptions {
        backup: None,
        source: options.source.clone(),
        // Of a backup, some of the data was read.
        read_data_percent: Some(1),
    };
    let report = verify_reading(&whole, ReadData::Part(range), access, session)?;
    if let Some(from) = report.read_until {
        let text = serde_json::to_vec(&Round { from, at: now }).unwrap_or_default();
        if let Err(error) = disk::replace(&path, &[&text]) {
            let text = format!("how far the data was read is not noted, it is read again: {error}");
            session.monitor.finding(&Finding::warning(text));
        }
    }
    Ok(report)
}

/// What the time since the last part owes.
fn owed(round: Option<Round>, percent_per_day: u8, now: Timestamp) -> PackRange {
    let since = round.map_or(DAY_S, |round| now.duration_since(round.at).as_secs());
    let seconds = u128::try_from(since.clamp(HOUR_S, DAYS_MAX * DAY_S)).unwrap_or(0);
    let length =
        (1_u128 << 32) * u128::from(percent_per_day) * seconds / (100 * DAY_S.unsigned_abs() as u128);
    PackRange { from: round.map_or(0, |round| round.from), length: u32::try_from(length).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_follows_from_the_time_that_has_passed() {
        let at: Timestamp = "2026-11-26T05:00:00Z".parse().unwrap();
        let after = |seconds: i64, percent| {
            let round = Round { from: 7, at };
            let now = at + jiff::SignedDuration::from_secs(seconds);
            owed(Some(round), percent, now).length
        };
        let percent = u32::MAX / 100;
        assert!(after(DAY_S, 1).abs_diff(percent) < 2);
        assert!(after(2 * DAY_S, 1).abs_diff(2 * percent) < 3);
        assert!(after(DAY_S / 2, 4).abs_diff(2 * percent) < 3);
        assert_eq!(after(400 * DAY_S, 1), after(10 * DAY_S, 1), "not all at once");
        assert!(after(-5 * DAY_S, 1) > 0, "a clock that was set back owes something");
        assert_eq!(after(10 * DAY_S, 100), u32::MAX);
        let first = owed(None, 1, at);
        assert_eq!((first.from, first.length), (0, after(DAY_S, 1)));
    }
}
