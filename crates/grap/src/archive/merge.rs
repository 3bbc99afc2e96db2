//! Merging: many small segments of one run, put again as one object. Only puts; the parts go later, by `gc`.
//!
//! Reading a day of an archive then costs hundreds of objects instead of hundreds of thousands. A batch that
//! could not be merged stays as it is: nothing depends on it.

use std::collections::BTreeMap;

use super::names::{RunNumber, SegmentName};
use super::store::{Archive, ArchiveError};
use super::writer::Stored;

/// So many parts make one object.
const PARTS: usize = 128;
/// Or so many bytes of log.
const BYTES: u64 = 16 << 20;
/// A segment of this size is left alone.
const LARGE: u64 = 4 << 20;

/// Collects what one archiver stored.
#[derive(Debug, Default)]
pub struct Merger {
    run: Option<RunNumber>,
    waiting: BTreeMap<String, Batch>,
}

#[derive(Debug, Default)]
struct Batch {
    names: Vec<SegmentName>,
    bytes: u64,
}

impl Merger {
    /// Note a stored segment; merge when enough are together. Says what was put.
    pub fn add(
        &mut self,
        archive: &Archive,
        run: RunNumber,
        database: &str,
        stored: &Stored,
    ) -> Result<Option<SegmentName>, ArchiveError> {
        if self.run != Some(run) {
            self.run = Some(run);
            self.waiting.clear();
        }
        let batch = self.waiting.entry(database.to_owned()).or_default();
        let large = stored.bytes >= LARGE;
        if !large {
            batch.names.push(stored.name);
            batch.bytes += stored.bytes;
        }
        if batch.names.len() < PARTS && batch.bytes < BYTES && !large {
            return Ok(None);
        }
        let batch = std::mem::take(batch);
        if batch.names.len() < 2 {
            return Ok(None);
        }
        merge(archive, run, database, &batch.names)
    }
}

fn merge(
    archive: &Archive,
    run: RunNumber,
    database: &str,
    names: &[SegmentName],
) -> Result<Option<SegmentName>, ArchiveError> {
    let mut parts = Vec::new();
    for name in names {
        parts.append(&mut archive.segments(run, database, *name)?);
    }
    Ok(archive.put_merged(run, database, &parts)?.map(|(name, _)| name))
}
