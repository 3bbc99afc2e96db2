//! The name of a backup: `neo4j-YYYYMMDD-HHMMSS`, the UTC second in which it began; a second one in the same
//! second gets `-2`. Ids sort by time as text, up to nine in one second.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dated::{is_name, names};

const KIND: &str = "neo4j";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a backup id (neo4j-YYYYMMDD-HHMMSS)")]
pub struct InvalidBackupId(pub String);

impl BackupId {
    /// The first id of this second that is not taken.
    pub fn choose(now: Timestamp, taken: impl Fn(&BackupId) -> bool) -> Self {
        names(KIND, now).map(Self).find(|id| !taken(id)).expect("the names do not end")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackupId {
    type Err = InvalidBackupId;

    fn from_str(text: &str) -> Result<Self, InvalidBackupId> {
        if is_name(KIND, text) { Ok(Self(text.to_owned())) } else { Err(InvalidBackupId(text.to_owned())) }
    }
}

impl TryFrom<String> for BackupId {
    type Error = InvalidBackupId;

    fn try_from(text: String) -> Result<Self, InvalidBackupId> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.0
    }
}

impl fmt::Display for BackupId {
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
        let first = BackupId::choose(now, |_| false);
        assert_eq!(first.as_str(), "neo4j-20261125-020000");
        let second = BackupId::choose(now, |id| *id == first);
        assert_eq!(second.as_str(), "neo4j-20261125-020000-2");
        let third = BackupId::choose(now, |id| [&first, &second].contains(&id));
        assert_eq!(third.as_str(), "neo4j-20261125-020000-3");
        for id in [first, second, third] {
            assert_eq!(id.as_str().parse(), Ok(id));
        }
    }

    #[test]
    fn other_words_are_refused() {
        for word in [
            "",
            "latest",
            "neo4j-2026-1",
            "neo4j-20261125-020000-1",
            "neo4j-20261125-020000-02",
            "neo4j-20261125-0200000",
            "neo4j-2026112x-020000",
        ] {
            assert!(word.parse::<BackupId>().is_err(), "{word}");
        }
    }
}
