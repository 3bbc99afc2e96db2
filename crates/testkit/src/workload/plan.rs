//! Plans transactions: which entities a transaction touches and what it does to them.
//!
//! A transaction touches an existing entity at most once, so the order of its statements is free and the
//! writer's model changes only when the commit is acknowledged.

use std::collections::HashSet;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::draw;
use super::key::Run;
use super::model::Model;
use crate::graph::Effect;

/// Plans the transactions of one writer.
#[derive(Debug)]
pub(crate) struct Planner {
    run: Run,
    writer: u8,
    hubs: u32,
    nodes_wanted: usize,
    next_number: u32,
    pub(crate) random: StdRng,
    pub(crate) model: Model,
}

/// What the transaction that is being planned has touched so far.
#[derive(Debug, Default)]
struct Draft {
    effects: Vec<Effect>,
    touched: HashSet<u64>,
    new_nodes: Vec<u64>,
}

impl Planner {
    pub(crate) fn new(run: Run, writer: u8, hubs: u32, nodes_wanted: usize, random: StdRng) -> Self {
        Self { run, writer, hubs, nodes_wanted, next_number: 1, random, model: Model::default() }
    }

    /// A transaction of this many operations (fewer where there is nothing to work on).
    pub(crate) fn transaction(&mut self, operations: usize) -> Vec<Effect> {
        let mut draft = Draft::default();
        for _ in 0..operations {
            self.operation(&mut draft);
        }
        draft.effects
    }

    /// From 1 to 600 operations, small ones mostly.
    pub(crate) fn mixed_size(&mut self) -> usize {
        match self.random.random_range(0..100) {
            0..60 => self.random.random_range(1..=3),
            60..90 => self.random.random_range(4..=30),
            90..99 => self.random.random_range(31..=120),
            _ => self.random.random_range(200..=600),
        }
    }

    fn operation(&mut self, draft: &mut Draft) {
        let crowded = self.model.node_count() > self.nodes_wanted;
        match self.random.random_range(0..100) {
            0..25 if crowded => self.delete_node(draft),
            0..25 => self.create_node(draft),
            25..45 => self.set_node(draft),
            45..50 => self.grow_text(draft),
            50..55 => self.remove_property(draft),
            55..61 => self.add_label(draft),
            61..67 => self.remove_label(draft),
            67..82 => self.create_relationship(draft),
            82..87 => self.set_relationship(draft),
            87..92 => self.delete_relationship(draft),
            _ => self.delete_node(draft),
        }
    }

    fn next_key(&mut self) -> u64 {
        self.next_number += 1;
        self.run.key(self.writer, self.next_number)
    }

    fn create_node(&mut self, draft: &mut Draft) {
        let key = self.next_key();
        let labels = *draw::LABELS.choose(&mut self.random).expect("not empty");
        let count = self.random.random_range(0..9);
        let names: Vec<&'static str> =
            draw::NODE_KEYS.choose_multiple(&mut self.random, count).copied().collect();
        let properties = names.iter().map(|name| (*name, draw::value(name, &mut self.random))).collect();
        draft.new_nodes.push(key);
        draft.effects.push(Effect::CreateNode { key, labels, properties });
    }

    fn set_node(&mut self, draft: &mut Draft) {
        let Some(key) = self.untouched_node(draft) else { return };
        let count = self.random.random_range(1..4);
        let names: Vec<&'static str> =
            draw::NODE_KEYS.choose_multiple(&mut self.random, count).copied().collect();
        let changes = names.iter().map(|name| (*name, Some(draw::value(name, &mut self.random)))).collect();
        draft.effects.push(Effect::SetNode { key, changes });
    }

    fn grow_text(&mut self, draft: &mut Draft) {
        let Some(key) = self.untouched_node(draft) else { return };
        let length = self.random.random_range(1000..6000);
        let changes = vec![("t", Some(draw::text(&mut self.random, length)))];
        draft.effects.push(Effect::SetNode { key, changes });
    }

