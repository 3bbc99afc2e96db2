//! Sums over what relationship chains say twice. In each sum the one statement is added, the other one subtracted.
//!
//! | sum | added | subtracted |
//! |---|---|---|
//! | links | "behind me is r" | "before me is r" |
//! | firsts | "I am the first of this chain", says a relationship | "the first of this chain is r", says a node or a group |
//! | lengths | one for each member | "my chain has n members", says the first one; only of nodes that are not dense |
//!
//! A statement is a hash of all that it says: node, chain (of a dense node: type and direction), relationships. Two multisets
//! of statements that differ have equal sums with a probability of 2^-64. Sums are kept apart by nodes, in [`BUCKETS`] shares, so
//! that what differs is looked for at few nodes only.
//!
//! Links that agree make rows and rings; each row begins with a first that its node knows. What is not seen: a ring of
//! relationships beside the row of their node, which takes three wrong pointers that fit each other.

/// Shares of the nodes.
pub(super) const BUCKETS: usize = 1 << 12;

#[derive(Clone)]
pub(super) struct Tally {
    sums: Vec<Sums>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    links: u64,
    firsts: u64,
    lengths: u64,
}

/// One of the chains of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// The only one of a node that is not dense.
    Whole,
    /// Of a dense node.
    Of { type_id: u32, direction: Direction },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Outgoing,
    Incoming,
    Loop,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { sums: vec![Sums::default(); BUCKETS] }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            sum.links = sum.links.wrapping_add(more.links);
            sum.firsts = sum.firsts.wrapping_add(more.firsts);
            sum.lengths = sum.lengths.wrapping_add(more.lengths);
        }
    }

    /// `next` stands behind `id`, says `id`.
    pub(super) fn behind(&mut self, node: u64, chain: Chain, id: u64, next: u64) {
        let sum = &mut self.sums[bucket(node)].links;
        *sum = sum.wrapping_add(link(node, chain, id, next));
    }

    /// `previous` stands before `id`, says `id`.
    pub(super) fn before(&mut self, node: u64, chain: Chain, id: u64, previous: u64) {
        let sum = &mut self.sums[bucket(node)].links;
        *sum = sum.wrapping_sub(link(node, chain, previous, id));
    }

    /// `id` is the first of the chain, says the relationship.
    pub(super) fn is_first(&mut self, node: u64, chain: Chain, id: u64) {
        let sum = &mut self.sums[bucket(node)].firsts;
        *sum = sum.wrapping_add(link(node, chain, id, id));
    }

    /// `id` is the first of the chain, says the node or the group.
    pub(super) fn begins_with(&mut self, node: u64, chain: Chain, id: u64) {
        let sum = &mut self.sums[bucket(node)].firsts;
        *sum = sum.wrapping_sub(link(node, chain, id, id));
    }

    /// The chain of a node that is not dense has a member.
    pub(super) fn member(&mut self, node: u64) {
        let sum = &mut self.sums[bucket(node)].lengths;
        *sum = sum.wrapping_add(mix(node) | 1);
    }

    /// The chain of a node that is not dense has so many members, says its first one.
    pub(super) fn length(&mut self, node: u64, length: u64) {
        let sum = &mut self.sums[bucket(node)].lengths;
        *sum = sum.wrapping_sub((mix(node) | 1).wrapping_mul(length));
    }

    /// Whether links and firsts fit, of all nodes of this one's share.
    pub(super) fn links_agree(&self, node: u64) -> bool {
        let sums = self.sums[bucket(node)];
        (sums.links, sums.firsts) == (0, 0)
    }

    pub(super) fn lengths_agree(&self, node: u64) -> bool {
        self.sums[bucket(node)].lengths == 0
    }

    pub(super) fn is_even(&self) -> bool {
        self.sums.iter().all(|sums| *sums == Sums::default())
    }
}

fn bucket(node: u64) -> usize {
    (mix(node) >> 52) as usize
}

fn link(node: u64, chain: Chain, one: u64, other: u64) -> u64 {
    let chain = match chain {
        Chain::Whole => 0,
        Chain::Of { type_id, direction } => 1 + (u64::from(type_id) << 2 | direction as u64),
    };
    mix(mix(mix(node ^ chain << 40) ^ one) ^ other)
}

/// A permutation of 64 bits that leaves no pattern (the finaliser of SplitMix64).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}
