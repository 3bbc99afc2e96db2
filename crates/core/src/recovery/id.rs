//! The name of a recovery: `recovery-YYYYMMDD-HHMMSS`, the UTC second in which it began; a second one in the same
//! second gets `-2`. That of a drill, which is a recovery that nobody needs, begins with `drill`. It names a directory, too: so
//! nothing else is read as one.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dated::{is_name, names};

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryKind {
    Recovery,
    Drill,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecoveryId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a recovery or drill (recovery-YYYYMMDD-HHMMSS, drill-YYYYMMDD-HHMMSS)")]
pub struct InvalidRecoveryId(pub String);

impl RecoveryKind {
    const ALL: [Self; 2] = [Self::Recovery, Self::Drill];

    pub fn name(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Drill => "drill",
        }
    }
}

impl RecoveryId {
    /// The first id of this second that is not taken.
    pub fn choose(kind: RecoveryKind, now: Timestamp, taken: impl Fn(&Self) -> bool) -> Self {
        names(kind.name(), now).map(Self).find(|id| !taken(id)).expect("the names do not end")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecoveryId {
    type Err = InvalidRecoveryId;

    fn from_str(text: &str) -> Result<Self, InvalidRecoveryId> {
        if RecoveryKind::ALL.iter().any(|kind| is_name(kind.name(), text)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRecoveryId(text.to_owned()))
        }
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
        let choose =
            |taken: &dyn Fn(&RecoveryId) -> bool| RecoveryId::choose(RecoveryKind::Recovery, now, taken);
        let first = choose(&|_| false);
        assert_eq!(first.as_str(), "recovery-20261125-020000");
        let second = choose(&|id| *id == first);
        assert_eq!(second.as_str(), "recovery-20261125-020000-2");
        assert_eq!(second.as_str().parse(), Ok(second));
        let drill = RecoveryId::choose(RecoveryKind::Drill, now, |_| false);
        assert_eq!(drill.as_str(), "drill-20261125-020000");
        assert_eq!(drill.as_str().parse(), Ok(drill));
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
            "backup-20261125-020000",
        ] {
            assert!(word.parse::<RecoveryId>().is_err(), "{word}");
        }
    }
}
