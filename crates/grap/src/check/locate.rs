//! The second pass over relationship chains, where a sum of the first is not zero: which records do not agree.
//!
//! Only nodes of those shares are looked at, and of their relationships the neighbours are read. Should nothing be found that
//! explains a sum, that is a finding, too: a store is never called clean against its sums.

use std::collections::HashMap;

use grap_neo4j::record::{GroupRecord, NodeRecord, RecordStore, RelationshipRecord, Side};

use super::Check;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::pages::Pages;
use super::relationships::sides;
use super::scan::{Worker, scan};
use super::tally::{Chain, Direction, Tally};

/// A node has at most one group for each type.
const GROUPS_MAX: usize = 1 << 16;
/// Chains whose lengths a thread counts at the same time, where they are in doubt.
const LENGTHS_MAX: usize = 1 << 20;

pub(super) fn disagreements(
    check: &Check<'_>,
    tally: &Tally,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    if tally.is_even() {
        return Ok(());
    }
    let before = named(findings);
    let relationships = check.stores.get(RecordStore::Relationships);
    let members = scan(check, relationships, "chains in doubt", || Neighbours(Look::new(check, tally)))?;
    let nodes = check.stores.get(RecordStore::Nodes);
    let firsts = scan(check, nodes, "nodes in doubt", || Firsts(Look::new(check, tally)))?;
    let mut lengths = HashMap::new();
    for look in members.into_iter().map(|worker| worker.0).chain(firsts.into_iter().map(|worker| worker.0)) {
        findings.append(look.findings);
        for (node, length) in look.lengths {
            let sum = lengths.entry(node).or_insert_with(Length::default);
            sum.members += length.members;
            sum.said = sum.said.or(length.said);
        }
    }
    wrong_lengths(&lengths, findings);
    if named(findings) == before {
        findings.add(Problem::RelationshipChain, Record(RecordStore::Relationships, 0), || {
            "the relationship chains do not fit together; which record is wrong was not found".to_owned()
        });
    }
    Ok(())
}

/// Findings that explain a sum.
fn named(findings: &Findings) -> u64 {
    use Problem::{ChainLength, Endpoint, FirstInChain, Group, RelationshipChain};
    [ChainLength, Endpoint, FirstInChain, Group, RelationshipChain]
        .iter()
        .map(|problem| findings.count_of(*problem))
        .sum()
}

/// Of the chain of a node that is not dense.
#[derive(Default)]
struct Length {
    members: u64,
    /// What its first one says.
    said: Option<u64>,
}

fn wrong_lengths(lengths: &HashMap<u64, Length>, findings: &mut Findings) {
    for (node, length) in lengths.iter().filter(|(_, length)| length.said != Some(length.members)) {
        findings.add(Problem::ChainLength, Record(RecordStore::Nodes, *node), || {
            let members = length.members;
            match length.said {
                Some(said) => {
                    format!("its chain says that it has {said} relationships, and {members} are in it")
                }
                None => format!("its {members} relationships have no first one"),
            }
        });
    }
}

/// What one thread looks with.
struct Look<'a> {
    check: &'a Check<'a>,
    tally: &'a Tally,
    relationships: Pages<'a>,
    nodes: Pages<'a>,
    groups: Pages<'a>,
    lengths: HashMap<u64, Length>,
    findings: Findings,
}

impl<'a> Look<'a> {
    fn new(check: &'a Check<'a>, tally: &'a Tally) -> Self {
        let pages = |store| Pages::new(check.stores.get(store));
        Self {
            check,
            tally,
            relationships: pages(RecordStore::Relationships),
            nodes: pages(RecordStore::Nodes),
            groups: pages(RecordStore::Groups),
            lengths: HashMap::new(),
            findings: Findings::default(),
        }
    }