    fn remove_property(&mut self, draft: &mut Draft) {
        let Some((key, node)) = self.model.any_node(&mut self.random) else { return };
        let names: Vec<&'static str> = node.properties.iter().copied().collect();
        let Some(name) = names.choose(&mut self.random) else { return };
        if draft.touched.insert(key) {
            draft.effects.push(Effect::SetNode { key, changes: vec![(name, None)] });
        }
    }

    fn add_label(&mut self, draft: &mut Draft) {
        let label = *draw::LOOSE_LABELS.choose(&mut self.random).expect("not empty");
        let Some((key, node)) = self.model.any_node(&mut self.random) else { return };
        if !node.labels.contains(label) && draft.touched.insert(key) {
            draft.effects.push(Effect::AddLabel { key, label });
        }
    }

    fn remove_label(&mut self, draft: &mut Draft) {
        let Some((key, node)) = self.model.any_node(&mut self.random) else { return };
        let labels: Vec<&'static str> = node.labels.iter().copied().collect();
        let Some(label) = labels.choose(&mut self.random) else { return };
        if draft.touched.insert(key) {
            draft.effects.push(Effect::RemoveLabel { key, label });
        }
    }

    fn delete_node(&mut self, draft: &mut Draft) {
        let Some((key, node)) = self.model.any_node(&mut self.random) else { return };
        let relationships: Vec<u64> = node.relationships.iter().copied().collect();
        let free =
            !draft.touched.contains(&key) && relationships.iter().all(|one| !draft.touched.contains(one));
        if free {
            draft.touched.insert(key);
            draft.touched.extend(&relationships);
            draft.effects.push(Effect::DeleteNode { key, relationships });
        }
    }

    /// Between two own nodes (or one and itself), or from or to a hub; new nodes of this transaction
    /// included.
    fn create_relationship(&mut self, draft: &mut Draft) {
        let Some(own) = self.end_node(draft) else { return };
        let (from, to) = match self.random.random_range(0..10) {
            0 => (own, own),
            1..4 if self.hubs > 0 => (self.hub(), own),
            4..7 if self.hubs > 0 => (own, self.hub()),
            _ => (own, self.end_node(draft).unwrap_or(own)),
        };
        let key = self.next_key();
        let kind = *draw::TYPES.choose(&mut self.random).expect("not empty");
        let properties = match self.random.random_range(0..3) {
            0 => Vec::new(),
            _ => vec![("w", draw::value("w", &mut self.random)), ("s", draw::value("s", &mut self.random))],
        };
        draft.effects.push(Effect::CreateRelationship { key, kind, from, to, properties });
    }

    fn set_relationship(&mut self, draft: &mut Draft) {
        let Some((key, relationship)) = self.model.any_relationship(&mut self.random) else { return };
        let end = self.model.own_end(relationship);
        let names: Vec<&'static str> = relationship.properties.iter().copied().collect();
        if !draft.touched.insert(key) {
            return;
        }
        let removed = names.choose(&mut self.random).filter(|_| self.random.random_ratio(1, 4));
        let change = if let Some(name) = removed {
            (*name, None)
        } else {
            let name = *draw::RELATIONSHIP_KEYS.choose(&mut self.random).expect("not empty");
            (name, Some(draw::value(name, &mut self.random)))
        };
        draft.effects.push(Effect::SetRelationship { key, end, changes: vec![change] });
    }

    fn delete_relationship(&mut self, draft: &mut Draft) {
        let Some((key, relationship)) = self.model.any_relationship(&mut self.random) else { return };
        let end = self.model.own_end(relationship);
        if draft.touched.insert(key) {
            draft.effects.push(Effect::DeleteRelationship { key, end });
        }
    }

    fn untouched_node(&mut self, draft: &mut Draft) -> Option<u64> {
        let (key, _) = self.model.any_node(&mut self.random)?;
        draft.touched.insert(key).then_some(key)
    }

    fn end_node(&mut self, draft: &mut Draft) -> Option<u64> {
        if !draft.new_nodes.is_empty() && self.random.random_ratio(1, 3) {
            return draft.new_nodes.choose(&mut self.random).copied();
        }
        self.untouched_node(draft)
    }

    fn hub(&mut self) -> u64 {
        self.run.hub(self.random.random_range(0..self.hubs))
    }
}
