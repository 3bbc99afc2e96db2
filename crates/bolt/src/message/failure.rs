//! Why a server did not do something.
//!
//! Up to 5.6 `{code, message}`; from 5.7 on `{neo4j_code, message, gql_status, description, diagnostic_record, cause}`,
//! where a cause is such a map again. All of it is kept as it came.

use std::fmt;

use crate::packstream::{Map, Value};

/// What came with FAILURE.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(pub Map);

impl Failure {
    /// Neo4j's code, e.g. `Neo.ClientError.Security.Unauthorized`; empty where there is none.
    pub fn code(&self) -> &str {
        self.0.text("neo4j_code").or_else(|| self.0.text("code")).unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.0.text("message").unwrap_or_default()
    }

    /// E.g. `22012`; from 5.7 on.
    pub fn gql_status(&self) -> Option<&str> {
        self.0.text("gql_status")
    }

    /// The status in words; from 5.7 on.
    pub fn description(&self) -> Option<&str> {
        self.0.text("description")
    }

    /// The maps of the causes, each the cause of the one before.
    pub fn causes(&self) -> impl Iterator<Item = &Map> {
        std::iter::successors(cause_of(&self.0), |map| cause_of(map))
    }

    /// Whether the same may go well later.
    pub fn is_transient(&self) -> bool {
        self.code().starts_with("Neo.TransientError.")
    }
}

fn cause_of(map: &Map) -> Option<&Map> {
    map.get("cause").and_then(Value::as_map)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())?;
        if let Some(status) = self.gql_status() {
            write!(f, " ({status})")?;
        }
        write!(f, ": {}", self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_are_understood() {
        let old = Failure(Map::new().with("code", "Neo.TransientError.X.Y").with("message", "later"));
        assert_eq!(old.to_string(), "Neo.TransientError.X.Y: later");
        assert!(old.is_transient() && old.gql_status().is_none());
        let cause = Map::new().with("gql_status", "22N28").with("cause", Map::new().with("gql_status", "1"));
        let new = Failure(
            Map::new()
                .with("neo4j_code", "Neo.ClientError.X.Y")
                .with("message", "/ by zero")
                .with("gql_status", "22012")
                .with("cause", cause),
        );
        assert_eq!(new.to_string(), "Neo.ClientError.X.Y (22012): / by zero");
        let causes: Vec<_> = new.causes().filter_map(|cause| cause.text("gql_status")).collect();
        assert_eq!(causes, ["22N28", "1"]);
    }
}