    /// Of a relationship: its place in this chain, if it is in use and in it.
    fn place_in(
        &mut self,
        id: u64,
        node: u64,
        chain: Chain,
    ) -> Result<Result<Side, &'static str>, CheckError> {
        let bytes = self.relationships.record(id)?.and_then(|bytes| bytes.first_chunk());
        let record = bytes.map(RelationshipRecord::parse).filter(|record| record.in_use);
        let Some(record) = record else { return Ok(Err("is not in use")) };
        let side = sides(self.check, &record).find(|(of, side)| *of == chain && side.node == node);
        Ok(side.map(|(_, side)| *side).ok_or("is not in this chain"))
    }

    fn neighbours(&mut self, id: u64, chain: Chain, side: &Side) -> Result<(), CheckError> {
        let node = side.node;
        if let Some(next) = side.next {
            let wrong = match self.place_in(next, node, chain)? {
                Err(why) => Some(why.to_owned()),
                Ok(other) if other.first => Some("says that it is the first".to_owned()),
                Ok(other) => wrong_neighbour(other.previous, id, "before"),
            };
            self.disagree(id, node, "behind", next, wrong);
        }
        match side.previous {
            _ if side.first => self.first_of_its_chain(id, node, chain)?,
            Some(previous) => {
                let wrong = match self.place_in(previous, node, chain)? {
                    Err(why) => Some(why.to_owned()),
                    Ok(other) => wrong_neighbour(other.next, id, "behind"),
                };
                self.disagree(id, node, "before", previous, wrong);
            }
            None => {}
        }
        Ok(())
    }

    fn disagree(&mut self, id: u64, node: u64, at: &str, other: u64, wrong: Option<String>) {
        if let Some(why) = wrong {
            self.findings.add(Problem::RelationshipChain, relationship(id), || {
                format!("{at} it in the chain of node {node} stands relationship {other}, which {why}")
            });
        }
    }

    /// Its node, or the group of its node, must say the same.
    fn first_of_its_chain(&mut self, id: u64, node: u64, chain: Chain) -> Result<(), CheckError> {
        let first = match chain {
            Chain::Whole => self.node(node)?.filter(|node| !node.dense).and_then(|node| node.next),
            Chain::Of { type_id, direction } => {
                let groups = self.groups_of(node)?;
                let group = groups.iter().find(|(_, group)| group.type_id == type_id);
                group.and_then(|(_, group)| head(group, direction))
            }
        };
        if first != Some(id) {
            self.findings.add(Problem::FirstInChain, relationship(id), || {
                let first =
                    first.map_or_else(|| "nothing".to_owned(), |first| format!("relationship {first}"));
                format!("it says that it is the first of its chain of node {node}; there that is {first}")
            });
        }
        Ok(())
    }

    /// What a node or a group says is the first must say so, too.
    fn begins(&mut self, place: Record, node: u64, chain: Chain, first: u64) -> Result<(), CheckError> {
        let wrong = match self.place_in(first, node, chain)? {
            Err(why) => Some(why),
            Ok(side) if !side.first => Some("does not say that it is the first"),
            Ok(_) => None,
        };
        if let Some(why) = wrong {
            self.findings.add(Problem::FirstInChain, place, || {
                format!("its chain begins with relationship {first}, which {why}")
            });
        }
        Ok(())
    }

    fn node(&mut self, id: u64) -> Result<Option<NodeRecord>, CheckError> {
        let bytes = self.nodes.record(id)?.and_then(|bytes| bytes.first_chunk());
        Ok(bytes.map(NodeRecord::parse).filter(|node| node.in_use))
    }

    fn groups_of(&mut self, node: u64) -> Result<Vec<(u64, GroupRecord)>, CheckError> {
        let mut groups = Vec::new();
        let mut at = self.node(node)?.filter(|node| node.dense).and_then(|node| node.next);
        while let Some(id) = at.filter(|_| groups.len() < GROUPS_MAX) {
            let bytes = self.groups.record(id)?.and_then(|bytes| bytes.first_chunk());
            let Some(group) = bytes.map(GroupRecord::parse).filter(|group| group.in_use) else { break };
            groups.push((id, group));
            at = group.next;
        }
        Ok(groups)
    }

    fn length_of(&mut self, node: u64) -> Option<&mut Length> {
        let room = self.lengths.len() < LENGTHS_MAX || self.lengths.contains_key(&node);
        room.then(|| self.lengths.entry(node).or_default())
    }
}

/// Looks from relationships.
struct Neighbours<'a>(Look<'a>);

impl Worker for Neighbours<'_> {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError> {
        let record = bytes.first_chunk().map(RelationshipRecord::parse).filter(|record| record.in_use);
        let Some(record) = record else { return Ok(()) };
        let (check, tally) = (self.0.check, self.0.tally);
        for (chain, side) in sides(check, &record) {
            if !tally.links_agree(side.node) {
                self.0.neighbours(id, chain, side)?;
            }
            if chain == Chain::Whole && !tally.lengths_agree(side.node) {
                let said = side.previous.filter(|_| side.first);
                if let Some(length) = self.0.length_of(side.node) {
                    length.members += 1;
                    length.said = length.said.or(said);
                }
            }
        }
        Ok(())
    }
}

/// Looks from nodes and their groups.
struct Firsts<'a>(Look<'a>);

impl Worker for Firsts<'_> {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError> {
        let node = bytes.first_chunk().map(NodeRecord::parse).filter(|node| node.in_use);
        let Some(node) = node.filter(|_| !self.0.tally.links_agree(id)) else { return Ok(()) };
        if !node.dense {
            return match node.next {
                Some(first) => self.0.begins(Record(RecordStore::Nodes, id), id, Chain::Whole, first),
                None => Ok(()),
            };
        }
        for (group_id, group) in self.0.groups_of(id)? {
            for direction in [Direction::Outgoing, Direction::Incoming, Direction::Loop] {
                if let Some(first) = head(&group, direction) {
                    let chain = Chain::Of { type_id: group.type_id, direction };
                    self.0.begins(Record(RecordStore::Groups, group_id), id, chain, first)?;
                }
            }
        }
        Ok(())
    }
}

fn head(group: &GroupRecord, direction: Direction) -> Option<u64> {
    match direction {
        Direction::Outgoing => group.outgoing.first,
        Direction::Incoming => group.incoming.first,
        Direction::Loop => group.loops.first,
    }
}

fn wrong_neighbour(found: Option<u64>, right: u64, at: &str) -> Option<String> {
    match found {
        Some(id) if id == right => None,
        Some(id) => Some(format!("has relationship {id} {at} it")),
        None => Some(format!("has nothing {at} it")),
    }
}

fn relationship(id: u64) -> Record {
    Record(RecordStore::Relationships, id)
}
