//! All nodes: labels, properties, and where their relationships begin.

use grap_neo4j::record::{GroupRecord, Labels, NodeRecord, RecordStore, decode_long_array};

use super::Check;
use super::chain;
use super::counts::Entities;
use super::digest::Encoder;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::pages::Pages;
use super::properties::{Owner, PropertyReader};
use super::scan::{Worker, scan};
use super::tally::{Chain, Direction, Tally};
use super::tokens::Token;

/// What all nodes came to.
pub(super) struct Nodes {
    pub(super) entities: Entities,
    pub(super) tally: Tally,
}

pub(super) fn read(check: &Check<'_>, findings: &mut Findings) -> Result<Nodes, CheckError> {
    let file = check.stores.get(RecordStore::Nodes);
    let workers = scan(check, file, "nodes", || NodeWorker::new(check))?;
    let mut all = Nodes { entities: Entities::new(check.tokens.labels.end()), tally: Tally::new() };
    for worker in workers {
        all.entities.add(&worker.entities);
        all.tally.add(&worker.tally);
        findings.append(worker.findings);
    }
    Ok(all)
}

struct NodeWorker<'a> {
    check: &'a Check<'a>,
    properties: PropertyReader<'a>,
    groups: Pages<'a>,
    label_records: Pages<'a>,
    label_bytes: Vec<u8>,
    labels: Vec<u64>,
    encoder: Encoder,
    entities: Entities,
    tally: Tally,
    findings: Findings,
}

impl<'a> NodeWorker<'a> {
    fn new(check: &'a Check<'a>) -> Self {
        Self {
            check,
            properties: PropertyReader::new(check),
            groups: Pages::new(check.stores.get(RecordStore::Groups)),
            label_records: Pages::new(check.stores.get(RecordStore::NodeLabels)),
            label_bytes: Vec::new(),
            labels: Vec::new(),
            encoder: Encoder::default(),
            entities: Entities::new(check.tokens.labels.end()),
            tally: Tally::new(),
            findings: Findings::default(),
        }
    }

    fn labels(&mut self, id: u64, node: &NodeRecord) -> Result<(), CheckError> {
        self.labels.clear();
        match node.labels.decode() {
            Labels::Here { count, ids } => self.labels.extend_from_slice(&ids[..count]),
            Labels::At(record) => self.labels_elsewhere(id, record)?,
        }
        if !self.labels.is_sorted_by(|one, other| one < other) {
            let labels = &self.labels;
            self.findings.add(Problem::LabelOrder, node_record(id), || {
                format!("its labels do not ascend: {labels:?}")
            });
        }
        for label in &self.labels {
            match self.check.tokens.labels.get(*label) {
                Some(_) => self.entities.token(*label),
                None => self.findings.add(Problem::UnknownToken, node_record(id), || {
                    format!("it has label {label}, which does not exist")
                }),
            }
        }
        Ok(())
    }

    fn labels_elsewhere(&mut self, id: u64, record: u64) -> Result<(), CheckError> {
        let (pages, owned) = (&mut self.label_records, &self.check.owned.labels);
        let (bytes, findings) = (&mut self.label_bytes, &mut self.findings);
        if !chain::read(pages, owned, record, || node_record(id), bytes, findings)? {
            return Ok(());
        }
        let place = || Record(RecordStore::NodeLabels, record);
        match decode_long_array(bytes) {
            Ok(longs) => {
                let (owner, labels) =
                    longs.split_first().map_or((None, &[][..]), |(owner, rest)| (Some(*owner), rest));
                if owner != Some(id) {
                    let whose = owner.map_or_else(|| "nothing".to_owned(), |owner| format!("node {owner}"));
                    self.findings.add(Problem::LabelOwner, place(), || {
                        format!("it belongs to {whose}, but node {id} points at it")
                    });
                }
                self.labels.extend_from_slice(labels);
            }
            Err(error) => {
                self.findings.add(Problem::Value, place(), || format!("the labels of node {id}: {error}"));
            }
        }
        Ok(())
    }

    fn encode(&mut self, id: u64, node: &NodeRecord) -> Result<(), CheckError> {
        let check = self.check;
        let mut labels: Vec<&Token> =
            self.labels.iter().filter_map(|id| check.tokens.labels.get(*id)).collect();
        labels.sort_by_key(|label| label.rank);
        self.encoder.node(id, labels.iter().map(|label| label.name.as_str()));
        let owner = Owner { store: RecordStore::Nodes, id, property: node.property };
        let read = (&mut self.properties, &mut self.encoder);
        self.entities.entity(check, owner, read, &mut self.findings)
    }

    /// The groups of a dense node, in order of their types; each says where its chains begin.
    fn groups(&mut self, id: u64, first: Option<u64>) -> Result<(), CheckError> {
        let (mut at, mut last_type) = (first, None);
        while let Some(group_id) = at {
            let place = || Record(RecordStore::Groups, group_id);
            let bytes = self.groups.record(group_id)?.and_then(|bytes| bytes.first_chunk());
            let Some(group) = bytes.map(GroupRecord::parse).filter(|group| group.in_use) else {
                self.findings.add(Problem::Group, place(), || {
                    format!("it is not in use, but in the chain of node {id}")
                });
                return Ok(());
            };
            if self.check.owned.groups.set(group_id) {
                self.findings.add(Problem::SharedRecord, place(), || {
                    format!("it is reached a second time, from node {id}")
                });
                return Ok(());
            }
            self.group(id, group_id, &group, last_type);
            (at, last_type) = (group.next, Some(group.type_id));
        }
        Ok(())
    }

    fn group(&mut self, id: u64, group_id: u64, group: &GroupRecord, last_type: Option<u32>) {
        let place = || Record(RecordStore::Groups, group_id);
        let type_id = group.type_id;
        if group.owner != id {
            self.findings.add(Problem::Group, place(), || {
                format!("it belongs to node {}, but is in the chain of node {id}", group.owner)
            });
        }
        if last_type.is_some_and(|last| last >= type_id) {
            self.findings.add(Problem::Group, place(), || {
                format!("its type {type_id} does not come behind that of the group before")
            });
        }
        if self.check.tokens.types.get(u64::from(type_id)).is_none() {
            self.findings.add(Problem::UnknownToken, place(), || {
                format!("it is of type {type_id}, which does not exist")
            });
        }
        for (direction, head) in [
            (Direction::Outgoing, group.outgoing),
            (Direction::Incoming, group.incoming),
            (Direction::Loop, group.loops),
        ] {
            if let Some(first) = head.first {
                self.tally.begins_with(id, Chain::Of { type_id, direction }, first);
            }
        }
    }
}

impl Worker for NodeWorker<'_> {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError> {
        let Some(node) = bytes.first_chunk().map(NodeRecord::parse).filter(|node| node.in_use) else {
            return Ok(());
        };
        self.check.nodes.set(id);
        self.entities.count += 1;
        self.labels(id, &node)?;
        self.encode(id, &node)?;
        if node.dense {
            self.check.dense.set(id);
            self.groups(id, node.next)?;
        } else if let Some(first) = node.next {
            self.tally.begins_with(id, Chain::Whole, first);
        }
        Ok(())
    }
}

fn node_record(id: u64) -> Record {
    Record(RecordStore::Nodes, id)
}
