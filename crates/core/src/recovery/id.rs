//! The name of a recovery: `recovery-YYYYMMDD-HHMMSS`, the UTC second in which it began; a second one in the same
//! second gets `-2`. It names a directory, too: so nothing else is read as one.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dated::{is_name, names};

const KIND: &str = "recovery";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecoveryId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a recovery (recovery-YYYYMMDD-HHMMSS)")]
pub struct InvalidRecoveryId(pub String);

impl RecoveryId {
    /// The first id of this second that is not taken.
    pub fn choose(now: Timestamp, taken: impl Fn(&Self) -> bool) -> Self {
        names(KIND, now).map(Self).find(|id| !taken(id)).expect("the names do not end")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecoveryId {
    type Err = InvalidRecoveryId;

    fn from_str(text: &str) -> Result<Self, InvalidRecoveryId> {
        if is_name(KIND, text) { Ok(Self(text.to_owned())) } else { Err(InvalidRecoveryId(text.to_owned())) }
    }
}

impl TryFrom<String> for RecoveryId {
    type Error = InvalidRecoveryId;

    fn try_from(text: String) -> Result<Self, InvalidRecoveryId> {
        text.parse()
    }
}

impl From<RecoveryId> for String {
    fn from(id: RecoveryId) -> Self {
        id.0
    }
}

impl fmt::Display for RecoveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_in_one_second_gets_a_2() {
        let now: Timestamp = "2026-11-25T02:00:00.9Z".parse().unwrap();
        let first = RecoveryId::choose(now, |_| false);
        assert_eq!(first.as_str(), "recovery-20261125-020000");
        let second = RecoveryId::choose(now, |id| *id == first);
        assert_eq!(second.as_str(), "recovery-20261125-020000-2");
        assert_eq!(second.as_str().parse(), Ok(second));
    }

    #[test]
    fn what_could_be_another_path_is_no_id() {
        for word in [
            "",
            "..",
            "recovery-20261125-020000/..",
            "recovery-20261125-0200000",
            "recovery-20261125-020000-1",
            "recovery-20261125-020000-02",
            "recovery-../../xx-020000",
        ] {
            assert!(word.parse::<RecoveryId>().is_err(), "{word}");
        }
    }
}
