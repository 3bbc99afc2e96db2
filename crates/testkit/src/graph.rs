//! A whole graph in memory, keyed by the workload's own keys; what transactions do to it; how two graphs
//! differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::value::Value;

/// Every node and relationship of the workload has this property, unique in the database.
pub const KEY: &str = "k";
/// Every node of the workload has this label.
pub const LABEL: &str = "N";

/// Properties by name, values in canonical text.
pub type Properties = BTreeMap<String, String>;

/// A graph as the oracle expects it or as a database shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    pub nodes: BTreeMap<u64, Node>,
    pub relationships: BTreeMap<u64, Relationship>,
    /// Indexes and constraints by name, where they are expected.
    pub schema: BTreeMap<String, Presence>,
    /// Nodes and relationships without a usable key: nothing that the workload made.
    pub strangers: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub labels: BTreeSet<String>,
    pub properties: Properties,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    pub kind: String,
    pub from: u64,
    pub to: u64,
    pub properties: Properties,
}

/// Whether a schema object must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It exists and is usable.
    Present,
    /// The point in time lies within its creation or its drop: there, half there (an index that populates for
    /// ever), or not there.
    InFlux,
}

/// A property change: a new value, or `None` to remove.
pub type Change = (&'static str, Option<Value>);

/// One thing that a transaction does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    CreateNode {
        key: u64,
        labels: &'static [&'static str],
        properties: Vec<(&'static str, Value)>,
    },
    SetNode {
        key: u64,
        changes: Vec<Change>,
    },
    AddLabel {
        key: u64,
        label: &'static str,
    },
    RemoveLabel {
        key: u64,
        label: &'static str,
    },
    /// Together with its relationships.
    DeleteNode {
        key: u64,
        relationships: Vec<u64>,
    },
    CreateRelationship {
        key: u64,
        kind: &'static str,
        from: u64,
        to: u64,
        properties: Vec<(&'static str, Value)>,
    },
    /// `end`: the node at which it is looked up (the one that is not dense).
    SetRelationship {
        key: u64,
        end: u64,
        changes: Vec<Change>,
    },
    DeleteRelationship {
        key: u64,
        end: u64,
    },
}

impl Graph {
    /// Does what a transaction does. What is to be changed must exist: the workload knows what it owns.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::CreateNode { key, labels, properties } => {
                let labels =
                    labels.iter().map(|label| (*label).to_owned()).chain([LABEL.to_owned()]).collect();
                let properties = created(*key, properties);
                self.nodes.insert(*key, Node { labels, properties });
            }
            Effect::SetNode { key, changes } => change(&mut self.node(*key).properties, changes),
            Effect::AddLabel { key, label } => {
                self.node(*key).labels.insert((*label).to_owned());
            }
            Effect::RemoveLabel { key, label } => {
                self.node(*key).labels.remove(*label);
            }
            Effect::DeleteNode { key, relationships } => {
                self.nodes.remove(key);
                for relationship in relationships {
                    self.relationships.remove(relationship);
                }
            }
            Effect::CreateRelationship { key, kind, from, to, properties } => {
                let relationship = Relationship {
                    kind: (*kind).to_owned(),
                    from: *from,
                    to: *to,
                    properties: created(*key, properties),
                };
                self.relationships.insert(*key, relationship);
            }
            Effect::SetRelationship { key, changes, .. } => {
                let relationship =
                    self.relationships.get_mut(key).expect("the workload changes what it owns");
                change(&mut relationship.properties, changes);
            }
            Effect::DeleteRelationship { key, .. } => {
                self.relationships.remove(key);
            }
        }
    }

    /// In what the graph `found` differs from this, the expected one: at most `limit` lines, then a count.
    pub fn differences(&self, found: &Self, limit: usize) -> Vec<String> {
        let mut lines = Lines { limit, shown: Vec::new(), more: 0 };
        compare("node", &self.nodes, &found.nodes, &mut lines);
        compare("relationship", &self.relationships, &found.relationships, &mut lines);
        for stranger in &found.strangers {
            lines.push(|| format!("not of the workload: {stranger}"));
        }
        lines.finish()
    }

    fn node(&mut self, key: u64) -> &mut Node {
        self.nodes.get_mut(&key).expect("the workload changes what it owns")
    }
}

