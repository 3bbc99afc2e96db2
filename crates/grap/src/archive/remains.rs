//! What a run of the server left and the archive does not hold: read on from what it follows, or from nothing.
//!
//! A server that was killed right after a rotation throws the new file away and writes on in the one before, so
//! the file that remains goes on from a file that is not what it was. It is joined to it only where that can be
//! proved: by the checksum that its first transaction names (up to kernel 21), or because the transaction
//! before it was stored while that run of the server lasted. Else what remains is a history from nothing on:
//! kept, and mixed with no other.

use grap_neo4j::TxId;
use grap_neo4j::txlog::ScanStart;

use super::ahead::{Ahead, Behind, Limits, read_ahead};
use super::begin::server_run;
use super::held::{HeldLog, Remnant, Sequence};
use super::names::RunNumber;
use super::parent::{Found, Search, transactions};
use super::segment::Segment;
use super::start::{DatabaseStart, Parent};
use super::write_error::WriteError;
use super::writer::Writer;

/// What is to be read: from `scan` on through files of consecutive versions.
pub(super) struct Rest {
    files: Vec<HeldLog>,
    scan: ScanStart,
    /// What it goes on from.
    parent: Option<Found>,
    /// Where the remnant goes on from the file before it, which may have been written on since.
    seam: TxId,
    first_id: TxId,
}

impl Rest {
    /// Of a side run.
    pub(super) fn start(&self) -> DatabaseStart {
        DatabaseStart {
            parent: self.parent.map(|parent| Parent::new(parent.run, &parent.end)),
            first_id: self.first_id,
            broken: Some("what an earlier run of the server left, or what lies before a gap".to_owned()),
            side: true,
        }
    }
}

impl Writer<'_> {
    /// The transactions of a remnant that are not stored; `None`: all are. (A mark without anything behind it
    /// is no loss, and nothing could ever tell that it is stored.)
    pub(super) fn not_stored(
        &self,
        search: &Search<'_>,
        remnant: &Remnant,
    ) -> Result<Option<Rest>, WriteError> {
        let mut floor = None;
        loop {
            let Some(mut rest) = self.rest_of(search, remnant, floor)? else { return Ok(None) };
            let mut first_id = None;
            let mut has_commands = false;
            let stopped_at = self.read_rest(&rest, |segment| {
                first_id.get_or_insert(segment.header.first.0);
                let found = transactions(&segment).map(|(_, found)| found).unwrap_or_default();
                has_commands = found.iter().any(|transaction| !transaction.without_commands);
                Ok(!has_commands)
            })?;
            if let Some(first_id) = first_id.filter(|_| has_commands) {
                rest.first_id = first_id;
                return Ok(Some(rest));
            }
            let Some(next) = stopped_at else { return Ok(None) };
            floor = Some(next);
        }
    }

    /// Where what is not stored may begin: behind the newest stored transaction above `floor`, else at the
    /// floor, else where the remnant begins.
    fn rest_of(
        &self,
        search: &Search<'_>,
        remnant: &Remnant,
        floor: Option<ScanStart>,
    ) -> Result<Option<Rest>, WriteError> {
        let Some(first) = remnant.files.first() else { return Ok(None) };
        let start = ScanStart::of_file(&first.header);
        let seam = start.last_id;
        let (from, above) =
            floor.map_or((first.version(), TxId(0)), |floor| (floor.position.version, floor.last_id));
        let behind = Sequence { files: remnant.files.clone() };
        let mut files = behind.from(from).to_vec();
        let mut parent = search.newest_in(&Sequence { files: files.clone() }, above, TxId(u64::MAX))?;
        if parent.is_none()
            && floor.is_none()
            && let Some(before) = &remnant.before
        {
            parent = self.before_seam(search, remnant, before, first)?;
            if parent.is_some() {
                files.insert(0, before.clone());
            }
        }
        let scan = parent.map_or(floor.unwrap_or(start), |parent| ScanStart::after(&parent.end));
        Ok(Some(Rest { files, scan, parent, seam, first_id: scan.last_id.next() }))
    }

    /// The stored transaction of the file before `first` from which it goes on, if that can be proved.
    fn before_seam(
        &self,
        search: &Search<'_>,
        remnant: &Remnant,
        before: &HeldLog,
        first: &HeldLog,
    ) -> Result<Option<Found>, WriteError> {
        let seam = first.header.last_id;
        let source = Sequence { files: vec![before.clone()] };
        let start = ScanStart { last_checksum: None, ..ScanStart::of_file(&first.header) };
        let head = self.read_on(first, &start, None, true)?.segment;
        let named =
            head.as_ref().and_then(transactions).and_then(|(_, found)| found.first()?.previous_checksum);
        if let Some(named) = named {
            let Some(found) = search.newest_in(&source, TxId(0), seam)? else { return Ok(None) };
            let mut scan = ScanStart::after(&found.end);
            while scan.last_id < seam {
                let ahead = self.read_on(before, &scan, Some(seam), false)?;
                if ahead.segment.is_none() {
                    return Ok(None);
                }
                scan = ahead.resume;
            }
            return Ok((scan.last_checksum == Some(named)).then_some(found));
        }
        // Stored before that run of the server ended, it is what the run had there. (A side run is of later.)
        let name = server_run(&remnant.server);
        let of_server = search.runs.iter().rev().find(|(_, run)| {
            run.start.server_run == name && run.database(search.database).is_some_and(|start| !start.side)
        });
        let newest = of_server.map(|(number, _)| number).filter(|_| !remnant.present);
        let found = search.newest_in(&source, TxId(seam.0.saturating_sub(1)), seam)?;
        Ok(found.filter(|found| newest.is_some_and(|newest: RunNumber| found.run <= newest)))
    }

    /// Segment after segment, as long as `each` wants more. Says where it stopped because another history begins:
    /// at a mark, or at a file that does not go on from the one before it.
    pub(super) fn read_rest(
        &self,
        rest: &Rest,
        mut each: impl FnMut(Segment) -> Result<bool, WriteError>,
    ) -> Result<Option<ScanStart>, WriteError> {
        let mut scan = rest.scan;
        let mut begins = rest.parent.is_none();
        for (index, log) in rest.files.iter().enumerate() {
            if log.version() < scan.position.version {
                continue;
            }
            if log.version() > scan.position.version {
                if log.header.last_id != scan.last_id {
                    return Ok(Some(ScanStart::of_file(&log.header)));
                }
                scan = scan.into_file(&log.header);
            }
            let seam = rest.files.get(index + 1).map(|behind| behind.header.last_id);
            let last = seam.filter(|seam| *seam == rest.seam);
            loop {
                let ahead = self.read_on(log, &scan, last, begins)?;
                scan = ahead.resume;
                let Some(segment) = ahead.segment else {
                    if let Behind::Mark(mark) = ahead.behind {
                        return Ok(Some(mark));
                    }
                    break;
                };
                begins = false;
                if !each(segment)? {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    fn read_on(
        &self,
        log: &HeldLog,
        scan: &ScanStart,
        last: Option<TxId>,
        begins: bool,
    ) -> Result<Ahead, WriteError> {
        let limits = Limits { bytes: self.segment_bytes, last, begins, to_end: true };
        Ok(read_ahead(log, scan, limits, self.clock.now().as_millisecond())?)
    }
}
