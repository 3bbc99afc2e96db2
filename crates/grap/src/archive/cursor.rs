//! Where the archive stands in the log of one database.

use std::time::Duration;

use grap_disk::DiskError;
use grap_neo4j::txlog::ScanStart;
use grap_neo4j::{LogVersion, StoreId, TransactionEnd};

use super::held::{FileState, HeldLog, Sequence};
use super::segment::Segment;

/// Where the archive stands in one log.
#[derive(Debug)]
pub(super) struct LogCursor {
    /// As it was found at the begin; files that came since are asked for one by one.
    pub(super) sequence: Sequence,
    pub(super) log: HeldLog,
    pub(super) scan: ScanStart,
    /// The last stored transaction.
    pub(super) last: Option<(StoreId, TransactionEnd)>,
    /// Nothing was stored under this run yet, and it goes on from nothing.
    pub(super) begins: bool,
    /// Read, proved, and not known to be stored.
    pub(super) pending: Option<Pending>,
    /// Since when something odd stands there, and what.
    pub(super) odd: Option<(Duration, String)>,
    /// The file as it was when it was read to its end for nothing.
    pub(super) fruitless: Option<FileState>,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) segment: Segment,
    pub(super) resume: ScanStart,
    /// The first and the last transaction.
    pub(super) ends: (TransactionEnd, TransactionEnd),
    pub(super) at_end: bool,
}

impl LogCursor {
    pub(super) fn new(
        sequence: Sequence,
        log: HeldLog,
        scan: ScanStart,
        last: Option<(StoreId, TransactionEnd)>,
    ) -> Self {
        let begins = last.is_none();
        Self { sequence, log, scan, last, begins, pending: None, odd: None, fruitless: None }
    }

    /// The last transaction that is in the repository.
    pub(super) fn stored(&self) -> Option<&TransactionEnd> {
        self.last.as_ref().map(|(_, end)| end)
    }

    /// The oldest file that must stay: that of the last stored transaction, also where everything in it is
    /// stored. The next run of an archiver finds its parent there; while a backlog is shipped it is not among
    /// the newest files.
    pub(super) fn needed_from(&self) -> LogVersion {
        let here = self.log.version();
        self.stored().map_or(here, |end| end.position.version.min(here))
    }

    pub(super) fn advance(&mut self, resume: ScanStart, last: TransactionEnd) {
        self.scan = resume;
        self.last = Some((self.log.header.store_id.clone(), last));
        self.begins = false;
        self.odd = None;
    }

    /// Two bytes tell: zeros, or the end of the file.
    pub(super) fn nothing_there(&self) -> Result<bool, DiskError> {
        let bytes = self.log.bytes(self.scan.position.offset, 2)?;
        Ok(bytes.iter().all(|byte| *byte == 0))
    }

    /// Why the last stored COMMIT does not stand where it stood, if so.
    pub(super) fn moved(&self) -> Result<Option<String>, DiskError> {
        let Some((store_id, end)) = &self.last else { return Ok(None) };
        let version = end.position.version;
        let here = version == self.log.version();
        let log = if here { Some(&self.log) } else { self.sequence.file(version) };
        // A file that we have left, and whose pin went since, was not read in this round.
        let Some(log) = log else { return Ok(None) };
        match log.holds(store_id, end) {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(format!("transaction {} is no longer where it was read", end.id))),
            Err(error) if error.is_not_found() && !here => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Note something odd; after a while it is taken for good.
    pub(super) fn settle(&mut self, now: Duration, why: &str) -> Duration {
        match &self.odd {
            Some((since, before)) if before == why => now.saturating_sub(*since),
            _ => {
                self.odd = Some((now, why.to_owned()));
                Duration::ZERO
            }
        }
    }
}
