//! What a new run goes on from: the newest transaction with commands that stands both in the archive, on any
//! path, and in the source.
//!
//! Transactions are compared by store id, id, checksum, log version and offset, and looked at in the source's
//! files now. One without commands joins nothing: an import leaves the same bytes every time.

use grap_neo4j::txlog::Transaction;
use grap_neo4j::{StoreId, TransactionEnd, TxId};

use super::held::Sequence;
use super::names::{RunNumber, SegmentName};
use super::runs::{Run, Runs};
use super::segment::Segment;
use super::start::Parent;
use super::store::{Archive, ArchiveError};
use super::write_error::WriteError;

/// Searches the archive of one database.
pub(super) struct Search<'a> {
    pub(super) archive: &'a Archive,
    pub(super) runs: &'a Runs,
    pub(super) database: &'a str,
}

/// A stored transaction that was found in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) run: RunNumber,
    pub(super) end: TransactionEnd,
}

impl Search<'_> {
    /// The newest transaction of `source` behind `floor` that is stored, under the newest run that has it;
    /// none behind `ceiling`.
    pub(super) fn newest_in(
        &self,
        source: &Sequence,
        floor: TxId,
        ceiling: TxId,
    ) -> Result<Option<Found>, WriteError> {
        let mut best: Option<Found> = None;
        for (number, run) in self.runs.iter().rev() {
            if run.database(self.database).is_none() {
                continue;
            }
            let above = best.map_or(floor, |best| best.end.id.max(floor));
            if let Some(end) = self.newest_of_run(number, run, source, (above, ceiling))? {
                best = Some(Found { run: number, end });
            }
        }
        Ok(best)
    }

    /// As `newest_in`, of one run; only ids above the one and up to the other of `range`.
    fn newest_of_run(
        &self,
        number: RunNumber,
        run: &Run,
        source: &Sequence,
        range: (TxId, TxId),
    ) -> Result<Option<TransactionEnd>, WriteError> {
        // From the end: each object reaches up to the one behind it.
        let (mut first, mut behind) = (TxId(u64::MAX), TxId(u64::MAX));
        for name in self.names(number, run)?.into_iter().rev() {
            if name.first < first {
                (first, behind) = (name.first, first);
            }
            let last = name.last.unwrap_or(TxId(behind.0.saturating_sub(1)));
            if last <= range.0 || name.first > range.1 {
                continue;
            }
            if let Some(end) = self.newest_of_object(number, name, source, range)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn newest_of_object(
        &self,
        number: RunNumber,
        name: SegmentName,
        source: &Sequence,
        (above, ceiling): (TxId, TxId),
    ) -> Result<Option<TransactionEnd>, WriteError> {
        for segment in self.read(number, name)?.unwrap_or_default().iter().rev() {
            let Some((store_id, transactions)) = transactions(segment) else { continue };
            for transaction in transactions.iter().rev() {
                let wanted = above < transaction.id && transaction.id <= ceiling;
                if !wanted || transaction.without_commands {
                    continue;
                }
                let end = transaction.end_point();
                if source.holds(&store_id, &end)? {
                    return Ok(Some(end));
                }
            }
        }
        Ok(None)
    }

    /// The run whose path is the current one, and where that ends.
    pub(super) fn current_end(&self) -> Result<Option<(RunNumber, Option<Parent>)>, WriteError> {
        let Some(current) = self.runs.current(self.database) else { return Ok(None) };
        Ok(Some((current, self.end_of(current)?)))
    }

    /// Where a run's path ends, by what can be read of it: its newest transaction, else its parent.
    fn end_of(&self, number: RunNumber) -> Result<Option<Parent>, WriteError> {
        let Ok(path) = self.runs.path(self.database, number) else { return Ok(None) };
        let mut upto = TxId(u64::MAX);
        for piece in path.pieces.iter().rev() {
            let Some(run) = self.runs.get(piece.run) else { break };
            for name in self.names(piece.run, run)?.into_iter().rev() {
                let segments = self.read(piece.run, name)?.unwrap_or_default();
                let ends = segments.iter().filter_map(transactions).flat_map(|(_, found)| found);
                let last = ends
                    .filter(|transaction| transaction.id <= upto)
                    .max_by_key(|transaction| transaction.id);
                if let Some(last) = last {
                    return Ok(Some(Parent::new(piece.run, &last.end_point())));
                }
            }
            let Some(parent) = piece.parent else { break };
            upto = parent.id;
        }
        Ok(None)
    }

    /// The objects of a run by their first id, those that a listing hid at its end included.
    fn names(&self, number: RunNumber, run: &Run) -> Result<Vec<SegmentName>, WriteError> {
        let mut names: Vec<SegmentName> = run.segments(self.database).collect();
        loop {
            let next = match names.last() {
                None => run.database(self.database).map(|start| start.first_id),
                Some(name) => match self.read(number, *name)? {
                    Some(segments) => segments.last().map(|segment| segment.header.last.0.next()),
                    None => return Ok(names),
                },
            };
            let Some(next) = next.map(SegmentName::single) else { return Ok(names) };
            match self.archive.find_segments(number, self.database, next) {
                Ok(Some(_)) => names.push(next),
                Ok(None) => return Ok(names),
                Err(error) if error.is_damage() => return Ok(names),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// `None`: it is gone, or damaged. (That is `verify`'s to tell; here it is as if it were not there.)
    fn read(&self, number: RunNumber, name: SegmentName) -> Result<Option<Vec<Segment>>, ArchiveError> {
        match self.archive.find_segments(number, self.database, name) {
            Err(error) if error.is_damage() => Ok(None),
            other => other,
        }
    }
}

/// The store and the transactions of a segment, if it holds what it says.
pub(super) fn transactions(segment: &Segment) -> Option<(StoreId, Vec<Transaction>)> {
    let header = segment.log_header().ok()?;
    let mut found = Vec::new();
    segment.scan(None, |transaction, _| found.push(*transaction)).ok()?;
    Some((header.store_id, found))
}
