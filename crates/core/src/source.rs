//! A source: the name under which one installation backs up, bound to the store ids of its databases.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or a digit: it becomes part of object names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a source name (1 to 64 of a-z 0-9 . _ -, beginning with a letter or a digit)")]
pub struct InvalidSourceName(pub String);

impl SourceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceName {
    type Err = InvalidSourceName;

    fn from_str(text: &str) -> Result<Self, InvalidSourceName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let begins =
            text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if begins && text.len() <= 64 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSourceName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for SourceName {
    type Error = InvalidSourceName;

    fn try_from(text: String) -> Result<Self, InvalidSourceName> {
        text.parse()
    }
}

impl From<SourceName> for String {
    fn from(name: SourceName) -> Self {
        name.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Database name to store id, as text. What a source is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Binding(pub BTreeMap<String, String>);

/// A database that is not the one the source is bound to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("database `{database}` has store id {found}, but the source is bound to {bound}")]
pub struct Mismatch {
    pub database: String,
    pub found: String,
    pub bound: String,
}

impl Binding {
    /// Every database found must be the one that is bound. A database that appears under a new name is a
    /// mismatch, too: the default database of an installation does not change its name by itself.
    pub fn admit(&self, found: &Self) -> Result<(), Mismatch> {
        for (database, id) in &found.0 {
            match self.0.get(database) {
                Some(bound) if bound == id => {}
                bound => {
                    return Err(Mismatch {
                        database: database.clone(),
                        found: id.clone(),
                        bound: bound.cloned().unwrap_or_else(|| format!("{} only", self.names())),
                    });
                }
            }
        }
        Ok(())
    }

    fn names(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(pairs: &[(&str, &str)]) -> Binding {
        Binding(pairs.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect())
    }

    #[test]
    fn another_store_and_another_name_are_mismatches() {
        let bound = binding(&[("neo4j", "a"), ("system", "b")]);
        assert_eq!(bound.admit(&bound), Ok(()));
        assert!(bound.admit(&binding(&[("neo4j", "x"), ("system", "b")])).is_err());
        assert!(bound.admit(&binding(&[("other", "a"), ("system", "b")])).is_err());
    }

    #[test]
    fn names_become_object_names_safely() {
        for name in ["neo4j", "a", "prod-1.eu_west"] {
            assert!(name.parse::<SourceName>().is_ok(), "{name}");
        }
        for name in ["", "..", "a/b", "A", ".hidden", &"x".repeat(65)] {
            assert!(name.parse::<SourceName>().is_err(), "{name}");
        }
    }
}
