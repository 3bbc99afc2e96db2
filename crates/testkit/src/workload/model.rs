//! What a writer knows about the entities that it owns: just enough to plan its next transaction.

use std::collections::{BTreeSet, HashMap};

use rand::Rng;

use crate::graph::Effect;

/// The entities of one writer.
#[derive(Debug, Default)]
pub(crate) struct Model {
    nodes: HashMap<u64, OwnNode>,
    relationships: HashMap<u64, OwnRelationship>,
    node_keys: Pool,
    relationship_keys: Pool,
}

#[derive(Debug, Default)]
pub(crate) struct OwnNode {
    pub(crate) labels: BTreeSet<&'static str>,
    pub(crate) properties: BTreeSet<&'static str>,
    pub(crate) relationships: BTreeSet<u64>,
}

#[derive(Debug)]
pub(crate) struct OwnRelationship {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) properties: BTreeSet<&'static str>,
}

impl Model {
    pub(crate) fn node_count(&self) -> usize {
        self.node_keys.keys.len()
    }

    pub(crate) fn any_node(&self, random: &mut impl Rng) -> Option<(u64, &OwnNode)> {
        let key = self.node_keys.any(random)?;
        Some((key, &self.nodes[&key]))
    }

    pub(crate) fn any_relationship(&self, random: &mut impl Rng) -> Option<(u64, &OwnRelationship)> {
        let key = self.relationship_keys.any(random)?;
        Some((key, &self.relationships[&key]))
    }

    /// The end of a relationship that this writer owns (the other one may be a hub).
    pub(crate) fn own_end(&self, relationship: &OwnRelationship) -> u64 {
        if self.nodes.contains_key(&relationship.from) { relationship.from } else { relationship.to }
    }

    /// Takes over a committed effect. Effects on nodes of others (hubs, markers) are passed over.
    pub(crate) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::CreateNode { key, labels, properties } => {
                let node = OwnNode {
                    labels: labels.iter().copied().collect(),
                    properties: properties.iter().map(|(name, _)| *name).collect(),
                    relationships: BTreeSet::new(),
                };
                self.nodes.insert(*key, node);
                self.node_keys.insert(*key);
            }
            Effect::SetNode { key, changes } => {
                if let Some(node) = self.nodes.get_mut(key) {
                    change(&mut node.properties, changes);
                }
            }
            Effect::AddLabel { key, label } => {
                if let Some(node) = self.nodes.get_mut(key) {
                    node.labels.insert(label);
                }
            }
            Effect::RemoveLabel { key, label } => {
                if let Some(node) = self.nodes.get_mut(key) {
                    node.labels.remove(label);
                }
            }
            Effect::DeleteNode { key, relationships } => {
                for relationship in relationships {
                    self.forget(*relationship);
                }
                self.nodes.remove(key);
                self.node_keys.remove(*key);
            }
            Effect::CreateRelationship { key, from, to, properties, .. } => {
                for end in [from, to] {
                    if let Some(node) = self.nodes.get_mut(end) {
                        node.relationships.insert(*key);
                    }
                }
                let properties = properties.iter().map(|(name, _)| *name).collect();
                self.relationships.insert(*key, OwnRelationship { from: *from, to: *to, properties });
                self.relationship_keys.insert(*key);
            }
            Effect::SetRelationship { key, changes, .. } => {
                if let Some(relationship) = self.relationships.get_mut(key) {
                    change(&mut relationship.properties, changes);
                }
            }
            Effect::DeleteRelationship { key, .. } => self.forget(*key),
        }
    }

    fn forget(&mut self, relationship: u64) {
        if let Some(gone) = self.relationships.remove(&relationship) {
            for end in [gone.from, gone.to] {
                if let Some(node) = self.nodes.get_mut(&end) {
                    node.relationships.remove(&relationship);
                }
            }
        }
        self.relationship_keys.remove(relationship);
    }
}

fn change(properties: &mut BTreeSet<&'static str>, changes: &[crate::graph::Change]) {
    for (name, value) in changes {
        if value.is_some() {
            properties.insert(name);
        } else {
            properties.remove(name);
        }
    }
}

/// A set from which any element can be drawn in constant time.
#[derive(Debug, Default)]
struct Pool {
    keys: Vec<u64>,
    places: HashMap<u64, usize>,
}

impl Pool {
    fn any(&self, random: &mut impl Rng) -> Option<u64> {
        (!self.keys.is_empty()).then(|| self.keys[random.random_range(0..self.keys.len())])
    }

    fn insert(&mut self, key: u64) {
        self.places.insert(key, self.keys.len());
        self.keys.push(key);
    }

    fn remove(&mut self, key: u64) {
        if let Some(place) = self.places.remove(&key) {
            self.keys.swap_remove(place);
            if let Some(moved) = self.keys.get(place) {
                self.places.insert(*moved, place);
            }
        }
    }
}
