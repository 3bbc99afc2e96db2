//! What is wrong with a store: all of it is counted, the first of each kind are kept with their words.

use std::fmt;

use grap_neo4j::record::RecordStore;

/// So many findings of a kind are kept; further ones are counted.
const KEPT_PER_PROBLEM: usize = 100;

macro_rules! problems {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal;)+) => {
        /// A kind of finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Problem {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Problem {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As scripts see it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            pub fn meaning(self) -> String {
                match self { $(Self::$variant => concat!($($meaning),+).trim().to_owned()),+ }
            }
        }
    };
}

problems! {
    /// A file does not end with a whole page.
    FileLength = "file-length";
    /// A token has no name that can be read, or a name that another one has.
    Token = "token";
    /// The labels of a node do not ascend, or one of them is there twice.
    LabelOrder = "label-order";
    /// A label record is not of the node that points at it.
    LabelOwner = "label-owner";
    /// A label, a relationship type or a property key that does not exist.
    UnknownToken = "unknown-token";
    /// A relationship whose start or end node is not in use.
    Endpoint = "endpoint";
    /// Two neighbours of a relationship chain do not point at each other.
    RelationshipChain = "relationship-chain";
    /// A node or a group and a relationship do not agree on which one is first in the chain.
    FirstInChain = "first-in-chain";
    /// A relationship chain has not as many members as it says.
    ChainLength = "chain-length";
    /// A group of a dense node: not in use, of another node, or out of order.
    Group = "group";
    /// A property chain leads to a record that is not in use, or whose way back is wrong.
    PropertyChain = "property-chain";
    /// A text, an array or a list of labels: its pieces do not make up a whole.
    DynamicChain = "dynamic-chain";
    /// A record that was reached a second time: it has two owners, or its chain is a ring.
    SharedRecord = "shared-record";
    /// A node or a relationship has the same property twice.
    DuplicateKey = "duplicate-key";
    /// A value that cannot be decoded.
    Value = "value";
    /// A rule of the schema without its properties.
    Schema = "schema";
    /// A record that is in use and belongs to nothing.
    Orphan = "orphan";
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub problem: Problem,
    pub store: RecordStore,
    /// Of the record.
    pub id: u64,
    pub message: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: [u64; Problem::ALL.len()],
}

/// An owner or a finding, for people: `node 5`.
pub(super) struct Record(pub(super) RecordStore, pub(super) u64);

impl Findings {
    /// The first ones of each kind, in order of stores and ids.
    pub fn kept(&self) -> &[Finding] {
        &self.kept
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Kinds that were found, and how often.
    pub fn counts(&self) -> impl Iterator<Item = (Problem, u64)> {
        let counts = Problem::ALL.iter().map(|problem| (*problem, self.counts[*problem as usize]));
        counts.filter(|(_, count)| *count > 0)
    }

    pub(super) fn add(
        &mut self,
        problem: Problem,
        Record(store, id): Record,
        message: impl FnOnce() -> String,
    ) {
        let count = &mut self.counts[problem as usize];
        *count += 1;
        if *count <= KEPT_PER_PROBLEM as u64 {
            self.kept.push(Finding { problem, store, id, message: message() });
        }
    }

    pub(super) fn count_of(&self, problem: Problem) -> u64 {
        self.counts[problem as usize]
    }

    pub(super) fn append(&mut self, other: Self) {
        self.kept.extend(other.kept);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    /// In order, and no more of a kind than are to be kept.
    pub(super) fn sort(&mut self) {
        self.kept.sort_by_key(|finding| (finding.problem, finding.store, finding.id));
        let mut kept = [0; Problem::ALL.len()];
        self.kept.retain(|finding| {
            kept[finding.problem as usize] += 1;
            kept[finding.problem as usize] <= KEPT_PER_PROBLEM
        });
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.record_name(), self.1)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", Record(self.store, self.id), self.message, self.problem.name())
    }
}
