//! The schema that a database should have, and the one that it has: indexes and constraints, compared.
//!
//! - What is declared is a file of `CREATE INDEX` and `CREATE CONSTRAINT` statements ([`SchemaFile`]); anything else in it
//!   is refused by its line: what is not understood cannot be compared.
//! - Two objects are the same when kind, entity, labels (or types) and properties are. The name counts where one is
//!   declared; of `OPTIONS` what both sides say of the `indexConfig` ([`IndexConfig`]).
//! - Nothing here asks for anything to be dropped.

mod config;
mod drift;
mod file;
mod statement;
mod token;

pub use config::{ConfigValue, IndexConfig};
pub use drift::{Drift, DriftKind, compare, faults, missing};
pub use file::{Declaration, SchemaFile, SchemaFileError, split_statements};

use std::fmt;

/// What an index or a constraint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaKind {
    Range,
    Text,
    Point,
    Lookup,
    Fulltext,
    Vector,
    /// A constraint, and the index that it owns.
    Unique,
    /// Of a server that has more kinds than we know.
    Other,
}

impl SchemaKind {
    /// As `SHOW INDEXES` and `SHOW CONSTRAINTS` call it.
    pub fn of_server(kind: &str) -> Self {
        match kind {
            "RANGE" => Self::Range,
            "TEXT" => Self::Text,
            "POINT" => Self::Point,
            "LOOKUP" => Self::Lookup,
            "FULLTEXT" => Self::Fulltext,
            "VECTOR" => Self::Vector,
            "UNIQUENESS"
            | "RELATIONSHIP_UNIQUENESS"
            | "NODE_PROPERTY_UNIQUENESS"
            | "RELATIONSHIP_PROPERTY_UNIQUENESS" => Self::Unique,
            _ => Self::Other,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Range => "range index",
            Self::Text => "text index",
            Self::Point => "point index",
            Self::Lookup => "lookup index",
            Self::Fulltext => "fulltext index",
            Self::Vector => "vector index",
            Self::Unique => "uniqueness constraint",
            Self::Other => "schema object",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entity {
    Node,
    Relationship,
}

/// What makes an index or a constraint the one that it is, but for its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    pub kind: SchemaKind,
    pub entity: Entity,
    /// Labels or types, sorted: their order means nothing.
    pub tokens: Vec<String>,
    pub properties: Vec<String>,
}

/// `range index on (:Person {name})`
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, properties) = (self.tokens.join("|"), self.properties.join(", "));
        match self.entity {
            Entity::Node => write!(f, "{} on (:{tokens} {{{properties}}})", self.kind.words()),
            Entity::Relationship => write!(f, "{} on ()-[:{tokens} {{{properties}}}]-()", self.kind.words()),
        }
    }
}

/// An index or a constraint of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveObject {
    pub name: String,
    pub shape: Shape,
    pub state: LiveState,
    /// What the server shows of it.
    pub config: IndexConfig,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveState {
    Online,
    /// So many in a hundred are in it.
    Populating(u8),
    /// It never gets online by itself. In the server's words.
    Failed(String),
    /// A constraint whose index is not there.
    WithoutIndex,
}

impl fmt::Display for LiveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online => f.write_str("ONLINE"),
            Self::Populating(percent) => write!(f, "POPULATING ({percent} %)"),
            Self::Failed(why) if why.is_empty() => f.write_str("FAILED"),
            Self::Failed(why) => write!(f, "FAILED ({})", why.lines().next().unwrap_or_default()),
            Self::WithoutIndex => f.write_str("without its index"),
        }
    }
}
