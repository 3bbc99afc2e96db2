//! All relationships: their nodes, types, properties, and their places in two chains.

use grap_neo4j::record::{RecordStore, RelationshipRecord, Side};

use super::Check;
use super::counts::Entities;
use super::digest::Encoder;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::properties::{Owner, PropertyReader};
use super::scan::{Worker, scan};
use super::tally::{Chain, Direction, Tally};

/// What all relationships came to.
pub(super) struct Relationships {
    pub(super) entities: Entities,
    pub(super) tally: Tally,
}

pub(super) fn read(check: &Check<'_>, findings: &mut Findings) -> Result<Relationships, CheckError> {
    let file = check.stores.get(RecordStore::Relationships);
    let workers = scan(check, file, "relationships", || RelationshipWorker::new(check))?;
    let mut all = Relationships { entities: Entities::new(check.tokens.types.end()), tally: Tally::new() };
    for worker in workers {
        all.entities.add(&worker.entities);
        all.tally.add(&worker.tally);
        findings.append(worker.findings);
    }
    Ok(all)
}

/// The sides of a relationship, each with the chain that it is in there: one where both are one node.
pub(super) fn sides<'r>(
    check: &Check<'_>,
    record: &'r RelationshipRecord,
) -> impl Iterator<Item = (Chain, &'r Side)> {
    let chain = |node, direction| {
        if check.dense.get(node) { Chain::Of { type_id: record.type_id, direction } } else { Chain::Whole }
    };
    let (start, end) = (&record.start, &record.end);
    let two = if record.is_loop() {
        [Some((chain(start.node, Direction::Loop), start)), None]
    } else {
        let outgoing = chain(start.node, Direction::Outgoing);
        [Some((outgoing, start)), Some((chain(end.node, Direction::Incoming), end))]
    };
    two.into_iter().flatten()
}

struct RelationshipWorker<'a> {
    check: &'a Check<'a>,
    properties: PropertyReader<'a>,
    encoder: Encoder,
    entities: Entities,
    tally: Tally,
    findings: Findings,
}

impl<'a> RelationshipWorker<'a> {
    fn new(check: &'a Check<'a>) -> Self {
        Self {
            check,
            properties: PropertyReader::new(check),
            encoder: Encoder::default(),
            entities: Entities::new(check.tokens.types.end()),
            tally: Tally::new(),
            findings: Findings::default(),
        }
    }

    fn side(&mut self, id: u64, chain: Chain, side: &Side) {
        let node = side.node;
        if !self.check.nodes.get(node) {
            self.findings.add(Problem::Endpoint, place(id), || format!("its node {node} is not in use"));
        }
        if let Some(next) = side.next {
            self.tally.behind(node, chain, id, next);
        }
        if chain == Chain::Whole {
            self.tally.member(node);
        }
        match side.previous {
            previous if side.first => self.first(id, chain, node, previous),
            Some(previous) => self.tally.before(node, chain, id, previous),
            None => self.findings.add(Problem::RelationshipChain, place(id), || {
                format!("nothing stands before it in the chain of node {node}, and yet it is not the first")
            }),
        }
    }

    /// In the place of the one before, the first one has the length of the chain; in chains of dense nodes the length may be kept
    /// elsewhere.
    fn first(&mut self, id: u64, chain: Chain, node: u64, length: Option<u64>) {
        self.tally.is_first(node, chain, id);
        match (chain, length) {
            (Chain::Whole, Some(length)) => self.tally.length(node, length),
            (Chain::Whole, None) => self.findings.add(Problem::ChainLength, place(id), || {
                format!("it is the first of the chain of node {node}, and does not say how long that is")
            }),
            (Chain::Of { .. }, _) => {}
        }
    }

    fn encode(&mut self, id: u64, record: &RelationshipRecord) -> Result<(), CheckError> {
        let type_id = u64::from(record.type_id);
        let kind = self.check.tokens.types.get(type_id);
        match kind {
            Some(_) => self.entities.token(type_id),
            None => self.findings.add(Problem::UnknownToken, place(id), || {
                format!("it is of type {type_id}, which does not exist")
            }),
        }
        let kind = kind.map_or("", |token| &token.name);
        self.encoder.relationship(id, record.start.node, record.end.node, kind);
        let owner = Owner { store: RecordStore::Relationships, id, property: record.property };
        let read = (&mut self.properties, &mut self.encoder);
        self.entities.entity(self.check, owner, read, &mut self.findings)
    }
}

impl Worker for RelationshipWorker<'_> {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError> {
        let record = bytes.first_chunk().map(RelationshipRecord::parse).filter(|record| record.in_use);
        let Some(record) = record else { return Ok(()) };
        self.entities.count += 1;
        let check = self.check;
        for (chain, side) in sides(check, &record) {
            self.side(id, chain, side);
        }
        if record.is_loop() && record.start != record.end {
            self.findings.add(Problem::RelationshipChain, place(id), || {
                format!("it begins and ends at node {}, and its two sides differ", record.start.node)
            });
        }
        self.encode(id, &record)
    }
}

fn place(id: u64) -> Record {
    Record(RecordStore::Relationships, id)
}
