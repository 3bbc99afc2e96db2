//! The parts of merged objects: what `gc` deletes of an archive, and nothing else (rule 14).
//!
//! A part goes only after the merged object was read back whole, every transaction in it, and the part was read
//! and is in it byte for byte. Not before the merged object is an hour old by the storage's own clock: a reader
//! without a lock may have listed before it was there, and goes on by the names that he saw.

use std::collections::BTreeMap;

use grap_core::SourceName;
use grap_repository::{Lock, ObjectError, Repository, RepositoryError};
use grap_task::Stop;
use jiff::{SignedDuration, Timestamp};

use super::names::{self, Object, RunNumber, SegmentName};
use super::store::{Archive, ArchiveError};
use crate::error::in_one_line;

const READERS_DONE_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Merged objects of one source that are old enough, each with what is still there of its parts.
pub struct MergedParts {
    archive: Archive,
    merged: Vec<Merged>,
}

struct Merged {
    run: RunNumber,
    database: String,
    name: SegmentName,
    /// With their bytes.
    parts: Vec<(SegmentName, u64)>,
}

#[derive(Debug, Default)]
pub struct PartsReport {
    pub deleted: usize,
    pub bytes: u64,
    /// Objects that the storage did not let us delete.
    pub denied: Vec<String>,
    /// Why parts stay that might have gone.
    pub problems: Vec<String>,
}

impl MergedParts {
    /// By names alone; nothing is read yet. `now` is the storage's time.
    pub fn find(repository: &Repository, source: &SourceName, now: Timestamp) -> Result<Self, ArchiveError> {
        let mut singles: BTreeMap<(RunNumber, String), BTreeMap<SegmentName, u64>> = BTreeMap::new();
        let mut merged = Vec::new();
        for info in repository.list_sealed(&names::folder(source))? {
            match Object::parse(source, &info.name) {
                Some(Object::Segment(run, database, name)) if name.last.is_none() => {
                    singles.entry((run, database)).or_default().insert(name, info.size);
                }
                Some(Object::Segment(run, database, name))
                    if info.modified.is_some_and(|then| now.duration_since(then) >= READERS_DONE_AFTER) =>
                {
                    merged.push((run, database, name));
                }
                _ => {}
            }
        }
        let merged = merged.into_iter().filter_map(|(run, database, name)| {
            let own = singles.get(&(run, database.clone()))?;
            let within = SegmentName::single(name.first)..=SegmentName::single(name.last?);
            let parts: Vec<_> = own.range(within).map(|(part, bytes)| (*part, *bytes)).collect();
            (!parts.is_empty()).then_some(Merged { run, database, name, parts })
        });
        let merged = merged.collect();
        Ok(Self { archive: Archive::new(repository.clone(), source.clone()), merged })
    }

    pub fn count(&self) -> usize {
        self.merged.iter().map(|merged| merged.parts.len()).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.merged.iter().flat_map(|merged| &merged.parts).map(|(_, bytes)| bytes).sum()
    }

    /// Delete them. What is damaged stays, and is told; only a storage that fails, or a lost lock, ends it.
    pub fn delete(&self, lock: &Lock, stop: &Stop, report: &mut PartsReport) -> Result<(), ArchiveError> {
        for merged in &self.merged {
            stop.check()?;
            match self.proved(merged) {
                Ok(parts) => self.delete_each(merged, &parts, lock, stop, report)?,
                Err(error) if error.is_damage() || error.is_newer() => {
                    report.problems.push(in_one_line(&error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The parts that the merged object holds, after all of it was read.
    fn proved(&self, merged: &Merged) -> Result<Vec<super::Segment>, ArchiveError> {
        self.archive.check(merged.run, &merged.database, merged.name)?;
        self.archive.segments(merged.run, &merged.database, merged.name)
    }

    fn delete_each(
        &self,
        merged: &Merged,
        held: &[super::Segment],
        lock: &Lock,
        stop: &Stop,
        report: &mut PartsReport,
    ) -> Result<(), ArchiveError> {
        for (name, bytes) in &merged.parts {
            stop.check()?;
            let object = names::segment(self.archive.source(), merged.run, &merged.database, *name);
            match self.archive.find_segments(merged.run, &merged.database, *name) {
                Ok(Some(part)) if part.iter().all(|part| held.contains(part)) => {
                    match self.archive.repository().delete_sealed(&object, lock) {
                        Ok(()) => {
                            report.deleted += 1;
                            report.bytes += bytes;
                        }
                        Err(RepositoryError::Object(ObjectError::Denied { name, .. })) => {
                            report.denied.push(name);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                // Its name lies between the merged one's ends, and it is none of its parts.
                Ok(Some(_)) => report
                    .problems
                    .push(format!("{object} is not as the merged {} has it; both stay", merged.name)),
                Ok(None) => {}
                Err(error) if error.is_damage() || error.is_newer() => {
                    report.problems.push(in_one_line(&error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
