//! What a rule of the schema says: an index or a constraint, as its record holds it.
//!
//! A rule is a map of words (`schemaRuleType`, `indexType`, `name` ...). What a word means that we do not know changes
//! nothing; one that is missing leaves its place empty, so that the rule is like no index and no constraint of a server.

use std::collections::BTreeMap;

use grap_core::schema::{Entity, SchemaKind, Shape};
use grap_neo4j::record::Value;

use super::tokens::{Names, Tokens};

/// An index or a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Of its record, and of the directory of an index.
    pub id: u64,
    pub name: String,
    pub shape: Shape,
    pub is_constraint: bool,
    /// The constraint that an index belongs to.
    pub owner: Option<u64>,
    /// The index that a constraint has.
    pub owned: Option<u64>,
}

#[derive(Default)]
pub(super) struct Words {
    texts: BTreeMap<String, String>,
    numbers: BTreeMap<String, Vec<i64>>,
}

impl Words {
    pub(super) fn add(&mut self, word: &str, value: &Value<'_>) {
        match value {
            Value::Text(text) => drop(self.texts.insert(word.to_owned(), (*text).to_owned())),
            Value::List(items) => {
                drop(self.numbers.insert(word.to_owned(), items.iter().filter_map(number).collect()));
            }
            other => drop(self.numbers.insert(word.to_owned(), number(other).into_iter().collect())),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty()
    }

    pub(super) fn rule(&self, id: u64, tokens: &Tokens) -> Rule {
        let is_constraint = self.text("schemaRuleType") == "CONSTRAINT";
        let of_relationships = self.text("schemaEntityType") == "RELATIONSHIP";
        let (entity, names) = if of_relationships {
            (Entity::Relationship, &tokens.types)
        } else {
            (Entity::Node, &tokens.labels)
        };
        let mut labels = self.names("schemaEntityIds", names);
        labels.sort();
        let kind = match (is_constraint, self.text("constraintRuleType")) {
            (true, "UNIQUE") => SchemaKind::Unique,
            (true, _) => SchemaKind::Other,
            (false, _) => SchemaKind::of_server(self.text("indexType")),
        };
        let properties = self.names("schemaPropertyIds", &tokens.keys);
        Rule {
            id,
            name: self.text("name").to_owned(),
            shape: Shape { kind, entity, tokens: labels, properties },
            is_constraint,
            owner: self.id("owningConstraint"),
            owned: self.id("ownedIndex"),
        }
    }

    fn text(&self, word: &str) -> &str {
        self.texts.get(word).map_or("", String::as_str)
    }

    fn id(&self, word: &str) -> Option<u64> {
        self.numbers.get(word)?.first().and_then(|id| u64::try_from(*id).ok())
    }

    fn names(&self, word: &str, names: &Names) -> Vec<String> {
        let ids = self.numbers.get(word).map_or(&[][..], Vec::as_slice);
        let name = |id: &i64| {
            let token = u64::try_from(*id).ok().and_then(|id| names.get(id));
            token.map_or_else(|| format!("<unknown {id}>"), |token| token.name.clone())
        };
        ids.iter().map(name).collect()
    }
}

fn number(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Byte(number) => Some(i64::from(*number)),
        Value::Short(number) => Some(i64::from(*number)),
        Value::Int(number) => Some(i64::from(*number)),
        Value::Long(number) => Some(*number),
        _ => None,
    }
}
