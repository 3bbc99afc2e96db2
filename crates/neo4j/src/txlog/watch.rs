//! Which constraints are half made, at any point of a log.
//!
//! A constraint that an index enforces is not made by one transaction: one creates the unique index, without
//! an owner; then the index is filled, and new property keys and labels get ids, in transactions of their
//! own; the last one creates the constraint, which names the index, and gives the index its owner. A creation
//! that fails (the data are not unique) deletes the index instead. Transactions of others stand in between,
//! and creations overlap. **A database restored to a point in between** comes up with an index that stays
//! POPULATING for ever and a name that is taken. So such a point must be known, and the nearest ones before
//! and behind it that have no constraint half made (`docs/format/transaction-log.md`, section 9).
//!
//! Invariant: [`SchemaWatch::open`] are the unique indexes without an owner that were created behind the
//! point where the watch began, and that up to [`SchemaWatch::seen_to`] neither a constraint took nor a
//! transaction deleted. It holds because a watch accepts nothing but the next transaction, and takes all of
//! it or, on an error, nothing.
//!
//! A watch cannot know what was half made where it began; it finds out when the creation ends. So what is
//! before and what is behind a target are read by one watch, and [`whole_points`] judges from what it found.
//!
//! Whatever else there is has no point in between: an index of its own (one transaction; it is filled again
//! where a restored store is started), dropping a constraint (one transaction deletes it and its index), the
//! constraints of Enterprise Edition that need no index.
//!
//! Seen in the logs of real servers (`testdata/`): creations on six releases from 5.5 to 2026.08, of nodes
//! and of relationships, overlapping, several ended by one transaction, and one that failed; drops; plain
//! indexes. Seen live on 5.26.30: a server killed in between, whose index is there until somebody drops it.
//! Read from the classes alone: the constraints of Enterprise Edition.

use std::collections::BTreeMap;

use super::schema::{Change, RuleId, RuleKind, SchemaChange};
use super::walk::{WalkError, commands};
use crate::ids::TxId;

/// A constraint in the making, from the transaction that created its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    pub index: RuleId,
    /// Of the index, and of the constraint.
    pub name: String,
    /// The transaction that created the index; `None`, if that was before the watch began.
    pub began: Option<TxId>,
    /// `None` while it goes on.
    pub ended: Option<CreationEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreationEnd {
    /// The transaction that created the constraint, or deleted the index.
    pub at: TxId,
    /// `None`, if it came to nothing.
    pub constraint: Option<RuleId>,
}

/// Follows the schema of one database through its log.
#[derive(Clone, Debug)]
pub struct SchemaWatch {
    seen_to: TxId,
    open: BTreeMap<RuleId, Creation>,
}

/// Why a watch cannot take a transaction. It stays as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    #[error("transaction {found} where {expected} must follow")]
    NotNext { expected: TxId, found: TxId },
    #[error("transaction {id}")]
    Walk { id: TxId, source: WalkError },
    #[error("what follows transaction {last}")]
    NoTransaction { last: TxId, source: WalkError },
}

impl SchemaWatch {
    /// A watch that begins right behind this transaction.
    pub fn behind(last: TxId) -> SchemaWatch {
        SchemaWatch { seen_to: last, open: BTreeMap::new() }
    }

    /// The last transaction that was taken.
    pub fn seen_to(&self) -> TxId {
        self.seen_to
    }

    /// What is half made here, by the id of the index.
    pub fn open(&self) -> impl Iterator<Item = &Creation> {
        self.open.values()
    }

    /// Takes the next transaction of the log, from the first byte of its START to the last of its COMMIT.
    /// Answers with the creations that it ended.
    ///
    /// # Errors
    /// If it is not the next one, or holds a command that is not understood.
    pub fn see(&mut self, transaction: &[u8]) -> Result<Vec<Creation>, WatchError> {
        let last = self.seen_to;
        let walk = commands(transaction).map_err(|source| WatchError::NoTransaction { last, source })?;
        let (id, expected) = (walk.transaction_id(), last.next());
        if id != expected {
            return Err(WatchError::NotNext { expected, found: id });
        }
        let changes = schema_changes(transaction).map_err(|source| WatchError::Walk { id, source })?;
        // First what begins: in which order one transaction's commands stand says nothing.
        for change in &changes {
            self.begin(id, change);
        }
        let ended = changes.iter().filter_map(|change| self.end(id, change)).collect();
        self.seen_to = id;
        Ok(ended)
    }

