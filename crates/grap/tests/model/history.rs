//! Everything that was ever committed in any source: a tree. A transaction knows the one that it follows; the
//! first of a store, and the mark of an import or a migration, follow nothing.
//!
//! Transactions of equal bytes at equal places are told apart here (every import leaves the same mark), and by
//! nobody else.

use std::collections::HashMap;

use grap_neo4j::txlog::Transaction;
use grap_neo4j::{StoreId, TransactionEnd};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) usize);

/// What a reader can compare a transaction by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) store: i64,
    pub(crate) id: u64,
    checksum: u32,
    version: u64,
    offset: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) parent: Option<NodeId>,
    pub(crate) key: Key,
    pub(crate) transaction: Transaction,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    nodes: Vec<Node>,
    by_key: HashMap<Key, Vec<NodeId>>,
}

impl Key {
    pub(crate) fn new(store: &StoreId, end: &TransactionEnd) -> Self {
        let position = end.position;
        Self {
            store: store.random,
            id: end.id.0,
            checksum: end.checksum.0,
            version: position.version.0,
            offset: position.offset,
        }
    }
}

impl History {
    pub(crate) fn add(
        &mut self,
        parent: Option<NodeId>,
        store: &StoreId,
        transaction: Transaction,
        bytes: &[u8],
    ) -> NodeId {
        let node = NodeId(self.nodes.len());
        let key = Key::new(store, &transaction.end_point());
        self.nodes.push(Node { parent, key, transaction, bytes: bytes.to_vec() });
        self.by_key.entry(key).or_default().push(node);
        node
    }

    /// The number of the next one: what makes its bytes its own.
    pub(crate) fn next(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn get(&self, node: NodeId) -> &Node {
        &self.nodes[node.0]
    }

    /// Which ones a transaction that was read can be.
    pub(crate) fn candidates(&self, key: &Key, bytes: &[u8]) -> Vec<NodeId> {
        let found = self.by_key.get(key).into_iter().flatten().copied();
        found.filter(|node| self.get(*node).bytes == bytes).collect()
    }

    /// Those of `behind` that follow one of `before`.
    pub(crate) fn follow(&self, before: &[NodeId], behind: &[NodeId]) -> Vec<NodeId> {
        let follows = |node: &NodeId| self.get(*node).parent.is_some_and(|parent| before.contains(&parent));
        behind.iter().copied().filter(follows).collect()
    }

    /// From `tip` back to the first.
    pub(crate) fn chain(&self, tip: Option<NodeId>) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(tip, |node| self.get(*node).parent)
    }
}