fn created(key: u64, properties: &[(&'static str, Value)]) -> Properties {
    let own = (KEY.to_owned(), format!("i:{key}"));
    properties.iter().map(|(name, value)| ((*name).to_owned(), value.canonical())).chain([own]).collect()
}

fn change(properties: &mut Properties, changes: &[Change]) {
    for (name, value) in changes {
        match value {
            Some(value) => properties.insert((*name).to_owned(), value.canonical()),
            None => properties.remove(*name),
        };
    }
}

struct Lines {
    limit: usize,
    shown: Vec<String>,
    more: usize,
}

impl Lines {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.shown.len() < self.limit {
            self.shown.push(line());
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.shown.push(format!("... and {} more", self.more));
        }
        self.shown
    }
}

/// What nodes and relationships have in common for a comparison.
trait Entity: PartialEq + Debug {
    /// All but the properties.
    fn head(&self) -> String;
    fn properties(&self) -> &Properties;
}

impl Entity for Node {
    fn head(&self) -> String {
        format!("labels {:?}", self.labels)
    }

    fn properties(&self) -> &Properties {
        &self.properties
    }
}

impl Entity for Relationship {
    fn head(&self) -> String {
        format!("{} {:#x} -> {:#x}", self.kind, self.from, self.to)
    }

    fn properties(&self) -> &Properties {
        &self.properties
    }
}

fn compare<T: Entity>(what: &str, expected: &BTreeMap<u64, T>, found: &BTreeMap<u64, T>, lines: &mut Lines) {
    for (key, entity) in expected {
        match found.get(key) {
            None => lines.push(|| format!("{what} {key:#x} is missing: {}", short(&format!("{entity:?}")))),
            Some(other) if other != entity => {
                lines.push(|| format!("{what} {key:#x}: expected {}", parts(entity, other)));
            }
            Some(_) => {}
        }
    }
    for (key, entity) in found.iter().filter(|(key, _)| !expected.contains_key(key)) {
        lines.push(|| format!("{what} {key:#x} should not be there: {}", short(&format!("{entity:?}"))));
    }
}

/// The parts in which two versions of an entity differ.
fn parts<T: Entity>(expected: &T, found: &T) -> String {
    let mut parts = Vec::new();
    if expected.head() != found.head() {
        parts.push(format!("{}, found {}", expected.head(), found.head()));
    }
    let names: BTreeSet<&String> = expected.properties().keys().chain(found.properties().keys()).collect();
    for name in names {
        let value = |entity: &T| {
            entity.properties().get(name).map_or_else(|| "nothing".to_owned(), |text| short(text))
        };
        if expected.properties().get(name) != found.properties().get(name) {
            parts.push(format!("{name} = {}, found {}", value(expected), value(found)));
        }
    }
    parts.join("; ")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(key: u64) -> Effect {
        Effect::CreateNode { key, labels: &["A"], properties: vec![("i", Value::Int(1))] }
    }

    #[test]
    fn one_changed_property_is_a_difference() {
        let (mut expected, mut found) = (Graph::default(), Graph::default());
        expected.apply(&node(1));
        found.apply(&node(1));
        assert_eq!(expected.differences(&found, 20), Vec::<String>::new());
        found.apply(&Effect::SetNode { key: 1, changes: vec![("i", Some(Value::Int(2)))] });
        assert_eq!(expected.differences(&found, 20), ["node 0x1: expected i = i:1, found i:2"]);
    }

    #[test]
    fn missing_and_additional_entities_are_differences() {
        let (mut expected, mut found) = (Graph::default(), Graph::default());
        expected.apply(&node(1));
        found.apply(&node(2));
        assert_eq!(expected.differences(&found, 20).len(), 2);
    }
}
