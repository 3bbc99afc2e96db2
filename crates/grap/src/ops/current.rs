//! Whether it is known which history is the current one.

use crate::archive::{History, RunNumber};

/// The newest run behind `run` (of all, without one) whose start record is missing or damaged, and why it
/// cannot be read. What it covers, and what it went on from, nobody can say.
pub(super) fn unreadable_since(history: &History, run: Option<RunNumber>) -> Option<(RunNumber, &str)> {
    let (newest, why) = history.runs.damaged().last_key_value()?;
    run.is_none_or(|run| *newest > run).then_some((*newest, why.as_str()))
}