    fn begin(&mut self, id: TxId, change: &SchemaChange<'_>) {
        let unowned = RuleKind::Index { unique: true, owner: None };
        if change.change == Change::Created && change.rule.kind == unowned {
            let (index, name) = (change.id, change.rule.name.to_owned());
            self.open.insert(index, Creation { index, name, began: Some(id), ended: None });
        }
    }

    fn end(&mut self, at: TxId, change: &SchemaChange<'_>) -> Option<Creation> {
        let (index, constraint) = ended_by(change)?;
        let unknown = || Creation { index, name: change.rule.name.to_owned(), began: None, ended: None };
        let creation = self.open.remove(&index).unwrap_or_else(unknown);
        Some(Creation { ended: Some(CreationEnd { at, constraint }), ..creation })
    }
}

/// The index whose creation this change ends, and the constraint that came of it.
fn ended_by(change: &SchemaChange<'_>) -> Option<(RuleId, Option<RuleId>)> {
    match (change.change, change.rule.kind) {
        (Change::Created, RuleKind::Constraint { owned_index: Some(index), .. }) => {
            Some((index, Some(change.id)))
        }
        (Change::Deleted, RuleKind::Index { unique: true, owner: None }) => Some((change.id, None)),
        _ => None,
    }
}

/// All of a transaction's commands are walked, whether or not they are about the schema: one that cannot be
/// told hides what follows it.
fn schema_changes(transaction: &[u8]) -> Result<Vec<SchemaChange<'_>>, WalkError> {
    let mut changes = Vec::new();
    for command in commands(transaction)? {
        changes.extend(SchemaChange::of(&command?)?);
    }
    Ok(changes)
}

impl Creation {
    /// Whether the constraint is half made right behind this transaction.
    pub fn encloses(&self, point: TxId) -> bool {
        self.began.is_none_or(|began| began <= point) && self.ended.is_none_or(|end| point < end.at)
    }
}

/// The points nearest to a target at which no constraint is half made. Both are the target itself if it is
/// such a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholePoints {
    /// `None`: further back than was watched.
    pub before: Option<TxId>,
    /// `None`: not in what was watched.
    pub behind: Option<TxId>,
}

/// Judges a target from all creations that one watch found: those that ended and those still open.
///
/// Exact between the beginning and the end of the watch; a creation that lasts over all of it is the one
/// thing that it cannot find. One that a killed server left behind encloses every point until its index is
/// dropped: at such a point the source was in the same state, and the nearest whole point can be far away.
pub fn whole_points(target: TxId, creations: &[Creation]) -> WholePoints {
    WholePoints { before: whole_before(target, creations), behind: whole_behind(target, creations) }
}

/// Creations overlap, so the point before one can lie within another. Sorted, one pass is enough: whoever
/// began later than the point reached cannot enclose it.
fn whole_before(target: TxId, creations: &[Creation]) -> Option<TxId> {
    let mut latest_first: Vec<&Creation> = creations.iter().collect();
    latest_first.sort_by_key(|creation| std::cmp::Reverse(creation.began));
    let enclosing_moves = |point: TxId, creation: &Creation| {
        if creation.encloses(point) { Some(TxId(creation.began?.0.checked_sub(1)?)) } else { Some(point) }
    };
    latest_first.into_iter().try_fold(target, enclosing_moves)
}

fn whole_behind(target: TxId, creations: &[Creation]) -> Option<TxId> {
    let mut earliest_first: Vec<&Creation> = creations.iter().collect();
    // Those without an end come last, as they end last.
    earliest_first.sort_by_key(|creation| creation.ended.map_or((true, TxId(0)), |end| (false, end.at)));
    let enclosing_moves = |point: TxId, creation: &Creation| {
        if creation.encloses(point) { creation.ended.map(|end| end.at) } else { Some(point) }
    };
    earliest_first.into_iter().try_fold(target, enclosing_moves)
}
