//! The native checker: reads the record stores of a stopped database, and says whether they fit together.
//!
//! It starts no server and no JVM. Each store is read page by page, in parallel, by threads that share nothing but bits.
//! Memory does not grow with the size of a database but by one bit a record (two for a node): which records somebody owns.
//!
//! Why this suffices:
//! - **Ownership.** Property, text, array, label and group records are walked from their owners. Each record is marked when it
//!   is reached: reached twice, it has two owners (or its chain is a ring, and the walk ends); in use and never reached, it
//!   is an orphan.
//! - **Relationship chains** are not walked. A chain says everything twice: what stands behind whom, seen from both sides; who
//!   is first, seen from the node and from the relationship; how long it is, as a number and as members. Each statement is
//!   added to a sum when it is made by the one, and subtracted when it is made by the other (`tally`). Sums of zero say
//!   that both agree, in one sequential pass; where a sum is not zero, a second pass looks at those nodes alone and names
//!   what does not fit (`locate`).
//! - **Every value is decoded**, and goes into a digest of the whole graph that can be computed through Cypher, too
//!   (`docs/format/digest.md`).
//!
//! What it does not judge it names: [`NOT_JUDGED`].

mod bits;
mod chain;
mod clean;
mod counts;
mod digest;
mod error;
mod findings;
mod locate;
mod nodes;
mod orphans;
mod pages;
mod properties;
mod relationships;
mod rules;
mod scan;
mod schema;
mod stores;
mod tally;
mod tokens;

use std::collections::BTreeMap;
use std::path::Path;

use grap_disk::Fingerprint;
use grap_neo4j::record::RecordStore;
use grap_task::{Monitor, Stop};

use bits::Bits;
use stores::Stores;
use tokens::Tokens;

pub use clean::require_clean;
pub(crate) use clean::{behind_newest_checkpoint, last_transaction, metadata, not_running, store_id};
pub use error::CheckError;
pub use findings::{Finding, Findings, Problem};
pub use rules::Rule;

/// What a checked store may still have wrong.
pub const NOT_JUDGED: [&str; 5] = [
    "whether indexes hold what the graph holds",
    "the counts store and the index statistics",
    "the degrees store: how long the chains of dense nodes are",
    "lists of free ids (*.id)",
    "whether the graph obeys its constraints",
];

/// What was found in one database.
#[derive(Debug)]
pub struct StoreReport {
    pub nodes: u64,
    pub relationships: u64,
    pub properties: u64,
    /// Nodes with each label, by name.
    pub labels: BTreeMap<String, u64>,
    /// Relationships of each type, by name.
    pub types: BTreeMap<String, u64>,
    /// Of the whole graph, whatever the order; of what could be read, where there are findings.
    pub digest: u128,
    pub findings: Findings,
    /// Of all stores that were read.
    pub bytes: u64,
}

/// What all threads share.
struct Check<'a> {
    stores: &'a Stores,
    tokens: &'a Tokens,
    nodes: Bits,
    dense: Bits,
    owned: Owned,
    threads: usize,
    stop: &'a Stop,
    monitor: &'a dyn Monitor,
}

/// Which records somebody owns.
struct Owned {
    groups: Bits,
    properties: Bits,
    strings: Bits,
    arrays: Bits,
    labels: Bits,
}

/// Checks the stores in a directory `databases/<db>`. Nobody may write to them meanwhile: that is seen, and an error.
pub fn check_store(
    directory: &Path,
    threads: usize,
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<StoreReport, CheckError> {
    let mut findings = Findings::default();
    let stores = Stores::open(directory, &mut findings)?;
    let before = stores.fingerprints()?;
    let tokens = Tokens::read(&stores, &mut findings)?;
    let report = Check::new(&stores, &tokens, threads, stop, monitor).run(findings)?;
    unchanged(directory, &before, &stores.fingerprints()?)?;
    Ok(report)
}

/// The indexes and constraints that the stores hold, and what is wrong with how they hold them. A server may run on
/// them, if nobody changes its schema and everything is in the stores.
pub fn read_rules(
    directory: &Path,
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<(Vec<Rule>, Findings), CheckError> {
    let mut findings = Findings::default();
    let stores = Stores::open(directory, &mut findings)?;
    let tokens = Tokens::read(&stores, &mut findings)?;
    let rules = schema::read(&Check::new(&stores, &tokens, 1, stop, monitor), &mut findings)?;
    Ok((rules, findings))
}

impl<'a> Check<'a> {
    fn new(
        stores: &'a Stores,
        tokens: &'a Tokens,
        threads: usize,
        stop: &'a Stop,
        monitor: &'a dyn Monitor,
    ) -> Self {
        let records = |store| Bits::new(stores.get(store).records());
        Self {
            stores,
            tokens,
            nodes: records(RecordStore::Nodes),
            dense: records(RecordStore::Nodes),
            owned: Owned {
                groups: records(RecordStore::Groups),
                properties: records(RecordStore::Properties),
                strings: records(RecordStore::Strings),
                arrays: records(RecordStore::Arrays),
                labels: records(RecordStore::NodeLabels),
            },
            threads: threads.max(1),
            stop,
            monitor,
        }
    }

    fn run(&self, mut findings: Findings) -> Result<StoreReport, CheckError> {
        let of_nodes = nodes::read(self, &mut findings)?;
        let mut tally = of_nodes.tally;
        let of_relationships = relationships::read(self, &mut findings)?;
        tally.add(&of_relationships.tally);
        schema::read(self, &mut findings)?;
        locate::disagreements(self, &tally, &mut findings)?;
        orphans::find(self, &mut findings)?;
        findings.sort();
        Ok(StoreReport {
            nodes: of_nodes.entities.count,
            relationships: of_relationships.entities.count,
            properties: of_nodes.entities.properties + of_relationships.entities.properties,
            labels: self.tokens.labels.by_name(&of_nodes.entities.tokens),
            types: self.tokens.types.by_name(&of_relationships.entities.tokens),
            digest: of_nodes.entities.digest.wrapping_add(of_relationships.entities.digest),
            findings,
            bytes: self.stores.bytes(),
        })
    }
}

fn unchanged(directory: &Path, before: &[Fingerprint], after: &[Fingerprint]) -> Result<(), CheckError> {
    if before == after { Ok(()) } else { Err(CheckError::Changed { path: directory.to_owned() }) }
}
