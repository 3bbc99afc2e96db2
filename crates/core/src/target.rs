//! What to restore, as people write it: `latest`, a backup id, or `SOURCE/ID` where two sources share an id.

use std::str::FromStr;

use crate::backup_id::BackupId;
use crate::source::SourceName;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The newest complete backup of the source.
    Latest,
    /// The end of one backup; the source where it was named.
    Backup { source: Option<SourceName>, id: BackupId },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a target (latest | neo4j-YYYYMMDD-HHMMSS | SOURCE/ID)")]
pub struct InvalidTarget(pub String);

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let invalid = || InvalidTarget(text.to_owned());
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let (source, id) = match text.split_once('/') {
            Some((source, id)) => (Some(source.parse().map_err(|_| invalid())?), id),
            None => (None, text),
        };
        Ok(Self::Backup { source, id: id.parse().map_err(|_| invalid())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_in_all_their_forms() {
        assert_eq!("latest".parse(), Ok(Target::Latest));
        let id: BackupId = "neo4j-20261125-020000".parse().unwrap();
        assert_eq!("neo4j-20261125-020000".parse(), Ok(Target::Backup { source: None, id: id.clone() }));
        let source = Some("prod".parse().unwrap());
        assert_eq!("prod/neo4j-20261125-020000".parse(), Ok(Target::Backup { source, id }));
        for word in ["", "newest", "tx=5", "/neo4j-20261125-020000", "prod/latest"] {
            assert!(word.parse::<Target>().is_err(), "{word}");
        }
    }
}
